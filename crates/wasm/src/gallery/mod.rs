//! Galleries and their metrics.
//!
//! Vectors are typed arrays; entries and reports are JSON texts.

mod answers;
mod files;
mod steps;

use std::io::BufReader;

use js_sys::Function;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use self::files::{FromStart, Sink};
use crate::values::{to_js, to_text};
use image_feature::error::Context;
use image_feature::gallery::beside::Rows;
use image_feature::gallery::{
    Entry, EntryFilter, Filter, Gallery, Metric, ModelId, Queries, Search, Storage, Vote, json_lines, npy, npz, paddlex,
};
use image_feature::metrics::Options;
use image_feature::{Error, Result};

/// Maximum number of pairs of [`GalleryVectors::duplicates`]: JavaScript makes an object of each.
const MAX_PAIRS: usize = 1_000_000;

/// Vectors with their entries.
#[wasm_bindgen]
pub struct GalleryVectors {
    gallery: Gallery,
}

/// The result of a search: each entry once, and the hits as places among the entries.
#[wasm_bindgen(getter_with_clone)]
pub struct Found {
    /// A JSON list.
    pub entries: String,
    /// Number of hits of each query.
    pub counts: Vec<u32>,
    /// The place of each hit's entry; two places for each pair of duplicates.
    pub places: Vec<u32>,
    /// The score of each hit.
    pub scores: Vec<f32>,
}

/// The files of PaddleX's index folder.
#[wasm_bindgen(getter_with_clone)]
pub struct PaddlexIndex {
    /// `vector.index`
    pub vectors: Vec<u8>,
    /// `id_map.yaml`
    pub labels: String,
}

#[wasm_bindgen]
impl GalleryVectors {
    /// An empty gallery.
    #[wasm_bindgen(constructor)]
    pub fn new(dimension: usize, metric: &str, storage: &str) -> Result<GalleryVectors, JsValue> {
        Self::made(|| Gallery::new(dimension, metric.parse()?, storage.parse()?))
    }

    /// Reads a gallery file, piece by piece: it is never in memory beside the gallery.
    #[wasm_bindgen(js_name = fromFile)]
    pub fn from_file(file: Blob) -> Result<GalleryVectors, JsValue> {
        let mut file = FromStart::new(file);
        let size = file.size();
        Self::made(|| Gallery::read(&mut file, size))
    }

    /// Reads JSON lines.
    #[wasm_bindgen(js_name = fromJsonLines)]
    pub fn from_json_lines(file: Blob, metric: &str, storage: &str) -> Result<GalleryVectors, JsValue> {
        let mut lines = BufReader::new(FromStart::new(file));
        Self::made(|| json_lines::read(&mut lines, metric.parse()?, storage.parse()?))
    }

    /// Reads a `.npy` file. `beside` has the name and the bytes of the file that says what the rows are; without it, ids are the rows'
    /// numbers.
    #[wasm_bindgen(js_name = fromNpy)]
    pub fn from_npy(
        bytes: &[u8],
        name: &str,
        beside: Option<Vec<u8>>,
        metric: &str,
        storage: &str,
    ) -> Result<GalleryVectors, JsValue> {
        Self::made(|| {
            let matrix = npy::read(bytes)?;
            let rows = beside.map(|beside| Rows::read(name, &beside).context(|| name.into())).transpose()?;
            let (entries, model) = rows.map_or((None, None), |rows| (Some(rows.entries), rows.model));
            let mut gallery = matrix.to_gallery(entries, metric.parse()?, storage.parse()?)?;
            gallery.set_model(model);
            Ok(gallery)
        })
    }

    /// Reads a `.npz` file.
    #[wasm_bindgen(js_name = fromNpz)]
    pub fn from_npz(bytes: &[u8], metric: &str, storage: &str) -> Result<GalleryVectors, JsValue> {
        Self::made(|| npz::read(bytes, metric.parse()?, storage.parse()?))
    }

    /// Reads a `vector.index`, and the labels beside it, where there are some; `name` is the labels' file. Without `metric`, the index
    /// has it.
    #[wasm_bindgen(js_name = fromPaddlex)]
    pub fn from_paddlex(
        vectors: &[u8],
        name: &str,
        labels: Option<Vec<u8>>,
        metric: Option<String>,
        storage: &str,
    ) -> Result<GalleryVectors, JsValue> {
        Self::made(|| {
            let index = match labels {
                Some(labels) => paddlex::read_named(vectors, name, &labels, Storage::F32)?,
                None => paddlex::read_vectors(vectors, Storage::F32)?,
            };
            let metric: Metric = metric.as_deref().map_or(Ok(index.metric()), str::parse)?;
            index.with_metric(metric, storage.parse()?)
        })
    }

