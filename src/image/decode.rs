//! Bytes of an image file to RGB pixels.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::limits::DecodeLimits;
use super::orientation::swaps_sides;
use super::rgb::RgbImage;
use super::{jpeg, raster, tiff};
use crate::{Error, Result};

/// What the header of an image file says. See [`probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    pub(super) format: ImageFormat,
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

    /// Width in pixels of the image as [`decode`] gives it, that is, with the orientation applied.
    pub fn width(&self) -> u32 {
        if swaps_sides(self.orientation) { self.height } else { self.width }
    }

    /// Height in pixels of the image as [`decode`] gives it.
    pub fn height(&self) -> u32 {
        if swaps_sides(self.orientation) { self.width } else { self.height }
    }

    /// The EXIF orientation that [`decode`] applies, 1 (upright) to 8.
    pub fn orientation(&self) -> u8 {
        self.orientation.to_exif()
    }

    /// Bits of each sample in the file.
    pub fn bits_per_sample(&self) -> u8 {
        self.bits_per_sample
    }

    /// Samples of each pixel in the file, as far as the header tells: 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha, or CMYK.
    pub fn channels(&self) -> u8 {
        self.channels
    }
}

/// Decodes an image file to 8-bit RGB, as OpenCV's `imread` does it: the EXIF orientation applied, alpha dropped (not blended), gray
/// replicated, 16 bits reduced to 8.
///
/// The format is known by the first bytes: see [`ImageFormat`]. Of an animation the first frame is decoded, of a multi-page TIFF
/// the first page.
///
/// # Errors
/// [`ErrorKind::Decode`](crate::ErrorKind::Decode) for damaged files and for bytes that are no image,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for formats and variants that are not read,
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for an image larger than `limits`, found from the header.
///
/// ```
/// use image_feature::{DecodeLimits, decode};
///
/// let image = decode(b"P3 2 1 255  255 0 0  0 0 255", &DecodeLimits::default())?;
/// assert_eq!((image.width(), image.height()), (2, 1));
/// assert_eq!(image.pixels(), [255, 0, 0, 0, 0, 255]);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage> {
    decode_noting_damage(bytes, limits).map(|(image, _)| image)
}

/// As [`decode`], and beside the image what is wrong with data that only gave a part of it: of a JPEG, the rest is gray.
pub fn decode_noting_damage(bytes: &[u8], limits: &DecodeLimits) -> Result<(RgbImage, Option<String>)> {
    let format = ImageFormat::detect(bytes)?;
    guarded(format, || match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits),
        ImageFormat::Tiff => tiff::decode(bytes, limits).map(|image| (image, None)),
        _ => raster::decode(format, bytes, limits).map(|image| (image, None)),
    })
}

/// Reads the header of an image file, without decoding pixels.
///
/// # Errors
/// As [`decode`], for what can be seen in the header.
///
/// ```
/// let info = image_feature::probe(b"P5 640 480 255\n")?;
/// assert_eq!((info.format(), info.width(), info.height()), (image_feature::ImageFormat::Pnm, 640, 480));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    let format = ImageFormat::detect(bytes)?;
    guarded(format, || match format {
        ImageFormat::Jpeg => jpeg::probe(bytes),
        ImageFormat::Tiff => tiff::probe(bytes),
        _ => raster::probe(format, bytes),
    })
}

/// Turns a panic of a decoder into an error, where panics unwind: one file must not take the others with it. None is known.
fn guarded<T>(format: ImageFormat, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::internal(format!("the {format} decoder panicked on this file: please report it")))
    })
}
