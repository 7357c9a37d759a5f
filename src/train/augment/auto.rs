//! RandAugment (Cubuk et al., 2019) as in PaddleClas's `TimmAutoAugment` with `rand-m7-mstd0.5-inc1`: draws two of fifteen
//! operations, and applies each with a probability of a half and a strength around 7 of 10. The operations are Pillow's.

use super::warp::{Edges, Kernel, Map, between_corners, rotation_about_centre, warp};
use crate::Result;
use crate::image::RgbImage;
use crate::random::SplitMix64;

/// The colour beyond the edges: the mean colour of ImageNet.
pub(super) const FILL: [u8; 3] = [124, 116, 104];

const OPERATIONS: usize = 2;
const PROBABILITY: f64 = 0.5;
const MAGNITUDE: f64 = 7.0;
const SPREAD: f64 = 0.5;
const LARGEST: f64 = 10.0;

type Operation = fn(RgbImage, f64, &mut SplitMix64) -> Result<RgbImage>;

/// AutoContrast, Equalize, Invert, Rotate, Posterize, Solarize, SolarizeAdd, Color, Contrast, Brightness, Sharpness, ShearX,
/// ShearY, TranslateX and TranslateY. The second argument is the strength, from 0 to 1.
const ALL: [Operation; 15] = [
    |image, _, _| per_channel(image, stretched),
    |image, _, _| per_channel(image, equalized),
    |image, _, _| mapped(image, |value| 255 - value),
    |image, strength, random| {
        let centre = [image.width() as f64 / 2.0, image.height() as f64 / 2.0];
        moved(image, rotation_about_centre(signed(30.0 * strength, random), centre))
    },
    |image, strength, _| {
        let bits = 4 - (4.0 * strength) as u32;
        mapped(image, |value| value & !(0xffu32 >> bits) as u8)
    },
    |image, strength, _| {
        let from = 256 - (256.0 * strength) as i32;
        mapped(image, |value| if i32::from(value) < from { value } else { 255 - value })
    },
    |image, strength, _| {
        let more = (110.0 * strength) as u8;
        mapped(image, |value| if value < 128 { value.saturating_add(more) } else { value })
    },
    |image, strength, random| {
        let factor = 1.0 + signed(0.9 * strength, random);
        blended(&image, factor, |image| image.pixels().as_chunks::<3>().0.iter().flat_map(|p| [luma(p); 3]).collect())
    },
    |image, strength, random| {
        let factor = 1.0 + signed(0.9 * strength, random);
        blended(&image, factor, |image| {
            let sum: u64 = image.pixels().as_chunks::<3>().0.iter().map(|p| u64::from(luma(p))).sum();
            let mean = sum as f64 / (image.width() * image.height()) as f64;
            vec![(mean + 0.5) as u8; image.pixels().len()]
        })
    },
    |image, strength, random| {
        let factor = 1.0 + signed(0.9 * strength, random);
        blended(&image, factor, |image| vec![0; image.pixels().len()])
    },
    |image, strength, random| blended(&image, 1.0 + signed(0.9 * strength, random), smoothed),
    |image, strength, random| moved(image, [1.0, signed(0.3 * strength, random), 0.0, 0.0, 1.0, 0.0]),
    |image, strength, random| moved(image, [1.0, 0.0, 0.0, signed(0.3 * strength, random), 1.0, 0.0]),
    |image, strength, random| {
        let pixels = signed(0.45 * strength, random) * image.width() as f64;
        moved(image, [1.0, 0.0, pixels, 0.0, 1.0, 0.0])
    },
    |image, strength, random| {
        let pixels = signed(0.45 * strength, random) * image.height() as f64;
        moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, pixels])
    },
];

/// Applies the drawn operations to an image.
pub(super) fn apply(mut image: RgbImage, random: &mut SplitMix64) -> Result<RgbImage> {
    let operations = [(); OPERATIONS].map(|()| ALL[random.below(ALL.len() as u64) as usize]);
    for operation in operations {
        if random.chance(PROBABILITY) {
            let magnitude = (MAGNITUDE + SPREAD * random.normal()).clamp(0.0, LARGEST);
            image = operation(image, magnitude / LARGEST, random)?;
        }
    }
    Ok(image)
}

/// The value or its negative.
fn signed(value: f64, random: &mut SplitMix64) -> f64 {
    if random.chance(0.5) { -value } else { value }
}

fn moved(image: RgbImage, map: Map) -> Result<RgbImage> {
    warp(&image, between_corners(map), Kernel::Bicubic(-1.0), Edges::Fill(FILL))
}

fn mapped(image: RgbImage, map: impl Fn(u8) -> u8) -> Result<RgbImage> {
    RgbImage::new(image.width(), image.height(), image.pixels().iter().map(|&value| map(value)).collect())
}

/// Maps each channel by a table, which is made from the channel's histogram.
fn per_channel(image: RgbImage, table: impl Fn(&[usize; 256]) -> [u8; 256]) -> Result<RgbImage> {
    let mut counts = [[0usize; 256]; 3];
    for pixel in image.pixels().as_chunks::<3>().0 {
        pixel.iter().zip(&mut counts).for_each(|(&value, counts)| counts[usize::from(value)] += 1);
    }
    let tables = counts.map(|counts| table(&counts));
    let pixels = image.pixels().as_chunks::<3>().0.iter();
    let pixels = pixels.flat_map(|pixel| [0, 1, 2].map(|channel| tables[channel][usize::from(pixel[channel])]));
    RgbImage::new(image.width(), image.height(), pixels.collect())
}

