//! PaddleClas's chain for the CLIP models: RandCropImage, RandFlipImage, TimmAutoAugment, RandomRotation.

use super::auto;
use super::flipped;
use super::warp::{Edges, Kernel, rotation_about_centre, warp};
use crate::Result;
use crate::image::{RgbImage, Roi};
use crate::random::SplitMix64;

/// How often an image is mirrored, and how often rotated.
const FLIP: f64 = 0.5;
const ROTATION: f64 = 0.3;
/// Largest rotation.
const DEGREES: f64 = 90.0;
/// Shape of the part that is taken: its width by its height; and its share of the image.
const SHAPE: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
const SHARE: [f64; 2] = [0.08, 1.0];

pub(super) fn apply(image: &RgbImage, [height, width]: [usize; 2], random: &mut SplitMix64) -> Result<RgbImage> {
    let mut image = image.crop(part(image.width(), image.height(), random))?.resize_bilinear(width, height)?;
    if random.chance(FLIP) {
        image = flipped(&image)?;
    }
    let mut image = auto::apply(image, random)?;
    if random.chance(ROTATION) {
        let angle = random.between(-DEGREES, DEGREES);
        let centre = [width as f64 / 2.0, height as f64 / 2.0];
        image = warp(&image, rotation_about_centre(angle, centre), Kernel::Bicubic(-0.75), Edges::Blend([0; 3]))?;
    }
    Ok(image)
}

/// `RandCropImage`: the share is drawn within what fits.
fn part(width: usize, height: usize, random: &mut SplitMix64) -> Roi {
    let (image_width, image_height) = (width as f64, height as f64);
    let stretch = random.between(SHAPE[0], SHAPE[1]).sqrt();
    let (across, down) = (stretch, 1.0 / stretch);
    let fits = (image_width / image_height / across.powi(2)).min(image_height / image_width / down.powi(2));
    let share = random.between(SHARE[0].min(fits), SHARE[1].min(fits));
    let side = (image_width * image_height * share).sqrt();
    let [across, down] =
        [(across, width), (down, height)].map(|(part, whole)| ((side * part) as usize).clamp(1, whole));
    let x = random.below((width - across) as u64 + 1) as usize;
    let y = random.below((height - down) as u64 + 1) as usize;
    Roi { x, y, width: across, height: down }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_inside_and_not_tiny() {
        let mut random = SplitMix64::new(3);
        for (width, height) in [(100, 100), (300, 20), (1, 1), (1, 500)] {
            for _ in 0..200 {
                let part = part(width, height, &mut random);
                assert!(part.width >= 1 && part.x + part.width <= width && part.y + part.height <= height);
                if width == height {
                    assert!((part.width * part.height) as f64 >= 0.07 * (width * height) as f64);
                }
            }
        }
    }
}
