//! A gallery, as one of the page's workers holds it.
//!
//! Vectors come and go as typed arrays; what is known of them as JSON, as text.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};

use js_sys::{Function, Uint8Array};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use crate::BlobSource;
use crate::values::to_js;
use image_feature::error::Context;
use image_feature::file_tree::ReadAt;
use image_feature::gallery::{Entry, Filter, Gallery, Hit, Metric, Search, Storage, json_lines, npy, paddlex};
use image_feature::metrics::{self, Labelled, Options, Report, Scores};
use image_feature::{Error, Result};

/// Pairs that [`GalleryVectors::duplicates`] gives, at most: each becomes an object of the page's.
const MOST_PAIRS: usize = 1_000_000;
/// Bytes of a line of JSON, at most.
const LINE_BYTES: u64 = 16 << 20;
/// The label of those that have none, in an evaluation: no query asks for it.
const NO_LABEL: i64 = -1;

/// Vectors with their entries.
#[wasm_bindgen]
pub struct GalleryVectors {
    gallery: Gallery,
}

/// What a search finds: each entry once, and the hits as places among the entries.
#[wasm_bindgen(getter_with_clone)]
pub struct Found {
    /// A JSON list.
    pub entries: String,
    /// How many hits each query has.
    pub counts: Vec<u32>,
    /// By hit: its entry's place; of duplicates, two places.
    pub places: Vec<u32>,
    /// By hit.
    pub scores: Vec<f32>,
}

/// PaddleX's index folder.
#[wasm_bindgen(getter_with_clone)]
pub struct PaddlexIndex {
    pub vectors: Vec<u8>,
    pub labels: String,
}

#[wasm_bindgen]
impl GalleryVectors {
    /// An empty gallery.
    #[wasm_bindgen(constructor)]
    pub fn new(dimension: usize, metric: &str, storage: &str) -> Result<GalleryVectors, JsValue> {
        let new = || Gallery::new(dimension, metric.parse()?, storage.parse()?);
        new().map(Self::of).map_err(to_js)
    }

    /// Reads a gallery file, piece by piece: it is never in memory beside the gallery.
    #[wasm_bindgen(js_name = fromFile)]
    pub fn from_file(file: Blob) -> Result<GalleryVectors, JsValue> {
        let mut source = FromStart { source: BlobSource::new(file), at: 0 };
        let size = source.source.size();
        Gallery::read(&mut source, size).map(Self::of).map_err(to_js)
    }

    /// Reads JSON lines.
    #[wasm_bindgen(js_name = fromJsonLines)]
    pub fn from_json_lines(file: Blob, metric: &str, storage: &str) -> Result<GalleryVectors, JsValue> {
        let read = || -> Result<Gallery> {
            let (metric, storage) = (metric.parse()?, storage.parse()?);
            let mut lines = BufReader::new(FromStart { source: BlobSource::new(file), at: 0 });
            let mut gallery = None;
            let mut line = String::new();
            for number in 1.. {
                line.clear();
                let mut add = || -> Result<bool> {
                    // one byte more: what is too long is refused, not cut
                    if lines.by_ref().take(LINE_BYTES + 1).read_line(&mut line)? == 0 {
                        return Ok(false);
                    }
                    if line.trim().is_empty() {
                        return Ok(true);
                    }
                    if let Some((entry, vector)) = json_lines::read_line(&line)? {
                        let gallery = match &mut gallery {
                            Some(gallery) => gallery,
                            none => none.insert(Gallery::new(vector.len(), metric, storage)?),
                        };
                        gallery.add(entry, &vector)?;
                    }
                    Ok(true)
                };
                if !add().context(|| format!("line {number}"))? {
                    break;
                }
            }
            gallery.ok_or_else(|| Error::gallery("no vectors"))
        };
        read().map(Self::of).map_err(to_js)
    }

    /// Reads a `.npy` file. `entries` is a JSON list of one for each row; without it rows are known by their numbers.
    #[wasm_bindgen(js_name = fromNpy)]
    pub fn from_npy(
        bytes: &[u8],
        entries: Option<String>,
        metric: &str,
        storage: &str,
    ) -> Result<GalleryVectors, JsValue> {
        let read = || -> Result<Gallery> {
            let matrix = npy::read(bytes)?;
            let rows = matrix.values.len().checked_div(matrix.columns).unwrap_or(0);
            let entries = match entries {
                Some(entries) => entries_of(&entries)?,
                None => (0..rows).map(|row| Entry::new(row.to_string())).collect(),
            };
            if entries.len() != rows {
                return Err(Error::gallery(format!("{} entries for {rows} vectors", entries.len())));
            }
            let mut gallery = Gallery::new(matrix.columns, metric.parse()?, storage.parse()?)?;
            gallery.extend(entries, &matrix.values)?;
            Ok(gallery)
        };
        read().map(Self::of).map_err(to_js)
    }

