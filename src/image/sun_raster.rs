//! Sun raster files (`.ras`), as OpenCV reads them.

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::rgb::RgbImage;
use crate::{Error, Result};

const HEADER: usize = 32;
const RUN_LENGTHS: u32 = 2;
const RGB: u32 = 3;

struct Header {
    info: ImageInfo,
    bits: u32,
    kind: u32,
    palette_len: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let header =
            bytes.first_chunk::<HEADER>().ok_or_else(|| Error::decode("Sun raster: the file ends in its header"))?;
        let numbers: Vec<u32> = header.as_chunks::<4>().0.iter().map(|&bytes| u32::from_be_bytes(bytes)).collect();
        let [_, width, height, bits, _, kind, map_kind, map_len] = numbers[..] else {
            return Err(Error::internal("a header of eight numbers"));
        };
        let is_palette = map_kind == 1 && bits <= 8 && map_len <= 3 << bits;
        let is_known = matches!((bits, kind), (1 | 8 | 24 | 32, 0 | 1 | RGB) | (8, RUN_LENGTHS));
        if !is_known || !(is_palette || map_len == 0) {
            return Err(Error::unsupported(format!(
                "Sun raster of kind {kind} with {bits} bits a pixel and a palette of kind {map_kind} is not supported: convert it to PNG first"
            )));
        }
        let info = ImageInfo {
            format: ImageFormat::SunRaster,
            width,
            height,
            orientation: Orientation::NoTransforms,
            bits_per_sample: bits.min(8) as u8,
            channels: if bits > 8 || map_len > 0 { 3 } else { 1 },
        };
        Ok(Header { info, bits, kind, palette_len: map_len as usize / 3 })
    }
}

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    Ok(Header::read(bytes)?.info)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage> {
    let Header { info, bits, kind, palette_len } = Header::read(bytes)?;
    // the output, and unpacked runs
    limits.check(ImageFormat::SunRaster, info.width, info.height, 6)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let row_len = (width * bits as usize).div_ceil(8).next_multiple_of(2);
    let ends_early = || Error::decode("Sun raster: the file ends before its last row");
    let map = bytes.get(HEADER..HEADER + 3 * palette_len).ok_or_else(ends_early)?;
    let stored = &bytes[HEADER + 3 * palette_len..];
    let unpacked = if kind == RUN_LENGTHS { unpack(stored, row_len * height)? } else { Vec::new() };
    let stored = if kind == RUN_LENGTHS { &unpacked } else { stored };
    let color = |index: usize| match palette_len {
        // one bit is black or white
        0 => [if bits == 1 { 255 * index } else { index } as u8; 3],
        _ if index < palette_len => [0, 1, 2].map(|channel| map[channel * palette_len + index]),
        _ => [0; 3],
    };
    let mut out = zeroed(3 * width * height)?;
    for (y, row) in out.chunks_exact_mut(3 * width).enumerate() {
        // the padding of the last row may be missing
        let stored = stored.get(y * row_len..).unwrap_or_default();
        let stored = stored.get(..(width * bits as usize).div_ceil(8)).ok_or_else(ends_early)?;
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = match bits {
                1 => color(usize::from(stored[x / 8] >> (7 - x % 8) & 1)),
                8 => color(stored[x].into()),
                _ => {
                    // 32 bits begin with a byte that is not used
                    let bytes = bits as usize / 8;
                    let [first, second, third] = [3, 2, 1].map(|back| stored[bytes * (x + 1) - back]);
                    if kind == RGB { [first, second, third] } else { [third, second, first] }
                }
            };
        }
    }
    RgbImage::new(width, height, out)
}

/// Runs: 128, a count, and a value; a count of 0 is the value 128 itself.
fn unpack(stored: &[u8], len: usize) -> Result<Vec<u8>> {
    let (mut out, mut bytes) = (Vec::new(), stored.iter().copied());
    while out.len() < len
        && let Some(byte) = bytes.next()
    {
        match (byte, if byte == 128 { bytes.next() } else { None }) {
            (128, Some(0)) => out.push(128),
            (128, Some(count)) => {
                let value = bytes.next().ok_or_else(|| Error::decode("Sun raster: the file ends in a run"))?;
                out.extend(std::iter::repeat_n(value, usize::from(count) + 1));
            }
            (byte, _) => out.push(byte),
        }
    }
    Ok(out)
}
