//! Features without training: colour histograms and thumbnails.

use image_feature::{Normalize, Preprocess, Resize, RgbImage};

use crate::Result;

type Method = fn(&RgbImage) -> Result<Vec<f32>>;

/// The methods by name.
pub const METHODS: [(&str, Method); 3] = [
    ("colour histogram, HSV 8x8x8, Hellinger", |image| Ok(histogram(image, 1))),
    ("the same of 2x2 parts", |image| Ok(histogram(image, 2))),
    ("thumbnail of 16x16 pixels, mean taken off", thumbnail),
];

/// Bins for each of hue, saturation and value.
const BINS: usize = 8;
/// Side of the thumbnail.
const SIDE: usize = 16;

/// The joint histogram of hue, saturation and value in each of `parts` x `parts` parts. Each histogram is the square root of
/// its shares, so that the dot product of two is the Bhattacharyya coefficient, as in Hellinger's distance.
fn histogram(image: &RgbImage, parts: usize) -> Vec<f32> {
    let mut counts = vec![0u32; parts * parts * BINS.pow(3)];
    for (index, pixel) in image.pixels().as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (index % image.width(), index / image.width());
        let part = y * parts / image.height() * parts + x * parts / image.width();
        let bin =
            hsv(*pixel).into_iter().fold(part, |at, value| at * BINS + ((value * BINS as f32) as usize).min(BINS - 1));
        counts[bin] += 1;
    }
    let roots = |part: &[u32]| -> Vec<f32> {
        let sum = part.iter().sum::<u32>().max(1) as f32;
        part.iter().map(|&count| (count as f32 / sum).sqrt()).collect()
    };
    counts.chunks_exact(BINS.pow(3)).flat_map(roots).collect()
}

/// Hue, saturation and value, each from 0 to 1.
fn hsv(pixel: [u8; 3]) -> [f32; 3] {
    let [red, green, blue] = pixel.map(f32::from);
    let most = red.max(green).max(blue);
    let range = most - red.min(green).min(blue);
    if range == 0.0 {
        return [0.0, 0.0, most / 255.0];
    }
    let hue = if most == red {
        ((green - blue) / range).rem_euclid(6.0)
    } else if most == green {
        (blue - red) / range + 2.0
    } else {
        (red - green) / range + 4.0
    };
    [hue / 6.0, range / most, most / 255.0]
}

/// The image at 16x16 pixels, with its mean subtracted, so that the cosine of two is their correlation.
fn thumbnail(image: &RgbImage) -> Result<Vec<f32>> {
    let resize = Resize::Stretch { width: SIDE, height: SIDE };
    let mut values = Preprocess { resize, normalize: Normalize::default() }.apply(image)?;
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter_mut().for_each(|value| *value -= mean);
    Ok(values)
}