    /// `{dimension, metric, storage, count, simd, model, threshold}`.
    pub fn info(&self) -> String {
        let Self { gallery } = self;
        json!({
            "dimension": gallery.dimension(), "metric": gallery.metric().to_string(),
            "storage": gallery.storage().to_string(), "count": gallery.len(), "simd": gallery.instruction_set(),
            "model": gallery.model(), "threshold": gallery.threshold(),
        })
        .to_string()
    }

    /// Sets the model that made the vectors; without `name` and `hash` it is unknown.
    #[wasm_bindgen(js_name = setModel)]
    pub fn set_model(&mut self, name: Option<String>, hash: Option<String>) {
        self.gallery.set_model(name.zip(hash).map(|(name, hash)| ModelId { name, hash }));
    }

    /// Sets the score from which on the nearest vector counts as known; without one, any does.
    #[wasm_bindgen(js_name = setThreshold)]
    pub fn set_threshold(&mut self, threshold: Option<f32>) -> Result<(), JsValue> {
        self.gallery.set_threshold(threshold).map_err(to_js)
    }

    /// Number of vectors.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.gallery.len()
    }

    /// Adds all of these vectors or none. `entries` is a JSON list.
    pub fn add(&mut self, entries: &str, vectors: &[f32]) -> Result<(), JsValue> {
        entries_of(entries).and_then(|entries| self.gallery.extend(entries, vectors)).map_err(to_js)
    }

    /// Replaces the entry of the same id and, where one is given, its vector.
    pub fn update(&mut self, entry: &str, vector: Option<Vec<f32>>) -> Result<(), JsValue> {
        let entry = read_json(entry, "an entry");
        entry.and_then(|entry| self.gallery.update(entry, vector.as_deref())).map_err(to_js)
    }

    /// Removes a vector.
    pub fn remove(&mut self, id: &str) -> Result<(), JsValue> {
        self.gallery.remove(id).map(|_| ()).map_err(to_js)
    }

    /// The entry of an id, as JSON; `undefined` where there is none.
    pub fn get(&self, id: &str) -> Option<String> {
        self.gallery.get(id).map(|entry| json!(entry).to_string())
    }

    /// The vector of an id; `undefined` where there is none.
    pub fn vector(&self, id: &str) -> Option<Vec<f32>> {
        self.gallery.vector(id).map(|vector| vector.into_owned())
    }

    /// A JSON list of `count` entries from `first` on, in the order in which they were added.
    pub fn entries(&self, first: usize, count: usize) -> Result<String, JsValue> {
        to_text(&self.gallery.iter().skip(first).take(count).map(|(entry, _)| entry).collect::<Vec<_>>())
    }

    /// A JSON list of pairs of a label and its number of entries, ordered by label; `null` stands for no label.
    pub fn labels(&self) -> Result<String, JsValue> {
        to_text(&self.gallery.labels().into_iter().collect::<Vec<_>>())
    }

    /// The nearest of each of these vectors.
    pub fn search(
        &self,
        vectors: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<Found, JsValue> {
        with_filter(filter.as_deref(), |filter| {
            Ok(answers::hits(&self.gallery.search_many(vectors, Search { k, threshold, filter })?))
        })
    }

    /// The nearest of one vector, all or none: only the best must reach the threshold.
    pub fn recognize(
        &self,
        vector: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<Found, JsValue> {
        with_filter(filter.as_deref(), |filter| {
            Ok(answers::hits(&[self.gallery.recognize(vector, Search { k, threshold, filter })?]))
        })
    }

    /// The nearest of one vector, label by label: `counts` has the number of hits of each label.
    #[wasm_bindgen(js_name = searchClasses)]
    pub fn search_classes(
        &self,
        vector: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<Found, JsValue> {
        with_filter(filter.as_deref(), |filter| {
            let classes = self.gallery.search_classes(vector, Search { k, threshold, filter })?;
            Ok(answers::hits(&classes.into_iter().map(|class| class.hits).collect::<Vec<_>>()))
        })
    }

    /// A JSON list of `{label, count, best, mean}`: the labels of the nearest.
    pub fn classify(
        &self,
        vector: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<String, JsValue> {
        with_filter(filter.as_deref(), |filter| {
            let votes = self.gallery.classify(vector, Search { k, threshold, filter })?.into_iter();
            let vote =
                |vote: Vote| json!({ "label": vote.label, "count": vote.count, "best": vote.best, "mean": vote.mean });
            let votes = votes.map(vote);
            Ok(Value::from_iter(votes).to_string())
        })
    }

    /// All pairs with a score that reaches the threshold.
    pub fn duplicates(&self, threshold: f32) -> Result<Found, JsValue> {
        let pairs = self.gallery.duplicates(threshold).map_err(to_js)?;
        if pairs.len() > MAX_PAIRS {
            let message = format!(
                "{} pairs are as near as {threshold}; choose a threshold that at most {MAX_PAIRS} reach",
                pairs.len()
            );
            return Err(to_js(Error::limit(message)));
        }
        Ok(answers::pairs(&pairs))
    }

    /// A report on how well the gallery answers, as JSON.
    ///
    /// Queries are `vectors` with a label for each. `ids` is empty, or has for each query the id of the entry that is the same
    /// image and is left out. Without vectors, all entries with a label are queries.
    #[allow(clippy::too_many_arguments)]
    pub fn evaluate(
        &self,
        vectors: Option<Vec<f32>>,
        labels: Vec<String>,
        ids: Vec<String>,
        recall_at: Vec<u32>,
        block: usize,
        worst: usize,
        nearest: usize,
    ) -> Result<String, JsValue> {
        let recall_at = recall_at.into_iter().map(|k| k as usize).collect();
        let options = Options { recall_at, block, worst, nearest, itself: Vec::new() };
        let queries = match &vectors {
            Some(vectors) => Queries::Given { vectors, labels: &labels, ids: &ids },
            None => Queries::Own,
        };
        let evaluation = self.gallery.evaluate(queries, &options).map_err(to_js)?;
        Ok(answers::evaluation(&evaluation).to_string())
    }

    /// Gives the gallery file to `take`, piece by piece.
    pub fn write(&self, take: &Function) -> Result<(), JsValue> {
        self.gallery.write(&mut Sink(take)).map_err(to_js)
    }

    /// Gives the vectors as JSON lines to `take`, piece by piece.
    #[wasm_bindgen(js_name = writeJsonLines)]
    pub fn write_json_lines(&self, take: &Function) -> Result<(), JsValue> {
        json_lines::write(&self.gallery, &mut Sink::buffered(take)).map_err(to_js)
    }

    /// Gives the entries without their vectors as JSON lines to `take`, piece by piece.
    #[wasm_bindgen(js_name = writeEntries)]
    pub fn write_entries(&self, take: &Function) -> Result<(), JsValue> {
        json_lines::write_entries(&self.gallery, &mut Sink::buffered(take)).map_err(to_js)
    }

    /// Gives the vectors as a `.npy` file to `take`, piece by piece.
    #[wasm_bindgen(js_name = writeNpy)]
    pub fn write_npy(&self, take: &Function) -> Result<(), JsValue> {
        npy::write_gallery(&self.gallery, &mut Sink::buffered(take)).map_err(to_js)
    }

    /// The gallery as PaddleX's index.
    #[wasm_bindgen(js_name = toPaddlex)]
    pub fn to_paddlex(&self) -> Result<PaddlexIndex, JsValue> {
        let (vectors, labels) = paddlex::write(&self.gallery).map_err(to_js)?;
        Ok(PaddlexIndex { vectors, labels })
    }
}

impl GalleryVectors {
    fn made(make: impl FnOnce() -> Result<Gallery>) -> Result<Self, JsValue> {
        make().map(|gallery| GalleryVectors { gallery }).map_err(to_js)
    }
}

/// Calls `search` with the filter that a JSON text describes.
fn with_filter<T>(filter: Option<&str>, search: impl FnOnce(Option<EntryFilter>) -> Result<T>) -> Result<T, JsValue> {
    let read = |filter: &str| {
        let json = serde_json::from_str(filter).map_err(|error| Error::usage(format!("a filter: {error}")))?;
        Filter::from_json(&json)
    };
    let filter = filter.map(read).transpose().map_err(to_js)?.filter(|filter| !filter.is_empty());
    let found = match &filter {
        Some(filter) => search(Some(&|entry| filter.matches(entry))),
        None => search(None),
    };
    found.map_err(to_js)
}

fn entries_of(json: &str) -> Result<Vec<Entry>> {
    read_json(json, "a list of entries")
}

fn read_json<T: DeserializeOwned>(json: &str, kind: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::usage(format!("not {kind}: {error}")))
}
