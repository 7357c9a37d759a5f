//! What Pillow says to an image that is opened, drawn on and saved.

use super::{Exception, Stop, python};
use crate::{DecodeLimits, ErrorKind, RgbImage, decode, probe};

/// Pillow refuses more pixels than this.
const MOST_PIXELS: u64 = 178_956_970;

/// Images narrower than this make PaddleX ask for a font of size 0.
const LEAST_WIDTH: usize = 20;

/// Opens an image as `Image.open(path)` and `exif_transpose` do, and draws on it as far as that can fail. None for a
/// format that Pillow reads and this crate does not.
pub(super) fn open(bytes: &[u8], path: &str) -> Result<Option<RgbImage>, Stop> {
    let Ok(info) = probe(bytes) else {
        return if only_pillow_reads(bytes) { Ok(None) } else { Err(unidentified(path)) };
    };
    let pixels = u64::from(info.width()) * u64::from(info.height());
    if pixels > MOST_PIXELS {
        let message = format!(
            "Image size ({pixels} pixels) exceeds limit of {MOST_PIXELS} pixels, could be decompression bomb DOS attack."
        );
        return Err(Exception::new("PIL.Image.DecompressionBombError", message).into());
    }
    if is_cut_jpeg(bytes) {
        // how many bytes are left over depends on where libjpeg stops
        return Err(Exception::new("OSError", "image file is truncated (0 bytes not processed)").into());
    }
    let image = decode(bytes, &DecodeLimits::default()).map_err(|error| match error.kind() {
        ErrorKind::Decode | ErrorKind::Unsupported => {
            Exception::new("OSError", "broken data stream when reading image file").into()
        }
        _ => Stop::Error(error.context(path.to_string())),
    })?;
    if image.width() < LEAST_WIDTH {
        return Err(Exception::new("ValueError", "font size must be greater than 0, not 0").into());
    }
    Ok(Some(image))
}

fn unidentified(path: &str) -> Stop {
    let message = format!("cannot identify image file {}", python::string_repr(path));
    Exception::new("PIL.UnidentifiedImageError", message).into()
}

/// Whether these first bytes are those of a format that Pillow opens and this crate does not.
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

/// Whether a JPEG breaks off: no end marker follows its first scan. Pillow says so where OpenCV shows what there is.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"\xff\xd8") {
        return false;
    }
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => at += 1,
            0xda => return !bytes[at..].windows(2).any(|pair| pair == b"\xff\xd9"),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return true,
            },
        }
    }
    at >= bytes.len()
}

/// In which format a drawing is saved, by its name's extension.
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
    /// `.ppm`, `.pgm`, `.pbm`, `.pnm`, `.pfm`, all of them with colours
    Pnm,
    /// `.qoi`
    Qoi,
    /// One that Pillow writes and this crate does not.
    Other,
}

/// The format in which Pillow saves under this name; RGB is what there is to save. From Pillow 13's table of extensions.
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
        assert!(!is_cut_jpeg(whole));
        for end in [whole.len() - 2, whole.len() / 2, 30, 4, 2] {
            assert!(is_cut_jpeg(&whole[..end]), "{end}");
        }
        assert!(!is_cut_jpeg(b"\x89PNG"));
    }
}
