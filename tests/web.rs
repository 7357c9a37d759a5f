//! The same results in a browser as natively.
//!
//! `cargo test` runs these natively, `wasm-pack test --headless --chrome` in Chromium, both against the same expected
//! values: OpenCV's pixels, and features that this crate computed natively.
#![cfg(feature = "cpu")]

mod common;

use common::{max_abs_diff, small_model, small_transformer, vit_model};
use image_feature::{DecodeLimits, DeviceRequest, Dtype, Extractor, Model, RgbImage, decode};
use sha2::{Digest, Sha256};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

// as on the page, where everything happens in a worker
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_bytes!(concat!("image/", $file)).as_slice())),*]
    };
}

/// One file of each kind, whole and cut off.
const IMAGES: [(&str, &[u8]); 20] = embedded![
    "files/rgb8.png",
    "files/rgb16.png",
    "files/palette8.png",
    "files/cut.png",
    "files/baseline_420.jpg",
    "files/progressive_444.jpg",
    "files/cmyk.jpg",
    "files/exif_6.jpg",
    "files/progressive_cut_50.jpg",
    "files/lossy.webp",
    "files/lossless.webp",
    "files/cut.webp",
    "files/animated.gif",
    "files/cut.gif",
    "files/rle8.bmp",
    "files/cut.bmp",
    "files/bilevel_tiff_lzw.tif",
    "files/cut.tif",
    "files/p3_15.ppm",
    "files/cut.ppm",
];

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of a table, without its header.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

#[test]
fn images_decode_to_the_pixels_of_opencv() {
    let mut complaints = Vec::new();
    for (file, bytes) in IMAGES {
        let row = rows(include_str!("image/opencv_decode.tsv")).find(|row| row[0] == file).unwrap();
        let found = match decode(bytes, &DecodeLimits::default()) {
            Ok(image) => format!("{} x {}, {}", image.width(), image.height(), sha256(image.pixels())),
            Err(_) => "error".into(),
        };
        let expected = match row[1] {
            "error" => "error".into(),
            _ => format!("{} x {}, {}", row[2], row[3], row[4]),
        };
        if found != expected {
            complaints.push(format!("{file}: {found}, not {expected}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// An image without symmetry.
fn pattern(width: usize, height: usize) -> RgbImage {
    let pixels = (0..width * height * 3).map(|index| (index * index % 251) as u8).collect();
    RgbImage::new(width, height, pixels).unwrap()
}

/// The feature that `small_model` gives for `pattern(50, 40)`, computed natively.
const FEATURE: [f32; 16] = [
    0.3920514,
    0.07976143,
    0.009100214,
    -0.18981038,
    0.41261995,
    -0.37829542,
    0.011640897,
    0.014844945,
    0.03186514,
    0.12232141,
    -0.23693423,
    -0.052236345,
    -0.5347095,
    0.35546967,
    -0.05456601,
    -0.0031178475,
];

/// The feature that the model of `small_transformer` gives for `pattern(50, 40)`, computed natively.
const TRANSFORMER_FEATURE: [f32; 12] = [
    -0.30285683,
    -0.13088912,
    0.31480545,
    0.047993895,
    0.103846155,
    -0.47007924,
    0.3998626,
    0.08125273,
    0.0467984,
    -0.19914436,
    -0.108393416,
    -0.5812843,
];

async fn features_equal_the_native_ones() {
    let model = small_model(FEATURE.len());
    let transformer = vit_model(&small_transformer());
    let image = pattern(50, 40);
    let reread = |dtype| Model::from_bytes("small", &model.to_safetensors(dtype).unwrap()).unwrap();
    let mut complaints = Vec::new();
    for (case, model, expected, tolerance) in [
        ("as made", &model, &FEATURE[..], 1e-6),
        ("from f32 safetensors", &reread(Dtype::F32), &FEATURE, 1e-6),
        ("from f16", &reread(Dtype::F16), &FEATURE, 2e-3),
        ("a transformer", &transformer, &TRANSFORMER_FEATURE, 1e-6),
    ] {
        let extractor = Extractor::open_async(model, DeviceRequest::Cpu).await.unwrap();
        assert_eq!(extractor.info().device, "cpu");
        let input = extractor.preprocess().apply(&image).unwrap();
        let feature = extractor.run_async(input, 1).await.unwrap();
        let difference = max_abs_diff(&feature, expected);
        if difference.is_nan() || difference > tolerance {
            complaints.push(format!("{case}: off by {difference}: {feature:?}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[cfg(target_arch = "wasm32")]
#[test]
async fn features_are_those_of_native_code() {
    features_equal_the_native_ones().await;
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn features_are_those_of_native_code() {
    pollster::block_on(features_equal_the_native_ones());
}
