//! TIFF, reduced to 8-bit RGB as by libtiff's RGBA interface, which OpenCV uses for 8-bit images.

mod jpeg;

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::tiff::ColorType;
use ::tiff::TiffError;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::{CompressionMethod, ExtraSamples, SampleFormat, Tag};

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::rgb::RgbImage;
use crate::{Error, ErrorKind, Result};

pub(super) fn probe(bytes: &[u8]) -> Result<ImageInfo> {
    Ok(open(bytes, &DecodeLimits::default())?.info)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage> {
    let Page { mut decoder, info, layout, is_jpeg } = open(bytes, limits)?;
    let sample_bytes = u64::from(info.bits_per_sample.div_ceil(8));
    // the stored samples beside the output; the rotated copy comes after them
    limits.check(ImageFormat::Tiff, info.width, info.height, 3 + (sample_bytes * u64::from(info.channels)).max(3))?;
    let (width, height) = (info.width as usize, info.height as usize);

    let mut out = zeroed(width * height * 3)?;
    if is_jpeg {
        let channels = usize::from(info.channels);
        let samples = jpeg::samples(&mut decoder, bytes, layout, channels, limits)?;
        reduce(&Grid { channels, plane: None }, layout, &mut out, |at| samples.get(at).copied()).ok_or_else(misfit)?;
        return RgbImage::new(width, height, out)?.oriented(info.orientation);
    }

    let mut samples = DecodingResult::U8(Vec::new());
    let stored = decoder.read_image_to_buffer(&mut samples).map_err(failed)?;
    if samples.as_buffer(0).as_bytes().len() < stored.complete_len {
        return Err(Error::limit(format!(
            "TIFF image of {width}x{height} pixels needs {} bytes of samples, above the limit; raise DecodeLimits::max_bytes if you trust the file",
            stored.complete_len
        )));
    }
    let plane = stored.plane_stride.map(|bytes| bytes.get() / sample_bytes as usize).filter(|_| stored.planes > 1);
    let grid = Grid { channels: info.channels.into(), plane };
    let complete = match &samples {
        DecodingResult::U8(bits) if info.bits_per_sample == 1 => bilevel(bits, width, &mut out),
        DecodingResult::U8(samples) => reduce(&grid, layout, &mut out, |at| samples.get(at).copied()),
        // gray keeps the upper 8 bits, colour is rounded
        DecodingResult::U16(samples) if layout == Layout::Gray => {
            reduce(&grid, layout, &mut out, |at| Some((samples.get(at)? >> 8) as u8))
        }
        DecodingResult::U16(samples) => {
            reduce(&grid, layout, &mut out, |at| Some(((u32::from(*samples.get(at)?) + 128) / 257) as u8))
        }
        _ => None,
    };
    complete.ok_or_else(misfit)?;
    drop(samples);
    RgbImage::new(width, height, out)?.oriented(info.orientation)
}

struct Page<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    info: ImageInfo,
    layout: Layout,
    /// Whether the strips are JPEG data, which this crate decodes itself.
    is_jpeg: bool,
}

fn misfit() -> Error {
    Error::decode("TIFF: the samples do not fit the size of the image")
}

