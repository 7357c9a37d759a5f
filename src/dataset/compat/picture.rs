//! Pillow's results and errors for an image that is opened, drawn on and saved.

use super::{Exception, Stop, python};
use crate::{DecodeOptions, ErrorKind, Orient, RgbImage, decode_with, probe};

/// The most pixels of an image in Pillow.
const MOST_PIXELS: u64 = 178_956_970;

/// The narrowest image. For narrower ones, PaddleX computes a font size of 0.
const LEAST_WIDTH: usize = 20;

/// Opens an image with the results of `Image.open(path)` and `exif_transpose`, and with the errors of drawing on it.
/// `None` for a format that Pillow reads and this crate does not.
pub(super) fn open(bytes: &[u8], path: &str) -> Result<Option<RgbImage>, Stop> {
    let (width, height) = if bytes.starts_with(b"\xff\xd8\xff") {
        match JpegHeader::read(bytes) {
            JpegHeader::Good { width, height, is_cut } => {
                check_size(width, height)?;
                if is_cut {
                    // Pillow's number of bytes depends on where libjpeg stops
                    return Err(os_error("image file is truncated (0 bytes not processed)"));
                }
                (width, height)
            }
            JpegHeader::Cut => return Err(os_error("Truncated File Read")),
            JpegHeader::Bad => return Err(unidentified(path)),
        }
    } else {
        match probe(bytes) {
            Ok(info) => (info.width(), info.height()),
            Err(_) if only_pillow_reads(bytes) => return Ok(None),
            Err(_) => return Err(unidentified(path)),
        }
    };
    check_size(width, height)?;
    // unlike OpenCV, Pillow turns WebP, too
    let options = DecodeOptions { orient: Orient::Exif, ..DecodeOptions::default() };
    let image = decode_with(bytes, &options).map(|decoded| decoded.image).map_err(|error| match error.kind() {
        ErrorKind::Decode | ErrorKind::Unsupported => os_error("broken data stream when reading image file"),
        _ => Stop::Error(error.context(path.to_string())),
    })?;
    if image.width() < LEAST_WIDTH {
        return Err(Exception::new("ValueError", "font size must be greater than 0, not 0").into());
    }
    Ok(Some(image))
}

fn check_size(width: u32, height: u32) -> Result<(), Exception> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels <= MOST_PIXELS {
        return Ok(());
    }
    let message = format!(
        "Image size ({pixels} pixels) exceeds limit of {MOST_PIXELS} pixels, could be decompression bomb DOS attack."
    );
    Err(Exception::new("PIL.Image.DecompressionBombError", message))
}

fn os_error(message: &str) -> Stop {
    Exception::new("OSError", message).into()
}

fn unidentified(path: &str) -> Stop {
    let message = format!("cannot identify image file {}", python::string_repr(path));
    Exception::new("PIL.UnidentifiedImageError", message).into()
}

/// Whether the first bytes are those of a format that Pillow reads and this crate does not.
fn only_pillow_reads(bytes: &[u8]) -> bool {
    const MAGIC: [&[u8]; 11] = [
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\xff\x4f\xff\x51",
        b"8BPS",
        b"\0\0\x01\0",
        b"\0\0\x02\0",
        b"DDS ",
        b"icns",
        b"%!PS",
        b"\x01\xda",
        b"\x59\xa6\x6a\x95",
        b"SIMPLE",
    ];
    let is_avif = bytes.len() >= 12 && &bytes[4..8] == b"ftyp" && matches!(&bytes[8..12], b"avif" | b"avis");
    is_avif || MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

/// The result of Pillow's own reading of a JPEG's markers, before it calls libjpeg.
#[derive(Debug, PartialEq, Eq)]
enum JpegHeader {
    /// `is_cut`: no end marker follows the first scan. Pillow refuses such a file; OpenCV decodes a part of it.
    Good { width: u32, height: u32, is_cut: bool },
    /// The file ends within a segment.
    Cut,
    /// Not a JPEG to Pillow.
    Bad,
}

impl JpegHeader {
    fn read(bytes: &[u8]) -> Self {
        let mut size = None;
        let mut at = 2;
        loop {
            // skip bytes up to the next marker
            let marker = match bytes.get(at..at + 2) {
                None => return JpegHeader::Bad,
                Some(&[0xff, 0xff]) => {
                    at += 1;
                    continue;
                }
                Some(&[0xff, 0]) => {
                    at += 2;
                    continue;
                }
                Some(&[0xff, marker]) => marker,
                Some(_) => {
                    at += 1;
                    continue;
                }
            };
            at += 2;
            match marker {
                ..0xc0 => return JpegHeader::Bad,
                0xc8 | 0xd0..=0xd9 | 0xf0..=0xfd => continue,
                _ => {}
            }
            let Some(length) = bytes.get(at..at + 2) else { return JpegHeader::Bad };
            let length = usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            let Some(segment) = bytes.get(at + 2..at + length) else { return JpegHeader::Cut };
            at += length;
            match marker {
                0xda => break,
                0xdb if !are_tables(segment) => return JpegHeader::Bad,
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xde => match *segment {
                    [8, h1, h0, w1, w0, 1 | 3 | 4, ref components @ ..] if components.len().is_multiple_of(3) => {
                        size = Some([[w1, w0], [h1, h0]].map(|side| u32::from(u16::from_be_bytes(side))));
                    }
                    _ => return JpegHeader::Bad,
                },
                _ => {}
            }
        }
        match size {
            Some([width, height]) if width > 0 && height > 0 => {
                let is_cut = !bytes[at..].windows(2).any(|pair| pair == b"\xff\xd9");
                JpegHeader::Good { width, height, is_cut }
            }
            _ => JpegHeader::Bad,
        }
    }
}

/// Whether a segment consists of complete quantisation tables of 8 or 16 bits.
fn are_tables(mut segment: &[u8]) -> bool {
    while let Some(&first) = segment.first() {
        let length = if first < 16 { 65 } else { 129 };
        match segment.get(length..) {
            Some(rest) => segment = rest,
            None => return false,
        }
    }
    true
}

/// The format of a drawing, by its name's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// `.png`, `.apng`
    Png,
    /// `.jpg`, `.jpeg`, `.jpe`, `.jfif`, `.mpo`
    Jpeg,
    /// `.bmp`
    Bmp,
    /// `.gif`
    Gif,
    /// `.webp`
    WebP,
    /// `.tif`, `.tiff`
    Tiff,
    /// `.ppm`, `.pgm`, `.pbm`, `.pnm`, `.pfm`, all of them saved in colour
    Pnm,
    /// `.qoi`
    Qoi,
    /// A format that Pillow writes and this crate does not
    Other,
}

