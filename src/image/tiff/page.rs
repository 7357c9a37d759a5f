//! The first page of a TIFF: its directory, and its strips and tiles.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::tiff::decoder::{Decoder, Limits};
use ::tiff::tags::{ByteOrder, PlanarConfiguration, SampleFormat, Tag};

use super::colour::Layout;
use super::compression::Compression;
use super::{Samples, damaged, failed, jpeg, unsupported};
use crate::image::format::ImageFormat;
use crate::image::info::ImageInfo;
use crate::image::limits::DecodeLimits;
use crate::image::options::{DecodeOptions, Orient};
use crate::{Error, Result};

/// The first page.
pub(super) struct Page<'a> {
    pub info: ImageInfo,
    pub layout: Layout,
    /// Planes to read: 1 where the channels of a pixel are stored together.
    pub planes: usize,
    is_planar: bool,
    /// Tables of JPEG data, which the strips share.
    pub jpeg_tables: Vec<u8>,
    compression: Compression,
    predictor: Predictor,
    is_big_endian: bool,
    reverse_bits: bool,
    /// Horizontal and vertical size of the pixels that share a colour, in YCbCr.
    subsampling: [usize; 2],
    /// Size of a strip or tile.
    block: [usize; 2],
    /// Offset and length in the file of each strip or tile.
    places: Vec<(u64, u64)>,
    bytes: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Predictor {
    None,
    /// Each sample is stored as its difference to the pixel at the left.
    Horizontal,
}

/// A strip or tile.
#[derive(Clone, Copy)]
pub(super) struct Block {
    index: usize,
    pub left: usize,
    pub top: usize,
    pub visible_width: usize,
    pub visible_height: usize,
}

type Directory<'a> = Decoder<Cursor<&'a [u8]>>;

fn numbers(directory: &mut Directory, tag: Tag) -> Result<Option<Vec<u64>>> {
    directory.find_tag_unsigned_vec::<u64>(tag).map_err(failed)
}

fn number(directory: &mut Directory, tag: Tag) -> Result<Option<u64>> {
    Ok(numbers(directory, tag)?.and_then(|numbers| numbers.first().copied()))
}

impl<'a> Page<'a> {
    pub fn open(bytes: &'a [u8], options: &DecodeOptions) -> Result<Self> {
        let mut tiff_limits = Limits::default();
        tiff_limits.ifd_value_size = usize::try_from(options.limits.max_bytes).unwrap_or(usize::MAX).min(bytes.len());
        let mut directory = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(tiff_limits);
        let directory = &mut directory;
        let (width, height) = directory.dimensions().map_err(failed)?;
        let bits = number(directory, Tag::BitsPerSample)?.unwrap_or(1);
        let channels = number(directory, Tag::SamplesPerPixel)?.unwrap_or(1);
        let formats = numbers(directory, Tag::SampleFormat)?.unwrap_or_default();
        let [signed, unsigned] = [SampleFormat::Int, SampleFormat::Uint].map(|format| u64::from(format.to_u16()));
        // as OpenCV: the bits of signed samples are taken for unsigned ones
        if formats.iter().any(|&format| format != unsigned && format != signed) {
            return Err(unsupported(format!("samples of format {formats:?} (floating point or complex)")));
        }
        let compression = Compression::of(
            number(directory, Tag::Compression)?.unwrap_or(1),
            number(directory, Tag::from_u16_exhaustive(T4_OPTIONS))?.unwrap_or(0),
        )?;
        let layout = Layout::of(directory, bits, channels, compression == Compression::Jpeg)?;
        if compression.is_bilevel() && (bits, channels) != (1, 1) {
            return Err(unsupported(format!("fax codes of {channels} channels of {bits} bits")));
        }
        let is_planar = number(directory, Tag::PlanarConfiguration)?
            == Some(PlanarConfiguration::Planar.to_u16().into())
            && channels > 1;
        let layout = if is_planar { layout.of_planes() } else { layout };
        let planes = if is_planar { layout.channels(channels as usize) } else { 1 };
        let subsampling = if layout.is_subsampled() { subsampling(directory)? } else { [1, 1] };
        if is_planar && matches!(layout, Layout::YCbCr(_) | Layout::YCbCrInJpeg) {
            return Err(unsupported("YCbCr channels that are stored apart".into()));
        }
        let orientation = number(directory, Tag::Orientation)?.filter(|_| options.orient != Orient::Never);
        let info = ImageInfo {
            format: ImageFormat::Tiff,
            width,
            height,
            orientation: orientation
                .and_then(|value| Orientation::from_exif(value.try_into().ok()?))
                .unwrap_or(Orientation::NoTransforms),
            bits_per_sample: bits as u8,
            channels: u8::try_from(channels).map_err(|_| unsupported(format!("{channels} channels")))?,
        };
        Ok(Page {
            info,
            planes,
            is_planar,
            jpeg_tables: jpeg::tables(directory, compression)?,
            compression,
            predictor: predictor(directory, bits, subsampling)?,
            is_big_endian: directory.byte_order() == ByteOrder::BigEndian,
            // JPEG data has no bit order
            reverse_bits: number(directory, Tag::FillOrder)? == Some(2) && compression != Compression::Jpeg,
            subsampling,
            block: block_size(directory, height)?,
            places: places(directory)?,
            layout,
            bytes,
        })
    }

