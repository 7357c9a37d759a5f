//! The file of a gallery: safetensors with the entries as JSON beside the vectors. `docs/gallery.md` describes it.

use std::io::{Read, Write};
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use serde_json::{Map, Value, json};

use super::codes::Values;
use super::metric::Storage;
use super::{Entry, Gallery, Metric, ModelId};
use crate::engine::cpu::scan::pages;
#[cfg(not(target_arch = "wasm32"))]
use crate::error::Context;
use crate::file_kind::{FileKind, START};
use crate::{Error, Result};

/// Metadata keys of the description and of the checksum.
const DESCRIPTION: &str = "image_feature_gallery";
const CHECKSUM: &str = "crc32";
/// Metadata keys of the threshold and of its checksum. Programs that do not know them read the rest.
const THRESHOLD: &str = "image_feature_threshold";
const THRESHOLD_CHECKSUM: &str = "image_feature_threshold_crc32";
const VERSION: u64 = 1;
/// Maximum bytes of a header. Usual ones have four hundred.
const HEADER_BYTES: u64 = 64 << 10;
/// Vectors that are read or written at once.
const AT_ONCE: usize = 1024;

/// The content of a header.
struct Header {
    dimension: usize,
    metric: Metric,
    storage: Storage,
    model: Option<ModelId>,
    threshold: Option<f32>,
    count: usize,
    /// Bytes of the entries.
    entries: usize,
}

impl Header {
    fn description(&self) -> String {
        let Header { dimension, metric, storage, count, .. } = self;
        let mut description = json!({
            "version": VERSION, "dimension": dimension, "metric": metric.to_string(), "storage": storage.to_string(),
            "count": count,
        });
        if let Some(ModelId { name, hash }) = &self.model {
            description["model"] = json!({ "name": name, "hash": hash });
        }
        description.to_string()
    }

    /// Bytes of a vector.
    fn row(&self) -> usize {
        if self.metric == Metric::Hamming { self.dimension.div_ceil(8) } else { 4 * self.dimension }
    }

    /// Appends the values of whole vectors in `bytes`.
    fn push_values(&self, bytes: &[u8], values: &mut Vec<f32>) {
        if self.metric != Metric::Hamming {
            values.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            return;
        }
        for row in bytes.chunks_exact(self.row()) {
            let bit = |at: usize| if row[at / 8] >> (at % 8) & 1 == 1 { 1.0 } else { -1.0 };
            values.extend((0..self.dimension).map(bit));
        }
    }

    /// The list of tensors of the header; `None` where the number of bytes overflows.
    fn tensors(&self) -> Option<Map<String, Value>> {
        let end = self.entries.checked_add(self.count.checked_mul(self.row())?)?;
        let (name, dtype, columns) = match self.metric {
            Metric::Hamming => ("bits", "U8", self.row()),
            _ => ("features", "F32", self.dimension),
        };
        let entries = json!({ "dtype": "U8", "shape": [self.entries], "data_offsets": [0, self.entries] });
        let vectors = json!({ "dtype": dtype, "shape": [self.count, columns], "data_offsets": [self.entries, end] });
        Some(Map::from_iter([("entries".into(), entries), (name.into(), vectors)]))
    }

    /// The header and the checksum of a file.
    fn parse(json: &[u8]) -> Result<(Self, u32)> {
        let mut header: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| damaged(format!("its header is no JSON: {error}")))?;
        let metadata = header.remove("__metadata__");
        let text = |key: &str| metadata.as_ref().and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
        let Some(description) = text(DESCRIPTION) else {
            return Err(Error::gallery(format!(
                "a safetensors file, but no gallery: its metadata has no `{DESCRIPTION}`"
            )));
        };
        let checksum = text(CHECKSUM).and_then(|text| u32::from_str_radix(text, 16).ok());
        let checksum = checksum.ok_or_else(|| damaged(format!("its metadata has no `{CHECKSUM}`")))?;
        let entries = header.get("entries").and_then(|entries| entries["shape"][0].as_u64());
        let entries = entries.and_then(|bytes| usize::try_from(bytes).ok());
        let threshold = match (text(THRESHOLD), text(THRESHOLD_CHECKSUM)) {
            (None, None) => None,
            (Some(threshold), Some(checksum)) if checksum == checksum_of(threshold) => {
                let number = threshold.parse().ok().filter(|number: &f32| number.is_finite());
                Some(number.ok_or_else(|| damaged(format!("its `{THRESHOLD}` is no number")))?)
            }
            _ => return Err(damaged(format!("its `{THRESHOLD}` and the checksum of it do not fit"))),
        };
        let parsed = Header { threshold, ..Self::from_description(description, entries)? };
        if parsed.tensors().as_ref() != Some(&header) || parsed.description() != description {
            return Err(damaged("its header lists other tensors than its description"));
        }
        Ok((parsed, checksum))
    }

    /// Reads the text that [`description`](Self::description) writes. `entries` has the bytes of the entries.
    fn from_description(description: &str, entries: Option<usize>) -> Result<Self> {
        let stated: Value = serde_json::from_str(description)
            .map_err(|error| damaged(format!("its description is no JSON: {error}")))?;
        match stated["version"].as_u64() {
            Some(VERSION) => {}
            Some(version) => {
                return Err(Error::unsupported(format!(
                    "a gallery of version {version}; this program reads version {VERSION}"
                )));
            }
            None => return Err(damaged("its description has no `version`")),
        }
        let number = |key: &str| {
            let number = stated[key].as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| damaged(format!("its description has no number `{key}`")))
        };
        let name = |key: &str| stated[key].as_str().unwrap_or_default();
        let entries = entries.ok_or_else(|| damaged("it has no tensor `entries`"))?;
        let model = match &stated["model"] {
            Value::Null => None,
            model => {
                let text = |key: &str| {
                    let text = model[key].as_str().map(String::from);
                    text.ok_or_else(|| damaged(format!("its description has no text `model.{key}`")))
                };
                Some(ModelId { name: text("name")?, hash: text("hash")? })
            }
        };
        Ok(Header {
            dimension: number("dimension")?,
            metric: name("metric").parse().map_err(|error: Error| damaged(error.to_string()))?,
            storage: name("storage").parse().map_err(|error: Error| damaged(error.to_string()))?,
            model,
            threshold: None,
            count: number("count")?,
            entries,
        })
    }
}