/// The format in which Pillow saves an RGB image under this name, or Pillow's exception. From Pillow 13's table of
/// extensions.
pub(super) fn format_to_save(name: &str) -> Result<SampleFormat, Exception> {
    let extension = match name.trim_start_matches('.').rsplit_once('.') {
        Some((_, extension)) => format!(".{}", extension.to_lowercase()),
        None => String::new(),
    };
    let (class, message) = match extension.strip_prefix('.').unwrap_or_default() {
        "png" | "apng" => return Ok(SampleFormat::Png),
        "jpg" | "jpeg" | "jpe" | "jfif" | "mpo" => return Ok(SampleFormat::Jpeg),
        "bmp" => return Ok(SampleFormat::Bmp),
        "gif" => return Ok(SampleFormat::Gif),
        "webp" => return Ok(SampleFormat::WebP),
        "tif" | "tiff" => return Ok(SampleFormat::Tiff),
        "ppm" | "pgm" | "pbm" | "pnm" | "pfm" => return Ok(SampleFormat::Pnm),
        "qoi" => return Ok(SampleFormat::Qoi),
        "avif" | "avifs" | "bw" | "rgb" | "rgba" | "sgi" | "dds" | "dib" | "eps" | "ps" | "icb" | "tga" | "vda"
        | "vst" | "icns" | "ico" | "im" | "j2c" | "j2k" | "jp2" | "jpc" | "jpf" | "jpx" | "pcx" | "pdf" => {
            return Ok(SampleFormat::Other);
        }
        "cur" => ("KeyError", "'CUR'"),
        "dcx" => ("KeyError", "'DCX'"),
        "fit" | "fits" => ("KeyError", "'FITS'"),
        "flc" | "fli" => ("KeyError", "'FLI'"),
        "ftc" | "ftu" => ("KeyError", "'FTEX'"),
        "gbr" => ("KeyError", "'GBR'"),
        "iim" => ("KeyError", "'IPTC'"),
        "mpeg" | "mpg" => ("KeyError", "'MPEG'"),
        "pcd" => ("KeyError", "'PCD'"),
        "psd" => ("KeyError", "'PSD'"),
        "pxr" => ("KeyError", "'PIXAR'"),
        "ras" => ("KeyError", "'SUN'"),
        "xpm" => ("KeyError", "'XPM'"),
        "blp" => ("ValueError", "Unsupported BLP image mode"),
        "bufr" => ("OSError", "BUFR save handler not installed"),
        "emf" | "wmf" => ("OSError", "WMF save handler not installed"),
        "grib" => ("OSError", "GRIB save handler not installed"),
        "h5" | "hdf" => ("OSError", "HDF5 save handler not installed"),
        "msp" => ("OSError", "cannot write mode RGB as MSP"),
        "palm" => ("OSError", "cannot write mode RGB as Palm"),
        "xbm" => ("OSError", "cannot write mode RGB as XBM"),
        _ => return Err(Exception::new("ValueError", format!("unknown file extension: {extension}"))),
    };
    Err(Exception::new(class, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_how_a_drawing_is_saved() {
        assert_eq!(format_to_save("a.b.JPG"), Ok(SampleFormat::Jpeg));
        assert_eq!(format_to_save("a.ico"), Ok(SampleFormat::Other));
        let unknown = [("a", ""), (".png", ""), ("a.", "."), ("a.tar.gz", ".gz"), ("a.PNGX", ".pngx")];
        for (name, extension) in unknown {
            assert_eq!(format_to_save(name).unwrap_err().message, format!("unknown file extension: {extension}"));
        }
        assert_eq!(format_to_save("a.psd"), Err(Exception::new("KeyError", "'PSD'")));
    }

    #[test]
    fn a_jpeg_is_cut_where_no_end_follows_its_scan() {
        let whole = include_bytes!("../../../tests/image/files/baseline_420.jpg");
        let JpegHeader::Good { width, height, is_cut: false } = JpegHeader::read(whole) else {
            panic!("{:?}", JpegHeader::read(whole))
        };
        for end in [1, 2, 20] {
            let cut = JpegHeader::read(&whole[..whole.len() - end]);
            assert_eq!(cut, JpegHeader::Good { width, height, is_cut: true });
        }
        assert_eq!(JpegHeader::read(&whole[..30]), JpegHeader::Cut);
        assert_eq!(JpegHeader::read(&whole[..3]), JpegHeader::Bad);
        assert_eq!(JpegHeader::read(b"\xff\xd8\xff\xd9"), JpegHeader::Bad);
        for end in 0..whole.len() {
            JpegHeader::read(&whole[..end]);
        }
    }
}
