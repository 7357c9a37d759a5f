//! Images to vectors.

use image_feature::gallery::ModelId;
use image_feature::{DecodeBudget, DecodeLimits, DeviceRequest, Error, ExtractorOptions, Orient, Result};
use numpy::{PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::errors::{Raise, exception};
use crate::model::Model;
use crate::picture::{Picture, Source};

/// A network on a device, and threads that decode.
#[pyclass(frozen, module = "image_feature._native")]
pub struct Extractor {
    network: image_feature::Extractor,
    id: ModelId,
    orient: Orient,
    threads: rayon::ThreadPool,
    /// Memory of images that are decoded at the same time, in all calls together.
    budget: DecodeBudget,
}

/// Features of the images that could be read; damage and exceptions with the places of their images.
type Embedded<'py> = (Bound<'py, PyArray2<f32>>, Vec<(usize, String)>, Vec<(usize, Bound<'py, PyAny>)>);

#[pymethods]
impl Extractor {
    #[new]
    #[pyo3(signature = (model, *, device, threads, dtype, orient))]
    fn new(
        py: Python<'_>,
        model: &Model,
        device: &str,
        threads: Option<usize>,
        dtype: Option<&str>,
        orient: &str,
    ) -> PyResult<Self> {
        py.detach(|| {
            let device: DeviceRequest = device.parse()?;
            let dtype = dtype.map(str::parse).transpose()?;
            let network = image_feature::Extractor::open(&model.0, ExtractorOptions { device, threads, dtype })?;
            let count = network.info().threads.unwrap_or(1);
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|at| format!("decode {at}")).build();
            let threads = pool.map_err(|error| Error::internal(format!("no threads: {error}")))?;
            let budget = DecodeBudget::new(DecodeLimits::default().max_bytes);
            Ok(Extractor { network, id: ModelId::of(&model.0), orient: orient.parse()?, threads, budget })
        })
        .or_raise(py)
    }

    /// Facts about the model and the device, as JSON.
    fn info(&self) -> String {
        serde_json::json!(self.network.info()).to_string()
    }

    /// Name and hash of the model.
    fn model_id(&self) -> (String, String) {
        (self.id.name.clone(), self.id.hash.clone())
    }

    /// The features of images, as one batch.
    fn embed<'py>(&self, py: Python<'py>, pictures: Vec<Picture<'py>>) -> PyResult<Embedded<'py>> {
        let sources: Vec<Source> = pictures.into_iter().map(Picture::detached).collect();
        let (features, damaged, failed) = py.detach(|| self.batch(sources)).or_raise(py)?;
        let dimension = self.network.info().dimension;
        // the array takes the vector's memory
        let features = numpy::PyArray1::from_vec(py, features);
        let features = features.reshape([features.len() / dimension, dimension])?;
        let failed = failed.iter().map(|(at, error)| Ok((*at, exception(py, error)?))).collect::<PyResult<_>>()?;
        Ok((features, damaged, failed))
    }
}

/// An image ready for the network, with what is damaged in its file.
type Prepared = Result<(Vec<f32>, Option<String>)>;
type Batch = (Vec<f32>, Vec<(usize, String)>, Vec<(usize, Error)>);

impl Extractor {
    fn batch(&self, sources: Vec<Source>) -> Result<Batch> {
        let prepare = |source: Source| -> Prepared {
            let (image, damage) = source.decode(self.orient, &self.budget)?;
            Ok((self.network.preprocess().apply(&image)?, damage))
        };
        let prepared: Vec<Prepared> = self.threads.install(|| sources.into_par_iter().map(prepare).collect());
        let (mut input, mut count) = (Vec::new(), 0);
        let (mut damaged, mut failed) = (Vec::new(), Vec::new());
        for (at, prepared) in prepared.into_iter().enumerate() {
            match prepared {
                Ok((values, damage)) => {
                    input.extend(values);
                    count += 1;
                    damaged.extend(damage.map(|damage| (at, damage)));
                }
                Err(error) => failed.push((at, error)),
            }
        }
        let features = if count == 0 { Vec::new() } else { self.network.run(input, count)? };
        Ok((features, damaged, failed))
    }
}
