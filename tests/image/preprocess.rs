//! Each stage from file to network input against PaddleX.

use image_feature::{DecodeLimits, ErrorKind, Preprocess, Resize, RgbImage, Roi, decode};
use proptest::prelude::*;

use crate::{report, sha256, shared};

#[test]
fn each_stage_equals_paddlex() {
    let Some(shared) = shared() else { return };
    let features = shared.join("golden/features");
    let meta = std::fs::read_to_string(features.join("PP-ShiTuV2_rec_meta.json")).unwrap();
    let meta: serde_json::Value = serde_json::from_str(&meta).unwrap();
    let mut complaints = Vec::new();
    let mut cases = 0;
    for (name, expected) in meta.as_object().unwrap() {
        let path = features.join("inputs").join(name);
        let Ok(bytes) = std::fs::read(path) else { continue };
        cases += 1;
        let image = decode(&bytes, &DecodeLimits::default()).unwrap();
        let resized = image.resize_bilinear(224, 224).unwrap();
        let input = Preprocess::default().apply(&image).unwrap();
        let input: Vec<u8> = input.iter().flat_map(|value| value.to_le_bytes()).collect();
        for (stage, found) in [
            ("decoded_rgb_sha256", sha256(image.pixels())),
            ("resized_sha256", sha256(resized.pixels())),
            ("x_pdx3_sha256", sha256(&input)),
        ] {
            if expected[stage] != found {
                complaints.push(format!("{name}: {stage} is {found}, expected {}", expected[stage]));
            }
        }
    }
    assert!(cases > 5, "only {cases} of the inputs are there");
    report(complaints, cases);
}

#[test]
fn the_short_side_is_scaled_as_python_rounds() {
    // round(h * scale), half to even
    let cases = [
        ((640, 480), 256, (341, 256)),
        ((480, 640), 256, (256, 341)),
        ((5, 2), 1, (2, 1)),
        ((7, 2), 1, (4, 1)),
        ((3, 3), 3, (3, 3)),
    ];
    for ((width, height), short, expected) in cases {
        let preprocess = Preprocess { resize: Resize::ShortSide(short), ..Preprocess::default() };
        assert_eq!(preprocess.output_size(width, height).unwrap(), expected, "{width}x{height} to {short}");
        let image = RgbImage::new(width, height, vec![9; 3 * width * height]).unwrap();
        assert_eq!(preprocess.apply(&image).unwrap().len(), 3 * expected.0 * expected.1);
    }
}

#[test]
fn impossible_inputs_are_errors() {
    let thin = RgbImage::new(1, 100_000, vec![0; 300_000]).unwrap();
    let by_short_side = Preprocess { resize: Resize::ShortSide(224), ..Preprocess::default() };
    let error = by_short_side.apply(&thin).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    let nothing = Preprocess { resize: Resize::Stretch { width: 0, height: 224 }, ..Preprocess::default() };
    assert_eq!(nothing.apply(&thin).unwrap_err().kind(), ErrorKind::Usage);
    let error = Preprocess::default().apply_into(&thin, &mut [0.0; 7]).unwrap_err();
    assert!(error.to_string().ends_with("3 x 224 x 224 = 150528 numbers, but there is room for 7"), "{error}");
}

proptest! {
    #[test]
    fn a_crop_is_the_part_of_the_image(
        (width, height) in (1usize..20, 1usize..20), x in 0usize..22, y in 0usize..22, w in 0usize..22, h in 0usize..22,
    ) {
        let pixel = |x: usize, y: usize| [x as u8, y as u8, 7];
        let image = RgbImage::new(width, height, (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect()).unwrap();
        let inside = w > 0 && h > 0 && x + w <= width && y + h <= height;
        match image.crop(Roi { x, y, width: w, height: h }) {
            Ok(part) => {
                prop_assert!(inside);
                let expected: Vec<u8> = (y..y + h).flat_map(|y| (x..x + w).flat_map(move |x| pixel(x, y))).collect();
                prop_assert_eq!(part.pixels(), expected);
            }
            Err(error) => prop_assert!(!inside && error.kind() == ErrorKind::Usage),
        }
    }
}

#[test]
fn a_region_that_overflows_is_an_error() {
    let image = RgbImage::new(2, 2, vec![0; 12]).unwrap();
    let error = image.crop(Roi { x: usize::MAX, y: 0, width: 2, height: 1 }).unwrap_err();
    assert!(error.to_string().contains("inside the image of 2x2 pixels"), "{error}");
}
