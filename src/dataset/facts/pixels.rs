//! Measures of a decoded image: a perceptual hash, mean colours, sharpness, brightness, contrast.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::covered::covered;
use super::super::hex;
use super::digest::Digest;
use crate::RgbImage;

/// The most pixels a side of the picture that is measured. In larger photos, noise and fine texture would count as
/// sharpness.
const MEASURED_SIDE: usize = 512;
/// The side in pixels of the picture for the perceptual hash.
const HASHED_SIDE: usize = 32;
/// The number of lowest frequencies along a side for the perceptual hash.
const FREQUENCIES: usize = 9;
/// The side of the grid of mean colours.
const GRID: usize = 4;

/// Measures of a decoded image. Part of [`ImageFacts`](super::ImageFacts).
///
/// ```
/// use image_feature::{RgbImage, dataset::PixelFacts};
///
/// let facts = PixelFacts::of(&RgbImage::new(64, 64, vec![9; 64 * 64 * 3])?);
/// assert_eq!((facts.brightness, facts.contrast, facts.sharpness), (9.0, 0.0, 0.0));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PixelFacts {
    /// The digest of the pixels and the width.
    pub digest: Digest,
    /// A perceptual hash: images that look alike differ in few of its 64 bits.
    ///
    /// It is a pHash: for each of the 64 lowest frequencies of the gray picture, whether it is above their median.
    /// Scaling, compression and brightness hardly change it. A dHash, which compares neighbouring pixels, changes more.
    #[serde(serialize_with = "write_hash", deserialize_with = "read_hash")]
    pub hash: u64,
    /// The mean colours of a grid of 4 x 4, in rows of RGB. Pictures of the same shape in other colours are not copies.
    #[serde(serialize_with = "write_colors", deserialize_with = "hex::deserialize")]
    pub colors: [u8; 3 * GRID * GRID],
    /// The variance of the gray image's Laplacian, scaled down to 512 pixels a side.
    pub sharpness: f32,
    /// The mean gray, 0 to 255.
    pub brightness: f32,
    /// The standard deviation of gray.
    pub contrast: f32,
}

impl PixelFacts {
    /// Measures an image.
    #[allow(unsafe_code)]
    pub fn of(image: &RgbImage) -> PixelFacts {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, the only feature that the function requires
            return unsafe { measure_with_avx2(image) };
        }
        measure(image)
    }
}

/// [`measure`], compiled for AVX2: registers twice as wide, and instructions that separate colours. It takes a third of
/// the time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn measure_with_avx2(image: &RgbImage) -> PixelFacts {
    measure(image)
}

// Inlined, as all functions below that loop over pixels: only then are they compiled for the caller's processor
// features.
#[inline(always)]
fn measure(image: &RgbImage) -> PixelFacts {
    let gray = Gray::of(image);
    let (brightness, contrast) = gray.mean_and_deviation();
    PixelFacts {
        digest: Digest::of(&[&(image.width() as u64).to_le_bytes(), image.pixels()]),
        hash: perceptual_hash(&gray.squeezed()),
        colors: grid_colors(image),
        sharpness: gray.laplacian_variance(),
        brightness,
        contrast,
    }
}

fn write_hash<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(&hash.to_be_bytes()))
}

fn read_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    hex::deserialize(deserializer).map(u64::from_be_bytes)
}

fn write_colors<S: Serializer>(colors: &[u8; 3 * GRID * GRID], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(colors))
}

/// The picture for the perceptual hash.
type Squeezed = [[f32; HASHED_SIDE]; HASHED_SIDE];

/// A gray picture, scaled down by a whole number.
struct Gray {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Gray {
    #[inline(always)]
    fn of(image: &RgbImage) -> Gray {
        let factor = image.width().max(image.height()).div_ceil(MEASURED_SIDE);
        if factor == 1 {
            let mut pixels = vec![0; image.width() * image.height()];
            to_gray(image.pixels(), &mut pixels);
            return Gray { width: image.width(), height: image.height(), pixels };
        }
        // the rest at the right and bottom is less than a pixel of the small picture, and is left out
        let (width, height) = ((image.width() / factor).max(1), (image.height() / factor).max(1));
        let mut pixels = Vec::with_capacity(width * height);
        let mut line = vec![0; image.width()];
        let mut sums = vec![0u32; image.width()];
        let rows = image.height().min(factor);
        let columns = image.width().min(factor);
        let count = (rows * columns) as u32;
        for block in image.pixels().chunks(3 * image.width() * rows).take(height) {
            sums.fill(0);
            for row in block.chunks_exact(3 * image.width()) {
                to_gray(row, &mut line);
                for (sum, &gray) in sums.iter_mut().zip(&line) {
                    *sum += u32::from(gray);
                }
            }
            let means = sums.chunks_exact(columns).map(|run| (run.iter().sum::<u32>() + count / 2) / count);
            pixels.extend(means.take(width).map(|mean| mean as u8));
        }
        Gray { width, height, pixels }
    }

