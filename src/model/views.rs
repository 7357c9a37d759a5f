//! Several views of one image: fine-tuning learns from them, so that it does not learn one image by heart.

use super::ModelDescription;
use crate::Result;
use crate::image::{Resize, RgbImage, Roi};
use crate::random::SplitMix64;

/// The smallest part of an image's sides that a view shows.
const LEAST_SIDE: f64 = 0.7;

/// The network's inputs for `count` views of an image, one after the other: the image itself, it mirrored, then parts of it, every other
/// one mirrored. The same image gives the same views.
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
            // a part may have a slightly different shape, which only stretching makes up for
            _ if !matches!(description.preprocess.resize, Resize::Stretch { .. }) => {
                description.network_input(image)?
            }
            _ => description.network_input(&image.crop(part(image, &mut random))?)?,
        };
        if view % 2 == 1 {
            input.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        inputs.append(&mut input);
    }
    Ok(inputs)
}

fn part(image: &RgbImage, random: &mut SplitMix64) -> Roi {
    let share = LEAST_SIDE + (1.0 - LEAST_SIDE) * random.unit();
    let mut along = |size: usize| {
        let length = ((size as f64 * share).round() as usize).clamp(1, size);
        (random.below((size - length + 1) as u64) as usize, length)
    };
    let ((x, width), (y, height)) = (along(image.width()), along(image.height()));
    Roi { x, y, width, height }
}
