//! Affine maps of images, as in OpenCV and Pillow.

use crate::Result;
use crate::image::RgbImage;

/// Maps a position in the new image to one in the old: `x' = m[0] x + m[1] y + m[2]`, `y' = m[3] x + m[4] y + m[5]`.
/// Pixels have their centres at whole numbers.
pub(super) type Map = [f64; 6];

/// Interpolation between pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kernel {
    Bilinear,
    /// Keys's cubic with this parameter: -0.75 in OpenCV, -1 in Pillow's affine maps.
    Bicubic(f64),
}

/// Pixels beyond the edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Edges {
    /// They have this colour, which takes part in the interpolation (OpenCV).
    Blend([u8; 3]),
    /// A position outside has this colour. Interpolation inside repeats the edge pixels (Pillow).
    Fill([u8; 3]),
}

/// Positions are rounded to 1/32 of a pixel, as in OpenCV.
const STEPS: f64 = 32.0;

/// The mapped image: each pixel is taken from the old image at the position that `map` gives.
pub(super) fn warp(image: &RgbImage, map: Map, kernel: Kernel, edges: Edges) -> Result<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let place = |m: &[f64]| ((m[0] * x as f64 + m[1] * y as f64 + m[2]) * STEPS).round() / STEPS;
            pixels.extend(sample(image, place(&map[..3]), place(&map[3..]), kernel, edges));
        }
    }
    RgbImage::new(width, height, pixels)
}

fn sample(image: &RgbImage, x: f64, y: f64, kernel: Kernel, edges: Edges) -> [u8; 3] {
    let (width, height) = (image.width() as i64, image.height() as i64);
    let colour = match edges {
        Edges::Fill(colour) => {
            let outside = |at: f64, side: i64| at < -0.5 || at >= side as f64 - 0.5;
            if outside(x, width) || outside(y, height) {
                return colour;
            }
            None
        }
        Edges::Blend(colour) => Some(colour),
    };
    let (left, top) = (x.floor(), y.floor());
    let (columns, rows) = (weights(x - left, kernel), weights(y - top, kernel));
    let (left, top) = (left as i64 - 1, top as i64 - 1);
    let mut sum = [0.0; 3];
    for (row, &down) in rows.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
        for (column, &across) in columns.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let (x, y) = (left + column as i64, top + row as i64);
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            let pixel = match colour.filter(|_| !inside) {
                Some(colour) => colour,
                None => {
                    let at = 3 * (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize;
                    [0, 1, 2].map(|channel| image.pixels()[at + channel])
                }
            };
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += down * across * f64::from(value);
            }
        }
    }
    sum.map(|value| value.round().clamp(0.0, 255.0) as u8)
}

/// Weights of four neighbouring pixels for a position that is `t` behind the second.
fn weights(t: f64, kernel: Kernel) -> [f64; 4] {
    match kernel {
        Kernel::Bilinear => [0.0, 1.0 - t, t, 0.0],
        Kernel::Bicubic(a) => {
            let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
            let far = |d: f64| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
            [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
        }
    }
}

/// A rotation about a point, counterclockwise, in degrees.
pub(super) fn rotation_about_centre(degrees: f64, [x, y]: [f64; 2]) -> Map {
    let (sin, cos) = degrees.to_radians().sin_cos();
    [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
}

/// The same map for pixels with centres at halves, as in Pillow.
pub(super) fn between_corners(m: Map) -> Map {
    let shift = |a: f64, b: f64, c: f64| c + 0.5 * (a + b) - 0.5;
    [m[0], m[1], shift(m[0], m[1], m[2]), m[3], m[4], shift(m[3], m[4], m[5])]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, values: &[u8]) -> RgbImage {
        let pixels = values.iter().flat_map(|&value| [value; 3]).collect();
        RgbImage::new(width, values.len() / width, pixels).unwrap()
    }

    fn values(image: &RgbImage) -> Vec<u8> {
        image.pixels().iter().step_by(3).copied().collect()
    }

    #[test]
    fn a_quarter_turn_moves_each_pixel() {
        let image = gray(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for kernel in [Kernel::Bilinear, Kernel::Bicubic(-0.75)] {
            let turned = warp(&image, rotation_about_centre(90.0, [1.0, 1.0]), kernel, Edges::Blend([0; 3])).unwrap();
            assert_eq!(values(&turned), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
            let same = warp(&image, rotation_about_centre(0.0, [1.5, 1.5]), kernel, Edges::Fill([0; 3])).unwrap();
            assert_eq!(same, image);
        }
    }

    #[test]
    fn halves_are_between_their_neighbours() {
        let image = gray(4, &[0, 100, 100, 0]);
        let half = [1.0, 0.0, 0.5, 0.0, 1.0, 0.0];
        let edges = Edges::Blend([0; 3]);
        assert_eq!(values(&warp(&image, half, Kernel::Bilinear, edges).unwrap()), [50, 100, 50, 0]);
        // OpenCV's cubic goes beyond: 100 * (2 * 0.59375) = 119 in the middle of two
        assert_eq!(values(&warp(&image, half, Kernel::Bicubic(-0.75), edges).unwrap())[1], 119);
        let filled = warp(&image, [1.0, 0.0, 2.0, 0.0, 1.0, 0.0], Kernel::Bilinear, Edges::Fill([9; 3])).unwrap();
        assert_eq!(values(&filled), [100, 0, 9, 9]);
    }

    #[test]
    fn weights_sum_to_one() {
        for kernel in [Kernel::Bilinear, Kernel::Bicubic(-0.75), Kernel::Bicubic(-1.0)] {
            for step in 0..32 {
                let sum: f64 = weights(f64::from(step) / 32.0, kernel).iter().sum();
                assert!((sum - 1.0).abs() < 1e-12, "{kernel:?} {step}: {sum}");
            }
        }
    }
}
