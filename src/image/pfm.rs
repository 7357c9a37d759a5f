//! PFM: portable float maps, as OpenCV reads them into 8 bits: values are rounded and cut to 0 to 255.

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::rgb::RgbImage;
use crate::{Error, Result};

struct Header {
    info: ImageInfo,
    /// The factor of values; below zero where they are little-endian.
    scale: f64,
    /// The place of the values.
    offset: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut at = 2;
        let mut word = || {
            at += bytes.get(at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
            let rest = &bytes[at..];
            // no number is longer
            let len = rest.iter().take(64).position(u8::is_ascii_whitespace)?;
            at += len;
            std::str::from_utf8(&rest[..len]).ok()
        };
        let words = (word(), word(), word());
        let numbers = || {
            let scale = words.2?.parse().ok().filter(|scale: &f64| scale.is_finite() && *scale != 0.0)?;
            Some((words.0?.parse().ok()?, words.1?.parse().ok()?, scale))
        };
        let (width, height, scale) =
            numbers().ok_or_else(|| Error::decode("PFM: the header is not width, height and a scale other than 0"))?;
        let info = ImageInfo {
            format: ImageFormat::Pfm,
            width,
            height,
            orientation: Orientation::NoTransforms,
            bits_per_sample: 32,
            channels: if bytes.get(1) == Some(&b'F') { 3 } else { 1 },
        };
        Ok(Header { info, scale, offset: at + 1 })
    }
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    Ok(Header::read(bytes)?.info)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage> {
    let Header { info, scale, offset } = Header::read(bytes)?;
    limits.check(ImageFormat::Pfm, info.width, info.height, 3)?;
    let (width, height, channels) = (info.width as usize, info.height as usize, usize::from(info.channels));
    let stored = bytes.get(offset..).unwrap_or_default();
    let stored = stored
        .get(..4 * width * height * channels)
        .ok_or_else(|| Error::decode("PFM: the file ends before its last row"))?;
    let read = if scale < 0.0 { f32::from_le_bytes } else { f32::from_be_bytes };
    let factor = (1.0 / scale.abs()) as f32;
    // what is no 32-bit number is 0
    let value = |bytes: [u8; 4]| match (read(bytes) * factor).round_ties_even() {
        value if value.abs() < 2_147_483_648.0 => value as u8,
        _ => 0,
    };
    let mut out = zeroed(3 * width * height)?;
    // from the bottom up
    let rows = stored.chunks_exact(4 * width * channels).rev();
    for (row, stored) in out.chunks_exact_mut(3 * width).zip(rows) {
        for (pixel, stored) in row.as_chunks_mut::<3>().0.iter_mut().zip(stored.chunks_exact(4 * channels)) {
            let (samples, _) = stored.as_chunks::<4>();
            *pixel = if channels == 1 { [value(samples[0]); 3] } else { [0, 1, 2].map(|at| value(samples[at])) };
        }
    }
    RgbImage::new(width, height, out)
}
