//! Fine-tuning of a model's last layers.

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::ModelFile;
use crate::values::{to_js, to_object};
use image_feature::finetune::{self, Samples, Tuning};
use image_feature::weights::Dtype;
use image_feature::{Error, Result};

/// Fine-tuning under way.
#[wasm_bindgen]
pub struct FineTune {
    tuning: finetune::FineTune,
    classes: Vec<(String, usize)>,
}

/// The caller's options. Those that are absent have the library's defaults.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    epochs: Option<usize>,
    learning_rate: Option<f64>,
    folds: usize,
    seed: u64,
}

#[derive(Serialize)]
struct Progress {
    done: usize,
    total: usize,
    loss: f64,
    evaluating: bool,
}

/// The result of fine-tuning, without the weights.
#[derive(Serialize)]
struct Outcome {
    losses: Vec<f64>,
    classes: Vec<Class>,
    evaluation: Option<Evaluation>,
    #[serde(rename = "keptOld")]
    kept_old: bool,
}

#[derive(Serialize)]
struct Class {
    label: String,
    images: usize,
}

/// Recall@1 of images that were not learnt from, before and after.
#[derive(Serialize)]
struct Evaluation {
    queries: usize,
    before: f64,
    after: f64,
}

/// The tuned model and its report.
#[wasm_bindgen(getter_with_clone)]
pub struct Tuned {
    /// The model as a file.
    pub safetensors: Vec<u8>,
    /// `{ losses, classes, evaluation, keptOld }`
    pub outcome: JsValue,
}

#[wasm_bindgen]
impl FineTune {
    /// Begins with the pooled vectors of all images, the views of an image one after the other. `views` has the number of views
    /// of each image and `labels` its label. `options` is `{ epochs, learningRate, folds, seed }`.
    pub fn begin(
        model: &ModelFile,
        pooled: &[f32],
        views: &[u32],
        labels: Vec<String>,
        options: JsValue,
    ) -> Result<FineTune, JsValue> {
        let read = || {
            let options: Options =
                serde_wasm_bindgen::from_value(options).map_err(|error| Error::usage(error.to_string()))?;
            let width = model.model.description.pooled_len();
            let mut samples = Samples::new(width);
            let mut rest = pooled;
            for (label, &views) in labels.iter().zip(views) {
                let (some, more) = rest
                    .split_at_checked(views as usize * width)
                    .ok_or_else(|| Error::internal("there are fewer vectors than were announced"))?;
                samples.add(label, some)?;
                rest = more;
            }
            let usual = Tuning::default();
            let tuning = Tuning {
                epochs: options.epochs.unwrap_or(usual.epochs),
                learning_rate: options.learning_rate.unwrap_or(usual.learning_rate),
                folds: options.folds,
                seed: options.seed,
                ..usual
            };
            let classes = samples.classes();
            Ok(FineTune { tuning: finetune::FineTune::new(&model.model, samples, tuning)?, classes })
        };
        read().map_err(to_js)
    }

    /// Learns for one epoch: `{ done, total, loss, evaluating }`, or `undefined` where no epoch is left.
    pub fn epoch(&mut self) -> Result<JsValue, JsValue> {
        match self.tuning.epoch().map_err(to_js)? {
            None => Ok(JsValue::UNDEFINED),
            Some(finetune::Progress { done, total, loss, evaluating, .. }) => {
                to_object(&Progress { done, total, loss, evaluating })
            }
        }
    }

    /// The model with the tuned last layers: of type i8 where the model is calibrated, else f32.
    pub fn finish(self, model: &ModelFile, name: &str) -> Result<Tuned, JsValue> {
        let finetune::Tuned { neck, kept_old, losses, evaluation, .. } = self.tuning.finish().map_err(to_js)?;
        let evaluation = evaluation.and_then(|evaluation| {
            let [before, after] = evaluation.recall_at_1()?;
            Some(Evaluation { queries: evaluation.queries.len(), before, after })
        });
        let tuned = neck.put_into(&model.model, name).map_err(to_js)?;
        let dtype = if tuned.calibration.is_some() { Dtype::I8 } else { Dtype::F32 };
        let classes = self.classes.into_iter().map(|(label, images)| Class { label, images }).collect();
        Ok(Tuned {
            safetensors: tuned.to_safetensors(dtype).map_err(to_js)?,
            outcome: to_object(&Outcome { losses, classes, evaluation, kept_old })?,
        })
    }
}
