//! The header of an image file.

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::orientation::swaps_sides;

/// The header of an image file: its format, size and samples. See [`probe`](crate::probe).
///
/// ```
/// let info = image_feature::probe(b"P6 640 480 255\n")?;
/// assert_eq!((info.width(), info.height()), (640, 480));
/// assert_eq!((info.channels(), info.bits_per_sample(), info.orientation()), (3, 8, 1));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    pub(super) format: ImageFormat,
    /// Width as stored, before the orientation is applied; so is the height.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
    pub(super) bits_per_sample: u8,
    pub(super) channels: u8,
}

impl ImageInfo {
    /// The file format.
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Width in pixels of the image that [`decode`](crate::decode) returns: after the orientation is applied.
    pub fn width(&self) -> u32 {
        if swaps_sides(self.orientation) { self.height } else { self.width }
    }

    /// Height in pixels of the image that [`decode`](crate::decode) returns: after the orientation is applied.
    pub fn height(&self) -> u32 {
        if swaps_sides(self.orientation) { self.width } else { self.height }
    }

    /// The EXIF orientation that [`decode`](crate::decode) applies, 1 (upright) to 8.
    pub fn orientation(&self) -> u8 {
        self.orientation.to_exif()
    }

    /// Bits of each sample in the file.
    pub fn bits_per_sample(&self) -> u8 {
        self.bits_per_sample
    }

    /// Samples of each pixel in the file, by its header: 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha, or
    /// CMYK.
    pub fn channels(&self) -> u8 {
        self.channels
    }
}
