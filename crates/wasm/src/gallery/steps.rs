//! Work that is done step by step, so that the worker reads messages in between.

use wasm_bindgen::prelude::*;

use super::{Found, GalleryVectors, answers};
use crate::values::to_js;
use image_feature::gallery::{Calibrating, CalibrationOptions, Grouping, ThresholdErrors};
use serde_json::{Value, json};

/// A calibration under way.
#[wasm_bindgen]
pub struct GalleryCalibrating(Calibrating);

#[wasm_bindgen]
impl GalleryCalibrating {
    /// Begins. Without `max_false_accepts`, the threshold with the least sum of errors is wanted.
    #[wasm_bindgen(constructor)]
    pub fn new(
        gallery: &GalleryVectors,
        max_false_accepts: Option<f32>,
        queries: usize,
        points: usize,
    ) -> Result<Self, JsValue> {
        let options = CalibrationOptions { max_false_accepts, queries, points };
        Calibrating::new(&gallery.gallery, options).map(Self).map_err(to_js)
    }

    /// Does a part of the work; gives the share that is done, from 0 to 1.
    pub fn advance(&mut self, gallery: &GalleryVectors) -> Result<f32, JsValue> {
        self.0.advance(&gallery.gallery).map_err(to_js)?;
        Ok(self.0.share())
    }

    /// The result as JSON.
    pub fn calibration(&self) -> Result<String, JsValue> {
        let calibration = self.0.calibration().map_err(to_js)?;
        let point = |errors: &ThresholdErrors| {
            json!({
                "threshold": errors.threshold, "falseAccepts": errors.false_accepts,
                "falseRejects": errors.false_rejects, "wrong": errors.wrong,
            })
        };
        Ok(json!({
            "threshold": calibration.threshold, "errors": point(&calibration.errors), "known": calibration.known,
            "unknown": calibration.unknown, "curve": Value::from_iter(calibration.curve.iter().map(point)),
        })
        .to_string())
    }
}

/// A search for groups under way.
#[wasm_bindgen]
pub struct GalleryGrouping(Grouping);

#[wasm_bindgen]
impl GalleryGrouping {
    /// Begins.
    #[wasm_bindgen(constructor)]
    pub fn new(gallery: &GalleryVectors, threshold: f32) -> Result<Self, JsValue> {
        Grouping::new(&gallery.gallery, threshold).map(Self).map_err(to_js)
    }

    /// Does a part of the work; gives the share that is done, from 0 to 1.
    pub fn advance(&mut self, gallery: &GalleryVectors) -> Result<f32, JsValue> {
        self.0.advance(&gallery.gallery).map_err(to_js)?;
        Ok(self.0.share())
    }

    /// The members of each group; `counts` has the number of each group's.
    pub fn groups(&mut self, gallery: &GalleryVectors) -> Result<Found, JsValue> {
        let groups = self.0.groups(&gallery.gallery).map_err(to_js)?;
        Ok(answers::hits(&groups.into_iter().map(|group| group.members).collect::<Vec<_>>()))
    }
}