    /// Reads PaddleX's `vector.index` and `id_map.yaml`; with the metric that it says, unless another is given.
    #[wasm_bindgen(js_name = fromPaddlex)]
    pub fn from_paddlex(
        vectors: &[u8],
        labels: &[u8],
        metric: Option<String>,
        storage: &str,
    ) -> Result<GalleryVectors, JsValue> {
        let read = || -> Result<Gallery> {
            let index = paddlex::read(vectors, labels, Storage::F32)?;
            let metric: Metric = metric.as_deref().map_or(Ok(index.metric()), str::parse)?;
            let mut gallery = Gallery::new(index.dimension(), metric, storage.parse()?)?;
            for (entry, vector) in index.iter() {
                gallery.add(entry.clone(), &vector)?;
            }
            Ok(gallery)
        };
        read().map(Self::of).map_err(to_js)
    }

    /// `{dimension, metric, storage, count, simd}`.
    pub fn info(&self) -> String {
        let Self { gallery } = self;
        json!({
            "dimension": gallery.dimension(), "metric": gallery.metric().to_string(),
            "storage": gallery.storage().to_string(), "count": gallery.len(), "simd": gallery.instruction_set(),
        })
        .to_string()
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

    /// Puts an entry, and where one is given a vector, in the place of those of its id.
    pub fn update(&mut self, entry: &str, vector: Option<Vec<f32>>) -> Result<(), JsValue> {
        entry_of(entry).and_then(|entry| self.gallery.update(entry, vector.as_deref())).map_err(to_js)
    }

    /// Takes a vector out.
    pub fn remove(&mut self, id: &str) -> Result<(), JsValue> {
        self.gallery.remove(id).map(|_| ()).map_err(to_js)
    }

    /// The entry of this id, where there is one.
    pub fn get(&self, id: &str) -> Option<String> {
        self.gallery.get(id).map(|entry| json!(entry).to_string())
    }

    /// The vector of this id, where there is one.
    pub fn vector(&self, id: &str) -> Option<Vec<f32>> {
        self.gallery.vector(id).map(|vector| vector.into_owned())
    }

    /// A JSON list of `count` entries from `first` on, in the order in which they were added.
    pub fn entries(&self, first: usize, count: usize) -> Result<String, JsValue> {
        to_text(&self.gallery.iter().skip(first).take(count).map(|(entry, _)| entry).collect::<Vec<_>>())
    }

    /// A JSON list of pairs of a label and how many have it, by label; for those without one `null`.
    pub fn labels(&self) -> Result<String, JsValue> {
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for (entry, _) in self.gallery.iter() {
            *counts.entry(entry.label.as_deref()).or_default() += 1;
        }
        to_text(&counts.into_iter().collect::<Vec<_>>())
    }

    /// The nearest of each of these vectors.
    pub fn search(
        &self,
        vectors: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<Found, JsValue> {
        let found = with_filter(filter.as_deref(), |filter| {
            Ok(found(&self.gallery.search_many(vectors, Search { k, threshold, filter })?))
        });
        found.map_err(to_js)
    }

    /// The nearest of one vector, all or none: the threshold is for the best alone.
    pub fn recognize(
        &self,
        vector: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<Found, JsValue> {
        let found = with_filter(filter.as_deref(), |filter| {
            Ok(found(&[self.gallery.recognize(vector, Search { k, threshold, filter })?]))
        });
        found.map_err(to_js)
    }

    /// A JSON list of `{label, count, best}`: the labels of the nearest.
    pub fn classify(
        &self,
        vector: &[f32],
        k: usize,
        threshold: Option<f32>,
        filter: Option<String>,
    ) -> Result<String, JsValue> {
        let votes = with_filter(filter.as_deref(), |filter| {
            let votes = self.gallery.classify(vector, Search { k, threshold, filter })?.into_iter();
            let votes = votes.map(|vote| json!({ "label": vote.label, "count": vote.count, "best": vote.best }));
            Ok(Value::from_iter(votes).to_string())
        });
        votes.map_err(to_js)
    }

    /// All pairs as near each other as this.
    pub fn duplicates(&self, threshold: f32) -> Result<Found, JsValue> {
        let pairs = self.gallery.duplicates(threshold).map_err(to_js)?;
        if pairs.len() > MOST_PAIRS {
            let message = format!(
                "{} pairs are as near as {threshold}; choose a threshold that at most {MOST_PAIRS} reach",
                pairs.len()
            );
            return Err(to_js(Error::limit(message)));
        }
        let mut known = Known::default();
        let places = pairs.iter().flat_map(|pair| [pair.first, pair.second]).map(|entry| known.place(entry)).collect();
        let scores = pairs.iter().map(|pair| pair.score).collect();
        Ok(Found { places, scores, counts: vec![pairs.len() as u32], entries: known.text() })
    }

    /// How well the gallery answers, as JSON. The queries are vectors with the label of each, and with the ids of the images that
    /// they are themselves and that are left out, where `ids` has any; without vectors, all that have a label in the
    /// gallery, each of which is left out for itself.
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
        let options = Options {
            recall_at: recall_at.into_iter().map(|k| k as usize).collect(),
            block,
            worst,
            nearest,
            itself: Vec::new(),
        };
        self.evaluated(vectors, &labels, &ids, options).map(|report| report.to_string()).map_err(to_js)
    }

    /// Gives the gallery file to `take`, piece by piece.
    pub fn write(&self, take: &Function) -> Result<(), JsValue> {
        self.gallery.write(&mut Sink(take)).map_err(to_js)
    }

    /// Gives the vectors as JSON lines to `take`, piece by piece.
    #[wasm_bindgen(js_name = writeJsonLines)]
    pub fn write_json_lines(&self, take: &Function) -> Result<(), JsValue> {
        let mut out = io::BufWriter::with_capacity(1 << 20, Sink(take));
        let mut write = || -> Result<()> {
            for line in json_lines::lines(&self.gallery) {
                writeln!(out, "{line}")?;
            }
            Ok(out.flush()?)
        };
        write().map_err(to_js)
    }

    /// Gives the vectors as a `.npy` file to `take`, piece by piece.
    #[wasm_bindgen(js_name = writeNpy)]
    pub fn write_npy(&self, take: &Function) -> Result<(), JsValue> {
        let mut out = io::BufWriter::with_capacity(1 << 20, Sink(take));
        let mut write = || -> Result<()> {
            out.write_all(&npy::header(self.gallery.len(), self.gallery.dimension()))?;
            for (_, vector) in self.gallery.iter() {
                for value in vector.iter() {
                    out.write_all(&value.to_le_bytes())?;
                }
            }
            Ok(out.flush()?)
        };
        write().map_err(to_js)
    }

    /// The gallery as PaddleX's index.
    #[wasm_bindgen(js_name = toPaddlex)]
    pub fn to_paddlex(&self) -> Result<PaddlexIndex, JsValue> {
        let (vectors, labels) = paddlex::write(&self.gallery).map_err(to_js)?;
        Ok(PaddlexIndex { vectors, labels })
    }
}

impl GalleryVectors {
    fn of(gallery: Gallery) -> Self {
        GalleryVectors { gallery }
    }

    fn evaluated(
        &self,
        vectors: Option<Vec<f32>>,
        labels: &[String],
        ids: &[String],
        options: Options,
    ) -> Result<Value> {
        let mut images = Vec::with_capacity(self.gallery.len() * self.gallery.dimension());
        let mut entries = Vec::with_capacity(self.gallery.len());
        for (entry, vector) in self.gallery.iter() {
            images.extend_from_slice(&vector);
            entries.push(entry);
        }
        let mut known_labels = Labels::default();
        let image_labels: Vec<i64> = entries
            .iter()
            .map(|entry| entry.label.as_deref().map_or(NO_LABEL, |label| known_labels.number(label)))
            .collect();
        let mut itself = Vec::new();
        // of each query without a vector of its own, its place in the gallery
        let mut own = Vec::new();
        let (features, query_labels) = match vectors {
            Some(vectors) => {
                if !ids.is_empty() {
                    let places: HashMap<&str, usize> =
                        entries.iter().enumerate().map(|(place, entry)| (entry.id.as_str(), place)).collect();
                    itself = ids.iter().map(|id| places.get(id.as_str()).copied()).collect();
                }
                (vectors, labels.iter().map(|label| known_labels.number(label)).collect())
            }
            None => {
                own = (0..entries.len()).filter(|&place| image_labels[place] != NO_LABEL).collect();
                itself = own.iter().map(|&place| Some(place)).collect();
                let dimension = self.gallery.dimension();
                let of = |&place: &usize| images[place * dimension..][..dimension].iter().copied();
                (own.iter().flat_map(of).collect(), own.iter().map(|&place| image_labels[place]).collect::<Vec<_>>())
            }
        };
        let report = metrics::evaluate(
            &Labelled { features: &features, labels: &query_labels },
            &Labelled { features: &images, labels: &image_labels },
            self.gallery.dimension(),
            &Options { itself, ..options },
        )?;
        Ok(report_json(&report, &entries, &own, &known_labels.names, &query_labels))
    }
}

/// The report as the page has it: labels as they are called, images by their places among `entries`.
fn report_json(report: &Report, entries: &[&Entry], own: &[usize], names: &[&str], query_labels: &[i64]) -> Value {
    let mut known = Known::default();
    let name = |label: i64| usize::try_from(label).ok().map(|label| names[label]);
    let scores = |scores: &Scores| {
        let recall = scores.recall.iter().map(|(k, value)| json!([k, value]));
        json!({ "recall": Value::from_iter(recall), "mAP": scores.map })
    };
    let classes = report.classes.iter().map(|class| {
        json!({ "label": name(class.label), "queries": class.queries, "images": class.images, "recall1": class.recall_at_1, "mAP": class.map })
    });
    let worst = report.worst.iter().map(|worst| {
        let nearest: Vec<Value> =
            worst.nearest.iter().map(|&(at, score)| json!([known.place(entries[at]), score])).collect();
        json!({
            "query": worst.query, "entry": own.get(worst.query).map(|&place| known.place(entries[place])),
            "label": name(query_labels[worst.query]), "averagePrecision": worst.average_precision, "first": worst.first,
            "nearest": nearest,
        })
    });
    let worst: Vec<Value> = worst.collect();
    let confusions = report.confusions.iter().map(|confusion| {
        json!({ "label": name(confusion.label), "takenFor": name(confusion.taken_for), "count": confusion.count })
    });
    json!({
        "scores": scores(&report.scores), "overall": scores(&report.overall), "queries": report.queries,
        "images": report.images, "withoutMatch": report.without_match, "classes": Value::from_iter(classes),
        "confusions": Value::from_iter(confusions), "worst": worst, "entries": known.entries,
        "evaluateResult": report.evaluate_result(),
    })
}

/// Labels as numbers, and by their numbers.
#[derive(Default)]
struct Labels<'l> {
    numbers: HashMap<&'l str, i64>,
    names: Vec<&'l str>,
}

impl<'l> Labels<'l> {
    fn number(&mut self, label: &'l str) -> i64 {
        *self.numbers.entry(label).or_insert_with(|| {
            self.names.push(label);
            self.names.len() as i64 - 1
        })
    }
}

/// Entries that are told, each once.
#[derive(Default)]
struct Known<'g> {
    places: HashMap<*const Entry, u32>,
    entries: Vec<&'g Entry>,
}

