//! Galleries.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use image_feature::gallery::{Entry, Filter, Hit, ModelId, Search, Storage, paddlex};
use image_feature::metrics::Options;
use image_feature::{Error, Result, gallery};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::Raise;
use crate::evaluation;

/// Id, label, and metadata as JSON.
type Row = (String, Option<String>, Option<String>);
/// A row and its score.
type Found = (String, Option<String>, Option<String>, f32);

/// Vectors kept and searched.
#[pyclass(frozen, module = "image_feature._native")]
pub struct Gallery(RwLock<gallery::Gallery>);

#[pymethods]
impl Gallery {
    #[new]
    fn new(py: Python<'_>, dimension: usize, metric: &str, storage: &str) -> PyResult<Self> {
        let new = || gallery::Gallery::new(dimension, metric.parse()?, storage.parse()?);
        new().or_raise(py).map(Gallery::of)
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| gallery::Gallery::open(path)).or_raise(py).map(Gallery::of)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: PyBackedBytes) -> PyResult<Self> {
        py.detach(|| gallery::Gallery::from_bytes(&data)).or_raise(py).map(Gallery::of)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.read().save(path)).or_raise(py)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &py.detach(|| self.read().to_bytes()).or_raise(py)?))
    }

    /// The gallery of PaddleX's two files.
    #[staticmethod]
    fn from_paddlex(py: Python<'_>, vectors: PyBackedBytes, labels: PyBackedBytes) -> PyResult<Self> {
        py.detach(|| paddlex::read(&vectors, &labels, Storage::F32)).or_raise(py).map(Gallery::of)
    }

    /// PaddleX's two files.
    fn to_paddlex<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, String)> {
        let (vectors, labels) = py.detach(|| paddlex::write(&self.read())).or_raise(py)?;
        Ok((PyBytes::new(py, &vectors), labels))
    }

    /// Number of vectors, number of values of each, metric and storage.
    fn facts(&self, py: Python<'_>) -> (usize, usize, String, String) {
        py.detach(|| {
            let gallery = self.read();
            (gallery.len(), gallery.dimension(), gallery.metric().to_string(), gallery.storage().to_string())
        })
    }

    /// Name and hash of the model that made the vectors.
    fn model(&self, py: Python<'_>) -> Option<(String, String)> {
        py.detach(|| self.read().model().map(|id| (id.name.clone(), id.hash.clone())))
    }

    fn set_model(&self, py: Python<'_>, model: Option<(String, String)>) {
        py.detach(|| self.write().set_model(model.map(|(name, hash)| ModelId { name, hash })));
    }

    /// Raises where another model made the vectors, or nobody knows which one.
    fn check_model(&self, py: Python<'_>, model: (String, String)) -> PyResult<()> {
        let (name, hash) = model;
        py.detach(|| self.read().check_model(&ModelId { name, hash })).or_raise(py)
    }

    /// Adds all rows or none.
    fn extend(&self, py: Python<'_>, rows: Vec<Row>, vectors: PyReadonlyArray2<'_, f32>) -> PyResult<()> {
        let vectors = vectors.as_slice()?;
        py.detach(|| {
            let entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
            self.write().extend(entries, vectors)
        })
        .or_raise(py)
    }

    /// Removes all ids or none.
    fn remove(&self, py: Python<'_>, ids: Vec<String>) -> PyResult<()> {
        py.detach(|| {
            let mut gallery = self.write();
            if let Some(id) = ids.iter().find(|id| gallery.get(id).is_none()) {
                return Err(Error::usage(format!("the gallery has no id `{id}`; nothing was removed")));
            }
            for id in &ids {
                // an id that is given twice is removed once
                if gallery.get(id).is_some() {
                    gallery.remove(id)?;
                }
            }
            Ok(())
        })
        .or_raise(py)
    }

    /// All rows, in the order in which they were added.
    fn rows(&self, py: Python<'_>) -> Vec<Row> {
        py.detach(|| self.read().iter().map(|(entry, _)| row(entry)).collect())
    }

    fn get(&self, py: Python<'_>, id: &str) -> Option<Row> {
        py.detach(|| self.read().get(id).map(row))
    }

    fn vector<'py>(&self, py: Python<'py>, id: &str) -> Option<Bound<'py, PyArray1<f32>>> {
        let vector = py.detach(|| self.read().vector(id).map(std::borrow::Cow::into_owned));
        vector.map(|vector| vector.into_pyarray(py))
    }

    /// All vectors, in the order in which they were added.
    fn vectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (values, shape) = py.detach(|| {
            let gallery = self.read();
            let mut values = Vec::with_capacity(gallery.len() * gallery.dimension());
            gallery.iter().for_each(|(_, vector)| values.extend_from_slice(&vector));
            (values, [gallery.len(), gallery.dimension()])
        });
        values.into_pyarray(py).reshape(shape)
    }

    /// The hits of each vector. `filter` is JSON, as [`Filter::from_json`] reads it.
    #[pyo3(signature = (vectors, *, k, threshold, filter))]
    fn search(
        &self,
        py: Python<'_>,
        vectors: PyReadonlyArray2<'_, f32>,
        k: usize,
        threshold: Option<f32>,
        filter: Option<&str>,
    ) -> PyResult<Vec<Vec<Found>>> {
        let vectors = vectors.as_slice()?;
        py.detach(|| {
            let filter = filter.map(|json| Filter::from_json(&parsed(json)?)).transpose()?;
            let matches = |entry: &Entry| filter.as_ref().is_none_or(|filter| filter.matches(entry));
            let gallery = self.read();
            let search = Search { k, threshold, filter: if filter.is_some() { Some(&matches) } else { None } };
            let hits = gallery.search_many(vectors, search)?;
            Ok(hits.into_iter().map(|hits| hits.iter().map(found).collect()).collect())
        })
        .or_raise(py)
    }

    /// The ids and scores of pairs that are near each other.
    fn duplicates(&self, py: Python<'_>, threshold: f32) -> PyResult<Vec<(String, String, f32)>> {
        py.detach(|| {
            let gallery = self.read();
            let pairs = gallery.duplicates(threshold)?;
            Ok(pairs.iter().map(|pair| (pair.first.id.clone(), pair.second.id.clone(), pair.score)).collect())
        })
        .or_raise(py)
    }

    /// How well the gallery answers its own entries, as JSON.
    fn evaluate_own(&self, py: Python<'_>, recall_at: Vec<usize>) -> PyResult<String> {
        let options = Options { recall_at, ..Options::default() };
        py.detach(|| evaluation::own(&self.read(), &options)).or_raise(py)
    }

    /// How well the gallery answers vectors with these labels, as JSON. `ids`: the entries that are the queries themselves.
    fn evaluate(
        &self,
        py: Python<'_>,
        vectors: PyReadonlyArray2<'_, f32>,
        labels: Vec<String>,
        ids: Vec<String>,
        recall_at: Vec<usize>,
    ) -> PyResult<String> {
        let vectors = vectors.as_slice()?;
        let options = Options { recall_at, ..Options::default() };
        let queries = gallery::Queries::Given { vectors, labels: &labels, ids: &ids };
        py.detach(|| evaluation::of(&self.read(), queries, &options)).or_raise(py)
    }
}

impl Gallery {
    fn of(gallery: gallery::Gallery) -> Self {
        Gallery(RwLock::new(gallery))
    }

    // A panic in the library leaves a gallery that was not changed, or an error of the next call.
    fn read(&self) -> RwLockReadGuard<'_, gallery::Gallery> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, gallery::Gallery> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::usage(format!("no JSON object: {error}")))
}

fn entry((id, label, metadata): Row) -> Result<Entry> {
    let metadata = metadata.as_deref().map(parsed).transpose().map_err(|error| error.context(format!("id `{id}`")))?;
    Ok(Entry { id, label, metadata: metadata.unwrap_or_default() })
}

fn row(entry: &Entry) -> Row {
    let metadata = (!entry.metadata.is_empty()).then(|| serde_json::json!(entry.metadata).to_string());
    (entry.id.clone(), entry.label.clone(), metadata)
}

fn found(hit: &Hit) -> Found {
    let (id, label, metadata) = row(hit.entry);
    (id, label, metadata, hit.score)
}
