//! Galleries: feature vectors kept under an id with a label and free metadata, searched, saved and exchanged.
//!
//! ```
//! use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
//!
//! let mut gallery = Gallery::new(3, Metric::Cosine, Storage::F32)?;
//! gallery.add(Entry::new("tea-1").label("tea"), &[1.0, 0.1, 0.0])?;
//! gallery.add(Entry::new("tea-2").label("tea"), &[0.9, 0.0, 0.1])?;
//! gallery.add(Entry::new("cup-1").label("cup"), &[0.0, 0.2, 1.0])?;
//!
//! let hits = gallery.search(&[1.0, 0.0, 0.0], Search { k: 2, ..Search::default() })?;
//! assert_eq!(hits[0].entry.id, "tea-1");
//! assert_eq!(hits[1].entry.label.as_deref(), Some("tea"));
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! # Is the search exact?
//!
//! Yes, except with [`Storage::Bit`]. A search reads every vector. The values it reads may be rounded ([`Storage::F16`],
//! [`Storage::I8`]), and sums of floats are rounded, too. The largest possible error is known for each vector. Each vector
//! that could be among the best is computed again in 64 bits, from the f32 values that the gallery keeps. One query or many,
//! f32 or i8, one thread or several, on any machine: hits and scores are the same. Equal scores come in the order in which
//! the vectors were added.
//!
//! # How much memory does it take, and how fast is it?
//!
//! The f32 values take four bytes each; rounded values are kept beside them. A search reads the rounded values only, at the
//! speed of memory: i8 is four times as fast as f32, bits thirty times.
//!
//! # What is unknown to a gallery?
//!
//! Every picture has a nearest vector. [`Gallery::calibrate`] proposes the score from which on the nearest one counts, and says how
//! many errors that makes; [`Gallery::recognize`] then answers with nothing for what is unknown. The right score is another one for
//! each model and each collection.
//!
//! # Files
//!
//! [`Gallery::save`] and [`Gallery::open`] use a file format of this crate. [`npy`], [`npz`], [`json_lines`], [`faiss`] and
//! [`paddlex`] exchange vectors with other programs.
//!
//! # Which model made the vectors?
//!
//! Vectors of two models cannot be compared: scores would be noise. A gallery therefore keeps the [`ModelId`] of its model, in its
//! file and in files for other programs, and [`Gallery::check_model`] refuses another.

mod best;
mod bits;
mod calibrate;
mod classify;
mod codes;
mod entry;
mod evaluate;
mod exchange;
mod file;
mod filter;
mod groups;
mod metric;
mod search;
#[cfg(not(target_arch = "wasm32"))]
mod turn;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

pub use self::calibrate::{Calibrating, Calibration, CalibrationOptions, ThresholdErrors};
pub use self::classify::{ClassHits, Vote};
use self::codes::Codes;
pub use self::entry::Entry;
pub use self::evaluate::{Evaluation, Queries};
pub use self::exchange::{beside, faiss, json_lines, npy, npz, paddlex};
pub use self::filter::Filter;
pub use self::groups::{Group, Grouping};
pub use self::metric::{Metric, Storage};
use self::search::Workspace;
pub use self::search::{Duplicate, EntryFilter, Hit, Search};
#[cfg(not(target_arch = "wasm32"))]
pub use self::turn::Turn;
use crate::engine::cpu::scan::{Scanner, pages};
pub use crate::weights::ModelId;
use crate::{Error, Result};

/// Maximum values of a vector: differing bits are counted in 16 bits.
const MAX_DIMENSION: usize = 65_535;
/// Maximum length of a vector: products of two such vectors are far below the largest f32.
const MAX_LENGTH: f64 = 1e15;

