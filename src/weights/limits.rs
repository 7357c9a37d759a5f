//! Limits of a model file. They are generous: the largest model of the family (CLIP ViT-L) has 1.2 GB.

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::vit::VitConfig;
use crate::{Error, Result};

/// Size of all files of a model together in bytes, unpacked.
pub(crate) const MODEL_BYTES: u64 = 2 << 30;
/// Size of a graph (`inference.json`, `inference.pdmodel`) in bytes. The largest known has 414 kB. A parsed hostile
/// graph takes some fifty times as much memory.
pub(crate) const GRAPH_BYTES: u64 = 8 << 20;
/// Size of an `inference.yml` in bytes. Real ones have half a kilobyte.
pub(crate) const YML_BYTES: u64 = 64 << 10;
/// Number of tensors in a file. The largest model of the family has 299.
pub(crate) const TENSORS: usize = 16_384;
/// Number of dimensions of a tensor.
pub(crate) const DIMENSIONS: usize = 8;

/// Length of the name of a tensor, an op or a model, in bytes.
const NAME_BYTES: usize = 512;

/// Refuses a name that is too long, or that has control characters, which a terminal would execute.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.len() > NAME_BYTES {
        return Err(Error::limit(format!("a name has {} bytes; at most {NAME_BYTES} are read", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::model(format!("the name `{}` holds control characters", name.escape_debug())));
    }
    Ok(())
}

/// Refuses more than `limit` bytes.
pub(crate) fn check_size(what: &str, bytes: u64, limit: u64) -> Result<()> {
    if bytes > limit {
        return Err(Error::limit(format!("{what} has {bytes} bytes; at most {limit} are read")));
    }
    Ok(())
}

/// Height and width of a network's input in pixels. LCNetV2 halves them five times, so less than 32 leaves nothing.
const INPUT_SIDES: std::ops::RangeInclusive<usize> = 32..=4096;

/// Refuses an input size that is too small for the network, or larger than any reasonable one.
pub(crate) fn check_input(input: [usize; 2]) -> Result<()> {
    match input.iter().find(|&side| !INPUT_SIDES.contains(side)) {
        Some(side) => Err(Error::unsupported(format!(
            "an input side of {side} pixels; the network takes {} to {}",
            INPUT_SIDES.start(),
            INPUT_SIDES.end()
        ))),
        None => Ok(()),
    }
}

/// Channels of a layer of a vision transformer: sixteen times those of the largest published one.
const VIT_CHANNELS: usize = 65_536;

/// Refuses sizes of a vision transformer that do not fit together, or that no file can hold.
pub(crate) fn check_vit(config: &VitConfig) -> Result<()> {
    config.check()?;
    check_input(config.input)?;
    let &VitConfig { width, depth, hidden, projection, embedding, .. } = config;
    if let Some(channels) = [width, hidden, projection, embedding].into_iter().find(|&size| size > VIT_CHANNELS) {
        return Err(Error::limit(format!("a layer of {channels} channels; at most {VIT_CHANNELS} are read")));
    }
    if depth > TENSORS {
        return Err(Error::limit(format!("{depth} blocks; at most {TENSORS} tensors are read")));
    }
    Ok(())
}

/// Refuses a multiplier of a network's width or depth that is no positive number, or larger than any reasonable one.
pub(crate) fn check_factor(name: &str, factor: f64) -> Result<()> {
    if !(0.05..=8.0).contains(&factor) {
        return Err(Error::limit(format!("`network.{name}` is {factor}; 0.05 to 8 are read")));
    }
    Ok(())
}

/// Refuses a number of blocks that the whole network has not.
pub(crate) fn check_blocks(blocks: usize, whole: &EfficientNetLiteConfig) -> Result<usize> {
    let all = whole.blocks().len();
    if !(1..all).contains(&blocks) {
        return Err(Error::limit(format!("`network.blocks` is {blocks}; 1 to {} are read", all - 1)));
    }
    Ok(blocks)
}

/// Refuses a feature of no values, or of more than any reasonable one.
pub(crate) fn check_embedding(embedding: usize) -> Result<()> {
    if !(1..=VIT_CHANNELS).contains(&embedding) {
        return Err(Error::limit(format!("a feature of {embedding} values; 1 to {VIT_CHANNELS} are read")));
    }
    Ok(())
}

/// Refuses preprocessing that cannot be computed.
pub(crate) fn check_preprocess(preprocess: &Preprocess) -> Result<()> {
    check_input(match preprocess.resize {
        Resize::Stretch { width, height } => [height, width],
        Resize::ShortSide(side) => [side, side],
    })?;
    let Normalize { scale, mean, std } = preprocess.normalize;
    if !scale.is_finite() || scale <= 0.0 {
        return Err(Error::model(format!("normalisation with scale {scale}; expected a positive number")));
    }
    if mean.iter().any(|mean| !mean.is_finite()) || std.iter().any(|std| !std.is_finite() || *std <= 0.0) {
        return Err(Error::model(format!(
            "normalisation with mean {mean:?} and std {std:?}; expected finite numbers, and a positive std"
        )));
    }
    Ok(())
}
