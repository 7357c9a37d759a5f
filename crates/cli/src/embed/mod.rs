//! Features of images that the command line names; for `predict`, `gallery`, `evaluate`, `check` and `serve`.

mod apart;
mod archive;
mod argument;
mod decoding;
mod engine;
mod inputs;
mod item;
mod pattern;
mod pipeline;
mod remarks;

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use image_feature::{Error, Model, Result, Roi};

pub use apart::FolderNames;
pub use decoding::{Damaged, Decoding};
pub use engine::Engine;
pub use inputs::{FILE_BYTES, Inputs, id_of, read_file};
pub use item::{Content, Origin};
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
        roi,
        decoding,
        // enough to keep every thread busy, in whole batches
        group: batch_size * (2 * threads).div_ceil(batch_size),
        threads,
    }
}

/// The feature of an image, and the damage of its file.
pub struct Embedded {
    pub feature: Vec<f32>,
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
            Ok(Input { values, damage }) => {
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
            Ok(Embedded { feature: features.next().unwrap_or_else(missing)?, damage })
        });
        if take(origin, result)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
