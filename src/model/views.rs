//! Several views of one image, for fine-tuning: it then learns the object rather than one picture of it.

use super::ModelDescription;
use crate::Result;
use crate::image::{Resize, RgbImage, Roi};
use crate::random::SplitMix64;

/// The smallest share of an image's sides that a view shows.
const LEAST_SIDE: f64 = 0.7;

/// The network's inputs for `count` views of an image, one after the other: the image, its mirror image, then random crops,
/// every other one mirrored. The same image always gives the same views.
///
/// ```
/// use image_feature::model::{ModelDescription, Network, lcnet_v2::LcNetV2Config, views};
/// use image_feature::{Preprocess, RgbImage};
///
/// let description = ModelDescription {
///     name: "PP-ShiTuV2_rec".into(),
///     network: Network::LcNetV2(LcNetV2Config::default()),
///     preprocess: Preprocess::default(),
/// };
/// let image = RgbImage::new(20, 10, vec![128; 20 * 10 * 3])?;
/// assert_eq!(views(&description, &image, 4)?.len(), 4 * 3 * 224 * 224);
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// As [`ModelDescription::network_input`].
pub fn views(description: &ModelDescription, image: &RgbImage, count: usize) -> Result<Vec<f32>> {
    let [height, width] = description.input_size();
    let mut inputs = Vec::with_capacity(count * 3 * height * width);
    let mut random = SplitMix64::for_purpose(0, "views", &[]);
    for view in 0..count {
        let mut input = match view {
            0 | 1 => description.network_input(image)?,
            // a crop may have a slightly different shape: only a model that stretches its input can take it
            _ if !matches!(description.preprocess.resize, Resize::Stretch { .. }) => {
                description.network_input(image)?
            }
            _ => description.network_input(&image.crop(random_crop(image, &mut random))?)?,
        };
        if view % 2 == 1 {
            input.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        inputs.append(&mut input);
    }
    Ok(inputs)
}

fn random_crop(image: &RgbImage, random: &mut SplitMix64) -> Roi {
    let share = LEAST_SIDE + (1.0 - LEAST_SIDE) * random.unit();
    let mut along = |size: usize| {
        let length = ((size as f64 * share).round() as usize).clamp(1, size);
        (random.below((size - length + 1) as u64) as usize, length)
    };
    let ((x, width), (y, height)) = (along(image.width()), along(image.height()));
    Roi { x, y, width, height }
}
