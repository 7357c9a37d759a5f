//! The network behind `predict`.

use crate::weights::Model;
use crate::{DeviceRequest, Error, Result};

type RunBatch = dyn Fn(Vec<f32>, usize) -> Result<Vec<f32>>;

/// Preprocessed images to features.
pub struct Engine {
    /// Model, dimension and device in one line.
    pub summary: String,
    /// Length of a feature.
    pub dimension: usize,
    run: Box<RunBatch>,
}

impl Engine {
    /// Opens a device and puts the model on it.
    #[cfg(feature = "burn")]
    pub fn open(model: &Model, device: DeviceRequest) -> Result<Self> {
        let extractor = crate::Extractor::open(model, device)?;
        let info = extractor.info();
        let adapter = info.adapter.as_ref().map_or(String::new(), |adapter| format!(" ({adapter})"));
        let reasons =
            if info.reasons.is_empty() { String::new() } else { format!("; not on {}", info.reasons.join("; ")) };
        let summary = format!("{}: {} dimensions, on {}{adapter}{reasons}", info.model, info.dimension, info.device);
        let dimension = info.dimension;
        Ok(Engine { summary, dimension, run: Box::new(move |input, count| extractor.run(input, count)) })
    }

    /// There is nothing to open in a build without a backend.
    #[cfg(not(feature = "burn"))]
    pub fn open(_: &Model, device: DeviceRequest) -> Result<Self> {
        Err(Error::usage(format!(
            "cannot run on `{device}`: this image-feature was built without a backend; build it with `--features flex,webgpu`"
        )))
    }

    /// The feature of each image of a batch, or why it has none.
    ///
    /// # Errors
    /// Where the device failed, which is no image's fault.
    pub fn features(&self, batch: &[Vec<f32>]) -> Result<Vec<Result<Vec<f32>>>> {
        match self.run_batch(batch) {
            Ok(features) => Ok(features.chunks_exact(self.dimension).map(|feature| Ok(feature.to_vec())).collect()),
            // one image whose feature cannot be normalised fails its whole batch: find it
            Err(error) if error.is_model() && batch.len() > 1 => batch
                .iter()
                .map(|input| self.features(std::slice::from_ref(input)).map(|mut one| one.remove(0)))
                .collect(),
            Err(error) if error.is_model() => Ok(vec![Err(error)]),
            Err(error) => Err(error),
        }
    }

    fn run_batch(&self, batch: &[Vec<f32>]) -> Result<Vec<f32>> {
        let features = (self.run)(batch.concat(), batch.len())?;
        if features.len() != batch.len() * self.dimension {
            return Err(Error::internal(format!("{} values for {} features", features.len(), batch.len())));
        }
        Ok(features)
    }
}
