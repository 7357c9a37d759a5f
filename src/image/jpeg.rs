//! JPEG, with exactly the pixels of libjpeg-turbo, OpenCV's decoder.
//!
//! # Why libjpeg-turbo-rs
//! Features are compared across devices and with PaddleX's features, so the pixels must be OpenCV's. This decoder gives
//! OpenCV's pixels for every file of the test corpus that is complete or only cut short; zune-jpeg differs by up to 3
//! levels. Time relative to zune-jpeg: natively 1.1 to 1.4 for 12 megapixels, in wasm with SIMD 0.6 to 0.7; for
//! progressive files 0.7 to 0.9 on both.
//!
//! Its SIMD kernels are `unsafe`, and its authors do not promise memory safety. The fuzz target `decode_image` (fuzz/)
//! under AddressSanitizer and tests/image/damage.rs found no memory error and no panic. If that changes, turn off its
//! feature `simd`: decoding then takes about twice the time.

use ::image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits as JpegLimits, DecodeWarning, Decoder, JpegError, PixelFormat};

use super::exif;
use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::options::{DecodeOptions, Orient};
use super::rgb::RgbImage;
use crate::{Error, ErrorKind, Result};

/// More scans than any encoder writes; each costs a pass over the image.
const MAX_SCANS: usize = 100;

pub(super) fn probe(bytes: &[u8], orient: Orient) -> Result<ImageInfo> {
    let info = with_end(bytes, |bytes| Ok(info(&open(bytes, &DecodeLimits::default())?))).map_err(failed)?;
    Ok(ImageInfo { orientation: exif::orientation(ImageFormat::Jpeg, bytes, orient), ..info })
}

/// The image, and a description of the damage where a part of its pixels is made up.
pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<(RgbImage, Option<String>)> {
    let (image, damage) = with_end(bytes, |bytes| {
        let decoder = open(bytes, &options.limits)?;
        Ok(decode_with(decoder, &options.limits))
    })
    .map_err(failed)??;
    Ok((image.oriented(exif::orientation(ImageFormat::Jpeg, bytes, options.orient))?, damage))
}

