//! Finds the sizes of a network from the shapes of its tensors.

use crate::model::lcnet_v2::LcNetV2Config;
use crate::model::vit::VitConfig;

/// Width of the last block at scale 1.
const LAST_CHANNELS: usize = 1024;
/// Sixteen times the width of the largest published network. Limits the work that a hostile shape causes.
const MAX_CHANNELS: usize = 16 * LAST_CHANNELS;
const MAX_EMBEDDING: usize = 65_536;

/// The network of the family with the fewest `mismatches` among those with this shape of the last convolution
/// (`[embedding, channels, 1, 1]`). `None` where no last convolution can have this shape.
///
/// Channel counts are rounded to multiples of 8, so several scales give the same network. The scale with the fewest decimals
/// is taken.
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

/// The published vision transformer with this shape of the patch embedding (`[width, 3, patch, patch]`).
///
/// Weights alone identify only these: they do not show the number of heads, or whether the mean includes the class token.
pub(super) fn vit(patch_embedding: &[usize]) -> Option<VitConfig> {
    [VitConfig::base(), VitConfig::large()]
        .into_iter()
        .find(|config| *patch_embedding == [config.width, 3, config.patch, config.patch])
}