/// The meaning of a pixel's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Gray, perhaps with alpha, which is dropped.
    Gray,
    /// Colour, perhaps with premultiplied alpha.
    Rgb,
    /// Colour with alpha that is not premultiplied; libtiff multiplies it in.
    RgbUnassociatedAlpha,
    Cmyk,
    /// YCbCr, which the JPEG decoder turns into RGB.
    YCbCr,
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Page<'a>> {
    let limit = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    let mut tiff_limits = Limits::default();
    tiff_limits.decoding_buffer_size = limit;
    tiff_limits.intermediate_buffer_size = limit;
    tiff_limits.ifd_value_size = limit.min(bytes.len());
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(tiff_limits);
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let color = decoder.colortype().map_err(failed)?;
    let tag =
        |decoder: &mut Decoder<_>, tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten().unwrap_or_default();

    let formats = tag(&mut decoder, Tag::SampleFormat);
    if formats.iter().any(|&format| format != SampleFormat::Uint.to_u16()) {
        return Err(unsupported(format!("samples of format {formats:?} (signed or floating point)")));
    }
    let is_unassociated =
        tag(&mut decoder, Tag::ExtraSamples).first() == Some(&ExtraSamples::UnassociatedAlpha.to_u16());
    let is_jpeg = tag(&mut decoder, Tag::Compression).first() == Some(&CompressionMethod::ModernJPEG.to_u16());
    let (layout, bits_per_sample, channels) = match color {
        ColorType::Gray(bits @ (1 | 8 | 16)) => (Layout::Gray, bits, 1),
        ColorType::Multiband { bit_depth: bits @ (8 | 16), num_samples: 2 } => (Layout::Gray, bits, 2),
        ColorType::RGB(bits @ (8 | 16)) => (Layout::Rgb, bits, 3),
        ColorType::RGBA(bits @ (8 | 16)) if is_unassociated => (Layout::RgbUnassociatedAlpha, bits, 4),
        ColorType::RGBA(bits @ (8 | 16)) => (Layout::Rgb, bits, 4),
        ColorType::CMYK(bits @ (8 | 16)) => (Layout::Cmyk, bits, 4),
        // other compressions leave the colour subsampled
        ColorType::YCbCr(8) if is_jpeg => (Layout::YCbCr, 8, 3),
        other => return Err(unsupported(format!("{other:?} samples"))),
    };
    let orientation =
        tag(&mut decoder, Tag::Orientation).first().and_then(|&value| Orientation::from_exif(value.try_into().ok()?));
    let info = ImageInfo {
        format: ImageFormat::Tiff,
        width,
        height,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        bits_per_sample,
        channels,
    };
    if is_jpeg && bits_per_sample != 8 {
        return Err(unsupported(format!("JPEG data of {bits_per_sample} bits")));
    }
    Ok(Page { decoder, info, layout, is_jpeg })
}

/// The positions of a pixel's samples.
struct Grid {
    channels: usize,
    /// The distance in samples from one channel's plane to the next, where channels are stored separately.
    plane: Option<usize>,
}

/// Converts all pixels; `None` where there are too few samples.
fn reduce(grid: &Grid, layout: Layout, out: &mut [u8], sample: impl Fn(usize) -> Option<u8>) -> Option<()> {
    for (i, out) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let at = |channel: usize| match grid.plane {
            Some(plane) => sample(channel * plane + i),
            None => sample(grid.channels * i + channel),
        };
        *out = match layout {
            Layout::Gray => [at(0)?; 3],
            Layout::Rgb | Layout::YCbCr => [at(0)?, at(1)?, at(2)?],
            Layout::RgbUnassociatedAlpha => {
                let alpha = u32::from(at(3)?);
                [at(0)?, at(1)?, at(2)?].map(|value| ((u32::from(value) * alpha + 127) / 255) as u8)
            }
            Layout::Cmyk => {
                let paper = 255 - u32::from(at(3)?);
                [at(0)?, at(1)?, at(2)?].map(|ink| (paper * (255 - u32::from(ink)) / 255) as u8)
            }
        };
    }
    Some(())
}

/// One bit a pixel, each row from a new byte.
fn bilevel(bits: &[u8], width: usize, out: &mut [u8]) -> Option<()> {
    let row_len = width.div_ceil(8);
    for (y, row) in out.chunks_exact_mut(3 * width).enumerate() {
        let bits = bits.get(y * row_len..(y + 1) * row_len)?;
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [if bits[x / 8] >> (7 - x % 8) & 1 == 1 { 255 } else { 0 }; 3];
        }
    }
    Some(())
}

fn unsupported(what: String) -> Error {
    Error::unsupported(format!("TIFF with {what} is not supported: convert it to 8 or 16 bits of gray or RGB first"))
}

fn failed(error: TiffError) -> Error {
    let kind = match error {
        TiffError::LimitsExceeded | TiffError::IntSizeError => ErrorKind::Limit,
        TiffError::UnsupportedError(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Decode,
    };
    Error::new(kind, format!("TIFF: {error}")).with_source(error)
}
