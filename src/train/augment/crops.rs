//! A random part of the image, mirrored, changed by RandAugment, rotated: PaddleClas's chain for the CLIP models
//! (RandCropImage, RandFlipImage, TimmAutoAugment, RandomRotation), with adjustable strengths.

use super::auto;
use super::flipped;
use super::warp::{Edges, Kernel, rotation_about_centre, warp};
use crate::Result;
use crate::image::{RgbImage, Roi};
use crate::random::SplitMix64;

/// The least and the largest width of a part, divided by its height.
const SHAPE: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

/// Crops a random part, flips, applies RandAugment, rotates.
///
/// ```
/// use image_feature::train::{Augmentation, Crops, Recipe};
///
/// let weaker = Augmentation::Crops(Crops { auto: 0.5, ..Crops::clip() });
/// let recipe = Recipe { augmentation: weaker, ..Recipe::published("PP-ShiTuV2_rec_CLIP_vit_base", 159)? };
/// assert_ne!(recipe.augmentation, Augmentation::Crops(Crops::clip()));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crops {
    /// The side of a square to which images are resized first, so that they can be kept in memory; `None` crops from the
    /// image in its own size.
    pub from: Option<usize>,
    /// The least and the largest area of a part, as a share of the image.
    pub share: [f64; 2],
    /// The probability of a flip.
    pub flip: f64,
    /// The probability of RandAugment.
    pub auto: f64,
    /// The probability of a rotation.
    pub rotation: f64,
    /// The largest angle of a rotation, in degrees.
    pub degrees: f64,
}

impl Crops {
    /// PaddleClas's values for the CLIP models.
    pub fn clip() -> Self {
        Crops { from: None, share: [0.08, 1.0], flip: 0.5, auto: 1.0, rotation: 0.3, degrees: 90.0 }
    }

    /// Weaker values, for small networks and few images: parts of at least 30 % of the image, which is kept at 10/7 of the
    /// input size, and RandAugment for a quarter of the images.
    pub fn mild([height, width]: [usize; 2]) -> Self {
        let from = Some((height.max(width) * 10).div_ceil(7));
        Crops { from, share: [0.3, 1.0], auto: 0.25, degrees: 30.0, ..Crops::clip() }
    }

    pub(super) fn apply(
        &self,
        image: &RgbImage,
        [height, width]: [usize; 2],
        random: &mut SplitMix64,
    ) -> Result<RgbImage> {
        let part = part(image.width(), image.height(), self.share, random);
        let mut image = image.crop(part)?.resize_bilinear(width, height)?;
        if random.chance(self.flip) {
            image = flipped(&image)?;
        }
        if random.chance(self.auto) {
            image = auto::apply(image, random)?;
        }
        if random.chance(self.rotation) {
            let angle = random.between(-self.degrees, self.degrees);
            let centre = [width as f64 / 2.0, height as f64 / 2.0];
            image = warp(&image, rotation_about_centre(angle, centre), Kernel::Bicubic(-0.75), Edges::Blend([0; 3]))?;
        }
        Ok(image)
    }
}

/// A random part, as in `RandCropImage`: its share of the image is limited so that the part fits.
fn part(width: usize, height: usize, share: [f64; 2], random: &mut SplitMix64) -> Roi {
    let (image_width, image_height) = (width as f64, height as f64);
    let stretch = random.between(SHAPE[0], SHAPE[1]).sqrt();
    let (across, down) = (stretch, 1.0 / stretch);
    let fits = (image_width / image_height / across.powi(2)).min(image_height / image_width / down.powi(2));
    let share = random.between(share[0].min(fits), share[1].min(fits));
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
                let part = part(width, height, Crops::clip().share, &mut random);
                assert!(part.width >= 1 && part.x + part.width <= width && part.y + part.height <= height);
                if width == height {
                    assert!((part.width * part.height) as f64 >= 0.07 * (width * height) as f64);
                }
            }
        }
    }
}
