//! The outer structure of image files: their chunks and blocks, and their end.

use flate2::Crc;

use super::format::ImageFormat;

/// A chunk of a PNG file.
pub(crate) struct PngChunk<'a> {
    pub name: &'a [u8; 4],
    pub content: &'a [u8],
    /// Whether content and checksum are all there.
    pub is_whole: bool,
    checksum: Option<u32>,
}

impl PngChunk<'_> {
    /// Whether the checksum is right.
    pub fn is_sound(&self) -> bool {
        let mut sum = Crc::new();
        sum.update(self.name);
        sum.update(self.content);
        self.checksum == Some(sum.sum())
    }
}

/// The chunks of a PNG file.
pub(crate) fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = PngChunk<'_>> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&len, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let len = u32::from_be_bytes(len) as usize;
        let (content, after) = after.split_at_checked(len).unwrap_or((after, &[]));
        let checksum = after.first_chunk().map(|&bytes| u32::from_be_bytes(bytes));
        let is_whole = content.len() == len && checksum.is_some();
        rest = after.get(4..).unwrap_or_default();
        Some(PngChunk { name, content, is_whole, checksum })
    })
}

/// The names and contents of a WebP file's chunks, up to the first that is not complete.
///
/// Read here because the `image` crate allocates the announced size of a chunk, even where the file is shorter.
pub(crate) fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (&size, after) = after.split_first_chunk()?;
        let size = u32::from_le_bytes(size) as usize;
        let content = after.get(..size)?;
        // chunks start at even places
        rest = after.get(size.checked_add(size % 2)?..).unwrap_or_default();
        Some((name, content))
    })
}

/// Whether a file is cut off: its end mark is missing, or it is shorter than announced.
pub(crate) fn ends_early(format: ImageFormat, bytes: &[u8]) -> bool {
    let u32_at = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
    match format {
        // other data may follow the end of the first two: a phone's short film, a second picture
        ImageFormat::Jpeg => !has_jpeg_end(bytes),
        ImageFormat::Png => !png_chunks(bytes).any(|chunk| chunk.name == b"IEND" && chunk.is_whole),
        ImageFormat::Gif => !walk_gif(bytes).1,
        ImageFormat::WebP => u32_at(4).is_none_or(|size| u64::from(size) + 8 > bytes.len() as u64),
        ImageFormat::Bmp => u32_at(2).is_none_or(|size| u64::from(size) > bytes.len() as u64),
        // these formats have neither an end mark nor a length: their decoders find it
        ImageFormat::Tiff | ImageFormat::Pnm | ImageFormat::Pfm | ImageFormat::SunRaster | ImageFormat::Qoi => false,
    }
}

/// Whether a JPEG has its end mark. Thumbnails in its metadata have end marks of their own.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    const SCAN: u8 = 0xda;
    let mut rest = bytes.get(2..).unwrap_or_default();
    let mut has_scan = false;
    // what is no mark is stray, or the data of a scan
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff)) {
        let after = &rest[at + 2..];
        rest = match rest[at + 1] {
            END => return true,
            // no segment follows
            1 | 0xd0..=0xd8 => after,
            mark => {
                has_scan |= mark == SCAN;
                let len = after.first_chunk().map_or(0, |&len| usize::from(u16::from_be_bytes(len)));
                after.get(len..).unwrap_or_default()
            }
        };
    }
    // what looks like a segment in a damaged scan may have led beyond the end
    let last = bytes.windows(2).rposition(|pair| pair == [0xff, END]);
    has_scan && last.is_some_and(|end| !bytes[end..].windows(2).any(|pair| pair == [0xff, SCAN]))
}

/// The number of frames of a GIF up to the first damage, and whether the end mark was found.
pub(crate) fn walk_gif(bytes: &[u8]) -> (u32, bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image/files").join(name);
        std::fs::read(path).unwrap()
    }

    #[test]
    fn whole_files_end_and_cut_ones_do_not() {
        for name in ["baseline_420.jpg", "gray8.png", "lossy.webp", "interlaced.gif", "gray8.bmp", "animated.gif"] {
            let bytes = file(name);
            let format = ImageFormat::detect(&bytes).unwrap();
            assert!(!ends_early(format, &bytes), "{name}");
            for cut in [bytes.len() / 2, bytes.len() - 2] {
                assert!(ends_early(format, &bytes[..cut]), "{name} cut to {cut}");
            }
        }
        assert!(!ends_early(ImageFormat::Jpeg, &[&b"\xff\xd8\xff\xd9"[..], &[7; 5000]].concat()));
    }

    #[test]
    fn what_follows_the_end_and_what_is_in_the_metadata_does_not_count() {
        let film = b"\0\0\0\x18ftypmp42 and then \xff\xda in its data";
        for name in ["baseline_420.jpg", "gray8.png"] {
            let bytes = [&file(name)[..], film].concat();
            assert!(!ends_early(ImageFormat::detect(&bytes).unwrap(), &bytes), "{name}");
        }
        let photo = file("baseline_420.jpg");
        let thumbnail = [&b"\xff\xd8\xff\xe1\0\x08\xff\xd8\xff\xd9ab"[..], &photo[2..]].concat();
        assert!(!ends_early(ImageFormat::Jpeg, &thumbnail));
        assert!(ends_early(ImageFormat::Jpeg, &thumbnail[..thumbnail.len() / 2]));
        assert!(ends_early(ImageFormat::Jpeg, b"\xff\xd8\xff\xe1\0\x08\xff\xd8\xff\xd9ab"));
    }

    #[test]
    fn any_bytes_are_walked() {
        for name in ["animated.gif", "animated.png", "animated.webp", "gray8.bmp", "baseline_420.jpg"] {
            let bytes = file(name);
            let format = ImageFormat::detect(&bytes).unwrap();
            for end in 0..bytes.len().min(400) {
                for value in [0, 0x21, 0x2c, 0xff] {
                    let bytes = [&bytes[..end], &[value; 3]].concat();
                    ends_early(format, &bytes);
                    png_chunks(&bytes).for_each(|chunk| assert!(!chunk.is_sound() || chunk.is_whole));
                }
            }
        }
    }

    #[test]
    fn chunks_are_walked_within_the_file() {
        let chunks = |chunks: &[u8]| -> Vec<(String, Vec<u8>)> {
            let file = [b"RIFF\0\0\0\0WEBP", chunks].concat();
            let text = |name: &[u8; 4]| String::from_utf8_lossy(name).into_owned();
            webp_chunks(&file).map(|(name, content)| (text(name), content.to_vec())).collect()
        };
        let both = chunks(b"VP8L\x03\0\0\0abc\0EXIF\x02\0\0\0de");
        assert_eq!(both, [("VP8L".into(), b"abc".to_vec()), ("EXIF".into(), b"de".to_vec())]);
        assert!(chunks(b"EXIF\xff\xff\xff\xffde").is_empty());
        assert!(chunks(b"VP8L\xff\xff\xff\xffEXIF\x02\0\0\0de").is_empty());
        assert!(chunks(b"VP8L\x02\0\0").is_empty());
        assert_eq!(webp_chunks(b"RIFF").count(), 0);
    }
}
