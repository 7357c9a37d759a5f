//! The bilinear resize against cv2.resize.

use image_feature::{ErrorKind, RgbImage};
use proptest::prelude::*;

use crate::{report, sha256, table};

/// The pixels of `formula` in `opencv_reference.py`.
fn formula(width: usize, height: usize) -> RgbImage {
    let pixel = |x: usize, y: usize, c: usize| {
        let h = (x as u32)
            .wrapping_mul(2654435761)
            .wrapping_add((y as u32).wrapping_mul(40503))
            .wrapping_add(c as u32 * 97);
        ((h ^ (h >> 15)).wrapping_mul(2246822519) >> 24) as u8
    };
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| pixel(x, y, c)))).collect();
    RgbImage::new(width, height, pixels).unwrap()
}

#[test]
fn resize_equals_opencv() {
    let rows = table("opencv_resize.tsv");
    let mut complaints = Vec::new();
    for row in &rows {
        let [width, height, to_width, to_height] = [0, 1, 2, 3].map(|i| row[i].parse::<usize>().unwrap());
        let resized = formula(width, height).resize_bilinear(to_width, to_height).unwrap();
        assert_eq!((resized.width(), resized.height()), (to_width, to_height));
        if sha256(resized.pixels()) != row[4] {
            complaints.push(format!("{width}x{height} to {to_width}x{to_height}"));
        }
    }
    report(complaints, rows.len());
}

proptest! {
    #[test]
    fn one_colour_stays_nearly_that_colour(value: u8, from in (1usize..40, 1usize..40), to in (1usize..40, 1usize..40)) {
        let image = RgbImage::new(from.0, from.1, vec![value; 3 * from.0 * from.1]).unwrap();
        let resized = image.resize_bilinear(to.0, to.1).unwrap();
        // each weight is rounded: their sum may differ by 1/2048
        prop_assert!(resized.pixels().iter().all(|&out| out.abs_diff(value) <= 1));
    }
}

#[test]
fn impossible_sizes_are_errors() {
    let image = formula(3, 2);
    for (width, height) in [(0, 5), (5, 0), (usize::MAX, 2), (usize::MAX / 2, usize::MAX / 2)] {
        assert_eq!(image.resize_bilinear(width, height).unwrap_err().kind(), ErrorKind::Usage, "{width}x{height}");
    }
}
