//! EXIF orientations of files: where each format keeps them, and which of them OpenCV follows.
//!
//! tests/image/orientation.tsv has the table of what OpenCV does.

use ::image::metadata::Orientation;

use super::format::ImageFormat;
use super::options::Orient;
use super::structure::{png_chunks, webp_chunks};

const HEADER: &[u8] = b"Exif\0\0";

/// The orientation of a JPEG, PNG or WebP file; upright where there is no valid one. A TIFF has it in its directory.
pub(super) fn orientation(format: ImageFormat, bytes: &[u8], orient: Orient) -> Orientation {
    let found = match (orient, format) {
        (Orient::Never, _) => None,
        // OpenCV takes the first segment, and its first six bytes for the header
        (Orient::OpenCv, ImageFormat::Jpeg) => {
            app1_segments(bytes).next().and_then(|segment| as_opencv(segment.get(HEADER.len()..)?))
        }
        (Orient::OpenCv, ImageFormat::Png) => exif_chunks(bytes).next().and_then(as_opencv),
        (Orient::Exif, ImageFormat::Jpeg) => {
            app1_segments(bytes).filter_map(|segment| segment.strip_prefix(HEADER)).find_map(by_type)
        }
        (Orient::Exif, ImageFormat::Png) => exif_chunks(bytes).find_map(|exif| by_type(without_header(exif))),
        (Orient::Exif, ImageFormat::WebP) => {
            let blocks = webp_chunks(bytes).filter(|(name, _)| *name == b"EXIF");
            blocks.map(|(_, exif)| without_header(exif)).find_map(by_type)
        }
        _ => None,
    };
    found.unwrap_or(Orientation::NoTransforms)
}

/// A block without the header that some writers put before it.
fn without_header(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(HEADER).unwrap_or(exif)
}

/// The APP1 segments before the first scan.
fn app1_segments(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const APP1: u8 = 0xe1;
    const START_OF_SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            // stray bytes between segments, and fill bytes
            rest = &rest[rest.iter().position(|&byte| byte == 0xff)?..];
            rest = &rest[rest.iter().position(|&byte| byte != 0xff)?..];
            let (&marker, after) = rest.split_first()?;
            match marker {
                START_OF_SCAN | END => return None,
                // no segment follows
                0 | 1 | 0xd0..=0xd8 => rest = after,
                _ => {
                    let len = usize::from(u16::from_be_bytes(*after.first_chunk()?));
                    let segment = after.get(2..len)?;
                    rest = &after[len..];
                    if marker == APP1 {
                        return Some(segment);
                    }
                }
            }
        }
    })
}

/// The contents of a PNG's EXIF chunks that have the right checksum.
fn exif_chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let before_end = png_chunks(bytes).take_while(|chunk| chunk.name != b"IEND");
    before_end.filter(|chunk| chunk.name == b"eXIf" && chunk.is_sound()).map(|chunk| chunk.content)
}

/// A directory of EXIF data.
struct Directory<'a> {
    exif: &'a [u8],
    big_endian: bool,
    start: usize,
}

impl<'a> Directory<'a> {
    fn of(exif: &'a [u8]) -> Option<Self> {
        let big_endian = match exif.first_chunk()? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        let mut directory = Directory { exif, big_endian, start: 0 };
        directory.start = directory.long(4)? as usize;
        Some(directory)
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.exif.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.exif.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// The places of the entries.
    fn entries(&self) -> Option<impl Iterator<Item = usize>> {
        let count = usize::from(self.short(self.start)?);
        let first = self.start.checked_add(2)?;
        Some((0..count).map_while(move |index| first.checked_add(12 * index)))
    }

    /// Whether the text of an entry lies inside the block.
    fn has_text(&self, entry: usize) -> bool {
        let read = || {
            let len = self.long(entry + 4)? as usize;
            let at = if len > 4 { self.long(entry + 8)? as usize } else { entry + 8 };
            self.exif.get(at..at.checked_add(len)?)
        };
        read().is_some()
    }
}

const ORIENTATION: u16 = 0x0112;

/// The orientation as OpenCV reads it: the first 16 bits of the value, whatever its type. Text before it that lies outside the
/// block ends the search.
fn as_opencv(exif: &[u8]) -> Option<Orientation> {
    /// Description, maker, model, software, date, copyright.
    const TEXTS: [u16; 6] = [0x010e, 0x010f, 0x0110, 0x0131, 0x0132, 0x8298];
    let directory = Directory::of(exif)?;
    for entry in directory.entries()? {
        let tag = directory.short(entry)?;
        if tag == ORIENTATION {
            return Orientation::from_exif(directory.short(entry + 8)?.try_into().ok()?);
        }
        if TEXTS.contains(&tag) && !directory.has_text(entry) {
            return None;
        }
    }
    None
}

/// The orientation by the value's type.
fn by_type(exif: &[u8]) -> Option<Orientation> {
    const BYTE: u16 = 1;
    const LONG: u16 = 4;
    let directory = Directory::of(exif)?;
    let entry = directory.entries()?.find(|&entry| directory.short(entry) == Some(ORIENTATION))?;
    let value = match directory.short(entry + 2)? {
        BYTE => (*exif.get(entry + 8)?).into(),
        LONG => directory.long(entry + 8)?,
        _ => directory.short(entry + 8)?.into(),
    };
    Orientation::from_exif(value.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_searched() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/image/files");
        for name in ["turned_after_text.jpg", "turned_before_data.png", "turned_chunk.webp"] {
            let Ok(bytes) = std::fs::read(format!("{folder}/{name}")) else { continue };
            let format = ImageFormat::detect(&bytes).unwrap();
            for orient in [Orient::OpenCv, Orient::Exif, Orient::Never] {
                for at in 0..bytes.len() {
                    orientation(format, &bytes[..at], orient);
                    let mut changed = bytes.clone();
                    changed[at] = 0xff;
                    orientation(format, &changed, orient);
                }
            }
        }
    }

    #[test]
    fn long_values_are_read_whole() {
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x06\0\0\0\0";
        assert_eq!(by_type(exif), Orientation::from_exif(6));
        assert_eq!(as_opencv(exif), None, "OpenCV sees the upper half");
    }
}
