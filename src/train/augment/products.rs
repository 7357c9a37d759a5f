//! PaddleClas's chain for PP-ShiTuV2_rec: RandFlipImage, Pad, RandCropImageV2, RandomRotation.

use super::flipped;
use super::warp::{Edges, Kernel, rotation_about_centre, warp};
use crate::Result;
use crate::image::RgbImage;
use crate::random::SplitMix64;

/// Flips, shifts and rotates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Products {
    /// The probability of a flip.
    pub flip: f64,
    /// The largest shift in each direction, in pixels; the border becomes black.
    pub padding: usize,
    /// The probability of a rotation.
    pub rotation: f64,
    /// The largest angle of a rotation, in degrees.
    pub degrees: f64,
}

impl Products {
    /// PaddleClas's values. The shift is in proportion to the height of the input: 10 pixels at 224.
    pub fn new([height, _]: [usize; 2]) -> Self {
        Products { flip: 0.5, padding: (height * 10).div_ceil(224), rotation: 0.5, degrees: 90.0 }
    }

    pub(super) fn apply(&self, image: &RgbImage, random: &mut SplitMix64) -> Result<RgbImage> {
        let mirrored = random.chance(self.flip).then(|| flipped(image)).transpose()?;
        let image = mirrored.as_ref().unwrap_or(image);
        let shifted = match self.padding {
            0 => None,
            // as in RandCropImageV2, the last position is one pixel too far: the part then lacks a row or column
            padding => {
                let places = 2 * padding as u64 + 2;
                let [top, left] = [(); 2].map(|()| random.below(places) as usize);
                Some(shifted(image, padding, top, left)?)
            }
        };
        let image = shifted.as_ref().unwrap_or(image);
        if !random.chance(self.rotation) {
            return Ok(image.clone());
        }
        let angle = random.between(-self.degrees, self.degrees);
        let centre = [image.width() as f64 / 2.0, image.height() as f64 / 2.0];
        warp(image, rotation_about_centre(angle, centre), Kernel::Bilinear, Edges::Blend([0; 3]))
    }
}

/// Adds a black border of `padding` pixels, and cuts out a part of the image's size at a position.
fn shifted(image: &RgbImage, padding: usize, top: usize, left: usize) -> Result<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let across = width.min(width + 2 * padding - left);
    let down = height.min(height + 2 * padding - top);
    let mut pixels = vec![0; 3 * across * down];
    let columns = padding.saturating_sub(left)..across.min((width + padding).saturating_sub(left));
    for (y, row) in pixels.chunks_exact_mut(3 * across).enumerate() {
        let Some(source) = (y + top).checked_sub(padding).filter(|&y| y < height) else { continue };
        let start = 3 * (source * width + columns.start + left - padding);
        row[3 * columns.start..3 * columns.end].copy_from_slice(&image.pixels()[start..start + 3 * columns.len()]);
    }
    RgbImage::new(across, down, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_show_black_beside_the_image() {
        let image = RgbImage::new(2, 2, [[1; 3], [2; 3], [3; 3], [4; 3]].concat()).unwrap();
        let gray = |top, left| {
            let shifted = shifted(&image, 1, top, left).unwrap();
            let values: Vec<u8> = shifted.pixels().iter().step_by(3).copied().collect();
            (shifted.width(), shifted.height(), values)
        };
        assert_eq!(gray(1, 1), (2, 2, vec![1, 2, 3, 4]));
        assert_eq!(gray(0, 0), (2, 2, vec![0, 0, 0, 1]));
        assert_eq!(gray(2, 1), (2, 2, vec![3, 4, 0, 0]));
        assert_eq!(gray(0, 2), (2, 2, vec![0, 0, 2, 0]));
        // one pixel outside: short by a row
        assert_eq!(gray(3, 1), (2, 1, vec![0, 0]));
        assert_eq!(gray(1, 3), (1, 2, vec![0, 0]));
    }
}
