//! An image in memory, and rectangles of it.

use crate::{Error, Result};

/// An 8-bit RGB image: rows from the top, three bytes a pixel, no padding.
///
/// It comes from a file ([`open`](RgbImage::open)), from a file's bytes ([`decode`](crate::decode)), or from pixels.
///
/// ```
/// use image_feature::RgbImage;
///
/// let image = RgbImage::new(2, 1, vec![255, 0, 0, 0, 0, 255])?;
/// assert_eq!((image.width(), image.height()), (2, 1));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// A rectangle of an image, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roi {
    /// The left column.
    pub x: usize,
    /// The top row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl RgbImage {
    /// An image from its pixels.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a side is zero or `pixels` is not `width * height * 3` long.
    ///
    /// ```
    /// let image = image_feature::RgbImage::new(2, 1, vec![255, 0, 0, 0, 0, 255])?;
    /// assert_eq!((image.width(), image.height()), (2, 1));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        if width == 0 || height == 0 || expected != Some(pixels.len()) {
            return Err(Error::usage(format!(
                "{width}x{height} RGB pixels need width * height * 3 bytes and no side of zero, got {} bytes",
                pixels.len()
            )));
        }
        Ok(RgbImage { width, height, pixels })
    }

    /// An image from RGBA pixels, such as those of a canvas or a video frame. Alpha is dropped, not blended, as for
    /// files.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a side is zero or `rgba` is not `width * height * 4` long.
    ///
    /// ```
    /// let image = image_feature::RgbImage::from_rgba(1, 1, &[10, 20, 30, 128])?;
    /// assert_eq!(image.pixels(), [10, 20, 30]);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Result<Self> {
        let expected = width.checked_mul(height).and_then(|n| n.checked_mul(4));
        if width == 0 || height == 0 || expected != Some(rgba.len()) {
            return Err(Error::usage(format!(
                "{width}x{height} RGBA pixels need width * height * 4 bytes and no side of zero, got {} bytes",
                rgba.len()
            )));
        }
        let mut pixels = vec![0; width * height * 3];
        for (out, &[r, g, b, _]) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(rgba.as_chunks::<4>().0) {
            *out = [r, g, b];
        }
        Ok(RgbImage { width, height, pixels })
    }

    /// The part of the image inside a rectangle.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the rectangle is empty or not inside the image.
    ///
    /// ```
    /// use image_feature::{RgbImage, Roi};
    ///
    /// let image = RgbImage::new(2, 1, vec![1, 2, 3, 4, 5, 6])?;
    /// assert_eq!(image.crop(Roi { x: 1, y: 0, width: 1, height: 1 })?.pixels(), [4, 5, 6]);
    /// assert!(image.crop(Roi { x: 1, y: 0, width: 2, height: 1 }).is_err());
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn crop(&self, roi: Roi) -> Result<RgbImage> {
        let Roi { x, y, width, height } = roi;
        let fits = |start: usize, length: usize, side: usize| {
            length != 0 && start.checked_add(length).is_some_and(|end| end <= side)
        };
        if !fits(x, width, self.width) || !fits(y, height, self.height) {
            return Err(Error::usage(format!(
                "the region {width}x{height} at x {x}, y {y} must be at least one pixel, and inside the image of {}x{} pixels",
                self.width, self.height
            )));
        }
        let mut pixels = Vec::with_capacity(3 * width * height);
        for row in self.pixels.chunks_exact(3 * self.width).skip(y).take(height) {
            pixels.extend_from_slice(&row[3 * x..3 * (x + width)]);
        }
        Ok(RgbImage { width, height, pixels })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels' bytes, row by row: R, G, B, R, G, B, …
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(super) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RgbImage({}x{})", self.width, self.height)
    }
}
