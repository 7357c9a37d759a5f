//! The meaning of a pixel's samples, and its RGB as libtiff computes it.

use std::io::Cursor;

use ::tiff::decoder::Decoder;
use ::tiff::tags::{ExtraSamples, Tag};

use super::{damaged, failed, unsupported};
use crate::Result;

/// The meaning of a pixel's samples.
pub(super) enum Layout {
    /// Gray, perhaps with alpha, which is dropped.
    Gray {
        max: u8,
        /// Whether zero is white.
        inverted: bool,
        /// Whether there is alpha that is not premultiplied.
        is_unassociated: bool,
    },
    /// Gray and alpha, each stored apart: only then libtiff multiplies alpha into gray.
    GrayUnassociatedAlpha,
    /// The number of a colour.
    Palette(Vec<[u8; 3]>),
    /// Colour, perhaps with premultiplied alpha.
    Rgb,
    /// Colour with alpha that is not premultiplied; libtiff multiplies it in.
    RgbUnassociatedAlpha,
    Cmyk,
    YCbCr(Box<YCbCr>),
    /// YCbCr in JPEG data, whose decoder turns it into RGB.
    YCbCrInJpeg,
    Lab(Box<Lab>),
}

type Directory<'a> = Decoder<Cursor<&'a [u8]>>;

fn numbers(directory: &mut Directory, tag: Tag) -> Result<Vec<u64>> {
    Ok(directory.find_tag_unsigned_vec::<u64>(tag).map_err(failed)?.unwrap_or_default())
}

/// Fractions of a tag, or the default.
fn fractions<const N: usize>(directory: &mut Directory, tag: u16, default: [f32; N]) -> Result<[f32; N]> {
    let Some(value) = directory.find_tag(Tag::from_u16_exhaustive(tag)).map_err(failed)? else { return Ok(default) };
    let values = match value {
        ::tiff::decoder::ifd::Value::List(values) => values,
        one => vec![one],
    };
    let fraction = |value: ::tiff::decoder::ifd::Value| {
        use ::tiff::decoder::ifd::Value::*;
        Some(match value {
            Rational(above, below) if below != 0 => (f64::from(above) / f64::from(below)) as f32,
            Short(value) => f32::from(value),
            Unsigned(value) => value as f32,
            Float(value) if value.is_finite() => value,
            _ => return None,
        })
    };
    let values: Option<Vec<f32>> = values.into_iter().map(fraction).collect();
    values
        .and_then(|values| values.try_into().ok())
        .ok_or_else(|| damaged(&format!("the values of tag {tag} are wrong")))
}

impl Layout {
    pub fn of(directory: &mut Directory, bits: u64, channels: u64, is_jpeg: bool) -> Result<Self> {
        let photometric = numbers(directory, Tag::PhotometricInterpretation)?.first().copied().unwrap_or(0);
        let extra = numbers(directory, Tag::ExtraSamples)?;
        let is_unassociated = extra.first() == Some(&ExtraSamples::UnassociatedAlpha.to_u16().into());
        let layout = match (photometric, bits, channels) {
            (0 | 1, 1 | 2 | 4, 1) | (0 | 1, 8 | 16, 1..) => {
                let max = if bits == 16 { 255 } else { ((1u32 << bits) - 1) as u8 };
                Layout::Gray { max, inverted: photometric == 0, is_unassociated }
            }
            (2, 8 | 16, 4..) if is_unassociated => Layout::RgbUnassociatedAlpha,
            (2, 8 | 16, 3..) => Layout::Rgb,
            (3, 1 | 2 | 4, 1) | (3, 8, 1..) => Layout::Palette(palette(directory, bits)?),
            (5, 8 | 16, 4..) => match numbers(directory, Tag::from_u16_exhaustive(INK_SET))?.first() {
                None | Some(1) => Layout::Cmyk,
                Some(_) => return Err(unsupported("inks other than CMYK".into())),
            },
            (6, 8, 3) if is_jpeg => Layout::YCbCrInJpeg,
            (6, 8, 3) => Layout::YCbCr(Box::new(YCbCr::of(directory)?)),
            (8, 8, 3) => Layout::Lab(Box::new(Lab::of(directory)?)),
            _ => {
                let name = match photometric {
                    0 | 1 => "gray".into(),
                    2 => "RGB".into(),
                    3 => "palette".into(),
                    4 => "mask".into(),
                    5 => "CMYK".into(),
                    6 => "YCbCr".into(),
                    8..=10 => "Lab".into(),
                    other => format!("colour space {other}"),
                };
                return Err(unsupported(format!("{name} pixels of {channels} samples of {bits} bits")));
            }
        };
        if is_jpeg && (bits != 8 || matches!(layout, Layout::Palette(_) | Layout::Lab(_))) {
            return Err(unsupported(format!("JPEG data of {bits} bits, or of such colours")));
        }
        Ok(layout)
    }

