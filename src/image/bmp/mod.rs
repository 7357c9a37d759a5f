//! Windows and OS/2 bitmaps, with OpenCV's pixels.
//!
//! Read here because the `image` crate differs: it repeats the high bits of 16-bit samples where OpenCV leaves the low ones zero,
//! follows masks of 32-bit pixels that OpenCV does not, leaves pixels black that a run-length code
//! skips where OpenCV gives them the first colour, and refuses some headers.

mod rle;

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::rgb::RgbImage;
use crate::{Error, Result};

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    Ok(Header::read(bytes)?.info)
}

/// The image, and a description of what is missing in its run-length codes.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<(RgbImage, Option<String>)> {
    let header = Header::read(bytes)?;
    let info = header.info;
    limits.check(ImageFormat::Bmp, info.width, info.height, 6)?;
    let (width, height) = (info.width as usize, info.height as usize);
    let mut out = zeroed(3 * width * height)?;
    let pixels = bytes.get(header.offset..).unwrap_or_default();
    let rows = out.chunks_exact_mut(3 * width);
    let mut rows: Vec<&mut [u8]> = if header.is_top_down { rows.collect() } else { rows.rev().collect() };
    let mut damage = None;
    if let Coding::RunLengths { bits } = header.coding {
        let indices;
        (indices, damage) = rle::decode(pixels, width, height, bits)?;
        for (row, indices) in rows.iter_mut().zip(indices.chunks_exact(width)) {
            header.paint_indices(row, indices.iter().map(|&index| index.into()));
        }
    } else {
        let bits = header.bits as usize;
        let stored = (width * bits).div_ceil(8);
        for (y, row) in rows.iter_mut().enumerate() {
            // the padding of the last row may be missing
            let stored = pixels.get(y * stored.next_multiple_of(4)..).and_then(|rest| rest.get(..stored));
            header.paint(row, stored.ok_or_else(|| Error::decode("BMP: the file ends before its last row"))?);
        }
    }
    drop(rows);
    Ok((RgbImage::new(width, height, out)?, damage))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    RunLengths {
        bits: u32,
    },
    /// Pixels of 16 or 32 bits: the bits of red, green and blue.
    Masks([u32; 3]),
}

struct Header {
    info: ImageInfo,
    bits: u32,
    coding: Coding,
    is_top_down: bool,
    /// RGB colours. Numbers above are black.
    palette: Vec<[u8; 3]>,
    /// The place of the pixels.
    offset: usize,
}

const RGB555: [u32; 3] = [0x7c00, 0x3e0, 0x1f];
const RGB565: [u32; 3] = [0xf800, 0x7e0, 0x1f];

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        const FILE_HEADER: usize = 14;
        let u32_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|&bytes| u32::from_le_bytes(bytes));
        let need = |at: usize| u32_at(at).ok_or_else(|| Error::decode("BMP: the file ends in its header"));
        let size = need(FILE_HEADER)? as usize;
        // fields that a short header has not are zero
        let field = |at: usize| if at < size { need(FILE_HEADER + at) } else { Ok(0) };
        let is_core = size == 12;
        if size < 12 || (13..16).contains(&size) {
            return Err(Error::decode(format!("BMP: a header of {size} bytes, where at least 12 are needed")));
        }
        let (width, height, bits) = if is_core {
            let sides = field(4)?;
            (i64::from(sides & 0xffff), i64::from(sides >> 16), field(8)? >> 16)
        } else {
            (i64::from(field(4)? as i32), i64::from(field(8)? as i32), field(12)? >> 16)
        };
        if width <= 0 || height == 0 {
            return Err(Error::decode(format!("BMP image of {width}x{height} pixels: a side is zero or negative")));
        }
        let after = FILE_HEADER.saturating_add(size);
        let compression = field(16)?;
        let coding = match (compression, bits) {
            (0, 1 | 2 | 4 | 8 | 24 | 32) => Coding::Plain,
            // as OpenCV: the masks of shorter headers are not followed
            (3, 32) => match [field(40)?, field(44)?, field(48)?] {
                masks if size >= 56 && !masks.contains(&0) => Coding::Masks(masks),
                _ => Coding::Plain,
            },
            (0, 16) => Coding::Masks(RGB555),
            // longer headers hold the masks
            (3, 16) => {
                let at = if size >= 52 { FILE_HEADER + 40 } else { after };
                Coding::Masks([need(at)?, need(at + 4)?, need(at + 8)?])
            }
            (1, 8) | (2, 4) => Coding::RunLengths { bits },
            _ => {
                return Err(Error::unsupported(format!(
                    "BMP with {bits} bits a pixel and compression {compression} is not supported: convert it to PNG first"
                )));
            }
        };
        let has_alpha = compression == 3 && bits == 32 && size >= 56 && field(52)? != 0;
        let info = ImageInfo {
            format: ImageFormat::Bmp,
            width: width as u32,
            height: height.unsigned_abs() as u32,
            orientation: Orientation::NoTransforms,
            bits_per_sample: 8,
            channels: if has_alpha { 4 } else { 3 },
        };
        let entry = if is_core { 3 } else { 4 };
        let count = match field(32)? as usize {
            _ if bits > 8 => 0,
            0 => 1 << bits,
            used => used.min(1 << bits),
        };
        let stored = bytes.get(after..).unwrap_or_default();
        let palette = stored.chunks_exact(entry).take(count).map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
        Ok(Header { info, bits, coding, is_top_down: height < 0, palette, offset: need(10)? as usize })
    }

    fn paint(&self, row: &mut [u8], stored: &[u8]) {
        match (self.coding, self.bits as usize) {
            (Coding::Masks(masks), _) => {
                let pixels = row.as_chunks_mut::<3>().0.iter_mut();
                for (pixel, stored) in pixels.zip(stored.chunks_exact(self.bits as usize / 8)) {
                    *pixel = unmask(stored.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)), masks);
                }
            }
            (_, bits @ (24 | 32)) => {
                for (pixel, stored) in row.as_chunks_mut::<3>().0.iter_mut().zip(stored.chunks_exact(bits / 8)) {
                    *pixel = [stored[2], stored[1], stored[0]];
                }
            }
            (_, bits) => {
                let mask = u8::MAX >> (8 - bits);
                let index = |x: usize| usize::from(stored[x * bits / 8] >> (8 - bits - x * bits % 8) & mask);
                self.paint_indices(row, (0..row.len() / 3).map(index));
            }
        }
    }

    fn paint_indices(&self, row: &mut [u8], indices: impl Iterator<Item = usize>) {
        for (pixel, index) in row.as_chunks_mut::<3>().0.iter_mut().zip(indices) {
            *pixel = self.palette.get(index).copied().unwrap_or_default();
        }
    }
}

/// The colours of a pixel, as in OpenCV: of the two usual kinds with 16 bits the low bits are zero, others are scaled.
fn unmask(pixel: u32, masks: [u32; 3]) -> [u8; 3] {
    let is_usual = masks == RGB555 || masks == RGB565;
    masks.map(|mask| {
        let max = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
        if max == 0 {
            return 0;
        }
        let value = (pixel & mask) >> mask.trailing_zeros();
        if is_usual { (value << (8 - mask.count_ones())) as u8 } else { (value as f32 * (255.0 / max as f32)) as u8 }
    })
}
