//! The bicubic resize of 8-bit images by Intel's IPP, in floats: OpenCV's builds for x86 take it, and so does PaddleX there.
//!
//! The weights are computed in double precision; rows are interpolated along x, then along y. IPP's code is closed. Of the
//! orders of operations that were tried, this one gives all 1 228 800 bytes of a photo that PaddleX's OpenCV resized.

use super::limits::zeroed;
use super::rgb::RgbImage;
use crate::{Error, Result};

/// Keys's parameter.
const A: f64 = -0.75;
/// Images with a shorter side than the taps go through OpenCV's own code.
const TAPS: usize = 4;

/// The four source coordinates of one output coordinate, and their weights.
struct Tap {
    at: [usize; TAPS],
    weight: [f32; TAPS],
}

fn taps(source: usize, target: usize) -> Vec<Tap> {
    let last = source as i64 - 1;
    let scale = source as f64 / target as f64;
    let tap = |index: usize| {
        let position = (index as f64 + 0.5) * scale - 0.5;
        let start = position.floor();
        let at = [-1, 0, 1, 2].map(|step| (start as i64 + step).clamp(0, last) as usize);
        let x = position - start;
        Tap { at, weight: [far(1.0 + x), near(x), near(1.0 - x), far(2.0 - x)].map(|weight| weight as f32) }
    };
    (0..target).map(tap).collect()
}

/// The weight of a pixel at a distance of at most 1.
fn near(x: f64) -> f64 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// The weight of a pixel at a distance from 1 to 2.
fn far(x: f64) -> f64 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}

impl RgbImage {
    /// The image stretched to `width` x `height` pixels as by OpenCV's `INTER_CUBIC` on x86.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a side is zero.
    pub(crate) fn resize_bicubic_x86(&self, width: usize, height: usize) -> Result<RgbImage> {
        if self.width() < TAPS || self.height() < TAPS {
            return self.resize_bicubic(width, height);
        }
        if width == 0 || height == 0 {
            return Err(Error::usage(format!("cannot resize to {width}x{height} pixels: no side may be zero")));
        }
        let (columns, rows) = (taps(self.width(), width), taps(self.height(), height));
        let mut out = zeroed(3 * width * height)?;
        // source rows interpolated along x, with their numbers: neighbouring output rows share most of them
        let mut held: Vec<(usize, Vec<f32>)> = Vec::new();
        for (tap, out) in rows.iter().zip(out.chunks_exact_mut(3 * width)) {
            held.retain(|(row, _)| tap.at.contains(row));
            for &row in &tap.at {
                if !held.iter().any(|(other, _)| *other == row) {
                    held.push((row, self.floats_along_x(row, &columns)));
                }
            }
            let values = tap.at.map(|row| {
                let found = held.iter().find(|(other, _)| *other == row);
                found.map_or(&[][..], |(_, values)| &values[..out.len()])
            });
            mix(values, tap.weight, out);
        }
        RgbImage::new(width, height, out)
    }

    fn floats_along_x(&self, row: usize, columns: &[Tap]) -> Vec<f32> {
        let row = &self.pixels()[3 * row * self.width()..][..3 * self.width()];
        let pixel = |tap: &Tap| {
            [0, 1, 2].map(|channel| {
                let [a, b, c, d] = tap.at.map(|at| f32::from(row[3 * at + channel]));
                let [e, f, g, h] = tap.weight;
                (a * e + b * f) + (c * g + d * h)
            })
        };
        columns.iter().flat_map(pixel).collect()
    }
}

/// An output row from four rows. The products of the first and the third are added without being rounded.
fn mix([a, b, c, d]: [&[f32]; TAPS], [e, f, g, h]: [f32; TAPS], out: &mut [u8]) {
    let add = |x: f32, weight: f32, y: f32| (f64::from(x) * f64::from(weight) + f64::from(y)) as f32;
    for (at, out) in out.iter_mut().enumerate() {
        let sum = add(a[at], e, b[at] * f) + add(c[at], g, d[at] * h);
        *out = sum.round_ties_even().clamp(0.0, 255.0) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_that_of_paddlexs_opencv() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
        if !golden.exists() {
            return eprintln!("skipped: {} is absent", golden.display());
        }
        let file = std::fs::read(golden.join("detector/PP-ShiTuV2_det_acts_chelsea.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        let expected = file.tensor("input.resized_rgb_u8").unwrap();
        let photo = std::fs::read(golden.join("features/inputs/chelsea.png")).unwrap();
        let photo = crate::decode(&photo, &Default::default()).unwrap();
        let resized = photo.resize_bicubic_x86(640, 640).unwrap();
        assert!(resized.pixels() == expected.data());
        // OpenCV's own code gives other values
        let own = photo.resize_bicubic(640, 640).unwrap();
        let different = own.pixels().iter().zip(expected.data()).filter(|(a, b)| a != b).count();
        assert_eq!(different, 38_943);
    }

    #[test]
    fn a_plain_image_stays_plain() {
        for side in [2, 5] {
            let image = RgbImage::new(side, side, vec![77; 3 * side * side]).unwrap();
            assert!(image.resize_bicubic_x86(10, 7).unwrap().pixels().iter().all(|&value| value == 77));
        }
        assert!(RgbImage::new(5, 5, vec![0; 75]).unwrap().resize_bicubic_x86(0, 7).unwrap_err().is_usage());
    }
}
