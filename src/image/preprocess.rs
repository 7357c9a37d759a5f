//! Preprocessing: an image to the network's input.

use std::borrow::Cow;

use super::rgb::RgbImage;
use crate::{Error, Result};

/// Resize, normalise, and reorder to channels first: the `PreProcess` section of a PaddleX `inference.yml`.
///
/// ```
/// use image_feature::{Preprocess, RgbImage};
///
/// let image = RgbImage::new(640, 480, vec![127; 640 * 480 * 3])?;
/// let input: Vec<f32> = Preprocess::default().apply(&image)?; // 3 x 224 x 224
/// assert_eq!(input.len(), 3 * 224 * 224);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// The resize, which comes first.
    pub resize: Resize,
    /// The scaling of pixel values.
    pub normalize: Normalize,
}

/// The resize to the network's input size. That of feature models is always bilinear: PaddleX ignores the `interpolation`
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Stretch to exactly this size; the aspect ratio is not kept.
    Stretch {
        /// Pixels of a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// As [`Stretch`](Resize::Stretch), bicubic: the resize of PicoDet.
    StretchCubic {
        /// Pixels of a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Scale so that the shorter side has this length in pixels (`resize_short`).
    ShortSide(usize),
}

/// `(pixel * scale - mean) / std` for each RGB channel, computed as in PaddleX 3.x: one multiplication, one addition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// The factor for pixel values of 0 to 255.
    pub scale: f64,
    /// Mean of each channel after scaling: red, green, blue.
    pub mean: [f64; 3],
    /// Standard deviation of each channel after scaling.
    pub std: [f64; 3],
}

/// The most pixels of a resized image: 4096 x 4096. Without it, a one pixel wide image that is scaled by its short side
/// would fill memory.
const MAX_RESIZED_PIXELS: usize = 1 << 24;

impl Default for Preprocess {
    /// Stretch to 224 x 224 and normalise with the ImageNet statistics, as `PP-ShiTuV2_rec` expects.
    fn default() -> Self {
        Preprocess { resize: Resize::Stretch { width: 224, height: 224 }, normalize: Normalize::default() }
    }
}

impl Default for Normalize {
    /// The ImageNet mean and standard deviation.
    fn default() -> Self {
        Normalize { scale: 1.0 / 255.0, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }
}

impl Preprocess {
    /// The network input for an image: three planes (R, G, B) of rows, 3 x height x width, with
    /// [`output_size`](Self::output_size) as width and height.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a target side of zero,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for a resized image above 4096 x 4096 pixels.
    ///
    /// ```
    /// use image_feature::{Preprocess, RgbImage};
    ///
    /// let gray = RgbImage::new(2, 1, vec![124; 6])?;
    /// let input = Preprocess::default().apply(&gray)?;
    /// assert_eq!(input.len(), 3 * 224 * 224);
    /// assert!((input[0] - (124.0 / 255.0 - 0.485) / 0.229).abs() < 1e-6);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn apply(&self, image: &RgbImage) -> Result<Vec<f32>> {
        let (width, height) = self.output_size(image.width(), image.height())?;
        let mut out = vec![0.0; 3 * width * height];
        self.apply_into(image, &mut out)?;
        Ok(out)
    }

    /// As [`apply`](Self::apply), into a slice of exactly 3 x height x width numbers.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), and [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `out` has another length.
    pub fn apply_into(&self, image: &RgbImage, out: &mut [f32]) -> Result<()> {
        let (width, height) = self.output_size(image.width(), image.height())?;
        let plane = width * height;
        if out.len() != 3 * plane {
            return Err(Error::usage(format!(
                "the network input of a {}x{} image is 3 x {height} x {width} = {} numbers, but there is room for {}",
                image.width(),
                image.height(),
                3 * plane,
                out.len()
            )));
        }
        let resized = if (width, height) == (image.width(), image.height()) {
            Cow::Borrowed(image)
        } else {
            match self.resize {
                Resize::StretchCubic { .. } => Cow::Owned(image.resize_bicubic_x86(width, height)?),
                Resize::Stretch { .. } | Resize::ShortSide(_) => Cow::Owned(image.resize_bilinear(width, height)?),
            }
        };
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            // a table of all 256 values: one look-up a pixel
            let table = self.normalize.table(channel);
            for (out, pixel) in out.iter_mut().zip(resized.pixels().as_chunks::<3>().0) {
                *out = table[usize::from(pixel[channel])];
            }
        }
        Ok(())
    }

    /// Width and height after the resize, of an image with this width and height.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    ///
    /// ```
    /// use image_feature::{Preprocess, Resize};
    ///
    /// let short_side = Preprocess { resize: Resize::ShortSide(256), ..Preprocess::default() };
    /// assert_eq!(short_side.output_size(640, 480)?, (341, 256));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn output_size(&self, width: usize, height: usize) -> Result<(usize, usize)> {
        let (out_width, out_height) = match self.resize {
            Resize::Stretch { width, height } | Resize::StretchCubic { width, height } => (width, height),
            Resize::ShortSide(length) => {
                // as Python's round(): half to even
                let scale = length as f64 / width.min(height) as f64;
                ((width as f64 * scale).round_ties_even() as usize, (height as f64 * scale).round_ties_even() as usize)
            }
        };
        if out_width == 0 || out_height == 0 {
            return Err(Error::usage(format!(
                "cannot resize {width}x{height} pixels to {out_width}x{out_height}: a side is zero"
            )));
        }
        if out_width.checked_mul(out_height).is_none_or(|pixels| pixels > MAX_RESIZED_PIXELS) {
            return Err(Error::limit(format!(
                "resizing {width}x{height} pixels by {:?} gives {out_width}x{out_height}, more than the limit of {MAX_RESIZED_PIXELS} pixels: crop the image first",
                self.resize
            )));
        }
        Ok((out_width, out_height))
    }
}

impl Normalize {
    /// The network's input for each of the 256 values of a channel (0 red, 1 green, 2 blue).
    ///
    /// As in PaddleX, the factors are computed in double precision and rounded to single; products and sums are single.
    fn table(&self, channel: usize) -> [f32; 256] {
        let factor = (self.scale / self.std[channel]) as f32;
        let shift = (-self.mean[channel] / self.std[channel]) as f32;
        std::array::from_fn(|value| value as f32 * factor + shift)
    }
}
