//! Boxes of photos beside those of PaddleX.

use image_feature::detector::{Detection, Detector};
use image_feature::{RgbImage, decode};
use serde_json::Value;

use crate::common::{golden, shared};
use crate::model;

/// The most that scores and sides differ by: `(score, pixels)`.
type Tolerance = (f32, f32);
/// Where the resized image is PaddleX's to the byte.
const EXACT: Tolerance = (1e-4, 1e-2);
/// Where some ten bytes of 1 228 800 differ by a level. Weights without training make much of that.
const NEAR: Tolerance = (2e-2, 1.0);
/// The photos whose resized images are PaddleX's to the byte: `bicubic_float.rs`. The second is too small for Intel's resize.
const EXACT_PHOTOS: [&str; 2] = ["chelsea.png", "tiny_3x2.png"];

fn tolerance(name: &str) -> Tolerance {
    if EXACT_PHOTOS.contains(&name) { EXACT } else { NEAR }
}

pub fn detector() -> Option<&'static Detector> {
    static DETECTOR: std::sync::OnceLock<Option<Detector>> = std::sync::OnceLock::new();
    DETECTOR.get_or_init(|| Some(Detector::open(model::golden()?, Some(2)).unwrap())).as_ref()
}

pub fn photo(name: &str) -> RgbImage {
    let path = shared("golden/features/inputs").unwrap().join(name);
    decode(&std::fs::read(path).unwrap(), &Default::default()).unwrap()
}

/// The rows of the graph that have no row of ours beside them: `[class, score, left, top, right, bottom]`.
fn unmatched(found: &[Detection], expected: &[[f32; 6]], (score, pixels): Tolerance) -> Vec<[f32; 6]> {
    let is = |found: &Detection, row: &[f32; 6]| {
        (found.score - row[1]).abs() <= score
            && found.coordinate.iter().zip(&row[2..]).all(|(a, b)| (a - b).abs() <= pixels)
    };
    // equal scores may come in another order, so all are searched
    expected.iter().filter(|row| !found.iter().any(|found| is(found, row))).copied().collect()
}

#[test]
fn rows_are_those_of_paddle() {
    let (Some(detector), Some(file)) = (detector(), golden("detector/PP-ShiTuV2_det_raw.safetensors")) else { return };
    let mut wrong = Vec::new();
    for key in file.keys().filter(|key| key.ends_with("/raw")) {
        let name = key.strip_suffix("/raw").unwrap();
        let expected = file[key].as_chunks::<6>().0;
        let found = detector.rows(&photo(name)).unwrap();
        let missing = unmatched(&found, expected, tolerance(name));
        println!("{name}: {} rows, {} of {} not found", found.len(), missing.len(), expected.len());
        // a row with a score near that of the hundredth may take its place
        let allowed = if EXACT_PHOTOS.contains(&name) { 0 } else { 3 };
        if found.len() != expected.len() || missing.len() > allowed {
            wrong.push(format!("{name}: {} rows, {missing:?} not found", found.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn detections_are_those_of_paddlex() {
    let Some(detector) = detector() else { return };
    let text = std::fs::read_to_string(shared("golden/detector/PP-ShiTuV2_det_boxes.json").unwrap()).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    for (name, golden) in golden.as_object().unwrap() {
        let expected: Vec<[f32; 6]> = golden["default_predict"].as_array().unwrap().iter().map(row).collect();
        let found = detector.detect(&photo(name), None).unwrap();
        let missing = unmatched(&found, &expected, tolerance(name));
        // a score near the threshold may fall on its other side
        let allowed = if EXACT_PHOTOS.contains(&name.as_str()) { 0 } else { 2 };
        assert!(found.len().abs_diff(expected.len()) <= allowed, "{name}: {} of {}", found.len(), expected.len());
        assert!(missing.len() <= allowed, "{name}: {missing:?}");
        assert!(found.is_sorted_by(|a, b| a.score >= b.score), "{name}");
        assert!(found.iter().all(|found| found.label == "mainbody" && found.class == 0), "{name}");
    }
}

fn row(entry: &Value) -> [f32; 6] {
    let number = |value: &Value| value.as_f64().unwrap() as f32;
    let side = |index: usize| number(&entry["coordinate"][index]);
    [0.0, number(&entry["score"]), side(0), side(1), side(2), side(3)]
}

#[test]
fn a_threshold_is_exclusive_and_must_be_a_number() {
    let Some(detector) = detector() else { return };
    let photo = photo("chelsea.png");
    let all = detector.detect(&photo, Some(0.0)).unwrap();
    let second = all[1].score;
    assert_eq!(detector.detect(&photo, Some(second)).unwrap().len(), 1);
    assert_eq!(detector.detect(&photo, Some(1.0)).unwrap(), []);
    assert!(detector.detect(&photo, Some(f32::NAN)).unwrap_err().is_usage());
}