    /// The strips or tiles, from the top left.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        let [image_width, image_height] = [self.info.width as usize, self.info.height as usize];
        let [width, height] = self.block;
        let columns = image_width.div_ceil(width);
        (0..self.block_count()).map(move |index| {
            let (left, top) = (index % columns * width, index / columns * height);
            let (visible_width, visible_height) = (width.min(image_width - left), height.min(image_height - top));
            Block { index, left, top, visible_width, visible_height }
        })
    }

    /// Strips or tiles of a plane.
    fn block_count(&self) -> usize {
        let [width, height] = self.block;
        (self.info.width as usize).div_ceil(width) * (self.info.height as usize).div_ceil(height)
    }

    /// Samples of a pixel that are stored together.
    pub fn channels_of_plane(&self) -> usize {
        if self.is_planar { 1 } else { self.info.channels.into() }
    }

    /// The samples of a block: of all channels, or of a plane.
    pub fn samples(&self, block: Block, plane: usize, limits: &DecodeLimits) -> Result<Samples> {
        let stored = self.stored(plane * self.block_count() + block.index)?;
        let channels = self.channels_of_plane();
        if self.compression == Compression::Jpeg {
            // as libtiff: only the last strip may have more rows than there are
            let [width, height] = self.block;
            let most = [width, if block.index + 1 == self.block_count() { usize::MAX } else { height }];
            return jpeg::samples(self, &stored, channels, most, limits);
        }
        let width = self.block[0];
        let [horizontal, vertical] = self.subsampling;
        let (row_len, rows) = if (horizontal, vertical) == (1, 1) {
            let bits = width as u64 * channels as u64 * u64::from(self.info.bits_per_sample);
            (bits.div_ceil(8), block.visible_height)
        } else {
            let units = width.div_ceil(horizontal) as u64;
            (units * (horizontal * vertical + 2) as u64, block.visible_height.div_ceil(vertical))
        };
        let len = row_len.saturating_mul(rows as u64);
        let image = u64::from(self.info.width) * u64::from(self.info.height) * 3;
        // all planes, each as stored and with 8 bits a sample
        let is_wide = self.info.bits_per_sample == 8 && self.subsampling == [1, 1];
        let samples = (width as u64).saturating_mul(block.visible_height as u64 * channels as u64);
        let plane = len.saturating_add(if is_wide { 0 } else { samples });
        let needed = plane.saturating_mul(self.planes as u64).saturating_add(image);
        if needed > limits.max_bytes.min(isize::MAX as u64) {
            return Err(Error::limit(format!(
                "TIFF image of {}x{} pixels in tiles or strips of {width}x{} needs {needed} bytes to decode, the limit is {} bytes; \
                 raise DecodeLimits::max_bytes if you trust the file",
                self.info.width, self.info.height, self.block[1], limits.max_bytes
            )));
        }
        let mut data = self.compression.unpack(&stored, len as usize, width, rows)?;
        if self.predictor == Predictor::Horizontal {
            for row in data.chunks_exact_mut(row_len as usize) {
                self.undo_differences(row, channels);
            }
        }
        Ok(self.widened(data, row_len as usize, channels))
    }

    /// The bytes of a strip or tile, no more than its samples can take: in a hostile file, each of many small tiles may be
    /// announced as the whole file.
    fn stored(&self, index: usize) -> Result<std::borrow::Cow<'a, [u8]>> {
        let place = |&(offset, len): &(u64, u64)| {
            let range = usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(len)?).ok()?;
            self.bytes.get(range)
        };
        let stored = self.places.get(index).ok_or_else(|| damaged("a strip is missing"))?;
        let stored =
            place(stored).ok_or_else(|| Error::decode("TIFF: a strip lies outside the file; is it truncated?"))?;
        let stored = &stored[..stored.len().min(self.most_stored())];
        Ok(if self.reverse_bits {
            stored.iter().map(|byte| byte.reverse_bits()).collect::<Vec<u8>>().into()
        } else {
            stored.into()
        })
    }

    /// No compression takes more bytes for a strip or tile: a fax code takes less than a byte a pixel.
    fn most_stored(&self) -> usize {
        const BYTES_OF_SAMPLE: usize = 16;
        let headers = if self.compression == Compression::Jpeg { 1 << 16 } else { 1 << 10 };
        let [width, height] = self.block;
        let samples = width.saturating_mul(height).saturating_mul(self.channels_of_plane());
        samples.saturating_mul(BYTES_OF_SAMPLE).saturating_add(headers)
    }

    fn undo_differences(&self, row: &mut [u8], channels: usize) {
        if self.info.bits_per_sample == 8 {
            for at in channels..row.len() {
                row[at] = row[at].wrapping_add(row[at - channels]);
            }
            return;
        }
        let is_big_endian = self.is_big_endian;
        let read = |bytes| if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        let (samples, _) = row.as_chunks_mut::<2>();
        for at in channels..samples.len() {
            let sum = read(samples[at]).wrapping_add(read(samples[at - channels]));
            samples[at] = if is_big_endian { sum.to_be_bytes() } else { sum.to_le_bytes() };
        }
    }

    /// Samples of 8 bits each. Of fewer bits, they keep their value.
    fn widened(&self, data: Vec<u8>, row_len: usize, channels: usize) -> Samples {
        let samples = self.block[0] * channels;
        if self.subsampling != [1, 1] {
            return self.with_colour_for_each_pixel(&data, row_len);
        }
        let values = match self.info.bits_per_sample {
            8 => data,
            16 => {
                let read = if self.is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
                data.as_chunks::<2>().0.iter().map(|&bytes| self.layout.reduce(read(bytes))).collect()
            }
            bits => {
                let bits = usize::from(bits);
                let mask = (1 << bits) - 1;
                let sample = |row: &[u8], x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
                data.chunks_exact(row_len).flat_map(|row| (0..samples).map(move |x| sample(row, x))).collect()
            }
        };
        Samples { row_len: samples, values, damage: None }
    }

    /// YCbCr pixels: the stored units have several values of Y and one colour.
    fn with_colour_for_each_pixel(&self, data: &[u8], row_len: usize) -> Samples {
        let [horizontal, vertical] = self.subsampling;
        let width = self.block[0];
        let unit = horizontal * vertical + 2;
        let mut values = Vec::with_capacity(data.len() / row_len * vertical * width * 3);
        for row in data.chunks_exact(row_len) {
            for y in 0..vertical {
                for x in 0..width {
                    let unit = &row[x / horizontal * unit..][..unit];
                    values.extend([unit[y * horizontal + x % horizontal], unit[unit.len() - 2], unit[unit.len() - 1]]);
                }
            }
        }
        Samples { row_len: 3 * width, values, damage: None }
    }
}

