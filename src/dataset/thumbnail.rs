//! Small pictures for reports.

#[cfg(not(target_arch = "wasm32"))]
use base64::{Engine, engine::general_purpose::STANDARD};
#[cfg(not(target_arch = "wasm32"))]
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

use super::covered::covered;
use crate::RgbImage;

/// The longer side in pixels.
const SIDE: usize = 112;
#[cfg(not(target_arch = "wasm32"))]
const QUALITY: u8 = 72;

/// A small picture of an image, at most 112 pixels a side: a JPEG as a data URI.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where it cannot be compressed.
#[cfg(not(target_arch = "wasm32"))]
pub fn thumbnail(image: &RgbImage) -> crate::Result<String> {
    let (pixels, width, height) = shrunk(image);
    let jpeg = compress(&pixels, width, height, PixelFormat::Rgb, QUALITY, Subsampling::S420)
        .map_err(|error| crate::Error::internal(format!("a thumbnail could not be compressed: {error}")))?;
    Ok(format!("data:image/jpeg;base64,{}", base64(&jpeg)))
}

/// A small picture of an image, at most 112 pixels a side: RGB pixels, width and height. A smaller image is not
/// changed.
///
/// ```
/// use image_feature::{RgbImage, dataset::shrunk};
///
/// let (pixels, width, height) = shrunk(&RgbImage::new(224, 56, vec![7; 224 * 56 * 3])?);
/// assert_eq!((width, height, pixels.len()), (112, 28, 112 * 28 * 3));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn shrunk(image: &RgbImage) -> (Vec<u8>, usize, usize) {
    let (width, height) = (image.width(), image.height());
    let longer = width.max(height).max(SIDE);
    let (small_width, small_height) = ((width * SIDE / longer).max(1), (height * SIDE / longer).max(1));
    let mut pixels = Vec::with_capacity(3 * small_width * small_height);
    for y in 0..small_height {
        let (top, bottom) = covered(y, small_height, height);
        for x in 0..small_width {
            let (left, right) = covered(x, small_width, width);
            let rows = image.pixels().chunks_exact(3 * width).take(bottom).skip(top);
            pixels.extend(mean_color(rows.map(|row| &row[3 * left..3 * right])));
        }
    }
    (pixels, small_width, small_height)
}

/// The mean colour of pieces of rows.
fn mean_color<'a>(rows: impl Iterator<Item = &'a [u8]>) -> [u8; 3] {
    let (mut sums, mut count) = ([0u64; 3], 0);
    for row in rows {
        let (pixels, _) = row.as_chunks::<3>();
        count += pixels.len() as u64;
        for pixel in pixels {
            sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
        }
    }
    sums.map(|sum| (sum / count) as u8)
}

#[cfg(not(target_arch = "wasm32"))]
fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{DecodeLimits, decode};

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn thumbnails_are_small_pictures_of_the_same() {
        for (width, height) in [(1, 1), (1000, 10), (300, 450)] {
            let image = RgbImage::new(width, height, [200, 20, 60].repeat(width * height)).unwrap();
            let uri = thumbnail(&image).unwrap();
            let text = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
            let digits = |c: u8| {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|&d| d == c)
            };
            let bits: Vec<u32> = text.bytes().filter_map(digits).map(|digit| digit as u32).collect();
            let bytes: Vec<u8> = bits
                .chunks(4)
                .flat_map(|four| {
                    let all = four.iter().chain([&0; 3]).take(4).fold(0, |all, digit| all << 6 | digit);
                    [16, 8, 0].map(|shift| (all >> shift) as u8)
                })
                .collect();
            let small = decode(&bytes, &DecodeLimits::default()).unwrap();
            assert!(small.width() <= SIDE && small.height() <= SIDE);
            assert!(
                small
                    .pixels()
                    .chunks(3)
                    .all(|p| p[0].abs_diff(200) < 8 && p[1].abs_diff(20) < 8 && p[2].abs_diff(60) < 8)
            );
        }
    }
}
