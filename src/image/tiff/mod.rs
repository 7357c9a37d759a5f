//! TIFF, reduced to 8-bit RGB as by libtiff's RGBA interface, which OpenCV uses for 8-bit images.
//!
//! The crate `tiff` reads the directory. Strips and tiles are read here: the crate's reader panics on tiles that are cut by the
//! image's edge where channels are stored apart (image-tiff#412), and knows neither palettes nor CIE Lab nor all fax codes.

mod ccitt;
mod colour;
mod compression;
mod jpeg;
mod page;

use self::page::{Block, Page};
use super::format::ImageFormat;
use super::info::ImageInfo;
use super::limits::zeroed;
use super::options::{DecodeOptions, Orient};
use super::rgb::RgbImage;
use crate::{Error, ErrorKind, Result};

pub(super) fn probe(bytes: &[u8], orient: Orient) -> Result<ImageInfo> {
    Ok(Page::open(bytes, &DecodeOptions { orient, ..DecodeOptions::default() })?.info)
}

/// The image, and a description of the damage where JPEG data gave only a part of it.
pub(super) fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<(RgbImage, Option<String>)> {
    let limits = &options.limits;
    let page = Page::open(bytes, options)?;
    let info = page.info;
    // the output and its rotated copy; strips and tiles are checked when the first is read
    limits.check(ImageFormat::Tiff, info.width, info.height, 6)?;
    let mut out = zeroed(info.width as usize * info.height as usize * 3)?;
    let mut damage = None;
    for block in page.blocks() {
        let mut planes =
            (0..page.planes).map(|plane| page.samples(block, plane, limits)).collect::<Result<Vec<_>>>()?;
        paint(&page, block, &planes, &mut out);
        damage = damage.or_else(|| planes.iter_mut().find_map(|plane| plane.damage.take()));
    }
    let image = RgbImage::new(info.width as usize, info.height as usize, out)?.oriented(info.orientation)?;
    Ok((image, damage))
}

/// The 8-bit samples of a strip or tile, of all channels or of one plane.
struct Samples {
    /// Samples of a row.
    row_len: usize,
    values: Vec<u8>,
    /// A description of the damage where a part of them is made up.
    damage: Option<String>,
}

/// Converts the visible part of a strip or tile.
fn paint(page: &Page, block: Block, planes: &[Samples], out: &mut [u8]) {
    let out_len = 3 * page.info.width as usize;
    let channels = page.channels_of_plane();
    for y in 0..block.visible_height {
        let row = &mut out[(block.top + y) * out_len..][3 * block.left..][..3 * block.visible_width];
        let rows = planes.iter().map(|plane| plane.values.chunks_exact(plane.row_len).nth(y).unwrap_or_default());
        match &rows.collect::<Vec<_>>()[..] {
            [all] => page.layout.convert(row, |x, channel| all.get(x * channels + channel).copied()),
            apart => page.layout.convert(row, |x, channel| apart.get(channel)?.get(x).copied()),
        }
    }
}

fn unsupported(what: String) -> Error {
    Error::unsupported(format!("TIFF with {what} is not supported: convert it to 8 or 16 bits of gray or RGB first"))
}

fn damaged(what: &str) -> Error {
    Error::decode(format!("TIFF: {what}; is the file damaged?"))
}

fn failed(error: ::tiff::TiffError) -> Error {
    use ::tiff::TiffError;
    let kind = match error {
        TiffError::LimitsExceeded | TiffError::IntSizeError => ErrorKind::Limit,
        TiffError::UnsupportedError(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Decode,
    };
    Error::new(kind, format!("TIFF: {error}")).with_source(error)
}