    // 16-bit factors: twice as many lanes, and all processors have instructions to multiply them
    #[inline(always)]
    fn mean_and_deviation(&self) -> (f32, f32) {
        let (mut sum, mut squares) = (0u64, 0u64);
        // runs so short that their sums fit into 31 bits
        for run in self.pixels.chunks(1 << 14) {
            let (mut run_sum, mut run_squares) = (0, 0);
            for &gray in run {
                run_sum += u32::from(gray);
                run_squares += i32::from(i16::from(gray)) * i32::from(i16::from(gray));
            }
            sum += u64::from(run_sum);
            squares += u64::from(run_squares.unsigned_abs());
        }
        let count = self.pixels.len() as f64;
        let mean = sum as f64 / count;
        (mean as f32, (squares as f64 / count - mean * mean).max(0.0).sqrt() as f32)
    }

    /// The variance of the Laplacian of four neighbours, over all pixels that have four.
    #[inline(always)]
    fn laplacian_variance(&self) -> f32 {
        let (width, height) = (self.width, self.height);
        if width < 3 || height < 3 {
            return 0.0;
        }
        let (mut sum, mut squares) = (0i64, 0u64);
        for y in 1..height - 1 {
            let [above, row, below] = [y - 1, y, y + 1].map(|y| &self.pixels[y * width..(y + 1) * width]);
            // a row is at most MEASURED_SIDE long: the sum of its squares fits
            let (mut row_sum, mut row_squares) = (0i32, 0i32);
            let sides = row[..width - 2].iter().zip(&row[2..]);
            let middle = row[1..].iter().zip(above[1..].iter().zip(&below[1..]));
            for ((&left, &right), (&here, (&above, &below))) in sides.zip(middle) {
                let [left, right, here, above, below] = [left, right, here, above, below].map(i16::from);
                let value = left + right + above + below - 4 * here;
                row_sum += i32::from(value);
                row_squares += i32::from(value) * i32::from(value);
            }
            sum += i64::from(row_sum);
            squares += u64::from(row_squares.unsigned_abs());
        }
        let count = ((width - 2) * (height - 2)) as f64;
        let mean = sum as f64 / count;
        (squares as f64 / count - mean * mean).max(0.0) as f32
    }

    /// The picture squeezed into a square of `HASHED_SIDE`; each value is the mean of the pixels it covers.
    #[inline(always)]
    fn squeezed(&self) -> Squeezed {
        let columns: [(usize, usize); HASHED_SIDE] = std::array::from_fn(|at| covered(at, HASHED_SIDE, self.width));
        let mut small = [[0.0; HASHED_SIDE]; HASHED_SIDE];
        // a value covers at most 16 rows, because of MEASURED_SIDE: the sums fit
        let mut sums = vec![0u16; self.width];
        for (y, row) in small.iter_mut().enumerate() {
            let (top, bottom) = covered(y, HASHED_SIDE, self.height);
            sums.fill(0);
            for line in self.pixels[top * self.width..bottom * self.width].chunks_exact(self.width) {
                for (sum, &gray) in sums.iter_mut().zip(line) {
                    *sum += u16::from(gray);
                }
            }
            for (value, &(left, right)) in row.iter_mut().zip(&columns) {
                let sum: u32 = sums[left..right].iter().map(|&sum| u32::from(sum)).sum();
                *value = sum as f32 / ((bottom - top) * (right - left)) as f32;
            }
        }
        small
    }
}

fn perceptual_hash(small: &Squeezed) -> u64 {
    let cosines = cosines();
    // rows first: [y][u], then [v][u]
    let by_row = small.map(|row| cosines.map(|wave| dot(&wave, &row)));
    let columns: [[f32; HASHED_SIDE]; FREQUENCIES] = std::array::from_fn(|u| std::array::from_fn(|y| by_row[y][u]));
    let mut frequencies = Vec::with_capacity(FREQUENCIES * FREQUENCIES);
    for (v, wave) in cosines.iter().enumerate() {
        frequencies.extend(columns.iter().enumerate().map(|(u, column)| (u + v, v, dot(wave, column))));
    }
    // the lowest first, without the very first: it is the mean brightness, not a shape
    frequencies.sort_by_key(|&(order, v, _)| (order, v));
    let lowest: Vec<f32> = frequencies[1..=64].iter().map(|&(_, _, value)| value).collect();
    let mut sorted = lowest.clone();
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    lowest.iter().fold(0, |hash, &value| hash << 1 | u64::from(value > median))
}

/// The gray of a colour, by the usual weights in 256ths: the sum fits 16 bits.
#[inline(always)]
fn luma(red: u16, green: u16, blue: u16) -> u8 {
    ((77 * red + 150 * green + 29 * blue + 128) >> 8) as u8
}

/// The gray of each of these colours.
#[inline(always)]
fn to_gray(colors: &[u8], grays: &mut [u8]) {
    for (gray, color) in grays.iter_mut().zip(colors.as_chunks::<3>().0) {
        // read one by one: a copy of all three would go through general registers
        *gray = luma(color[0].into(), color[1].into(), color[2].into());
    }
}

/// The waves of a discrete cosine transform (DCT-II), the lowest first.
fn cosines() -> [[f32; HASHED_SIDE]; FREQUENCIES] {
    std::array::from_fn(|frequency| {
        std::array::from_fn(|at| {
            let angle = std::f32::consts::PI * frequency as f32 * (2 * at + 1) as f32 / (2 * HASHED_SIDE) as f32;
            angle.cos()
        })
    })
}

fn dot(a: &[f32; HASHED_SIDE], b: &[f32; HASHED_SIDE]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The mean colours of a grid, from about 16 rows of each cell.
#[inline(always)]
fn grid_colors(image: &RgbImage) -> [u8; 3 * GRID * GRID] {
    const ROWS: usize = 16;
    let mut colors = [0; 3 * GRID * GRID];
    for (at, color) in colors.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (top, bottom) = covered(at / GRID, GRID, image.height());
        let (left, right) = covered(at % GRID, GRID, image.width());
        let (mut sums, mut count) = ([0u64; 3], 0);
        for y in (top..bottom).step_by((bottom - top).div_ceil(ROWS)) {
            let row = &image.pixels()[3 * (y * image.width() + left)..3 * (y * image.width() + right)];
            // runs so short that their sums fit into 32 bits
            for run in row.chunks(3 << 16) {
                let [mut red, mut green, mut blue] = [0u32; 3];
                for color in run.as_chunks::<3>().0 {
                    red += u32::from(color[0]);
                    green += u32::from(color[1]);
                    blue += u32::from(color[2]);
                }
                for (sum, run) in sums.iter_mut().zip([red, green, blue]) {
                    *sum += u64::from(run);
                }
            }
            count += (right - left) as u64;
        }
        *color = sums.map(|sum| ((sum + count / 2) / count) as u8);
    }
    colors
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves of some colours, in any size.
    fn picture(width: usize, height: usize, seed: f32) -> RgbImage {
        let pixels = (0..width * height).flat_map(|i| {
            let (x, y) = ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32);
            [1.0, 1.7, 2.3].map(|channel| {
                let wave = (7.0 * x * seed + channel).sin() + (5.0 * y + x * seed * channel).cos();
                (127.0 + 60.0 * wave) as u8
            })
        });
        RgbImage::new(width, height, pixels.collect()).unwrap()
    }

