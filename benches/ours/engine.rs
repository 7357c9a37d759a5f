//! The engine.

use image_feature::engine::Plan;
use image_feature::engine::cpu::{Calibrator, Executor, Options};
use image_feature::{Dtype, Model};
use serde_json::json;

use crate::{Result, protocol};

/// An executor for a model in the numbers its file is made for, and how many values one input image has.
pub fn open(model: &str, options: Options) -> Result<(Executor, usize)> {
    let model = Model::open(model)?;
    let plan = Plan::of_model(&model, None)?;
    let len = plan.shape(plan.input()).len();
    Ok((Executor::new(plan, options)?, len))
}

pub fn serve(model: &str, inputs: &str, batch: usize, threads: usize) -> Result<()> {
    let (executor, len) = open(model, Options { threads: Some(threads), ..Options::default() })?;
    let images = protocol::read_inputs(inputs, batch, len)?;
    let infer = || Ok(executor.run(&images, batch)?);
    infer()?;
    protocol::serve(json!({ "version": executor.instruction_set(), "threads": executor.threads() }), infer)
}

/// Writes the model as FOLDER/f32.safetensors, f16.safetensors and, calibrated on some images, i8.safetensors.
pub fn convert(model: &str, inputs: &str, images: usize, folder: &std::path::Path) -> Result<()> {
    let mut model = Model::open(model)?;
    let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
    let len = plan.shape(plan.input()).len();
    let mut calibrator = Calibrator::new(&plan)?;
    for image in protocol::read_inputs(inputs, images, len)?.chunks_exact(len) {
        calibrator.observe(image)?;
    }
    model.calibration = Some(calibrator.finish()?);
    std::fs::create_dir_all(folder)?;
    for (name, dtype) in [("f32", Dtype::F32), ("f16", Dtype::F16), ("i8", Dtype::I8)] {
        std::fs::write(folder.join(format!("{name}.safetensors")), model.to_safetensors(dtype)?)?;
    }
    Ok(())
}
