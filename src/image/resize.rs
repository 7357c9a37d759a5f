//! OpenCV's integer bilinear resize of 8-bit images, bit for bit.
//!
//! Equals `cv2.resize(..., interpolation=cv2.INTER_LINEAR)` for `uint8`: weights are 11-bit fixed point, a row is
//! interpolated along x in 32-bit integers, then two such rows along y with the roundings below. There is no
//! anti-aliasing.

use super::rgb::RgbImage;
use crate::{Error, Result};

/// Fixed-point one of the weights.
const ONE: f32 = 2048.0;

/// For one output coordinate: the two source coordinates, and their weights in 2048ths.
#[derive(Clone, Copy)]
struct Tap {
    at: [usize; 2],
    weight: [i32; 2],
}

/// The taps of one axis. At the borders, OpenCV clamps the fraction along x, but only the coordinates along y: there
/// both weights of a tap apply to the same source row, which rounds differently.
fn taps(source: usize, target: usize, clamp_fraction: bool) -> impl Iterator<Item = Tap> {
    let last = source as i64 - 1;
    let scale = 1.0 / (target as f64 / source as f64);
    (0..target).map(move |i| {
        let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let mut start = position.floor() as i64;
        let mut fraction = position - start as f32;
        if clamp_fraction && start < 0 {
            (start, fraction) = (0, 0.0);
        }
        if clamp_fraction && start >= last {
            (start, fraction) = (last, 0.0);
        }
        let at = [start, start + 1].map(|at| at.clamp(0, last) as usize);
        let weight = [1.0 - fraction, fraction].map(|weight| (weight * ONE).round_ties_even() as i32);
        Tap { at, weight }
    })
}

impl RgbImage {
    /// The image stretched to `width` x `height` pixels, with exactly the pixels of OpenCV's `INTER_LINEAR`: bilinear,
    /// without anti-aliasing.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where a side is zero or the result exceeds the address space,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where there is not enough memory.
    ///
    /// ```
    /// let image = image_feature::RgbImage::new(2, 1, vec![0, 0, 0, 100, 100, 100])?;
    /// assert_eq!(image.resize_bilinear(4, 1)?.pixels()[3..9], [25, 25, 25, 75, 75, 75]);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn resize_bilinear(&self, width: usize, height: usize) -> Result<RgbImage> {
        if (width, height) == (self.width(), self.height()) {
            return Ok(self.clone());
        }
        let len =
            width.checked_mul(height).and_then(|n| n.checked_mul(3)).filter(|&n| n != 0 && n <= isize::MAX as usize);
        let Some(len) = len else {
            return Err(Error::usage(format!(
                "cannot resize to {width}x{height} pixels: no side may be zero, nor the whole exceed memory"
            )));
        };
        let mut out = super::limits::zeroed(len)?;
        self.resize_into(width, height, &mut out);
        RgbImage::new(width, height, out)
    }

    fn resize_into(&self, width: usize, height: usize, out: &mut [u8]) {
        let columns: Vec<Tap> = taps(self.width(), width, true)
            .map(|tap| Tap { at: tap.at.map(|at| 3 * at), weight: tap.weight })
            .collect();
        // the last two source rows interpolated along x: neighbouring output rows mostly share them
        let mut rows = [vec![0i32; 3 * width], vec![0i32; 3 * width]];
        let mut held = [usize::MAX; 2];
        for (tap, out) in taps(self.height(), height, false).zip(out.chunks_exact_mut(3 * width)) {
            if held[0] != tap.at[0] && held[1] == tap.at[0] {
                rows.swap(0, 1);
                held.swap(0, 1);
            }
            for side in 0..2 {
                if held[side] != tap.at[side] {
                    if side == 1 && held[0] == tap.at[1] {
                        let (first, second) = rows.split_at_mut(1);
                        second[0].copy_from_slice(&first[0]);
                    } else {
                        self.interpolate_row(tap.at[side], &columns, &mut rows[side]);
                    }
                    held[side] = tap.at[side];
                }
            }
            let [w0, w1] = tap.weight;
            for ((out, &upper), &lower) in out.iter_mut().zip(&rows[0]).zip(&rows[1]) {
                let sum = (((upper >> 4) * w0) >> 16) + (((lower >> 4) * w1) >> 16);
                *out = ((sum + 2) >> 2).clamp(0, 255) as u8;
            }
        }
    }

    fn interpolate_row(&self, y: usize, columns: &[Tap], out: &mut [i32]) {
        let row = &self.pixels()[3 * y * self.width()..][..3 * self.width()];
        for (Tap { at, weight }, out) in columns.iter().zip(out.as_chunks_mut::<3>().0) {
            let (left, right) = (&row[at[0]..at[0] + 3], &row[at[1]..at[1] + 3]);
            for channel in 0..3 {
                out[channel] = i32::from(left[channel]) * weight[0] + i32::from(right[channel]) * weight[1];
            }
        }
    }
}
