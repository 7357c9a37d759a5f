//! What OpenCV makes of PNM samples whose maximum is not 255: binary ones it takes as they are, of 16 bits the upper 8; only plain
//! text ones of 8 bits it scales. The `image` crate scales them all, which is undone here.

use ::image::ColorType;
use ::image::codecs::pnm::{PnmDecoder, PnmSubtype, SampleEncoding};

use super::format::ImageFormat;
use super::raster::failed;
use crate::Result;

/// Brings decoded samples to what OpenCV reads, in place. PAM samples stay scaled, as the format has it.
pub(super) fn unscale(bytes: &[u8], color: ColorType, samples: &mut [u8]) -> Result<()> {
    let decoder = PnmDecoder::new(bytes).map_err(|error| failed(ImageFormat::Pnm, error))?;
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
