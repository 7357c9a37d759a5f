//! PNM samples with a maximum other than 255, as OpenCV reads them. OpenCV takes binary samples as they are (of 16 bits
//! the upper 8) and scales only 8-bit samples of the text form. The `image` crate scales all of them; this module
//! undoes that.

use ::image::ColorType;
use ::image::codecs::pnm::{PnmDecoder, PnmSubtype, SampleEncoding};
use ::image::error::ImageError;

/// Turns decoded samples into OpenCV's, in place. PAM samples stay scaled, as their format asks.
pub(super) fn unscale(bytes: &[u8], color: ColorType, samples: &mut [u8]) -> Result<(), ImageError> {
    let decoder = PnmDecoder::new(bytes)?;
    let max = decoder.header().maximal_sample();
    let encoding = match decoder.subtype() {
        PnmSubtype::Graymap(encoding) | PnmSubtype::Pixmap(encoding) => encoding,
        PnmSubtype::Bitmap(_) | PnmSubtype::ArbitraryMap => return Ok(()),
    };
    let written = |scaled: u32, full: u32| (scaled * max + full / 2) / full;
    match color {
        ColorType::L16 | ColorType::Rgb16 if max < 65535 => {
            for sample in samples.as_chunks_mut::<2>().0 {
                *sample = (written(u16::from_ne_bytes(*sample).into(), 65535) as u16).to_ne_bytes();
            }
        }
        ColorType::L8 | ColorType::Rgb8 if max < 255 => {
            for sample in samples {
                let value = written((*sample).into(), 255);
                *sample = if encoding == SampleEncoding::Ascii { value * 255 / max } else { value } as u8;
            }
        }
        _ => {}
    }
    Ok(())
}
