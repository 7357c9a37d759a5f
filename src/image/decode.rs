//! Decoding of image files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::DecodeLimits;
use super::rgb::RgbImage;
use super::{jpeg, raster, tiff};
#[cfg(not(target_arch = "wasm32"))]
use crate::error::Context;
use crate::{Error, Result};

/// Decodes an image file to 8-bit RGB, with the pixels of OpenCV's `imread`: the EXIF orientation applied, alpha
/// dropped (not blended), gray replicated, 16 bits reduced to 8.
///
/// The first bytes tell the format: see [`ImageFormat`]. Of an animation the first frame is decoded, of a multi-page
/// TIFF the first page. A JPEG that ends early or has damaged data is decoded as far as possible, the rest is gray.
///
/// # Errors
/// [`ErrorKind::Decode`](crate::ErrorKind::Decode) for damaged files and for bytes that are not an image,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for formats and variants that are not supported,
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for an image whose header announces more than `limits` allow.
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

/// As [`decode`], and a description of the damage where a JPEG's data gave only a part of the image.
///
/// # Errors
/// As [`decode`].
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
/// [`ErrorKind::Decode`](crate::ErrorKind::Decode) for a damaged header and for bytes that are not an image,
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for formats and variants that are not supported.
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

impl RgbImage {
    /// Reads and decodes an image file, with [`DecodeLimits::default`]. See [`decode`] for the pixels.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) for a file that cannot be read, and the errors of [`decode`]. The
    /// message begins with the path.
    ///
    /// ```
    /// use image_feature::RgbImage;
    ///
    /// # let folder = std::env::temp_dir().join(format!("image-feature-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("red.ppm");
    /// std::fs::write(&path, "P3 1 1 255  255 0 0")?;
    /// assert_eq!(RgbImage::open(&path)?.pixels(), [255, 0, 0]);
    /// assert!(RgbImage::open(folder.join("none.jpg")).unwrap_err().is_io());
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<RgbImage> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let bytes = std::fs::read(path).context(name)?;
        decode(&bytes, &DecodeLimits::default()).context(name)
    }
}

/// Turns a panic of a decoder into an error, where panics unwind: one bad file must not end the processing of others.
/// No such panic is known.
fn guarded<T>(format: ImageFormat, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::internal(format!("the {format} decoder panicked on this file: please report it")))
    })
}
