//! Decoding of image files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::DecodeLimits;
use super::options::{DecodeOptions, Orient};
use super::rgb::RgbImage;
use super::structure::ends_early;
use super::{bmp, jpeg, pfm, raster, sun_raster, tiff};
#[cfg(not(target_arch = "wasm32"))]
use crate::error::Context;
use crate::{Error, Result};

/// Decodes an image file to 8-bit RGB, with the pixels of OpenCV's `imread`: the EXIF orientation applied, alpha
/// dropped (not blended), gray replicated, 16 bits reduced to 8.
///
/// The first bytes tell the format: see [`ImageFormat`]. Of an animation the first frame is decoded, of a multi-page
/// TIFF the first page. A JPEG that ends early or has damaged data is decoded as far as possible, the rest is gray;
/// [`decode_with`] tells it.
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
    let options = DecodeOptions { limits: *limits, ..DecodeOptions::default() };
    decode_noting_damage(bytes, &options).map(|(image, _)| image)
}

/// A decoded image, and the damage of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// The image.
    pub image: RgbImage,
    /// What is wrong with the file, where its data gave only a part of the image, or where it ends early.
    pub damage: Option<String>,
}

/// As [`decode`], with options, and with the damage of a file that could be decoded in part.
///
/// # Errors
/// As [`decode`].
///
/// ```
/// use image_feature::{DecodeOptions, decode_with};
///
/// let whole = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0";
/// let mut file = whole.to_vec();
/// file.resize(54, 0);
/// file.extend([3, 2, 1]); // one pixel, without the byte that fills its row
/// let decoded = decode_with(&file, &DecodeOptions::default())?;
/// assert_eq!(decoded.image.pixels(), [1, 2, 3]);
/// assert_eq!(decoded.damage.as_deref(), Some("the file ends early"));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn decode_with(bytes: &[u8], options: &DecodeOptions) -> Result<Decoded> {
    let (image, damage) = decode_noting_damage(bytes, options)?;
    let cut = || ends_early(ImageFormat::detect(bytes).ok()?, bytes).then(|| "the file ends early".to_string());
    Ok(Decoded { image, damage: damage.or_else(cut) })
}

/// As [`decode`], and a description of the damage where JPEG data, also in a TIFF, or a bitmap's run-length codes gave only a
/// part of the image.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_noting_damage(bytes: &[u8], options: &DecodeOptions) -> Result<(RgbImage, Option<String>)> {
    let format = ImageFormat::detect(bytes)?;
    let whole = |image| (image, None);
    guarded(format, || match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, options),
        ImageFormat::Bmp => bmp::decode(bytes, &options.limits),
        ImageFormat::Tiff => tiff::decode(bytes, options),
        ImageFormat::Pfm => pfm::decode(bytes, &options.limits).map(whole),
        ImageFormat::SunRaster => sun_raster::decode(bytes, &options.limits).map(whole),
        _ => raster::decode(format, bytes, options).map(whole),
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
    probe_with(bytes, Orient::default())
}

/// As [`probe`], with the orientation that [`decode_with`] applies with this option.
///
/// # Errors
/// As [`probe`].
///
/// ```
/// let info = image_feature::probe_with(b"P5 640 480 255\n", image_feature::Orient::Exif)?;
/// assert_eq!(info.orientation(), 1);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn probe_with(bytes: &[u8], orient: Orient) -> Result<ImageInfo> {
    let format = ImageFormat::detect(bytes)?;
    guarded(format, || match format {
        ImageFormat::Jpeg => jpeg::probe(bytes, orient),
        ImageFormat::Bmp => bmp::probe(bytes),
        ImageFormat::Tiff => tiff::probe(bytes, orient),
        ImageFormat::Pfm => pfm::probe(bytes),
        ImageFormat::SunRaster => sun_raster::probe(bytes),
        _ => raster::probe(format, bytes, orient),
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

/// Turns a panic of a decoder into an error, where panics unwind: one bad file must not end the processing of others. In
/// WebAssembly a panic ends the worker, which the page starts again.
///
/// No such panic is known: what made decoders panic is refused or read otherwise, see [`jpeg`] and [`tiff`].
fn guarded<T>(format: ImageFormat, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::decode(format!("{format}: {PANICKED}; convert it to another format, such as PNG, and report it")))
    })
}

/// The part of the message that tells a decoder's panic from other errors.
const PANICKED: &str = "the decoder failed on this file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_an_error_of_the_file() {
        let error = guarded(ImageFormat::Gif, || -> Result<()> { panic!("index out of bounds") }).unwrap_err();
        assert!(error.is_decode(), "{error}");
        assert!(error.to_string().starts_with("GIF: the decoder failed on this file"), "{error}");
    }
}