/// `ImageOps.autocontrast`
fn stretched(counts: &[usize; 256]) -> [u8; 256] {
    let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    std::array::from_fn(|value| match high > low {
        false => value as u8,
        true => {
            let scale = 255.0 / (high - low) as f64;
            (value as f64 * scale - low as f64 * scale).clamp(0.0, 255.0) as u8
        }
    })
}

/// `ImageOps.equalize`
fn equalized(counts: &[usize; 256]) -> [u8; 256] {
    let last = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
    let step = (counts.iter().sum::<usize>() - last) / 255;
    let mut so_far = step / 2;
    std::array::from_fn(|value| {
        let new = so_far.checked_div(step).unwrap_or(value);
        so_far += counts[value];
        new.min(255) as u8
    })
}

/// The gray level of a colour, as Pillow computes it.
fn luma(&[red, green, blue]: &[u8; 3]) -> u8 {
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}

/// `ImageEnhance`: factor 0 gives the plain image, 1 gives this image, and more extrapolates.
fn blended(image: &RgbImage, factor: f64, plain: impl Fn(&RgbImage) -> Vec<u8>) -> Result<RgbImage> {
    let blend = |(&value, plain): (&u8, u8)| {
        let plain = f64::from(plain);
        (plain + factor * (f64::from(value) - plain)).clamp(0.0, 255.0) as u8
    };
    let pixels = image.pixels().iter().zip(plain(image)).map(blend).collect();
    RgbImage::new(image.width(), image.height(), pixels)
}

/// `ImageFilter.SMOOTH`; the outermost pixels stay.
fn smoothed(image: &RgbImage) -> Vec<u8> {
    let (width, height) = (image.width(), image.height());
    let old = image.pixels();
    let mut pixels = old.to_vec();
    for y in 1..height.saturating_sub(1) {
        for at in 3 * (y * width + 1)..3 * ((y + 1) * width).saturating_sub(1) {
            let around = [at - 3 * width, at, at + 3 * width].into_iter().flat_map(|at| [at - 3, at, at + 3]);
            let sum: u32 = around.map(|at| u32::from(old[at])).sum::<u32>() + 4 * u32::from(old[at]);
            pixels[at] = ((f64::from(sum) / 13.0) + 0.5) as u8;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pixels: &[[u8; 3]], width: usize) -> RgbImage {
        RgbImage::new(width, pixels.len() / width, pixels.concat()).unwrap()
    }

    fn run(operation: usize, image: RgbImage, strength: f64, seed: u64) -> Vec<u8> {
        ALL[operation](image, strength, &mut SplitMix64::new(seed)).unwrap().pixels().to_vec()
    }

    /// The expected values are those of Pillow 13: `ImageOps.autocontrast`, `equalize`, `invert`, `posterize`, `solarize`.
    #[test]
    fn tables_are_pillows() {
        let ramp = || image(&[[50, 0, 9], [100, 80, 9], [150, 160, 9], [200, 255, 9]], 4);
        assert_eq!(run(0, ramp(), 0.7, 0), [0, 0, 9, 85, 80, 9, 170, 160, 9, 255, 255, 9]);
        assert_eq!(run(1, ramp(), 0.7, 0), ramp().pixels());
        assert_eq!(run(2, ramp(), 0.7, 0)[..3], [205, 255, 246]);
        // 4 - int(2.8) = 2 bits, values below 256 - 179 = 77 stay, 110 * 0.7 is added to those below 128
        assert_eq!(run(4, ramp(), 0.7, 0), [0, 0, 0, 64, 64, 0, 128, 128, 0, 192, 192, 0]);
        assert_eq!(run(5, ramp(), 0.7, 0), [50, 0, 9, 155, 175, 9, 105, 95, 9, 55, 0, 9]);
        assert_eq!(run(6, ramp(), 0.7, 0), [127, 77, 86, 177, 157, 86, 150, 160, 86, 200, 255, 86]);
    }

    #[test]
    fn enhancements_keep_what_they_are_about() {
        let gray = image(&[[90; 3], [90; 3]], 2);
        let colour = image(&[[200, 40, 0], [0, 40, 200]], 2);
        for seed in 0..4 {
            assert_eq!(run(7, gray.clone(), 0.7, seed), gray.pixels(), "gray has no colour to lose");
            assert_eq!(run(8, gray.clone(), 0.7, seed), gray.pixels(), "nor contrast");
            assert_eq!(run(10, gray.clone(), 0.7, seed), gray.pixels(), "nor sharpness");
            let brighter = run(9, colour.clone(), 0.7, seed);
            assert!(brighter[0] == 255 || brighter[0] == 74, "200 times 1.63 or 0.37, not {}", brighter[0]);
        }
    }

    #[test]
    fn translations_show_the_fill() {
        let white = image(&[[255; 3]; 100], 10);
        for operation in [13, 14] {
            let moved = run(operation, white.clone(), 0.7, 1);
            let filled = moved.as_chunks::<3>().0.iter().filter(|pixel| **pixel == FILL).count();
            assert_eq!(filled, 30, "0.45 * 0.7 of ten rows or columns");
        }
    }
}
