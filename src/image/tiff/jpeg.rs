//! JPEG inside TIFF: each strip or tile is a JPEG file without tables; the directory holds the tables once.

use std::io::Cursor;

use ::tiff::decoder::Decoder;
use ::tiff::tags::Tag;

use super::{Layout, failed, unsupported};
use crate::image::jpeg;
use crate::image::limits::{DecodeLimits, zeroed};
use crate::{Error, Result};

const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// The samples of an image, pixel after pixel. YCbCr becomes RGB, as in libtiff's RGBA interface.
pub(super) fn samples(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    bytes: &[u8],
    layout: Layout,
    channels: usize,
    limits: &DecodeLimits,
) -> Result<Vec<u8>> {
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(failed)?;
    if channels > 1 && planar == Some(2) {
        return Err(unsupported("JPEG data of each channel apart".into()));
    }
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    if chunk_width == 0 || chunk_height == 0 {
        return Err(Error::decode("TIFF: strips without a pixel"));
    }
    let tables = match decoder.find_tag(Tag::JPEGTables).map_err(failed)? {
        Some(value) => value.into_u8_vec().map_err(failed)?,
        None => Vec::new(),
    };
    let tables = tables.strip_prefix(&START_OF_IMAGE).unwrap_or(&[]);
    let tables = tables.strip_suffix(&END_OF_IMAGE).unwrap_or(tables);
    let chunks = chunks(decoder, bytes)?;
    let (columns, rows) = (width.div_ceil(chunk_width), height.div_ceil(chunk_height));
    let expected = u64::from(columns) * u64::from(rows);
    if (chunks.len() as u64) < expected {
        return Err(Error::decode(format!("TIFF: {} strips or tiles where {expected} are needed", chunks.len())));
    }

    let row_len = width as usize * channels;
    let mut samples = zeroed(row_len * height as usize)?;
    for (index, chunk) in (0..columns * rows).zip(chunks) {
        let left = (index % columns * chunk_width) as usize;
        let top = (index / columns * chunk_height) as usize;
        let chunk =
            chunk.strip_prefix(&START_OF_IMAGE).ok_or_else(|| Error::decode("TIFF: a strip is no JPEG data"))?;
        let file = [&START_OF_IMAGE, &colour_marker(layout)[..], tables, chunk].concat();
        let (chunk_width, chunk_samples) = jpeg::samples(&file, channels, limits)?;
        let visible = chunk_width.min(width as usize - left) * channels;
        let target = samples.chunks_exact_mut(row_len).skip(top);
        for (to, from) in target.zip(chunk_samples.chunks_exact(chunk_width * channels)) {
            to[left * channels..][..visible].copy_from_slice(&from[..visible]);
        }
    }
    Ok(samples)
}

/// The bytes of each strip or tile.
fn chunks<'a>(decoder: &mut Decoder<Cursor<&[u8]>>, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    let tags = [(Tag::TileOffsets, Tag::TileByteCounts), (Tag::StripOffsets, Tag::StripByteCounts)];
    for (offsets, lengths) in tags {
        let Some(offsets) = decoder.find_tag_unsigned_vec::<u64>(offsets).map_err(failed)? else { continue };
        let lengths = decoder.find_tag_unsigned_vec::<u64>(lengths).map_err(failed)?.unwrap_or_default();
        let chunk = |(offset, len): (u64, u64)| {
            let range = usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(len)?).ok()?;
            bytes.get(range)
        };
        return offsets
            .into_iter()
            .zip(lengths)
            .map(|place| {
                chunk(place).ok_or_else(|| Error::decode("TIFF: a strip lies outside the file; is it truncated?"))
            })
            .collect();
    }
    Err(Error::decode("TIFF: the offsets of its strips are missing"))
}

/// Adobe's marker segment, which tells the JPEG decoder the colour space. In a TIFF only the directory knows it.
fn colour_marker(layout: Layout) -> [u8; 16] {
    let transform = u8::from(layout == Layout::YCbCr);
    [0xff, 0xee, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform]
}