fn checksum_of(text: &str) -> String {
    let mut checksum = flate2::Crc::new();
    checksum.update(text.as_bytes());
    format!("{:08x}", checksum.sum())
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::gallery(format!("the gallery file is damaged: {why}"))
}

impl Gallery {
    /// Writes the gallery as a file. [`save`](Self::save) writes to a path, and keeps the old file until the new one is complete.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the model's name is longer than a header may be, and errors of the
    /// output.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let order = self.in_order();
        let entries: Vec<&Entry> = order.iter().map(|&row| &self.entries[row]).collect();
        let mut entries =
            serde_json::to_vec(&entries).map_err(|error| Error::internal(error.to_string()).with_source(error))?;
        // aligns the vectors that follow
        entries.resize(entries.len().next_multiple_of(8), b' ');
        let header = Header {
            dimension: self.dimension,
            metric: self.metric,
            storage: self.storage,
            model: self.model.clone(),
            threshold: self.threshold,
            count: self.len(),
            entries: entries.len(),
        };
        let description = header.description();
        let mut checksum = flate2::Crc::new();
        checksum.update(description.as_bytes());
        checksum.update(&entries);
        self.vector_bytes(&order, &mut |bytes| {
            checksum.update(bytes);
            Ok(())
        })?;
        let mut tensors = header.tensors().ok_or_else(|| Error::limit("the gallery is too large for a file"))?;
        let checksum = format!("{:08x}", checksum.sum());
        let mut metadata = json!({ DESCRIPTION: description, CHECKSUM: checksum });
        if let Some(threshold) = header.threshold {
            let threshold = threshold.to_string();
            metadata[THRESHOLD_CHECKSUM] = checksum_of(&threshold).into();
            metadata[THRESHOLD] = threshold.into();
        }
        tensors.insert("__metadata__".into(), metadata);
        let mut head = Value::Object(tensors).to_string().into_bytes();
        head.resize(head.len().next_multiple_of(8), b' ');
        if head.len() as u64 > HEADER_BYTES {
            return Err(Error::limit(format!(
                "the model's name is too long for a gallery file: at most {HEADER_BYTES} bytes"
            )));
        }
        out.write_all(&(head.len() as u64).to_le_bytes())?;
        out.write_all(&head)?;
        out.write_all(&entries)?;
        self.vector_bytes(&order, &mut |bytes| Ok(out.write_all(bytes)?))?;
        Ok(out.flush()?)
    }

    /// The gallery as the bytes of a file.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::I8)?;
    /// gallery.add(Entry::new("a"), &[0.6, 0.8])?;
    /// let read = Gallery::from_bytes(&gallery.to_bytes()?)?;
    /// assert_eq!(read.vector("a"), gallery.vector("a"));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// Gives the bytes of the vectors in a file, piece by piece.
    fn vector_bytes(&self, order: &[usize], give: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut bytes = Vec::new();
        for rows in order.chunks(AT_ONCE) {
            bytes.clear();
            for &row in rows {
                match &self.codes.values {
                    Values::Bits(bits) if !self.codes.keeps_vectors() => {
                        let words = &bits[row * self.codes.words()..][..self.codes.words()];
                        let all = words.iter().flat_map(|word| word.to_le_bytes());
                        bytes.extend(all.take(self.dimension.div_ceil(8)));
                    }
                    _ => {
                        let vector = &self.vectors[row * self.dimension..][..self.dimension];
                        bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
                    }
                }
            }
            give(&bytes)?;
        }
        Ok(())
    }

    /// Reads a file of `len` bytes. The memory it takes is limited to a few times `len`, whatever the header says.
    ///
    /// # Errors
    /// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the file is no gallery, or a damaged or truncated one,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for later versions of the format, and errors of the input.
    pub fn read(input: &mut dyn Read, len: u64) -> Result<Self> {
        let mut left = len;
        let mut take = |bytes: usize, what: &str| -> Result<Vec<u8>> {
            let rest = left.checked_sub(bytes as u64);
            left = rest.ok_or_else(|| damaged(format!("it ends within {what}, as if it were truncated")))?;
            let mut taken = vec![0; bytes];
            input.read_exact(&mut taken)?;
            Ok(taken)
        };
        let start = take(8.min(len as usize), "its first eight bytes")?;
        let head = u64::from_le_bytes(start[..].try_into().unwrap_or([0xff; 8]));
        if head > HEADER_BYTES {
            let mut start = start;
            input.take((START - 8) as u64).read_to_end(&mut start)?;
            if let Some(kind) = FileKind::of(&start).filter(|kind| *kind != FileKind::Empty) {
                return Err(Error::gallery(format!("not a gallery but {kind}; {}", kind.remedy())));
            }
            if start.len() < 8 {
                return Err(damaged("it ends within its first eight bytes, as if it were truncated"));
            }
            return Err(Error::gallery(format!(
                "no gallery file: its header would have {head} bytes, at most {HEADER_BYTES} are read"
            )));
        }
        let (header, expected) = Header::parse(&take(head as usize, "its header")?)?;
        let mut checksum = flate2::Crc::new();
        checksum.update(header.description().as_bytes());
        let bytes = take(header.entries, "its entries")?;
        checksum.update(&bytes);
        let entries: Vec<Entry> =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("its entries: {error}")))?;
        drop(bytes);
        if entries.len() != header.count {
            return Err(damaged(format!("{} entries for {} vectors", entries.len(), header.count)));
        }
        let mut gallery = Gallery::new(header.dimension, header.metric, header.storage)
            .map_err(|error| damaged(error.to_string()))?;
        gallery.model = header.model.clone();
        gallery.threshold = header.threshold;
        let mut entries = entries.into_iter();
        let mut values = Vec::new();
        for first in (0..header.count).step_by(AT_ONCE) {
            let rows = AT_ONCE.min(header.count - first);
            let bytes = take(rows * header.row(), "its vectors")?;
            checksum.update(&bytes);
            if first == 0 {
                gallery.reserve(header.count);
            }
            values.clear();
            header.push_values(&bytes, &mut values);
            let some = entries.by_ref().take(rows).collect();
            gallery.extend(some, &values).map_err(|error| damaged(error.to_string()))?;
        }
        if left > 0 {
            return Err(damaged(format!("{left} bytes follow its vectors")));
        }
        if checksum.sum() != expected {
            return Err(damaged("its checksum is another; take a copy that is whole"));
        }
        Ok(gallery)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(&mut &*bytes, bytes.len() as u64)
    }

    /// Reads a file. Blocks until it is read.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be opened; the message names
    /// the file.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = || {
            let file = std::fs::File::open(path)?;
            let len = file.metadata()?.len();
            Self::read(&mut std::io::BufReader::new(file), len)
        };
        read().context(|| path.display().to_string())
    }

    /// Changes the gallery of a file: reads it, calls `change`, and saves it. Blocks while another thread or process changes the
    /// same file this way, so that no change is lost. Where `change` fails, the file stays as it is.
    ///
    /// ```ignore-wasm32
    /// use image_feature::gallery::{Entry, Gallery, Metric, Storage};
    ///
    /// let path = std::env::temp_dir().join(format!("change-{}.safetensors", std::process::id()));
    /// Gallery::new(2, Metric::Cosine, Storage::F32)?.save(&path)?;
    /// Gallery::change(&path, |gallery| gallery.add(Entry::new("tea/1.jpg"), &[0.6, 0.8]))?;
    /// assert_eq!(Gallery::open(&path)?.len(), 1);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`save`](Self::save), and errors of `change`.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn change<T>(path: impl AsRef<Path>, change: impl FnOnce(&mut Gallery) -> Result<T>) -> Result<T> {
        let path = path.as_ref();
        let _turn = super::turn::Turn::take(path)?;
        let mut gallery = Self::open(path)?;
        let changed = change(&mut gallery)?;
        gallery.save(path)?;
        Ok(changed)
    }

    /// Saves the gallery: writes a file under another name beside `path`, flushes it to the disk, and renames it. At every
    /// moment `path` is the old file or the new one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written, naming it, and as [`write`](Self::write).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut file = crate::output_file::OutputFile::create(path)?;
        self.write(&mut file).context(|| path.display().to_string())?;
        file.commit_durably()
    }

    /// Reserves memory for `count` more vectors.
    fn reserve(&mut self, count: usize) {
        self.entries.reserve_exact(count);
        self.rows.reserve(count);
        self.serials.reserve_exact(count);
        if self.codes.keeps_vectors() {
            pages::reserve(&mut self.vectors, count * self.dimension);
        }
        self.codes.reserve(count);
    }
}
