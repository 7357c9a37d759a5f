//! Models.

use std::path::PathBuf;

use image_feature::gallery::ModelId;
use image_feature::output_file::OutputFile;
use image_feature::weights::Dtype;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::Raise;

/// A model in memory.
#[pyclass(frozen, module = "image_feature._native")]
pub struct Model(pub image_feature::Model);

#[pymethods]
impl Model {
    /// The model inside the package with this name.
    #[staticmethod]
    fn bundled(py: Python<'_>, name: &str) -> PyResult<Model> {
        let unknown = || Err(image_feature::Error::usage(format!("there is no model `{name}` inside the package")));
        image_feature::Model::of_name(name).unwrap_or_else(unknown).or_raise(py).map(Model)
    }

    /// The model of a file or folder.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Model> {
        py.detach(|| image_feature::Model::open(path)).or_raise(py).map(Model)
    }

    /// The model of a file's bytes.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, name: &str, data: PyBackedBytes) -> PyResult<Model> {
        py.detach(|| image_feature::Model::from_bytes(name, &data)).or_raise(py).map(Model)
    }

    /// A summary of the model, as JSON.
    fn info(&self) -> String {
        serde_json::json!(self.0.info()).to_string()
    }

    /// The model as a `.safetensors` file.
    fn to_bytes<'py>(&self, py: Python<'py>, dtype: &str) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        let file = py.detach(|| self.file(dtype)).or_raise(py)?;
        Ok(pyo3::types::PyBytes::new(py, &file))
    }

    /// Writes the model to a `.safetensors` file, which appears complete or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf, dtype: &str) -> PyResult<()> {
        py.detach(|| OutputFile::write(path, &self.file(dtype)?)).or_raise(py)
    }

    /// Name and hash, by which a gallery knows the maker of its vectors.
    fn id(&self, py: Python<'_>) -> (String, String) {
        let ModelId { name, hash } = py.detach(|| ModelId::of(&self.0));
        (name, hash)
    }
}

impl Model {
    fn file(&self, dtype: &str) -> image_feature::Result<Vec<u8>> {
        self.0.to_safetensors(dtype.parse::<Dtype>()?)
    }
}
