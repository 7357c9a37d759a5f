//! Fine-tuning of a model's last layers.

use std::sync::{Mutex, PoisonError};

use image_feature::finetune::{FineTune, Neck, Samples, Tuning};
use image_feature::{DecodeBudget, DeviceRequest, ExtractorOptions, Orient, Result};
use pyo3::prelude::*;

use crate::errors::{Raise, exception};
use crate::model::Model;
use crate::picture::{Picture, Source};
use crate::progress::Progress;

/// Length of the features of a network that gets its first last layers, and how far they even out the directions in which images
/// differ: the values of `image-feature finetune`.
const EMBEDDING: usize = 512;
const WHITEN: f64 = 0.5;

/// Collects labelled images, and learns from them.
#[pyclass(frozen, module = "image_feature._native")]
pub struct Tuner {
    model: image_feature::Model,
    network: image_feature::Extractor,
    samples: Mutex<Samples>,
    views: usize,
}

/// A model, the loss of each epoch, whether the old layers are better and kept, and the cross-validation's scores before and
/// after as JSON.
type Tuned = (Model, Vec<f64>, bool, Option<String>);

#[pymethods]
impl Tuner {
    #[new]
    #[pyo3(signature = (model, *, threads, views))]
    fn new(py: Python<'_>, model: &Model, threads: Option<usize>, views: usize) -> PyResult<Self> {
        py.detach(|| {
            let model = model.0.clone();
            let options = ExtractorOptions { threads, ..DeviceRequest::Cpu.into() };
            let network = image_feature::Extractor::open(&model, options)?;
            let samples = Mutex::new(Samples::new(network.pooled_len()));
            Ok(Tuner { model, network, samples, views })
        })
        .or_raise(py)
    }

    /// Adds an image; gives back what is damaged in its file, or the exception that says why it cannot be read.
    fn add<'py>(
        &self,
        py: Python<'py>,
        picture: Picture<'py>,
        label: &str,
    ) -> PyResult<(Option<String>, Option<Bound<'py, PyAny>>)> {
        let source = picture.detached();
        match py.detach(|| self.pooled(source)) {
            Ok((pooled, damage)) => {
                py.detach(|| self.samples.lock().unwrap_or_else(PoisonError::into_inner).add(label, &pooled))
                    .or_raise(py)?;
                Ok((damage, None))
            }
            Err(error) => Ok((None, Some(exception(py, &error)?))),
        }
    }

    /// Learns from all images.
    #[pyo3(signature = (*, name, epochs, learning_rate, folds, seed, progress))]
    #[expect(clippy::too_many_arguments, reason = "all have names in Python")]
    fn run(
        &self,
        py: Python<'_>,
        name: Option<String>,
        epochs: usize,
        learning_rate: f64,
        folds: usize,
        seed: u64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Tuned> {
        let tuning = Tuning { epochs, learning_rate, folds, seed, ..Tuning::default() };
        let (name, model, mut run) = py.detach(|| self.start(name, tuning)).or_raise(py)?;
        let mut progress = Progress::new(progress, run.epochs());
        loop {
            let epoch = py.detach(|| {
                let epoch = run.epoch()?;
                Ok(epoch.is_some() && progress.advance().is_continue())
            });
            if !epoch.or_raise(py)? {
                break;
            }
        }
        progress.ended()?;
        let tuned = py.detach(|| run.finish()).or_raise(py)?;
        let model = py.detach(|| tuned.neck.put_into(&model, &name)).or_raise(py)?;
        let scores = tuned.evaluation.map(|evaluation| {
            let (recall, map) = (evaluation.recall_at_1(), evaluation.mean_average_precision());
            serde_json::json!({ "queries": evaluation.queries.len(), "recall1": recall, "mAP": map }).to_string()
        });
        Ok((Model(model), tuned.losses, tuned.kept_old, scores))
    }
}

impl Tuner {
    fn pooled(&self, source: Source) -> Result<(Vec<f32>, Option<String>)> {
        let (image, damage) = source.decode(Orient::default(), &DecodeBudget::new(u64::MAX))?;
        Ok((self.network.pooled_views(&image, self.views)?, damage))
    }

    /// The model's new name, the model with last layers, and the run.
    fn start(&self, name: Option<String>, tuning: Tuning) -> Result<(String, image_feature::Model, FineTune)> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut model = self.model.clone();
        let name = name.unwrap_or_else(|| model.description.name.clone());
        if !model.description.has_last_layers() {
            let width = model.description.pooled_len();
            model = Neck::whitened(&samples.first_view_of_each(), width, EMBEDDING, WHITEN)?.put_into(&model, &name)?;
        }
        let run = FineTune::new(&model, samples, tuning)?;
        Ok((name, model, run))
    }
}
