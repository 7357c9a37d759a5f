//! JPEG inside TIFF: each strip or tile is a JPEG file without tables; the directory holds the tables once.

use std::io::Cursor;

use ::tiff::decoder::Decoder;
use ::tiff::tags::Tag;

use super::colour::Layout;
use super::compression::Compression;
use super::page::Page;
use super::{Samples, failed};
use crate::image::jpeg;
use crate::image::limits::DecodeLimits;
use crate::{Error, Result};

const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// The tables of the directory, without the marks around them.
pub(super) fn tables(directory: &mut Decoder<Cursor<&[u8]>>, compression: Compression) -> Result<Vec<u8>> {
    if compression != Compression::Jpeg {
        return Ok(Vec::new());
    }
    let tables = match directory.find_tag(Tag::JPEGTables).map_err(failed)? {
        Some(value) => value.into_u8_vec().map_err(failed)?,
        None => Vec::new(),
    };
    let tables = tables.strip_prefix(&START_OF_IMAGE).unwrap_or(&[]);
    Ok(tables.strip_suffix(&END_OF_IMAGE).unwrap_or(tables).to_vec())
}

/// The samples of a strip or tile, which has at most the width and height `most`. YCbCr becomes RGB, as in libtiff's RGBA
/// interface.
pub(super) fn samples(
    page: &Page,
    stored: &[u8],
    channels: usize,
    most: [usize; 2],
    limits: &DecodeLimits,
) -> Result<Samples> {
    let stored = stored.strip_prefix(&START_OF_IMAGE).ok_or_else(|| Error::decode("TIFF: a strip is no JPEG data"))?;
    let file = [&START_OF_IMAGE, &colour_marker(&page.layout)[..], &page.jpeg_tables, stored].concat();
    let jpeg::Samples { width, values, damage } = jpeg::samples(&file, channels, most, limits)?;
    Ok(Samples { row_len: width * channels, values, damage })
}

/// Adobe's marker segment, which tells the JPEG decoder the colour space. In a TIFF only the directory knows it.
fn colour_marker(layout: &Layout) -> [u8; 16] {
    let transform = u8::from(matches!(layout, Layout::YCbCrInJpeg));
    [0xff, 0xee, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform]
}