    /// The layout where each channel is stored apart.
    pub fn of_planes(self) -> Self {
        match self {
            Layout::Gray { is_unassociated: true, .. } => Layout::GrayUnassociatedAlpha,
            other => other,
        }
    }

    /// The number of channels that are looked at.
    pub fn channels(&self, stored: usize) -> usize {
        match self {
            Layout::Gray { .. } | Layout::Palette(_) => 1,
            Layout::GrayUnassociatedAlpha => 2,
            Layout::Rgb | Layout::YCbCr(_) | Layout::YCbCrInJpeg | Layout::Lab(_) => 3,
            Layout::RgbUnassociatedAlpha | Layout::Cmyk => 4,
        }
        .min(stored)
    }

    pub fn is_subsampled(&self) -> bool {
        matches!(self, Layout::YCbCr(_))
    }

    /// A sample of 16 bits as one of 8: gray keeps the upper bits, colour is rounded.
    pub fn reduce(&self, sample: u16) -> u8 {
        match self {
            Layout::Gray { .. } => (sample >> 8) as u8,
            _ => ((u32::from(sample) + 128) / 257) as u8,
        }
    }

    /// Converts the pixels of a row. Pixels without samples stay as they are.
    pub fn convert(&self, row: &mut [u8], sample: impl Fn(usize, usize) -> Option<u8>) {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let Some(rgb) = self.rgb(|channel| sample(x, channel)) else { return };
            *pixel = rgb;
        }
    }

    fn rgb(&self, at: impl Fn(usize) -> Option<u8>) -> Option<[u8; 3]> {
        Some(match self {
            Layout::Gray { max, inverted, .. } => {
                let level = if *inverted { *max - at(0)? } else { at(0)? };
                [(u32::from(level) * 255 / u32::from(*max)) as u8; 3]
            }
            Layout::GrayUnassociatedAlpha => [premultiplied(at(0)?, at(1)?); 3],
            Layout::Palette(colours) => colours.get(usize::from(at(0)?)).copied().unwrap_or_default(),
            Layout::Rgb | Layout::YCbCrInJpeg => [at(0)?, at(1)?, at(2)?],
            Layout::RgbUnassociatedAlpha => {
                let alpha = at(3)?;
                [at(0)?, at(1)?, at(2)?].map(|value| premultiplied(value, alpha))
            }
            Layout::Cmyk => {
                let paper = 255 - u32::from(at(3)?);
                [at(0)?, at(1)?, at(2)?].map(|ink| (paper * (255 - u32::from(ink)) / 255) as u8)
            }
            Layout::YCbCr(tables) => tables.rgb([at(0)?, at(1)?, at(2)?]),
            Layout::Lab(tables) => tables.rgb([at(0)?, at(1)?, at(2)?]),
        })
    }
}

fn premultiplied(value: u8, alpha: u8) -> u8 {
    ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8
}

const INK_SET: u16 = 332;
const WHITE_POINT: u16 = 318;
const YCBCR_COEFFICIENTS: u16 = 529;
const REFERENCE_BLACK_WHITE: u16 = 532;

/// The colours of a palette. Values of up to 255 are taken for 8 bits, as by libtiff.
fn palette(directory: &mut Directory, bits: u64) -> Result<Vec<[u8; 3]>> {
    let map = numbers(directory, Tag::ColorMap)?;
    let count = 1 << bits;
    if map.len() < 3 * count {
        return Err(damaged("colours of the palette are missing"));
    }
    let shift = if map.iter().any(|&value| value > 255) { 8 } else { 0 };
    Ok((0..count).map(|colour| [0, 1, 2].map(|channel| (map[channel * count + colour] >> shift) as u8)).collect())
}

/// libtiff's tables for YCbCr, of fixed-point numbers with 16 bits after the point.
pub(super) struct YCbCr {
    y: [i32; 256],
    cb_to_blue: [i32; 256],
    cb_to_green: [i32; 256],
    cr_to_red: [i32; 256],
    cr_to_green: [i32; 256],
}

