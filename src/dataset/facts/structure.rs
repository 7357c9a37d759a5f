//! Facts from the structure of an image file: several frames, a missing end, CMYK.

use crate::ImageFormat;

/// Whether a file has more than one frame or page.
pub(super) fn is_animated(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Gif => walk_gif(bytes).0 > 1,
        ImageFormat::Png => png_chunks(bytes).any(|(name, _)| name == b"acTL"),
        // the extended header's flag
        ImageFormat::WebP => bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0),
        ImageFormat::Tiff => has_second_page(bytes).unwrap_or(false),
        _ => false,
    }
}

/// Whether a file is cut off: its end mark is missing, or it is shorter than announced.
pub(super) fn ends_early(format: ImageFormat, bytes: &[u8]) -> bool {
    let u32_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
    match format {
        // there may be other data after the end, and thumbnails in the metadata have end marks of their own
        ImageFormat::Jpeg => {
            let end = bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
            end.is_none_or(|end| bytes[end..].windows(2).any(|pair| pair == [0xff, 0xda]))
        }
        ImageFormat::Png => png_chunks(bytes).last().is_none_or(|(name, is_whole)| name != b"IEND" || !is_whole),
        ImageFormat::Gif => !walk_gif(bytes).1,
        ImageFormat::WebP => u32_at(4).is_none_or(|size| u64::from(size) + 8 > bytes.len() as u64),
        ImageFormat::Bmp => u32_at(2).is_none_or(|size| u64::from(size) > bytes.len() as u64),
        // these formats have neither an end mark nor a length: their decoders find it
        ImageFormat::Tiff | ImageFormat::Pnm | ImageFormat::Qoi => false,
    }
}

/// The names of a PNG's chunks, and whether each is complete.
fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], bool)> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[l0, l1, l2, l3], after) = rest.split_first_chunk()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        // content and checksum
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let whole = length.checked_add(4).and_then(|length| after.get(length..));
        rest = whole.unwrap_or_default();
        Some((name, whole.is_some()))
    })
}

/// The number of frames of a GIF up to the first damage, and whether the end mark was found.
fn walk_gif(bytes: &[u8]) -> (u32, bool) {
    let mut frames = 0;
    let ended = walk_gif_blocks(bytes, &mut frames).unwrap_or(false);
    (frames, ended)
}

fn walk_gif_blocks(bytes: &[u8], frames: &mut u32) -> Option<bool> {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 * (2usize << (flags & 7)) } else { 0 };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x3b => return Some(true),
            0x21 => at += 2,
            0x2c => {
                *frames += 1;
                at += 10 + table(*bytes.get(at + 9)?) + 1;
            }
            // an empty block, which decoders skip
            0 => {
                at += 1;
                continue;
            }
            _ => return Some(false),
        }
        // blocks of data, up to an empty one
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
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
    fn whole_files_end_and_cut_ones_do_not() {
        for name in ["baseline_420.jpg", "gray8.png", "lossy.webp", "interlaced.gif", "gray8.bmp", "animated.gif"] {
            let bytes = file(name).unwrap();
            let format = ImageFormat::detect(&bytes).unwrap();
            assert!(!ends_early(format, &bytes), "{name}");
            for cut in [bytes.len() / 2, bytes.len() - 2] {
                assert!(ends_early(format, &bytes[..cut]), "{name} cut to {cut}");
            }
        }
        assert!(!ends_early(ImageFormat::Jpeg, &[&b"\xff\xd8\xff\xd9"[..], &[7; 5000]].concat()));
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
                    ends_early(format, &bytes);
                }
            }
        }
    }
}