fn decode_with(mut decoder: Decoder<'_>, limits: &DecodeLimits) -> Result<(RgbImage, Option<String>)> {
    let info = info(&decoder);
    let components = u64::from(info.channels);
    // the output, and its rotated copy or the coefficients (two bytes a sample, no component is larger than the image)
    limits.check(ImageFormat::Jpeg, info.width, info.height, 3 + (components * 2).max(3))?;
    let (width, height) = (info.width as usize, info.height as usize);
    let is_cmyk = components == 4;
    check_sampling(&decoder)?;
    decoder.set_output_format(if is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    // libjpeg's and OpenCV's default; it makes a difference in progressive files without their last scans
    decoder.set_block_smoothing(true);
    // as libjpeg: damaged data is a warning, and the pixels decoded so far are kept
    decoder.set_lenient(true);
    let mut out = zeroed(width * height * if is_cmyk { 4 } else { 3 })?;
    let decoded = decoder.decode_image_into(&mut out).map_err(failed)?;
    if is_cmyk {
        cmyk_to_rgb(&mut out);
    }
    Ok((RgbImage::new(width, height, out)?, damage(&decoded.warnings)))
}

/// What is wrong with the data. Stray bytes between segments do not change pixels.
fn damage(warnings: &[DecodeWarning]) -> Option<String> {
    let damage = warnings.iter().find(|warning| !matches!(warning, DecodeWarning::ExtraneousData { .. }));
    damage.map(|warning| warning.to_string())
}

/// The samples of a JPEG, pixel after pixel: gray, RGB, or CMYK as stored.
pub(super) struct Samples {
    pub width: usize,
    pub values: Vec<u8>,
    /// A description of the damage where a part of them is made up.
    pub damage: Option<String>,
}

/// The samples of a JPEG with 1, 3 or 4 channels. One of more than `most` pixels in width or height is refused.
pub(super) fn samples(bytes: &[u8], channels: usize, most: [usize; 2], limits: &DecodeLimits) -> Result<Samples> {
    with_end(bytes, |bytes| {
        let mut decoder = open(bytes, limits)?;
        let info = info(&decoder);
        let format = match channels {
            1 => PixelFormat::Grayscale,
            3 => PixelFormat::Rgb,
            _ => PixelFormat::Cmyk,
        };
        if usize::from(info.channels) != channels {
            return Ok(Err(Error::decode(format!(
                "JPEG data of {} channels where {channels} are announced",
                info.channels
            ))));
        }
        let size = [info.width as usize, info.height as usize];
        if size[0] > most[0] || size[1] > most[1] {
            return Ok(Err(Error::decode(format!(
                "TIFF: a strip or tile holds a JPEG of {}x{} pixels, which is larger; is the file damaged?",
                size[0], size[1]
            ))));
        }
        let bytes_per_pixel = channels as u64 * 3;
        if let Err(error) = limits.check(ImageFormat::Jpeg, info.width, info.height, bytes_per_pixel) {
            return Ok(Err(error));
        }
        if let Err(error) = check_sampling(&decoder) {
            return Ok(Err(error));
        }
        decoder.set_output_format(format);
        decoder.set_lenient(true);
        Ok(zeroed(info.width as usize * info.height as usize * channels).and_then(|mut out| {
            let decoded = decoder.decode_image_into(&mut out).map_err(failed)?;
            Ok(Samples { width: info.width as usize, values: out, damage: damage(&decoded.warnings) })
        }))
    })
    .map_err(failed)?
}

/// Reads a file. Where the end marker is missing, reads it again with one appended, as libjpeg does: a cut-off download
/// still shows its first scans.
fn with_end<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<T, JpegError>) -> Result<T, JpegError> {
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    match read(bytes) {
        Err(JpegError::UnexpectedEof) => read(&[bytes, &END_OF_IMAGE].concat()),
        other => other,
    }
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Decoder<'a>, JpegError> {
    let limits = JpegLimits {
        max_width: u16::MAX.into(),
        max_height: u16::MAX.into(),
        max_pixels: limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limits.max_bytes),
    };
    Decoder::new_with_limits(bytes, limits)
}

/// Refuses sampling factors of four components that the decoder does not expand to the image's size: it would read beyond the
/// end of a row and panic.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
fn check_sampling(decoder: &Decoder<'_>) -> Result<()> {
    let factors =
        |component: &libjpeg_turbo_rs::ComponentInfo| (component.horizontal_sampling, component.vertical_sampling);
    let factors: Vec<(u8, u8)> = decoder.header().components.iter().map(factors).collect();
    let [first, second, third, fourth] = factors[..] else { return Ok(()) };
    let is_largest = factors.iter().all(|&(horizontal, vertical)| horizontal <= first.0 && vertical <= first.1);
    if first == fourth && second == third && is_largest {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "JPEG: four channels with the sampling factors {factors:?} are not read; save the image with one size for all channels"
    )))
}

fn info(decoder: &Decoder<'_>) -> ImageInfo {
    let header = decoder.header();
    ImageInfo {
        format: ImageFormat::Jpeg,
        width: header.width.into(),
        height: header.height.into(),
        orientation: Orientation::NoTransforms,
        bits_per_sample: header.precision,
        channels: header.components.len() as u8,
    }
}

/// OpenCV's conversion of Adobe's inverted CMYK to RGB, in place. Shortens the buffer to three quarters.
fn cmyk_to_rgb(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for i in 0..count {
        let [c, m, y, k] = [0, 1, 2, 3].map(|channel| i32::from(pixels[4 * i + channel]));
        for (channel, ink) in [c, m, y].into_iter().enumerate() {
            pixels[3 * i + channel] = (k - (((255 - ink) * k) >> 8)) as u8;
        }
    }
    pixels.truncate(3 * count);
    pixels.shrink_to_fit();
}

fn failed(error: JpegError) -> Error {
    let kind = match error {
        JpegError::Unsupported(_) => ErrorKind::Unsupported,
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => ErrorKind::Limit,
        _ => ErrorKind::Decode,
    };
    Error::new(kind, format!("JPEG: {error}")).with_source(error)
}
