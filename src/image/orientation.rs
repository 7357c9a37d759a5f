//! EXIF orientations, applied to pixels.

use ::image::metadata::Orientation;

use super::limits::zeroed;
use super::rgb::RgbImage;
use crate::Result;

impl RgbImage {
    /// The image turned upright. Orientations that swap the sides need a second copy of the pixels.
    pub(super) fn oriented(mut self, orientation: Orientation) -> Result<RgbImage> {
        use Orientation::*;
        if swaps_sides(orientation) {
            self = self.transposed()?;
        }
        // orientation 5 is the transposition; the other three that swap the sides need a mirroring after it
        let (mirror_rows, mirror_columns) = match orientation {
            NoTransforms | Rotate90FlipH => (false, false),
            FlipHorizontal | Rotate90 => (true, false),
            FlipVertical | Rotate270 => (false, true),
            Rotate180 | Rotate270FlipH => (true, true),
        };
        let (width, height) = (self.width(), self.height());
        let pixels = self.pixels_mut();
        if mirror_rows {
            for row in pixels.chunks_exact_mut(3 * width) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        if mirror_columns {
            let (top, bottom) = pixels.split_at_mut(height / 2 * 3 * width);
            let skip = height % 2 * 3 * width;
            for (upper, lower) in top.chunks_exact_mut(3 * width).zip(bottom[skip..].chunks_exact_mut(3 * width).rev())
            {
                upper.swap_with_slice(lower);
            }
        }
        Ok(self)
    }

    fn transposed(self) -> Result<RgbImage> {
        let (width, height) = (self.width(), self.height());
        let mut out = zeroed(self.pixels().len())?;
        let (source, _) = self.pixels().as_chunks::<3>();
        let (target, _) = out.as_chunks_mut::<3>();
        // in tiles: a row of the one image is a column of the other, and whole columns miss the cache
        const TILE: usize = 32;
        for y0 in (0..height).step_by(TILE) {
            for x0 in (0..width).step_by(TILE) {
                for x in x0..(x0 + TILE).min(width) {
                    for y in y0..(y0 + TILE).min(height) {
                        target[x * height + y] = source[y * width + x];
                    }
                }
            }
        }
        RgbImage::new(height, width, out)
    }
}

/// Whether the orientation exchanges width and height.
pub(super) fn swaps_sides(orientation: Orientation) -> bool {
    orientation.to_exif() >= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image seen, as a string of rows, for each EXIF value of `abc/def`.
    #[test]
    fn each_orientation_turns_the_image_as_exif_says() {
        let expected = ["abc/def", "cba/fed", "fed/cba", "def/abc", "ad/be/cf", "da/eb/fc", "fc/eb/da", "cf/be/ad"];
        for (value, expected) in (1..).zip(expected) {
            let image = RgbImage::new(3, 2, b"abcdef".iter().flat_map(|&byte| [byte; 3]).collect()).unwrap();
            let seen = image.oriented(Orientation::from_exif(value).unwrap()).unwrap();
            let rows: Vec<String> = seen
                .pixels()
                .chunks(3 * seen.width())
                .map(|row| row.iter().step_by(3).map(|&byte| byte as char).collect())
                .collect();
            assert_eq!(rows.join("/"), expected, "orientation {value}");
        }
    }
}
