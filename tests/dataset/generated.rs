//! A data set without faults, and pictures for others.

use std::collections::BTreeMap;

use image_feature::RgbImage;
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

pub type Files = BTreeMap<String, Vec<u8>>;

/// A picture different from all others: some soft discs and fine grain.
pub fn photo(seed: u32) -> RgbImage {
    const SIDE: usize = 96;
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1u64 << 31) as f32
    };
    let discs: Vec<[f32; 6]> = (0..14).map(|_| std::array::from_fn(|_| random())).collect();
    let mut pixels = Vec::with_capacity(3 * SIDE * SIDE);
    for i in 0..SIDE * SIDE {
        let (x, y) = ((i % SIDE) as f32 / SIDE as f32, (i / SIDE) as f32 / SIDE as f32);
        let grain = 16.0 * (random() - 0.5);
        let mut color = [90.0f32, 100.0, 110.0];
        for [cx, cy, radius, red, green, blue] in &discs {
            let distance = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
            let inside = (1.0 - distance / (0.1 + 0.25 * radius)).clamp(0.0, 0.25) * 4.0;
            for (value, target) in color.iter_mut().zip([red, green, blue]) {
                *value += inside * (20.0 + 215.0 * target - *value);
            }
        }
        pixels.extend(color.map(|value| (value + grain).clamp(0.0, 255.0) as u8));
    }
    RgbImage::new(SIDE, SIDE, pixels).unwrap()
}

pub fn ppm(image: &RgbImage) -> Vec<u8> {
    [format!("P6 {} {} 255\n", image.width(), image.height()).as_bytes(), image.pixels()].concat()
}

#[allow(dead_code)] // some tests do not compress
pub fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    compress(image.pixels(), image.width(), image.height(), PixelFormat::Rgb, quality, Subsampling::S420).unwrap()
}

/// Twelve classes of four images for training, and six others of one gallery image and one query each.
pub fn clean() -> Files {
    let mut files = Files::new();
    let mut lists: BTreeMap<&str, String> = BTreeMap::new();
    let mut seed = 0;
    let mut add = |list: &'static str, path: String, label: u32| {
        seed += 1;
        files.insert(path.clone(), ppm(&photo(seed)));
        *lists.entry(list).or_default() += &format!("{path} {label}\n");
    };
    for label in 0..12 {
        for index in 0..4 {
            add("train.txt", format!("images/t{label}_{index}.ppm"), label);
        }
    }
    for label in 100..106 {
        add("gallery.txt", format!("images/g{label}.ppm"), label);
        add("query.txt", format!("images/q{label}.ppm"), label);
    }
    files.extend(lists.into_iter().map(|(list, text)| (list.to_string(), text.into_bytes())));
    files
}