const T4_OPTIONS: u16 = 292;

fn predictor(directory: &mut Directory, bits: u64, subsampling: [usize; 2]) -> Result<Predictor> {
    match number(directory, Tag::Predictor)? {
        None | Some(1) => Ok(Predictor::None),
        Some(2) if matches!(bits, 8 | 16) && subsampling == [1, 1] => Ok(Predictor::Horizontal),
        Some(other) => Err(unsupported(format!("predictor {other} for samples of {bits} bits"))),
    }
}

fn subsampling(directory: &mut Directory) -> Result<[usize; 2]> {
    match numbers(directory, Tag::ChromaSubsampling)?.as_deref() {
        None => Ok([2, 2]),
        Some(&[horizontal @ (1 | 2 | 4), vertical @ (1 | 2 | 4)]) => Ok([horizontal as usize, vertical as usize]),
        Some(other) => Err(unsupported(format!("YCbCr colours of {other:?} pixels"))),
    }
}

/// Width and height of a strip or tile.
fn block_size(directory: &mut Directory, height: u32) -> Result<[usize; 2]> {
    let (width, rows) = directory.chunk_dimensions();
    if width == 0 || rows == 0 {
        return Err(damaged("strips or tiles without a pixel"));
    }
    // a single strip may announce more rows than there are
    let is_tiled = numbers(directory, Tag::TileOffsets)?.is_some();
    Ok([width as usize, if is_tiled { rows } else { rows.min(height) } as usize])
}

fn places(directory: &mut Directory) -> Result<Vec<(u64, u64)>> {
    for (offsets, lengths) in [(Tag::TileOffsets, Tag::TileByteCounts), (Tag::StripOffsets, Tag::StripByteCounts)] {
        if let Some(offsets) = numbers(directory, offsets)? {
            return Ok(offsets.into_iter().zip(numbers(directory, lengths)?.unwrap_or_default()).collect());
        }
    }
    Err(damaged("the offsets of its strips are missing"))
}
