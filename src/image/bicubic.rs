//! OpenCV's bicubic resize of 8-bit images. PicoDet's input is made with it, and PaddleClas evaluates the CLIP models with
//! it; PaddleX's prediction of features does not use it.
//!
//! Equals `cv2.resize(..., interpolation=cv2.INTER_CUBIC)` bit for bit where OpenCV is built without Intel's IPP. The
//! x86 builds have IPP: some of their values differ by 1.

use super::limits::zeroed;
use super::rgb::RgbImage;
use crate::{Error, Result};

/// Keys's parameter.
const A: f32 = -0.75;
/// Fixed-point one of the weights.
const ONE: f32 = 2048.0;

/// The four source coordinates of one output coordinate, and their weights in 2048ths.
struct Tap {
    at: [usize; 4],
    weight: [i32; 4],
}

fn taps(source: usize, target: usize) -> Vec<Tap> {
    let last = source as i64 - 1;
    let scale = 1.0 / (target as f64 / source as f64);
    let tap = |i: usize| {
        let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let start = position.floor() as i64;
        let at = [-1, 0, 1, 2].map(|step| (start + step).clamp(0, last) as usize);
        let weight = weights(position - start as f32).map(|weight| (weight * ONE).round_ties_even() as i32);
        Tap { at, weight }
    };
    (0..target).map(tap).collect()
}

fn weights(x: f32) -> [f32; 4] {
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let first = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let (second, third) = (near(x), near(1.0 - x));
    [first, second, third, 1.0 - first - second - third]
}

impl RgbImage {
    /// The image stretched to `width` x `height` pixels by OpenCV's `INTER_CUBIC`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a side is zero.
    pub(crate) fn resize_bicubic(&self, width: usize, height: usize) -> Result<RgbImage> {
        if width == 0 || height == 0 {
            return Err(Error::usage(format!("cannot resize to {width}x{height} pixels: no side may be zero")));
        }
        let (columns, rows) = (taps(self.width(), width), taps(self.height(), height));
        let mut out = zeroed(3 * width * height)?;
        // source rows interpolated along x, with their numbers: neighbouring output rows share most of them
        let mut held: Vec<(usize, Vec<i32>)> = Vec::new();
        for (tap, out) in rows.iter().zip(out.chunks_exact_mut(3 * width)) {
            held.retain(|(row, _)| tap.at.contains(row));
            for &row in &tap.at {
                if !held.iter().any(|(other, _)| *other == row) {
                    held.push((row, self.row_along_x(row, &columns)));
                }
            }
            let [first, second, third, fourth] =
                tap.at.map(|row| held.iter().find(|(other, _)| *other == row).map_or(&[][..], |(_, values)| values));
            let [b0, b1, b2, b3] = tap.weight.map(|weight| weight as f32 / (1u32 << 22) as f32);
            for (at, out) in out.iter_mut().enumerate() {
                let value = |row: &[i32]| row[at] as f32;
                let sum = value(first) * b0 + (value(second) * b1 + (value(third) * b2 + value(fourth) * b3));
                *out = sum.round_ties_even().clamp(0.0, 255.0) as u8;
            }
        }
        RgbImage::new(width, height, out)
    }

    fn row_along_x(&self, row: usize, columns: &[Tap]) -> Vec<i32> {
        let row = &self.pixels()[3 * row * self.width()..][..3 * self.width()];
        let pixel = |tap: &Tap| {
            [0, 1, 2].map(|channel| {
                let values = tap.at.iter().zip(tap.weight);
                values.map(|(&at, weight)| i32::from(row[3 * at + channel]) * weight).sum::<i32>()
            })
        };
        columns.iter().flat_map(pixel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PaddleClas's input of the CLIP models, made by OpenCV with IPP.
    #[test]
    fn images_are_opencvs_but_for_a_level() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/features");
        if !golden.exists() {
            return eprintln!("skipped: {} is absent", golden.display());
        }
        let file = std::fs::read(golden.join("preprocess_clip.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        for name in ["chelsea.png", "tall_37x401.png"] {
            let bytes = std::fs::read(golden.join("inputs").join(name)).unwrap();
            let image = crate::decode(&bytes, &Default::default()).unwrap();
            let resized = image.resize_bicubic(224, 224).unwrap();
            let expected = file.tensor(&format!("{name}/x_clas_eval")).unwrap();
            let expected = expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let normalize = crate::Normalize::default();
            let mut different = 0;
            for (at, expected) in expected.enumerate() {
                let (channel, place) = (at / (224 * 224), at % (224 * 224));
                let level = (f64::from(expected) * normalize.std[channel] + normalize.mean[channel]) * 255.0;
                let off = (f64::from(resized.pixels()[3 * place + channel]) - level).abs();
                assert!(off < 1.01, "{name}: {off} levels off at {at}");
                different += usize::from(off > 0.5);
            }
            assert!(different < 3 * 224 * 224 / 10, "{name}: {different} values differ");
        }
    }

    #[test]
    fn a_plain_image_stays_plain() {
        let image = RgbImage::new(3, 2, vec![77; 18]).unwrap();
        assert!(image.resize_bicubic(10, 7).unwrap().pixels().iter().all(|&value| value == 77));
    }
}
