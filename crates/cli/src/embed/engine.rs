//! The network on its device.

use image_feature::weights::Model;
use image_feature::{DeviceRequest, Error, Extractor, ExtractorInfo, ExtractorOptions, Result};

type RunBatch = dyn Fn(Vec<f32>, usize) -> Result<Vec<f32>>;

/// Computes features of preprocessed images.
pub struct Engine {
    /// Model, dimension and device in one line.
    pub summary: String,
    /// Length of a feature.
    pub dimension: usize,
    run: Box<RunBatch>,
}

impl Engine {
    /// Opens a device and loads the model on it.
    pub fn open(model: &Model, device: DeviceRequest, threads: usize) -> Result<Self> {
        let extractor = Extractor::open(model, ExtractorOptions { threads: Some(threads), ..device.into() })?;
        let info = extractor.info();
        let summary = summary(info);
        let dimension = info.dimension;
        Ok(Engine { summary, dimension, run: Box::new(move |input, count| extractor.run(input, count)) })
    }

    /// The feature of each image of a batch, or the reason why it has none.
    ///
    /// # Errors
    /// Errors of the device, which are not about an image.
    pub fn features(&self, batch: &[Vec<f32>]) -> Result<Vec<Result<Vec<f32>>>> {
        match self.run_batch(batch) {
            Ok(features) => Ok(features.chunks_exact(self.dimension).map(|feature| Ok(feature.to_vec())).collect()),
            // One feature that cannot be normalised fails the whole batch: try each image alone.
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

/// Model, dimension and device in one line.
pub fn summary(info: &ExtractorInfo) -> String {
    let adapter = match (&info.adapter, info.simd, info.threads) {
        (Some(adapter), ..) => format!(" ({adapter})"),
        (None, Some(simd), Some(threads)) => {
            format!(" ({simd}, {threads} thread{})", if threads == 1 { "" } else { "s" })
        }
        _ => String::new(),
    };
    let reasons = if info.reasons.is_empty() { String::new() } else { format!("; not on {}", info.reasons.join("; ")) };
    format!("{}: {} dimensions, on {}{adapter}{reasons}", info.model, info.dimension, info.device)
}