/// Vectors of the same number of values, each with an [`Entry`].
///
/// ```
/// use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
///
/// let mut gallery = Gallery::new(2, Metric::L2, Storage::F16)?;
/// gallery.extend(vec![Entry::new("a"), Entry::new("b")], &[0.0, 0.0, 3.0, 4.0])?;
/// gallery.update(Entry::new("b").label("far"), None)?;
/// let hits = gallery.search(&[0.0, 0.0], Search::default())?;
/// assert_eq!((hits[1].entry.id.as_str(), hits[1].score), ("b", 25.0));
/// gallery.remove("a")?;
/// assert_eq!(gallery.len(), 1);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Gallery {
    dimension: usize,
    metric: Metric,
    storage: Storage,
    model: Option<ModelId>,
    threshold: Option<f32>,
    /// By row, like `serials`, `vectors` and `codes`.
    entries: Vec<Entry>,
    /// The order in which rows were added.
    serials: Vec<u64>,
    next_serial: u64,
    /// Rows by id.
    rows: HashMap<String, u32>,
    /// `dimension` values a row; empty where only bits are kept.
    vectors: Vec<f32>,
    codes: Codes,
    scanner: Scanner,
    /// Memory of earlier searches, used again.
    workspaces: Mutex<Vec<Workspace>>,
}

