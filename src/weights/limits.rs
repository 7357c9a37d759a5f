//! Limits of a model file. They are generous: the largest model of the family (CLIP ViT-L) has 1.2 GB.

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::picodet::PicoDetConfig;
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

/// Classes of a detector. The largest public data sets have some hundreds.
pub(crate) const CLASSES: usize = 4096;
/// Channels of a detector's neck.
const NECK: std::ops::RangeInclusive<usize> = 2..=4096;
/// Boxes that a detector compares, or gives.
const BOXES: usize = 65_536;

/// Refuses sizes of a detector that do not fit together, or that no file can hold.
pub(crate) fn check_picodet(config: &PicoDetConfig) -> Result<()> {
    let PicoDetConfig { scale, neck, input, labels, threshold, nms } = config;
    check_factor("scale", *scale)?;
    check_input(*input)?;
    if input.iter().any(|side| !side.is_multiple_of(32)) {
        return Err(Error::model(format!(
            "an input of {}x{} pixels; PicoDet takes multiples of 32",
            input[1], input[0]
        )));
    }
    if !NECK.contains(neck) || !neck.is_multiple_of(2) {
        return Err(Error::limit(format!(
            "a neck of {neck} channels; even numbers from {} to {} are read",
            NECK.start(),
            NECK.end()
        )));
    }
    if labels.is_empty() || labels.len() > CLASSES {
        return Err(Error::limit(format!("{} classes; 1 to {CLASSES} are read", labels.len())));
    }
    labels.iter().try_for_each(|label| check_name(label))?;
    for (name, share) in [("threshold", *threshold), ("nms.score", nms.score), ("nms.overlap", nms.overlap)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::model(format!("`{name}` is {share}; expected a number from 0 to 1")));
        }
    }
    if let Some(count) = [nms.candidates, nms.keep].into_iter().find(|count| !(1..=BOXES).contains(count)) {
        return Err(Error::limit(format!("{count} boxes of an image; 1 to {BOXES} are kept")));
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
        Resize::Stretch { width, height } | Resize::StretchCubic { width, height } => [height, width],
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
