//! Calibration on images, which a file of type i8 needs.

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::embed::{Content, Damaged, Decoding, Inputs, read_file};
use crate::terminal::{Progress, note};
use image_feature::engine::{Plan, cpu::Calibrator};
use image_feature::model::Calibration;
use image_feature::weights::Model;
use image_feature::{Decoded, Error, Result};

/// Measures a model's activations on images: files, folders, patterns or archives. Images that cannot be read are
/// reported, counted and left out; of damaged ones the part that could be decoded is taken, and they are told, too. `quiet`
/// hides the progress.
///
/// # Errors
/// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) where no image could be read, and errors of the engine.
pub fn calibrate(model: &Model, images: &[PathBuf], quiet: bool) -> Result<Calibration> {
    let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
    let mut calibrator = Calibrator::new(&plan)?;
    let inputs = Inputs::find(images)?;
    let remarks = inputs.remarks();
    let mut progress = Progress::new(inputs.count(), quiet);
    let (mut failed, mut damaged, mut broken) = (0u64, Damaged::default(), None);
    inputs.for_each(|item| {
        let bytes = match item.content {
            Content::File(path) => read_file(&path),
            Content::Bytes(bytes) => Ok(bytes),
            Content::Failed(error) => Err(error),
        };
        let input = bytes
            .and_then(|bytes| Decoding::default().decode(&bytes))
            .and_then(|Decoded { image, damage, .. }| Ok((model.description.network_input(&image)?, damage)));
        progress.advance();
        match input {
            Ok((input, damage)) => {
                damage.iter().for_each(|damage| damaged.add(&item.origin.input_path, damage));
                if let Err(error) = calibrator.observe(&input) {
                    broken = Some(error);
                    return ControlFlow::Break(());
                }
            }
            Err(error) => {
                failed += 1;
                progress.suspend(|| note(&format!("left out: {}: {error}", item.origin.input_path)));
            }
        }
        ControlFlow::Continue(())
    });
    let took = progress.finish();
    remarks.tell();
    if let Some(error) = broken {
        return Err(error);
    }
    if calibrator.images() == 0 {
        return Err(Error::usage(format!(
            "--calibrate: none of the {failed} inputs is an image that can be read; give photos like those the model will see"
        )));
    }
    let images = calibrator.images();
    if let Some(told) = damaged.told(images as u64) {
        note(&format!("warning: {told}; only what could be decoded of them is measured"));
    }
    if failed > 0 {
        note(&format!("warning: {failed} of {} inputs cannot be read and are left out", failed + images as u64));
    }
    if !quiet {
        note(&format!("calibrated on {} images in {:.1} s", images, took.as_secs_f64()));
    }
    calibrator.finish()
}
