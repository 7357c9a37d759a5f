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
//! Yes, but for [`Storage::Bit`]: every vector is looked at. What is read of a vector may be rounded ([`Storage::F16`],
//! [`Storage::I8`]), and a processor's own sums are rounded, too; but for each vector it is known how far off that can be. All
//! that could belong to the best are computed anew from the f32 values, which are kept beside, in 64 bits. So one query or many,
//! f32 or i8, one thread or several, on any machine: the same hits with the same scores, equal ones in the order in which
//! they were added.
//!
//! # What does it take?
//!
//! Memory for the f32 values, four bytes each, and for the rounded ones beside them where there are such. A search reads
//! only the latter, and is as fast as memory gives them: i8 four times as fast as f32, bits thirty times.

mod best;
mod bits;
mod classify;
mod codes;
mod entry;
mod exchange;
mod file;
mod filter;
mod metric;
mod model_id;
mod pieces;
mod search;
#[cfg(not(target_arch = "wasm32"))]
mod turn;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;

pub use self::classify::Vote;
use self::codes::Codes;
pub use self::entry::Entry;
pub use self::exchange::{faiss, json_lines, npy, paddlex};
pub use self::filter::Filter;
pub use self::metric::{Metric, Storage};
pub use self::model_id::ModelId;
pub(crate) use self::pieces::in_pieces;
use self::search::Workspace;
pub use self::search::{Duplicate, EntryFilter, Hit, Search};
#[cfg(not(target_arch = "wasm32"))]
pub use self::turn::Turn;
use crate::engine::cpu::scan::{Scanner, pages};
use crate::{Error, Result};

/// Values of a vector, at most: differing bits are counted in 16 bits.
const MAX_DIMENSION: usize = 65_535;
/// Length of a vector, at most: products of two such are far from what a float can hold.
const MAX_LENGTH: f64 = 1e15;

/// Vectors of one length, each with an [`Entry`].
pub struct Gallery {
    dimension: usize,
    metric: Metric,
    storage: Storage,
    model: Option<ModelId>,
    /// By row, as everything below.
    entries: Vec<Entry>,
    /// In which order they were added.
    serials: Vec<u64>,
    next_serial: u64,
    rows: HashMap<String, u32>,
    /// `dimension` values each; none where only bits are kept.
    vectors: Vec<f32>,
    codes: Codes,
    scanner: Scanner,
    /// Memory of earlier searches.
    workspaces: Mutex<Vec<Workspace>>,
}

impl Gallery {
    /// An empty gallery for vectors of `dimension` values.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the dimension is 0 or above 65,535, or the storage does not fit
    /// the metric: Hamming needs [`Storage::Bit`], which in turn is for Hamming and cosine.
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

    /// Values of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How vectors are compared.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// What a search reads.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Which model made its vectors, where that is known.
    pub fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Notes which model made its vectors; the file keeps it.
    pub fn set_model(&mut self, model: Option<ModelId>) {
        self.model = model;
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The instruction set of the kernels that search: `avx512`, `avx2`, `neon`, `relaxed-simd`, `simd128` or `scalar`.
    pub fn instruction_set(&self) -> &'static str {
        self.scanner.name()
    }

    /// The entry of this id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.rows.get(id).map(|&row| &self.entries[row as usize])
    }

    /// The vector of this id: of length 1 where the metric is cosine, of 1 and -1 where it is Hamming.
    pub fn vector(&self, id: &str) -> Option<Cow<'_, [f32]>> {
        self.rows.get(id).map(|&row| self.row_vector(row as usize))
    }

    /// Entries and vectors, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, Cow<'_, [f32]>)> {
        self.in_order().into_iter().map(|row| (&self.entries[row], self.row_vector(row)))
    }

    /// Adds a vector.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    pub fn add(&mut self, entry: Entry, vector: &[f32]) -> Result<()> {
        self.extend(vec![entry], vector)
    }

    /// Adds vectors: one for each entry, one after the other in `vectors`. Either all are added or none.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where an id is there already or twice, a vector has another length
    /// than the gallery's, or holds NaN or infinity, or has no direction where the metric is cosine; the message names the id.
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
        let mut prepared = Vec::new();
        if self.codes.keeps_vectors() {
            pages::reserve(&mut prepared, vectors.len());
        }
        for (row, (entry, vector)) in (self.len() as u32..).zip(entries.iter().zip(vectors.chunks_exact(dimension))) {
            let taken = match self.prepared(vector) {
                Err(error) => Err(error),
                Ok(_) if self.rows.contains_key(&entry.id) => {
                    Err(Error::usage("the gallery has this id already; update or remove it"))
                }
                Ok(vector) => {
                    self.rows.insert(entry.id.clone(), row);
                    Ok(vector)
                }
            };
            match taken {
                Ok(vector) if self.codes.keeps_vectors() => prepared.extend_from_slice(&vector),
                Ok(_) => {}
                Err(error) => {
                    // what this call has put in goes out again
                    let before = self.len() as u32;
                    self.rows.retain(|_, row| *row < before);
                    return Err(error.context(format!("id `{}`", entry.id)));
                }
            }
        }
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

    /// Gives an entry's id a new label, metadata, and where one is given, a new vector. Its place in the order stays.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is no such id, and for vectors as [`extend`](Self::extend);
    /// the gallery is then as it was.
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

    /// Takes a vector out, and gives its entry.
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

    /// A vector as it is kept or searched with, checked.
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
        // what has length 1 already, as far as floats can have it, stays as it is: it may be searched with again
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