impl<'g> Known<'g> {
    fn place(&mut self, entry: &'g Entry) -> u32 {
        *self.places.entry(entry).or_insert_with(|| {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        })
    }

    fn text(&self) -> String {
        json!(self.entries).to_string()
    }
}

fn found(hits: &[Vec<Hit>]) -> Found {
    let mut known = Known::default();
    let places = hits.iter().flatten().map(|hit| known.place(hit.entry)).collect();
    Found {
        places,
        counts: hits.iter().map(|hits| hits.len() as u32).collect(),
        scores: hits.iter().flatten().map(|hit| hit.score).collect(),
        entries: known.text(),
    }
}

/// Calls `search` with a filter given as JSON.
fn with_filter<T>(
    filter: Option<&str>,
    search: impl FnOnce(Option<image_feature::gallery::EntryFilter>) -> Result<T>,
) -> Result<T> {
    let Some(filter) = filter else { return search(None) };
    let json = serde_json::from_str(filter).map_err(|error| Error::usage(format!("a filter: {error}")))?;
    let filter = Filter::from_json(&json)?;
    if filter.is_empty() { search(None) } else { search(Some(&|entry| filter.matches(entry))) }
}

fn entries_of(json: &str) -> Result<Vec<Entry>> {
    serde_json::from_str(json).map_err(|error| Error::usage(format!("not a list of entries: {error}")))
}

fn entry_of(json: &str) -> Result<Entry> {
    serde_json::from_str(json).map_err(|error| Error::usage(format!("not an entry: {error}")))
}

fn to_text(value: &impl serde::Serialize) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|error| to_js(Error::internal(error.to_string())))
}

/// A file of the browser, read from its start to its end.
struct FromStart {
    source: BlobSource,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A function that takes bytes.
struct Sink<'f>(&'f Function);

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.0.call1(&JsValue::NULL, &Uint8Array::from(bytes));
        taken.map_err(|_| io::Error::other("the browser has no room for the file"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
