//! JPEG, to the very pixels of libjpeg-turbo, which OpenCV decodes with.
//!
//! # Why libjpeg-turbo-rs
//! Features are compared across devices and with those that PaddleX made, so pixels must be OpenCV's. This decoder gives them on every
//! file of the corpus whose data is whole or merely cut short; zune-jpeg differs by up to 3 levels. Against zune-jpeg, 12 megapixels
//! take it 1.1 to 1.4 times as long natively, 0.6 to 0.7 times in wasm with SIMD, and progressive files 0.7 to 0.9 times on both.
//!
//! Its authors promise no memory safety: its SIMD kernels are `unsafe`. It met no memory error and no panic under AddressSanitizer
//! with the fuzz target `decode_image` (fuzz/), nor in tests/image/damage.rs. Should that change, its feature `simd` can be left off,
//! at about twice the time.

use ::image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits as JpegLimits, DecodeWarning, Decoder, JpegError, PixelFormat};

use super::decode::ImageInfo;
use super::format::ImageFormat;
use super::limits::{DecodeLimits, zeroed};
use super::orientation::orientation_from_exif;
use super::rgb::RgbImage;
use crate::{Error, ErrorKind, Result};

/// More scans than any encoder writes; each costs a pass over the image.
const MAX_SCANS: usize = 100;

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    with_end(bytes, |bytes| Ok(info(&open(bytes, &DecodeLimits::default())?))).map_err(failed)
}

/// The image, and what is wrong with its data where something was made up for it.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<(RgbImage, Option<String>)> {
    with_end(bytes, |bytes| {
        let decoder = open(bytes, limits)?;
        Ok(decode_with(decoder, limits))
    })
    .map_err(failed)?
}

fn decode_with(mut decoder: Decoder<'_>, limits: &DecodeLimits) -> Result<(RgbImage, Option<String>)> {
    let info = info(&decoder);
    let components = u64::from(info.channels);
    // the output, and its turned copy or the coefficients (two bytes a sample, no component is larger than the image)
    limits.check(ImageFormat::Jpeg, info.width, info.height, 3 + (components * 2).max(3))?;
    let (width, height) = (info.width as usize, info.height as usize);
    let is_cmyk = components == 4;
    decoder.set_output_format(if is_cmyk { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    // libjpeg's default, which OpenCV leaves: it shows in progressive files whose last scans are missing
    decoder.set_block_smoothing(true);
    // damaged data gives what could be decoded, as libjpeg does with a warning
    decoder.set_lenient(true);
    let mut out = zeroed(width * height * if is_cmyk { 4 } else { 3 })?;
    let decoded = decoder.decode_image_into(&mut out).map_err(failed)?;
    if is_cmyk {
        cmyk_to_rgb(&mut out);
    }
    let image = RgbImage::new(width, height, out)?.oriented(info.orientation)?;
    // stray bytes between segments leave the pixels whole
    let damage = decoded.warnings.iter().find(|warning| !matches!(warning, DecodeWarning::ExtraneousData { .. }));
    Ok((image, damage.map(|warning| warning.to_string())))
}

/// The samples of a JPEG of 1, 3 or 4 channels, pixel after pixel, and its width: gray, RGB, or the inks as they are stored.
pub(super) fn samples(bytes: &[u8], channels: usize, limits: &DecodeLimits) -> Result<(usize, Vec<u8>)> {
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
        let bytes_per_pixel = channels as u64 * 3;
        if let Err(error) = limits.check(ImageFormat::Jpeg, info.width, info.height, bytes_per_pixel) {
            return Ok(Err(error));
        }
        decoder.set_output_format(format);
        decoder.set_lenient(true);
        Ok(zeroed(info.width as usize * info.height as usize * channels).and_then(|mut out| {
            decoder.decode_image_into(&mut out).map_err(failed)?;
            Ok((info.width as usize, out))
        }))
    })
    .map_err(failed)?
}

/// Reads a file, and where it ends before its end marker reads it again with one, as libjpeg inserts it: a download that broke off
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

fn info(decoder: &Decoder<'_>) -> ImageInfo {
    let header = decoder.header();
    ImageInfo {
        format: ImageFormat::Jpeg,
        width: header.width.into(),
        height: header.height.into(),
        orientation: decoder.exif_data().map_or(Orientation::NoTransforms, orientation_from_exif),
        bits_per_sample: header.precision,
        channels: header.components.len() as u8,
    }
}

/// OpenCV's conversion of the inverted CMYK that Adobe writes, in place; keeps the first three quarters.
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
