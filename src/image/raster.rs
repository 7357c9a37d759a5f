//! PNG, WebP, GIF, PNM and QOI, decoded by the `image` crate and reduced to OpenCV's 8-bit RGB.

use std::io::Cursor;

use ::image::codecs::{gif::GifDecoder, png::PngDecoder, pnm::PnmDecoder, qoi::QoiDecoder, webp::WebPDecoder};
use ::image::error::ImageError;
use ::image::{ColorType, ExtendedColorType, ImageDecoder, Limits};

use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::{DecodeLimits, zeroed};
use super::options::{DecodeOptions, Orient};
use super::rgb::RgbImage;
use super::{exif, gif, pnm};
use crate::{Error, ErrorKind, Result};

/// The PNG decoder's memory beside the pixels: some rows, and metadata, which a small file can inflate without bounds.
const PNG_WORKSPACE: u64 = 64 << 20;

pub(super) fn probe(format: ImageFormat, bytes: &[u8], orient: Orient) -> Result<ImageInfo> {
    Ok(info(format, bytes, orient, &*open(format, bytes, &DecodeLimits::default())?))
}

pub(super) fn decode(format: ImageFormat, bytes: &[u8], options: &DecodeOptions) -> Result<RgbImage> {
    let limits = &options.limits;
    let mut decoder = open(format, bytes, limits)?;
    let info = info(format, bytes, options.orient, &*decoder);
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let bytes_per_pixel = u64::from(color.bytes_per_pixel());
    // the decoder's own buffer beside ours, or later the rotated copy
    limits.check(format, width, height, 2 * bytes_per_pixel.max(3))?;
    decoder.set_limits(image_limits(limits.max_bytes)).map_err(|error| failed(format, error))?;

    let pixels = width as usize * height as usize;
    let mut samples = zeroed(pixels * color.bytes_per_pixel().max(3) as usize)?;
    decoder
        .read_image_boxed(&mut samples[..pixels * color.bytes_per_pixel() as usize])
        .map_err(|error| failed(format, error))?;
    match format {
        ImageFormat::Gif => gif::paint_background(bytes, &mut samples),
        ImageFormat::Pnm => pnm::unscale(bytes, color, &mut samples).map_err(|error| failed(format, error))?,
        _ => {}
    }
    reduce(&mut samples, pixels, color)
        .ok_or_else(|| Error::unsupported(format!("{format} with {color:?} samples is not supported")))?;
    RgbImage::new(width as usize, height as usize, samples)?.oriented(info.orientation)
}

fn open<'a>(format: ImageFormat, bytes: &'a [u8], limits: &DecodeLimits) -> Result<Box<dyn ImageDecoder + 'a>> {
    let reader = Cursor::new(bytes);
    let decoder: Result<Box<dyn ImageDecoder>, ImageError> = match format {
        ImageFormat::Png => {
            PngDecoder::with_limits(reader, image_limits(limits.max_bytes.min(PNG_WORKSPACE))).map(|d| Box::new(d) as _)
        }
        ImageFormat::WebP => WebPDecoder::new(reader).map(|d| Box::new(d) as _),
        ImageFormat::Gif => GifDecoder::new(reader).map(|d| Box::new(d) as _),
        ImageFormat::Pnm => PnmDecoder::new(reader).map(|d| Box::new(d) as _),
        ImageFormat::Qoi => {
            // the decoder has a limit of its own, which cannot be changed; this one gives our message
            if let Some(&[w0, w1, w2, w3, h0, h1, h2, h3]) = bytes.get(4..).and_then(<[u8]>::first_chunk) {
                limits.check(format, u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]), 3)?;
            }
            QoiDecoder::new(reader).map(|d| Box::new(d) as _)
        }
        _ => {
            return Err(Error::internal(format!("{format} has a decoder of its own")));
        }
    };
    decoder.map_err(|error| failed(format, error))
}

fn image_limits(max_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    limits
}

fn info(format: ImageFormat, bytes: &[u8], orient: Orient, decoder: &dyn ImageDecoder) -> ImageInfo {
    let orientation = exif::orientation(format, bytes, orient);
    let (width, height) = decoder.dimensions();
    let stored = decoder.original_color_type();
    let channels = stored.channel_count();
    ImageInfo { format, width, height, orientation, bits_per_sample: bits_per_sample(stored), channels }
}

fn bits_per_sample(color: ExtendedColorType) -> u8 {
    (color.bits_per_pixel() / u16::from(color.channel_count())) as u8
}

/// Reduces `samples` to 8-bit RGB in place: alpha is dropped, gray replicated, of 16 bits the upper 8 kept. The samples
/// are at the front of a buffer of at least three bytes a pixel. `None` for a colour type that is not supported.
fn reduce(samples: &mut Vec<u8>, pixels: usize, color: ColorType) -> Option<()> {
    let high = if cfg!(target_endian = "little") { 1 } else { 0 };
    match color {
        ColorType::Rgb8 => {}
        ColorType::L8 => spread(samples, pixels, 1, 0),
        ColorType::La8 => spread(samples, pixels, 2, 0),
        ColorType::L16 => spread(samples, pixels, 2, high),
        ColorType::La16 => pack(samples, pixels, 4, [high; 3]),
        ColorType::Rgba8 => pack(samples, pixels, 4, [0, 1, 2]),
        ColorType::Rgb16 => pack(samples, pixels, 6, [high, 2 + high, 4 + high]),
        ColorType::Rgba16 => pack(samples, pixels, 8, [high, 2 + high, 4 + high]),
        _ => return None,
    }
    samples.truncate(3 * pixels);
    samples.shrink_to_fit();
    Some(())
}

/// Gray with `stride` < 3 bytes a pixel, its value at `offset`. Goes backwards: the target is longer than the source.
fn spread(samples: &mut [u8], pixels: usize, stride: usize, offset: usize) {
    for i in (0..pixels).rev() {
        let gray = samples[stride * i + offset];
        samples[3 * i..3 * i + 3].fill(gray);
    }
}

/// Colour with `stride` > 3 bytes a pixel, its values at `offsets`.
fn pack(samples: &mut [u8], pixels: usize, stride: usize, offsets: [usize; 3]) {
    for i in 0..pixels {
        let rgb = offsets.map(|offset| samples[stride * i + offset]);
        samples[3 * i..3 * i + 3].copy_from_slice(&rgb);
    }
}

fn failed(format: ImageFormat, error: ImageError) -> Error {
    let kind = match error {
        ImageError::Limits(_) => ErrorKind::Limit,
        ImageError::Unsupported(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Decode,
    };
    Error::new(kind, format!("{format}: {error}")).with_source(error)
}
