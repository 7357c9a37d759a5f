//! Facts from the structure of an image file: several frames, CMYK.

use crate::ImageFormat;
use crate::image::structure::{png_chunks, walk_gif};

/// Whether a file has more than one frame or page.
pub(super) fn is_animated(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Gif => walk_gif(bytes).0 > 1,
        ImageFormat::Png => png_chunks(bytes).any(|chunk| chunk.name == b"acTL"),
        // the extended header's flag
        ImageFormat::WebP => bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0),
        ImageFormat::Tiff => has_second_page(bytes).unwrap_or(false),
        _ => false,
    }
}

/// Whether the colours of a file are CMYK.
pub(super) fn is_cmyk(format: ImageFormat, channels: u8, bytes: &[u8]) -> bool {
    const PHOTOMETRIC: usize = 262;
    const SEPARATED: usize = 5;
    match format {
        ImageFormat::Jpeg => channels == 4,
        ImageFormat::Tiff => Tiff::open(bytes).is_some_and(|tiff| tiff.short(PHOTOMETRIC) == Some(SEPARATED)),
        _ => false,
    }
}

/// Whether the first directory of a TIFF is followed by another one. Thumbnails have directories of another kind.
fn has_second_page(bytes: &[u8]) -> Option<bool> {
    let tiff = Tiff::open(bytes)?;
    let next = tiff.number(tiff.directory.checked_add(2 + 12 * tiff.entries)?, 4)?;
    Some(next != 0 && next < bytes.len())
}

/// The first directory of a TIFF. BigTIFF, for files above 4 GB, has another structure and is not read here.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
    directory: usize,
    entries: usize,
}

impl<'a> Tiff<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let mut tiff = Tiff { bytes, is_little: bytes.first()? == &b'I', directory: 0, entries: 0 };
        if tiff.number(2, 2)? != 42 {
            return None;
        }
        tiff.directory = tiff.number(4, 4)?;
        tiff.entries = tiff.number(tiff.directory, 2)?;
        Some(tiff)
    }

    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let push = |number: usize, byte: &u8| number << 8 | usize::from(*byte);
        Some(if self.is_little { bytes.iter().rev().fold(0, push) } else { bytes.iter().fold(0, push) })
    }

    /// The value of a 16-bit tag.
    fn short(&self, tag: usize) -> Option<usize> {
        let entry = |index: usize| self.directory.checked_add(2 + 12 * index);
        let found = (0..self.entries).filter_map(entry).find(|&at| self.number(at, 2) == Some(tag))?;
        self.number(found.checked_add(8)?, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Option<Vec<u8>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image/files").join(name);
        std::fs::read(path).ok()
    }

    #[test]
    fn animations_are_known() {
        for (name, animated) in [
            ("animated.gif", true),
            ("interlaced.gif", false),
            ("animated.png", true),
            ("gray8.png", false),
            ("animated.webp", true),
            ("lossy.webp", false),
            ("gray8.tif", false),
        ] {
            let bytes = file(name).unwrap();
            assert_eq!(is_animated(ImageFormat::detect(&bytes).unwrap(), &bytes), animated, "{name}");
        }
    }

    #[test]
    fn inks_are_told_from_colours() {
        for (name, cmyk) in
            [("cmyk.jpg", true), ("cmyk8.tif", true), ("rgba8_unassalpha.tif", false), ("gray8.tif", false)]
        {
            let bytes = file(name).unwrap();
            let info = crate::probe(&bytes).unwrap();
            assert_eq!(is_cmyk(info.format(), info.channels(), &bytes), cmyk, "{name}");
        }
    }

    #[test]
    fn any_bytes_are_walked() {
        for name in ["animated.gif", "animated.png", "animated.webp", "gray8.tif", "baseline_420.jpg"] {
            let bytes = file(name).unwrap();
            let format = ImageFormat::detect(&bytes).unwrap();
            for end in 0..bytes.len().min(400) {
                for value in [0, 0x21, 0x2c, 0xff] {
                    let mut bytes = bytes[..end].to_vec();
                    bytes.extend([value; 3]);
                    is_animated(format, &bytes);
                    is_cmyk(format, 4, &bytes);
                }
            }
        }
    }
}
