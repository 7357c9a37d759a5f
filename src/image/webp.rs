//! Metadata of WebP files.

/// The EXIF block of a WebP file, without the `Exif\0\0` that some writers put before it.
///
/// Read here because the `image` crate allocates the announced size of the chunk, even where the file is shorter.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = bytes.get(12..)?;
    loop {
        let (&[n0, n1, n2, n3, s0, s1, s2, s3], rest) = chunks.split_first_chunk()?;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        if [n0, n1, n2, n3] == *b"EXIF" {
            let exif = rest.get(..size)?;
            return Some(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
        }
        // chunks start at even places
        chunks = rest.get(size.checked_add(size % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_walked_within_the_file() {
        let file = |chunks: &[u8]| [b"RIFF\0\0\0\0WEBP", chunks].concat();
        assert_eq!(exif(&file(b"VP8L\x03\0\0\0abc\0EXIF\x02\0\0\0de")), Some(&b"de"[..]));
        assert_eq!(exif(&file(b"EXIF\x08\0\0\0Exif\0\0fg")), Some(&b"fg"[..]));
        assert_eq!(exif(&file(b"EXIF\xff\xff\xff\xffde")), None);
        assert_eq!(exif(&file(b"VP8L\xff\xff\xff\xffEXIF\x02\0\0\0de")), None);
        assert_eq!(exif(&file(b"VP8L\x02\0\0")), None);
        assert_eq!(exif(b"RIFF"), None);
    }
}
