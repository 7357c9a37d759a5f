//! Encoding of drawings as files.

use std::io::Cursor;

use ::image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use ::image::{DynamicImage, ImageFormat, RgbImage as Buffer};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

use crate::dataset::compat::SampleFormat;
use crate::{Error, Result, RgbImage};

/// An image as a file of this format; `None` for [`SampleFormat::Other`]. JPEG has Pillow's quality of 75, WebP is
/// lossless.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the format cannot hold the image, such as a side
/// that is too long.
pub fn encode(image: &RgbImage, format: SampleFormat) -> Result<Option<Vec<u8>>> {
    let failed = |error: &dyn std::fmt::Display| Error::unsupported(format!("the drawing cannot be saved: {error}"));
    let format = match format {
        SampleFormat::Other => return Ok(None),
        SampleFormat::Jpeg => {
            let encoder = Encoder::new(image.pixels(), image.width(), image.height(), PixelFormat::Rgb);
            let encoder = encoder.quality(75).subsampling(Subsampling::S420);
            return encoder.encode().map(Some).map_err(|error| failed(&error));
        }
        SampleFormat::Png => ImageFormat::Png,
        SampleFormat::Bmp => ImageFormat::Bmp,
        SampleFormat::Gif => ImageFormat::Gif,
        SampleFormat::WebP => ImageFormat::WebP,
        SampleFormat::Tiff => ImageFormat::Tiff,
        SampleFormat::Pnm => ImageFormat::Pnm,
        SampleFormat::Qoi => ImageFormat::Qoi,
    };
    let buffer = Buffer::from_raw(image.width() as u32, image.height() as u32, image.pixels().to_vec())
        .ok_or_else(|| Error::internal("an image's pixels are not as many as its sides say"))?;
    let mut file = Cursor::new(Vec::new());
    let written = match format {
        ImageFormat::Pnm => {
            let encoder = PnmEncoder::new(&mut file).with_subtype(PnmSubtype::Pixmap(SampleEncoding::Binary));
            buffer.write_with_encoder(encoder)
        }
        // the encoder takes four channels
        ImageFormat::Gif => DynamicImage::from(buffer).to_rgba8().write_to(&mut file, format),
        _ => buffer.write_to(&mut file, format),
    };
    written.map_err(|error| failed(&error))?;
    Ok(Some(file.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_reads_back_in_its_own() {
        let pixels: Vec<u8> = (0..40 * 30).flat_map(|i| [i as u8, (i / 5) as u8, 90]).collect();
        let image = RgbImage::new(40, 30, pixels).unwrap();
        let formats = [
            (SampleFormat::Png, crate::ImageFormat::Png),
            (SampleFormat::Jpeg, crate::ImageFormat::Jpeg),
            (SampleFormat::Bmp, crate::ImageFormat::Bmp),
            (SampleFormat::Gif, crate::ImageFormat::Gif),
            (SampleFormat::WebP, crate::ImageFormat::WebP),
            (SampleFormat::Tiff, crate::ImageFormat::Tiff),
            (SampleFormat::Pnm, crate::ImageFormat::Pnm),
            (SampleFormat::Qoi, crate::ImageFormat::Qoi),
        ];
        for (format, expected) in formats {
            let file = encode(&image, format).unwrap().unwrap();
            assert_eq!(crate::probe(&file).unwrap().format(), expected);
            let again = crate::decode(&file, &crate::DecodeLimits::default()).unwrap();
            assert_eq!((again.width(), again.height()), (40, 30), "{expected}");
            if !matches!(format, SampleFormat::Jpeg | SampleFormat::Gif) {
                assert!(again == image, "{expected}");
            }
        }
        assert_eq!(encode(&image, SampleFormat::Other).unwrap(), None);
    }
}
