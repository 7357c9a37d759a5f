//! The detector on the CPU.

use image_feature::detector::{Detection, Detector as Native};
use image_feature::{DecodeOptions, Decoded, Result, RgbImage, decode_with};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::ModelFile;
use crate::values::{to_js, to_object};

/// A detector on the CPU, from images to boxes.
#[wasm_bindgen]
pub struct Detector {
    detector: Native,
}

/// What was found in an image.
#[derive(Serialize)]
struct Found {
    width: usize,
    height: usize,
    boxes: Vec<FoundBox>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundBox {
    label: String,
    score: f32,
    /// Left, top, right, bottom.
    coordinate: [f32; 4],
    /// The pixels of the box; `null` where it is less than one pixel wide or high.
    roi: Option<FoundRoi>,
}

#[derive(Serialize)]
struct FoundRoi {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

#[wasm_bindgen]
impl Detector {
    /// Loads a detector on the CPU. `threads` counts the workers that compute together in the shared-memory build, with this
    /// one.
    pub fn load(model: &ModelFile, threads: Option<usize>) -> Result<Detector, JsValue> {
        let detector = Native::open(&model.model, threads).map_err(to_js)?;
        Ok(Detector { detector })
    }

    /// `{ threads, simd, threshold }`
    pub fn info(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct Info {
            threads: usize,
            simd: &'static str,
            threshold: f32,
        }
        let Detector { detector } = self;
        let (threads, simd) = (detector.threads(), detector.instruction_set());
        to_object(&Info { threads, simd, threshold: detector.threshold() })
    }

    /// Finds the things in an image file: `{ width, height, boxes: [{ label, score, coordinate, roi }], damaged }`.
    /// `orientation` is `opencv`, `exif` or `none`.
    #[wasm_bindgen(js_name = detectBytes)]
    pub fn detect_bytes(&self, bytes: &[u8], threshold: Option<f32>, orientation: &str) -> Result<JsValue, JsValue> {
        let find = || {
            let options = DecodeOptions { orient: orientation.parse()?, ..DecodeOptions::default() };
            let Decoded { image, damage, .. } = decode_with(bytes, &options)?;
            self.find(&image, threshold, damage)
        };
        to_object(&find().map_err(to_js)?)
    }

    /// The same for RGBA pixels. Alpha is ignored.
    #[wasm_bindgen(js_name = detectRgba)]
    pub fn detect_rgba(
        &self,
        rgba: &[u8],
        width: usize,
        height: usize,
        threshold: Option<f32>,
    ) -> Result<JsValue, JsValue> {
        let found = RgbImage::from_rgba(width, height, rgba).and_then(|image| self.find(&image, threshold, None));
        to_object(&found.map_err(to_js)?)
    }

    fn find(&self, image: &RgbImage, threshold: Option<f32>, damaged: Option<String>) -> Result<Found> {
        let (width, height) = (image.width(), image.height());
        let found_box = |found: Detection| {
            let roi = found.roi(width, height);
            let roi = roi.map(|roi| FoundRoi { x: roi.x, y: roi.y, width: roi.width, height: roi.height });
            FoundBox { label: found.label, score: found.score, coordinate: found.coordinate, roi }
        };
        let boxes = self.detector.detect(image, threshold)?.into_iter().map(found_box).collect();
        Ok(Found { width, height, boxes, damaged })
    }
}
