//! What is done to an image before it enters a network.

use std::borrow::Cow;

use super::rgb::RgbImage;
use crate::{Error, Result};

/// Resize, normalise, and reorder to channels first: the `PreProcess` section of a PaddleX `inference.yml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    pub resize: Resize,
    pub normalize: Normalize,
}

/// How an image is brought to the network's input size. Always bilinear: PaddleX ignores the `interpolation` key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Stretch to exactly this size, whatever the aspect ratio.
    Stretch { width: usize, height: usize },
    /// Scale so that the shorter side has this length (`resize_short`).
    ShortSide(usize),
}

/// `(pixel * scale - mean) / std` for each RGB channel, computed as PaddleX 3.x does (one multiply, one add).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    pub scale: f64,
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

/// The most pixels of a resized image: 4096 x 4096. Keeps a one pixel wide image, scaled by its short side, from filling memory.
const MAX_RESIZED_PIXELS: usize = 1 << 24;

impl Default for Preprocess {
    /// Stretch to 224 x 224 and normalise with the ImageNet statistics, as `PP-ShiTuV2_rec` wants it.
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
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a target side of zero, [`ErrorKind::Limit`](crate::ErrorKind::Limit) for a
    /// resized image above 4096 x 4096 pixels.
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

    /// As [`apply`](Self::apply), into a slice of exactly the length that `apply` would return.
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
            Cow::Owned(image.resize_bilinear(width, height)?)
        };
        for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
            // 256 answers, so that each pixel is one look-up
            let table = self.normalize.table(channel);
            for (out, pixel) in out.iter_mut().zip(resized.pixels().as_chunks::<3>().0) {
                *out = table[usize::from(pixel[channel])];
            }
        }
        Ok(())
    }

    /// Width and height an image of this width and height has after the resize.
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
            Resize::Stretch { width, height } => (width, height),
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
    /// The network's number for each value a channel (0 red, 1 green, 2 blue) of a pixel can have.
    ///
    /// The factors are computed in double precision and then rounded to single; so is each product, and then each sum.
    fn table(&self, channel: usize) -> [f32; 256] {
        let factor = (self.scale / self.std[channel]) as f32;
        let shift = (-self.mean[channel] / self.std[channel]) as f32;
        std::array::from_fn(|value| value as f32 * factor + shift)
    }
}