impl YCbCr {
    fn of(directory: &mut Directory) -> Result<Self> {
        let [red, green, blue] = fractions(directory, YCBCR_COEFFICIENTS, [0.299, 0.587, 0.114])?;
        let reference = fractions(directory, REFERENCE_BLACK_WHITE, [0.0, 255.0, 128.0, 255.0, 128.0, 255.0])?;
        if green == 0.0 {
            return Err(damaged("the YCbCr coefficient of green is zero"));
        }
        let fixed = |value: f32| (f64::from(value.clamp(0.0, 2.0)) * 65536.0 + 0.5) as i32;
        let (for_red, for_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let [to_red, to_blue] = [for_red, for_blue].map(fixed);
        let [red_to_green, blue_to_green] = [red * for_red / green, blue * for_blue / green].map(|value| -fixed(value));
        // a code between reference black and reference white
        let value = |code: i32, black: f32, white: f32, range: f32| {
            let span = if white - black != 0.0 { white - black } else { 1.0 };
            ((code - black as i32) as f32 * range / span).clamp(-128.0 * 32.0, 128.0 * 32.0) as i32
        };
        let half = 1 << 15;
        let table = |entry: &dyn Fn(i32) -> i32| std::array::from_fn(|code| entry(code as i32));
        let cb = |code: i32| value(code - 128, reference[2] - 128.0, reference[3] - 128.0, 127.0);
        let cr = |code: i32| value(code - 128, reference[4] - 128.0, reference[5] - 128.0, 127.0);
        Ok(YCbCr {
            y: table(&|code| value(code, reference[0], reference[1], 255.0)),
            cb_to_blue: table(&|code| to_blue.wrapping_mul(cb(code)).wrapping_add(half) >> 16),
            cb_to_green: table(&|code| blue_to_green.wrapping_mul(cb(code)).wrapping_add(half)),
            cr_to_red: table(&|code| to_red.wrapping_mul(cr(code)).wrapping_add(half) >> 16),
            cr_to_green: table(&|code| red_to_green.wrapping_mul(cr(code))),
        })
    }

    fn rgb(&self, samples: [u8; 3]) -> [u8; 3] {
        let [y, cb, cr] = samples.map(usize::from);
        let green = self.cb_to_green[cb].wrapping_add(self.cr_to_green[cr]) >> 16;
        [self.cr_to_red[cr], green, self.cb_to_blue[cb]].map(|part| (self.y[y] + part).clamp(0, 255) as u8)
    }
}

/// libtiff's conversion of CIE Lab: to sRGB by a table of a gamma of 2.4.
pub(super) struct Lab {
    /// The XYZ of white.
    white: [f32; 3],
    gamma: Vec<f32>,
}

impl Lab {
    const STEPS: usize = 1500;

    fn of(directory: &mut Directory) -> Result<Self> {
        // D50
        let sum = 96.4250 + 100.0 + 82.4680;
        let [x, y] = fractions(directory, WHITE_POINT, [96.4250 / sum, 100.0 / sum])?;
        if y == 0.0 {
            return Err(damaged("its white point is wrong"));
        }
        let white = [x / y * 100.0, 100.0, (1.0 - x - y) / y * 100.0];
        let step = |i: usize| 255.0 * (i as f64 / Self::STEPS as f64).powf(1.0 / f64::from(2.4f32)) as f32;
        Ok(Lab { white, gamma: (0..=Self::STEPS).map(step).collect() })
    }

    fn rgb(&self, [l, a, b]: [u8; 3]) -> [u8; 3] {
        let lightness = f32::from(u16::from(l) * 257) * 100.0 / 65535.0;
        let [a, b] = [a, b].map(|value| f32::from(i16::from(value as i8) * 256) / 256.0);
        let [white_x, white_y, white_z] = self.white;
        let (y, root) = if lightness < 8.856 {
            let y = lightness * white_y / 903.292;
            (y, 7.787 * (y / white_y) + 16.0 / 116.0)
        } else {
            let root = (lightness + 16.0) / 116.0;
            (white_y * root * root * root, root)
        };
        let cube = |root: f32, white: f32| {
            if root < 0.2069 { white * (root - 0.13793) / 7.787 } else { white * root * root * root }
        };
        let (x, z) = (cube(a / 500.0 + root, white_x), cube(root - b / 200.0, white_z));
        const MATRIX: [[f32; 3]; 3] =
            [[3.2410, -1.5374, -0.4986], [-0.9692, 1.8760, 0.0416], [0.0556, -0.2040, 1.0570]];
        MATRIX.map(|[of_x, of_y, of_z]| {
            // a display with a light of 1 where it is black, and of 100 where it is white
            let light = (of_x * x + of_y * y + of_z * z).clamp(1.0, 100.0);
            let step = (100.0f32 - 1.0) / Self::STEPS as f32;
            let at = (((light - 1.0) / step) as usize).min(Self::STEPS);
            (self.gamma[at] + 0.5) as u8
        })
    }
}
