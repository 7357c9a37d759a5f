//! Image file formats, and their detection by the first bytes.

use std::fmt;

use crate::file_kind::FileKind;
use crate::{Error, Result};

/// An image file format that [`decode`](crate::decode) reads.
///
/// ```
/// use image_feature::ImageFormat;
///
/// assert_eq!(ImageFormat::detect(b"GIF89a...")?, ImageFormat::Gif);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// JPEG, baseline or progressive; gray, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// PNG (of an animated PNG, the default image).
    Png,
    /// WebP, lossy or lossless (of an animation, the first frame).
    WebP,
    /// GIF (of an animation, the first frame).
    Gif,
    /// Windows and OS/2 bitmap.
    Bmp,
    /// TIFF (of several pages, the first).
    Tiff,
    /// PBM, PGM, PPM (`P1` to `P6`) and PAM (`P7`).
    Pnm,
    /// PFM: portable float map, of values from 0 to 255.
    Pfm,
    /// Sun raster (`.ras`).
    SunRaster,
    /// QOI.
    Qoi,
}

/// The formats of [`ImageFormat`], for messages.
const READ: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF, PNM, PFM, Sun raster and QOI are read";

impl ImageFormat {
    /// The format's usual name.
    ///
    /// ```
    /// assert_eq!(image_feature::ImageFormat::WebP.as_str(), "WebP");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            ImageFormat::Jpeg => "JPEG",
            ImageFormat::Png => "PNG",
            ImageFormat::WebP => "WebP",
            ImageFormat::Gif => "GIF",
            ImageFormat::Bmp => "BMP",
            ImageFormat::Tiff => "TIFF",
            ImageFormat::Pnm => "PNM",
            ImageFormat::Pfm => "PFM",
            ImageFormat::SunRaster => "Sun raster",
            ImageFormat::Qoi => "QOI",
        }
    }

    /// The format of a file that starts with these bytes. File names are not considered.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an image or document in a format that is known but
    /// not supported, [`ErrorKind::Decode`](crate::ErrorKind::Decode) for all other bytes.
    pub fn detect(bytes: &[u8]) -> Result<Self> {
        Ok(match bytes {
            [] => return Err(Error::decode(format!("not an image: the file is empty; {READ}"))),
            [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => ImageFormat::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ImageFormat::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ImageFormat::Gif,
            [b'B', b'M', ..] => ImageFormat::Bmp,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => ImageFormat::Tiff,
            [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#' => ImageFormat::Pnm,
            [b'P', b'f' | b'F', space, ..] if space.is_ascii_whitespace() => ImageFormat::Pfm,
            [0x59, 0xa6, 0x6a, 0x95, ..] => ImageFormat::SunRaster,
            [b'q', b'o', b'i', b'f', ..] => ImageFormat::Qoi,
            _ => return Err(unread(bytes)),
        })
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for bytes in none of the supported formats.
fn unread(bytes: &[u8]) -> Error {
    if let Some(what) = known_but_unread(bytes) {
        return Error::unsupported(format!(
            "this is {what}, which is not supported: convert it to JPEG or PNG; {READ}"
        ));
    }
    match FileKind::of(bytes) {
        Some(kind @ FileKind::Archive(_)) => {
            return Error::unsupported(format!("{kind}, which is not read here; {}", kind.remedy()));
        }
        Some(kind) => return Error::decode(format!("not an image but {kind}; {}", kind.remedy())),
        None => {}
    }
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Error::decode(format!("not an image (first bytes {}); {READ}", first.join(" ")))
}

/// A common format that is not supported, in words.
pub(crate) fn known_but_unread(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() >= 12 && &bytes[4..8] == b"ftyp" {
        let size = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let brands = bytes.get(8..size.min(bytes.len())).unwrap_or_default().as_chunks::<4>().0;
        let has = |names: &[&[u8; 4]]| brands.iter().any(|brand| names.contains(&brand));
        // the first brand may be a general one
        return Some(if has(&[b"avif", b"avis"]) {
            "an AVIF image"
        } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
            "a HEIC image"
        } else {
            "a video (an MP4 family file)"
        });
    }
    const MAGIC: [(&[u8], &str); 14] = [
        (b"%PDF-", "a PDF document"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (b"\xff\x0a", "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
        (b"8BPS", "a Photoshop (PSD) image"),
        (b"gimp xcf ", "a GIMP (XCF) image"),
        (b"\0\0\x01\0", "an ICO image"),
        (b"\x76\x2f\x31\x01", "an OpenEXR image"),
        (b"#?RADIANCE", "a Radiance HDR image"),
        (b"#?RGBE", "a Radiance HDR image"),
        (b"II\xbc\x01", "a JPEG XR image"),
        (b"farbfeld", "a farbfeld image"),
        (b"DDS ", "a DDS image"),
    ];
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let head = &text[..text.len().min(1024)];
    let is_markup = head.starts_with(b"<?xml") || head.starts_with(b"<!--") || head.starts_with(b"<!DOCTYPE svg");
    (head.starts_with(b"<svg") || is_markup && head.windows(4).any(|window| window == b"<svg"))
        .then_some("an SVG drawing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_formats_are_named() {
        let cases: [(&[u8], &str); 13] = [
            (b"\0\0\0\x1cftypavif....", "an AVIF image"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "an AVIF image"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image"),
            (b"\0\0\0\x1cftypheic....", "a HEIC image"),
            (b"\0\0\0\x1cftypisom....", "a video"),
            (b"%PDF-1.7", "a PDF document"),
            (b"<svg xmlns=", "an SVG drawing"),
            (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg>", "an SVG drawing"),
            (b"<!-- made by hand --><svg>", "an SVG drawing"),
            (b"\xff\x0a\0\0", "a JPEG XL image"),
            (b"\xff\x4f\xff\x51\0\0", "a JPEG 2000 image"),
            (b"#?RADIANCE\n", "a Radiance HDR image"),
            (b"8BPS\0\x01", "a Photoshop (PSD) image"),
        ];
        for (bytes, name) in cases {
            let error = ImageFormat::detect(bytes).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Unsupported, "{name}: {error}");
            assert!(error.to_string().starts_with(&format!("this is {name}")), "{error}");
        }
    }

    #[test]
    fn other_bytes_are_shown() {
        let error = ImageFormat::detect(b"\x01\x02hello, world").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Decode);
        assert!(
            error.to_string().starts_with("not an image (first bytes 01 02 68 65 6c 6c 6f 2c); JPEG, PNG"),
            "{error}"
        );
        assert!(ImageFormat::detect(b"").unwrap_err().to_string().contains("empty"));
        assert!(ImageFormat::detect(b"<?xml version='1.0'?><html>").unwrap_err().is_decode());
    }
}