impl Gallery {
    /// An empty gallery for vectors of `dimension` values.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the dimension is 0 or above 65,535, or the storage does not fit
    /// the metric: Hamming needs [`Storage::Bit`]; [`Storage::Bit`] needs Hamming or cosine.
    pub fn new(dimension: usize, metric: Metric, storage: Storage) -> Result<Self> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(Error::usage(format!("vectors of {dimension} values; a gallery takes 1 to {MAX_DIMENSION}")));
        }
        match (metric, storage) {
            (Metric::Hamming, Storage::F32 | Storage::F16 | Storage::I8) => {
                return Err(Error::usage(format!("metric hamming counts bits: it needs storage bit, not {storage}")));
            }
            (Metric::InnerProduct | Metric::L2, Storage::Bit) => {
                return Err(Error::usage(format!(
                    "storage bit keeps directions, which says nothing of metric {metric}; take f16 or i8, or metric cosine"
                )));
            }
            _ => {}
        }
        Ok(Gallery {
            dimension,
            metric,
            storage,
            model: None,
            threshold: None,
            entries: Vec::new(),
            serials: Vec::new(),
            next_serial: 0,
            rows: HashMap::new(),
            vectors: Vec::new(),
            codes: Codes::new(dimension, metric, storage),
            scanner: Scanner::best(),
            workspaces: Mutex::default(),
        })
    }

    /// Number of values of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The measure that compares vectors.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The form of the values that a search reads.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// The model that made the vectors; `None` where it is not known.
    pub fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Sets the model that made the vectors. The file keeps it.
    pub fn set_model(&mut self, model: Option<ModelId>) {
        self.model = model;
    }

    /// The score from which on the nearest vector counts as known, for [`recognize`](Self::recognize); `None`: any score.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// Sets the score from which on the nearest vector counts as known. The file keeps it. [`calibrate`](Self::calibrate) proposes
    /// one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for NaN and infinity.
    pub fn set_threshold(&mut self, threshold: Option<f32>) -> Result<()> {
        if let Some(threshold) = threshold.filter(|threshold| !threshold.is_finite()) {
            return Err(Error::usage(format!("the threshold is {threshold}; a number is needed")));
        }
        self.threshold = threshold;
        Ok(())
    }

    /// Refuses a model whose vectors cannot be compared with those of the gallery.
    ///
    #[cfg_attr(feature = "default-model", doc = "```")]
    #[cfg_attr(not(feature = "default-model"), doc = "```ignore")]
    /// use image_feature::Model;
    /// use image_feature::gallery::{Gallery, Metric, ModelId, Storage};
    ///
    /// let model = ModelId::of(&Model::bundled()?);
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// assert!(gallery.check_model(&model).unwrap_err().is_usage(), "nobody said who made its vectors");
    /// gallery.set_model(Some(model.clone()));
    /// gallery.check_model(&model)?;
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where another model made the vectors, and where it is not known which one did.
    pub fn check_model(&self, model: &ModelId) -> Result<()> {
        match &self.model {
            Some(made_by) if made_by.is_same(model) => Ok(()),
            Some(made_by) => Err(Error::usage(format!(
                "the gallery was made by another model, {made_by}, not by {model}: their vectors cannot be compared"
            ))),
            None => Err(Error::usage(format!(
                "the gallery does not know which model made its vectors: if it was not {model}, scores mean nothing"
            ))),
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The instruction set of the kernels that search: `avx512`, `avx2`, `neon`, `relaxed-simd`, `simd128` or `scalar`.
    pub fn instruction_set(&self) -> &'static str {
        self.scanner.name()
    }

    /// The entry of an id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.rows.get(id).map(|&row| &self.entries[row as usize])
    }

    /// The vector of an id. With metric cosine it has length 1; with Hamming its values are 1 and -1.
    pub fn vector(&self, id: &str) -> Option<Cow<'_, [f32]>> {
        self.rows.get(id).map(|&row| self.row_vector(row as usize))
    }

    /// Entries and vectors, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, Cow<'_, [f32]>)> {
        self.in_order().into_iter().map(|row| (&self.entries[row], self.row_vector(row)))
    }

    /// The labels and how many entries have each, ordered; `None` stands for entries without a label.
    pub fn labels(&self) -> BTreeMap<Option<&str>, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.label.as_deref()).or_default() += 1;
        }
        counts
    }

    /// A gallery of the same vectors, entries and model, with another metric and storage. It has the same threshold where the
    /// metric is the same.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::InnerProduct, Storage::F32)?;
    /// gallery.add(Entry::new("a"), &[3.0, 4.0])?;
    /// let by_angle = gallery.with_metric(Metric::Cosine, Storage::I8)?;
    /// assert_eq!(by_angle.vector("a").unwrap()[..], [0.6, 0.8]);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`extend`](Self::extend).
    pub fn with_metric(&self, metric: Metric, storage: Storage) -> Result<Self> {
        let mut gallery = Gallery::new(self.dimension, metric, storage)?;
        gallery.model = self.model.clone();
        gallery.threshold = self.threshold.filter(|_| metric == self.metric);
        for (entry, vector) in self.iter() {
            gallery.add(entry.clone(), &vector)?;
        }
        Ok(gallery)
    }

    /// Adds a vector.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn add(&mut self, entry: Entry, vector: &[f32]) -> Result<()> {
        self.extend(vec![entry], vector)
    }

    /// Adds many vectors: `vectors` holds one for each entry, one after the other. Adds all or none.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where an id exists already or is given twice, where a vector has another
    /// number of values than the gallery's, holds NaN or infinity, or is zero with metric cosine; the message names the id.
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more than 2^32 - 1 vectors.
    pub fn extend(&mut self, entries: Vec<Entry>, vectors: &[f32]) -> Result<()> {
        let dimension = self.dimension;
        if entries.len().checked_mul(dimension) != Some(vectors.len()) {
            return Err(match entries.as_slice() {
                [entry] => wrong_dimension(vectors.len(), dimension).context(format!("id `{}`", entry.id)),
                _ => Error::usage(format!(
                    "{} entries of {dimension} values each were announced, {} values were given",
                    entries.len(),
                    vectors.len()
                )),
            });
        }
        if self.len() + entries.len() > u32::MAX as usize {
            return Err(Error::limit(format!("a gallery holds at most {} vectors", u32::MAX)));
        }
        let before = self.len() as u32;
        let prepared = self.take_ids(&entries, vectors).inspect_err(|_| self.rows.retain(|_, row| *row < before))?;
        self.codes.reserve(entries.len());
        let source = if self.codes.keeps_vectors() { &prepared } else { vectors };
        for vector in source.chunks_exact(dimension) {
            self.codes.push(vector);
        }
        self.serials.extend(self.next_serial..self.next_serial + entries.len() as u64);
        self.next_serial += entries.len() as u64;
        self.entries.extend(entries);
        if self.vectors.capacity() == 0 {
            self.vectors = prepared;
        } else {
            pages::reserve(&mut self.vectors, prepared.len());
            self.vectors.extend_from_slice(&prepared);
        }
        Ok(())
    }

    /// Gives the ids row numbers from the gallery's length on, and gives back the vectors as they are kept; empty where they
    /// are not kept. Leaves the ids that it took in place where it fails.
    fn take_ids(&mut self, entries: &[Entry], vectors: &[f32]) -> Result<Vec<f32>> {
        let keeps_vectors = self.codes.keeps_vectors();
        let mut prepared = Vec::new();
        if keeps_vectors {
            pages::reserve(&mut prepared, vectors.len());
        }
        for (row, (entry, vector)) in
            (self.len() as u32..).zip(entries.iter().zip(vectors.chunks_exact(self.dimension)))
        {
            let vector = self.prepared(vector).map_err(|error| error.context(format!("id `{}`", entry.id)))?;
            if self.rows.contains_key(&entry.id) {
                let known = Error::usage("the gallery has this id already; update or remove it");
                return Err(known.context(format!("id `{}`", entry.id)));
            }
            if keeps_vectors {
                prepared.extend_from_slice(&vector);
            }
            self.rows.insert(entry.id.clone(), row);
        }
        Ok(prepared)
    }

    /// Replaces the entry of the same id and, where one is given, its vector. Its place in the order stays.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is no such id, and for vectors as [`extend`](Self::extend);
    /// the gallery is then unchanged.
    pub fn update(&mut self, entry: Entry, vector: Option<&[f32]>) -> Result<()> {
        let row = self.row(&entry.id)?;
        if let Some(vector) = vector {
            let vector = self.prepared(vector).map_err(|error| error.context(format!("id `{}`", entry.id)))?;
            let vector = vector.into_owned();
            self.codes.set(row, &vector);
            if self.codes.keeps_vectors() {
                self.vectors[row * self.dimension..][..self.dimension].copy_from_slice(&vector);
            }
        }
        self.entries[row] = entry;
        Ok(())
    }

    /// Removes a vector and gives its entry back.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is no such id.
    pub fn remove(&mut self, id: &str) -> Result<Entry> {
        let row = self.row(id)?;
        self.rows.remove(id);
        let last = self.len() - 1;
        if row != last {
            self.rows.insert(self.entries[last].id.clone(), row as u32);
            if self.codes.keeps_vectors() {
                self.vectors.copy_within(last * self.dimension.., row * self.dimension);
            }
        }
        if self.codes.keeps_vectors() {
            self.vectors.truncate(last * self.dimension);
        }
        self.codes.swap_remove(row);
        self.serials.swap_remove(row);
        Ok(self.entries.swap_remove(row))
    }

    fn row(&self, id: &str) -> Result<usize> {
        let row = self.rows.get(id).ok_or_else(|| Error::usage(format!("the gallery has no id `{id}`")))?;
        Ok(*row as usize)
    }

    /// Rows in the order in which they were added.
    fn in_order(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rows.sort_unstable_by_key(|&row| self.serials[row]);
        rows
    }

    fn row_vector(&self, row: usize) -> Cow<'_, [f32]> {
        if self.codes.keeps_vectors() {
            Cow::Borrowed(&self.vectors[row * self.dimension..][..self.dimension])
        } else {
            Cow::Owned(self.codes.signs(row))
        }
    }

    /// A vector as it is kept and searched with: checked, and of length 1 with metric cosine.
    fn prepared<'v>(&self, vector: &'v [f32]) -> Result<Cow<'v, [f32]>> {
        if vector.len() != self.dimension {
            return Err(wrong_dimension(vector.len(), self.dimension));
        }
        if let Some(at) = vector.iter().position(|value| !value.is_finite()) {
            return Err(Error::usage(format!("value {at} of the vector is {}; numbers are needed", vector[at])));
        }
        let length = metric::length(vector);
        if length > MAX_LENGTH {
            return Err(Error::usage(format!("a vector of length {length:.1e}; at most {MAX_LENGTH:.0e} is taken")));
        }
        if self.metric != Metric::Cosine {
            return Ok(Cow::Borrowed(vector));
        }
        if length == 0.0 {
            return Err(Error::usage("a vector of zeros has no direction, which metric cosine compares"));
        }
        // length 1, as far as floats can have it: unchanged, so that a kept vector finds itself with the same values
        if (length - 1.0).abs() < 3e-7 {
            return Ok(Cow::Borrowed(vector));
        }
        Ok(Cow::Owned(vector.iter().map(|&value| (f64::from(value) / length) as f32).collect()))
    }
}

fn wrong_dimension(len: usize, dimension: usize) -> Error {
    Error::usage(format!("a vector of {len} values; the gallery's have {dimension}"))
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Gallery { dimension, metric, storage, .. } = self;
        write!(f, "Gallery({} vectors of {dimension} values, {metric}, {storage})", self.len())
    }
}
