//! Features of images that the command line names; for `predict`, `gallery`, `evaluate`, `check` and `serve`.

mod apart;
mod archive;
mod argument;
mod decoding;
mod engine;
mod inputs;
mod item;
mod parts;
mod pattern;
mod pipeline;
mod remarks;

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use image_feature::{Error, Model, Preprocess, Result, RgbImage, Roi};

pub use apart::FolderNames;
pub use decoding::{Damaged, Decoding};
pub use engine::{Engine, summary};
pub use inputs::{FILE_BYTES, Inputs, id_of, read_file};
pub use item::{Content, Origin};
pub use parts::{DetectorArgs, Part, PartEngine, Parts};
pub use pipeline::Preparation;
use pipeline::{Input, Prepared};
pub use remarks::Remarks;

/// The preparation of images for a model.
pub fn preparation(
    model: &Model,
    roi: Option<Roi>,
    decoding: Decoding,
    threads: usize,
    batch_size: usize,
) -> Preparation {
    let [height, width] = model.description.input_size();
    Preparation {
        preprocess: model.description.preprocess.clone(),
        input_len: 3 * height * width,
        images: false,
        roi,
        decoding,
        // enough to keep every thread busy, in whole batches
        group: batch_size * (2 * threads).div_ceil(batch_size),
        threads,
    }
}

/// The decoding of images that are wanted as they are.
pub fn decoding_alone(decoding: Decoding, threads: usize) -> Preparation {
    Preparation {
        preprocess: Preprocess::default(),
        input_len: 0,
        images: true,
        roi: None,
        decoding,
        // each holds its pixels
        group: threads,
        threads,
    }
}

/// A function that takes each image, with what is wrong with its file, or the reason why there is none. It breaks where no
/// more are wanted.
type TakeImage<'t> = &'t mut dyn FnMut(Origin, Result<(RgbImage, Option<String>)>) -> Result<ControlFlow<()>>;

/// Decodes inputs on other threads, and hands them to `take` on this one, in order.
pub fn decode_all(inputs: Inputs, preparation: &Preparation, take: TakeImage) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || preparation.run(inputs, sender));
        for Prepared { origin, input } in receiver.into_iter().flatten() {
            let missing = || Error::internal("an image was not kept");
            let image = input.and_then(|Input { image, damage, .. }| Ok((image.ok_or_else(missing)?, damage)));
            if take(origin, image)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

/// The feature of an image or of a part of it, and the damage of its file.
pub struct Embedded {
    pub feature: Vec<f32>,
    /// The part; `None` for the whole image.
    pub part: Option<Part>,
    /// What is wrong with the file, where only a part of the image could be decoded.
    pub damage: Option<String>,
}

/// A function that takes the feature of each image, or the reason why it has none. It breaks where no more are wanted.
type TakeFeature<'t> = &'t mut dyn FnMut(Origin, Result<Embedded>) -> Result<ControlFlow<()>>;

/// Prepares inputs on other threads and computes their features on this one, in order.
pub fn embed_all(
    inputs: Inputs,
    preparation: &Preparation,
    engine: &Engine,
    batch_size: usize,
    take: TakeFeature,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || preparation.run(inputs, sender));
        for group in receiver {
            if embed_group(group, engine, batch_size, take)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

fn embed_group(group: Vec<Prepared>, engine: &Engine, batch_size: usize, take: TakeFeature) -> Result<ControlFlow<()>> {
    let mut good = Vec::new();
    let mut results: Vec<(Origin, Result<Option<String>>)> = Vec::new();
    for Prepared { origin, input } in group {
        match input {
            Ok(Input { values, damage, .. }) => {
                good.push(values);
                results.push((origin, Ok(damage)));
            }
            Err(error) => results.push((origin, Err(error))),
        }
    }
    let mut features = Vec::new();
    for batch in good.chunks(batch_size) {
        features.extend(engine.features(batch)?);
    }
    let mut features = features.into_iter();
    for (origin, prepared) in results {
        let result = prepared.and_then(|damage| {
            let missing = || Err(Error::internal("the network gave too few features"));
            Ok(Embedded { feature: features.next().unwrap_or_else(missing)?, part: None, damage })
        });
        if take(origin, result)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