    #[test]
    fn the_hash_survives_scaling_and_tells_pictures_apart() {
        let facts = [(300, 200, 1.0), (150, 100, 1.0), (1311, 874, 1.0), (300, 200, 2.0), (300, 200, 3.1)]
            .map(|(width, height, seed)| PixelFacts::of(&picture(width, height, seed)));
        let distance = |a: usize, b: usize| (facts[a].hash ^ facts[b].hash).count_ones();
        assert!(distance(0, 1) <= 4 && distance(0, 2) <= 4, "{} {}", distance(0, 1), distance(0, 2));
        assert!(distance(0, 3) >= 12 && distance(0, 4) >= 12 && distance(3, 4) >= 12);
        assert_ne!(facts[0].digest, facts[1].digest);
        let farthest = facts[0].colors.iter().zip(facts[2].colors).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(farthest <= 3, "{farthest}");
    }

    #[test]
    fn measures_are_those_of_their_definitions() {
        // a checkerboard of 0 and 200 in gray
        let board = |width: usize, height: usize| {
            let pixels =
                (0..width * height).flat_map(|i| [if (i % width + i / width).is_multiple_of(2) { 0 } else { 200 }; 3]);
            PixelFacts::of(&RgbImage::new(width, height, pixels.collect()).unwrap())
        };
        let facts = board(64, 64);
        assert_eq!((facts.brightness, facts.contrast), (100.0, 100.0));
        // each Laplacian is 800 or -800
        assert_eq!(facts.sharpness, 640_000.0);
        let flat = PixelFacts::of(&RgbImage::new(50, 50, vec![9; 7500]).unwrap());
        assert_eq!((flat.sharpness, flat.brightness, flat.contrast), (0.0, 9.0, 0.0));
        assert_eq!(flat.colors, [9; 48]);
    }

    #[test]
    fn every_size_is_measured() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (2, 3), (513, 7), (1025, 1030)] {
            let facts = PixelFacts::of(&picture(width, height, 1.3));
            assert!(facts.contrast.is_finite() && facts.sharpness.is_finite(), "{width}x{height}");
        }
    }

    #[test]
    fn every_processor_finds_the_same() {
        for (width, height) in [(1, 1), (33, 65), (348, 261), (512, 512), (1311, 874), (3000, 5)] {
            let image = picture(width, height, 1.7);
            assert_eq!(PixelFacts::of(&image), measure(&image), "{width}x{height}");
        }
    }

    #[test]
    fn a_large_picture_is_measured_by_its_means() {
        // stripes of three columns, of gray 10, 100 and 40, whose mean is 50, and one column too many
        let row = |width: usize| (0..width).flat_map(|x| [[10, 100, 40][x % 3]; 3]);
        let stripes = RgbImage::new(1501, 1500, row(1501).cycle().take(3 * 1501 * 1500).collect()).unwrap();
        let gray = Gray::of(&stripes);
        assert_eq!((gray.width, gray.height), (500, 500));
        assert!(gray.pixels.iter().all(|&gray| gray == 50));
    }
}
