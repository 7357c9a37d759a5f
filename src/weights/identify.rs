//! Finds the sizes of a network from the shapes of its tensors.

use crate::model::lcnet_v2::LcNetV2Config;
use crate::model::picodet::PicoDetConfig;
use crate::model::vit::VitConfig;
use crate::weights::limits;
use crate::{Error, Result};

/// Width of the last block at scale 1.
const LAST_CHANNELS: usize = 1024;
/// Sixteen times the width of the largest published network. Limits the work that a hostile shape causes.
const MAX_CHANNELS: usize = 16 * LAST_CHANNELS;
const MAX_EMBEDDING: usize = 65_536;

/// The network of the family with the fewest `mismatches` among those with this shape of the last convolution
/// (`[embedding, channels, 1, 1]`). `None` where no last convolution can have this shape.
///
/// Channel counts are rounded to multiples of 8, so several scales give the same network. The scale with the fewest
/// decimals is taken.
pub(super) fn lcnet_v2(last_conv: &[usize], mismatches: impl Fn(&LcNetV2Config) -> usize) -> Option<LcNetV2Config> {
    let &[embedding, channels, 1, 1] = last_conv else { return None };
    if channels == 0 || channels > MAX_CHANNELS || embedding == 0 || embedding > MAX_EMBEDDING {
        return None;
    }
    let exact = channels as f64 / LAST_CHANNELS as f64;
    let rounded = (0..=4).map(|decimals| {
        let unit = 10f64.powi(decimals);
        (exact * unit).round() / unit
    });
    // every scale that rounds to this channel count is within one step of 8 of it
    let nearby = (-128..=128).map(|step| exact + f64::from(step) / 16.0 / LAST_CHANNELS as f64);
    let mut nearest = None;
    for scale in rounded.chain(nearby).filter(|&scale| scale > 0.0) {
        let config = LcNetV2Config { scale, embedding, ..LcNetV2Config::default() };
        if config.last_channels() != channels {
            continue;
        }
        let count = mismatches(&config);
        if nearest.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
            nearest = Some((count, config));
        }
        if count == 0 {
            break;
        }
    }
    nearest.map(|(_, config)| config)
}

/// Width of PicoDet's last block at scale 1.
const DETECTOR_CHANNELS: usize = 512;
/// The channels of PicoDet's last layer that are no class.
const DISTANCES: usize = 32;

/// The detector with these shapes of the backbone's last layer and of a level's last layer (`[out, in, 1, 1]`). Weights
/// do not show the names of the classes.
pub(super) fn picodet(backbone: &[usize], head: &[usize]) -> Result<PicoDetConfig> {
    let (&[channels, _, 1, 1], &[outputs, neck, 1, 1]) = (backbone, head) else {
        return Err(Error::model(format!(
            "last layers of shapes {backbone:?} and {head:?}; expected 1x1 convolutions"
        )));
    };
    let classes = outputs.saturating_sub(DISTANCES);
    let labels = match classes {
        1 => vec!["mainbody".into()],
        // no more than `check_picodet` lets pass
        _ => (0..classes.min(limits::CLASSES + 1)).map(|class| class.to_string()).collect(),
    };
    let scale = channels as f64 / DETECTOR_CHANNELS as f64;
    let config = PicoDetConfig { scale, neck, labels, ..PicoDetConfig::default() };
    limits::check_picodet(&config)?;
    Ok(config)
}

/// The published vision transformer with this shape of the patch embedding (`[width, 3, patch, patch]`).
///
/// Weights alone identify only these: they do not show the number of heads, or whether the mean includes the class
/// token.
pub(super) fn vit(patch_embedding: &[usize]) -> Option<VitConfig> {
    [VitConfig::base(), VitConfig::large()]
        .into_iter()
        .find(|config| *patch_embedding == [config.width, 3, config.patch, config.patch])
}
