//! From the shapes in a file to the network's sizes.

use crate::model::lcnet_v2::LcNetV2Config;
use crate::model::vit::VitConfig;

/// Width of the last block at scale 1.
const LAST_CHANNELS: usize = 1024;
/// Sixteen times the width of the largest published network. Bounds what a hostile shape can make us compute.
const MAX_CHANNELS: usize = 16 * LAST_CHANNELS;
const MAX_EMBEDDING: usize = 65_536;

/// The network of the family whose last convolution has this shape (`[embedding, channels, 1, 1]`) and that has the
/// fewest `mismatches`: none, where the shapes are those of a network of the family. `None` where the shape itself is
/// none that a last convolution could have.
///
/// Channel counts are rounded to multiples of 8, so several scales give the same network; the one with the fewest
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
    // Every scale that rounds to this channel count lies within one step of 8 of it.
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

/// The published vision transformer whose patch embedding has this shape (`[width, 3, patch, patch]`).
///
/// Only these are known by their weights alone, which do not tell how many heads there are, or whether the class token
/// takes part in the mean.
pub(super) fn vit(patch_embedding: &[usize]) -> Option<VitConfig> {
    [VitConfig::base(), VitConfig::large()]
        .into_iter()
        .find(|config| *patch_embedding == [config.width, 3, config.patch, config.patch])
}
