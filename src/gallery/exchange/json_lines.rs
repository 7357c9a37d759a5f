//! JSON lines: an object for each vector, with `id`, `label`, `metadata`, `model` and `feature`.
//!
//! ```
//! use image_feature::gallery::{Metric, Storage, json_lines};
//!
//! let text = r#"{"id":"7","label":"tea","feature":[0.5,0.25]}"#.to_string() + "\n";
//! let gallery = json_lines::read(&mut text.as_bytes(), Metric::L2, Storage::F32)?;
//! assert_eq!(gallery.get("7").unwrap().label.as_deref(), Some("tea"));
//!
//! let mut written = Vec::new();
//! json_lines::write(&gallery, &mut written)?;
//! assert_eq!(written, text.as_bytes());
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! # Which names may the fields have?
//!
//! - The vector is a list of numbers, also within further lists, under `feature`, `embedding`, `vector`, `rec_feature`,
//!   `features`, `embeddings` or `vectors`.
//! - The id is the first of `id`, `_id`, `input_path`, `image_path`, `path`, `file_name`, `filename` and `image`. Ids and labels
//!   may be texts or whole numbers.
//! - `model` is the [`ModelId`] of the model, as an object of `name` and `hash`. A line with nothing else is for all lines that follow.
//! - PaddleX's results may be within `res`.
//! - `metadata` or `meta` is an object. All other fields become metadata.

use std::io::{BufRead, Read, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::beside::Rows;
use super::line::{self, Line};
use super::text::utf8;
use crate::error::Context;
use crate::gallery::{Entry, Gallery, Metric, ModelId, Storage};
use crate::{Error, Result};

/// Maximum bytes of a line. A vector of the largest dimension takes one and a half megabytes.
pub const LINE_BYTES: usize = 16 << 20;

#[derive(Serialize)]
struct WrittenLine<'g> {
    id: &'g str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'g str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: &'g Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'g ModelId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<&'g [f32]>,
}

/// The entry and the vector of a line. `None` for a line that has only the model, and for an image that failed, of which
/// `image-feature predict --json` prints the error. Lines of that command have the image's path as the id.
///
/// ```
/// use image_feature::gallery::json_lines::read_line;
///
/// let (entry, vector) = read_line(r#"{"id": 7, "label": "tea", "embedding": [0.6, 0.8], "price": 3}"#)?.unwrap();
/// assert_eq!((entry.id.as_str(), entry.label.as_deref(), vector), ("7", Some("tea"), vec![0.6, 0.8]));
/// assert_eq!(entry.metadata["price"], 3);
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) for any other text, and for more than [`LINE_BYTES`].
pub fn read_line(line: &str) -> Result<Option<(Entry, Vec<f32>)>> {
    let mut line = parsed(line)?;
    match line.vector.take() {
        Some(vector) => Ok(Some((line.entry()?, vector))),
        None if line.failed || line.is_model_only() => Ok(None),
        None => Err(line::without_vector()),
    }
}

fn parsed(text: &str) -> Result<Line> {
    if text.len() > LINE_BYTES {
        return Err(Error::gallery(format!("a line of {} bytes; at most {LINE_BYTES} are read", text.len())));
    }
    Line::parse(text)
}

/// The model that lines name: the same in all of them, or none.
#[derive(Default)]
struct Makers {
    /// Of a line that has nothing else.
    announced: Option<ModelId>,
    /// Of the first line with an entry.
    first: Option<Option<ModelId>>,
}

impl Makers {
    /// Refuses a line whose model is not that of the lines before it.
    fn take(&mut self, model: Option<ModelId>) -> Result<()> {
        let model = model.or_else(|| self.announced.clone());
        let message = match (self.first.get_or_insert_with(|| model.clone()), &model) {
            (None, None) => return Ok(()),
            (Some(first), Some(model)) if first.is_same(model) => return Ok(()),
            (Some(first), Some(model)) => format!(
                "its vector was made by {model}, those before it by {first}: vectors of two models cannot be compared; import them \
                 apart"
            ),
            (Some(first), None) => {
                format!("no `model`, while those before it name {first}; all lines name it, or none")
            }
            (None, Some(model)) => {
                format!("names the model {model}, and those before it name none; all lines name it, or none")
            }
        };
        Err(Error::gallery(message))
    }

    fn model(self) -> Option<ModelId> {
        self.first.flatten()
    }
}

/// The gallery of a file of lines, with the model that they name. Empty lines and images that failed are passed over.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) as [`read_line`], for vectors and ids that [`Gallery::add`] refuses, for lines
/// of two models, and where no line has a vector; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where metric and storage do not fit;
/// errors of the input. The message has the line's number.
pub fn read(input: &mut dyn BufRead, metric: Metric, storage: Storage) -> Result<Gallery> {
    read_counting(input, metric, storage).map(|(gallery, _)| gallery)
}

/// As [`read`], with the number of images that failed.
///
/// # Errors
/// As [`read`].
pub fn read_counting(input: &mut dyn BufRead, metric: Metric, storage: Storage) -> Result<(Gallery, usize)> {
    // refuses metric and storage as what they are: a wrong argument, and no fault of the file
    Gallery::new(1, metric, storage)?;
    let (mut gallery, mut failed) = (None::<Gallery>, 0);
    let makers = each_line(input, &mut |makers, mut line| {
        let Some(vector) = line.vector.take() else {
            failed += usize::from(line.failed);
            return if line.failed { Ok(()) } else { Err(line::without_vector()) };
        };
        makers.take(line.model.take())?;
        let gallery = match &mut gallery {
            Some(gallery) => gallery,
            none => none.insert(Gallery::new(vector.len(), metric, storage)?),
        };
        gallery.add(line.entry()?, &vector)
    })?;
    let mut gallery = gallery.ok_or_else(|| {
        let images = if failed == 1 { "image" } else { "images" };
        Error::gallery(if failed == 0 {
            "no vectors".into()
        } else {
            format!("no vectors, only {failed} {images} that failed")
        })
    })?;
    gallery.set_model(makers.model());
    Ok((gallery, failed))
}

/// Calls `take` with each line that has more than a model.
fn each_line(input: &mut dyn BufRead, take: &mut dyn FnMut(&mut Makers, Line) -> Result<()>) -> Result<Makers> {
    let mut makers = Makers::default();
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        // The limit keeps a file without line ends out of memory. One byte more, so that a longer line is refused, not cut.
        let read = Read::take(&mut *input, LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes);
        let mut one = || -> Result<()> {
            let text = utf8(&bytes)?;
            if text.trim().is_empty() {
                return Ok(());
            }
            let line = parsed(text)?;
            if line.is_model_only() {
                makers.announced = line.model;
                return Ok(());
            }
            take(&mut makers, line).map_err(|error| match error.is_usage() {
                true => Error::gallery(error.to_string()),
                false => error,
            })
        };
        let in_line = || format!("line {number}");
        if read.context(in_line)? == 0 {
            break;
        }
        one().context(in_line)?;
    }
    Ok(makers)
}

/// Reads entries that lie beside a matrix, a line for each row. A line without an id gets the number of its row, from 0.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) for a line that is no entry or has a vector itself, and for lines of two models.
/// The message has the line's number.
pub(super) fn read_entries(input: &mut dyn BufRead) -> Result<Rows> {
    let mut entries = Vec::new();
    let makers = each_line(input, &mut |makers, mut line| {
        if line.vector.is_some() {
            return Err(Error::gallery(
                "it has a vector itself; import this file without the matrix, or the matrix alone",
            ));
        }
        makers.take(line.model.take())?;
        line.id.get_or_insert_with(|| entries.len().to_string());
        entries.push(line.entry()?);
        Ok(())
    })?;
    Ok(Rows { entries, model: makers.model() })
}

/// Writes a gallery as lines, one vector after the other, in the order in which they were added. Each names the model, if it is
/// known, so that parts of the file name it, too.
///
/// # Errors
/// Errors of the output.
pub fn write(gallery: &Gallery, out: &mut dyn Write) -> Result<()> {
    for line in lines(gallery) {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// The lines of a gallery, without line ends, in the order in which vectors were added. Numbers read back as the same floats.
pub fn lines(gallery: &Gallery) -> impl Iterator<Item = String> {
    gallery.iter().map(|(entry, feature)| written(entry, gallery.model(), Some(&feature)))
}

/// Writes the entries of a gallery without their vectors, a line for each.
///
/// # Errors
/// Errors of the output.
pub fn write_entries(gallery: &Gallery, out: &mut dyn Write) -> Result<()> {
    for (entry, _) in gallery.iter() {
        writeln!(out, "{}", written(entry, gallery.model(), None))?;
    }
    Ok(out.flush()?)
}

fn written(entry: &Entry, model: Option<&ModelId>, feature: Option<&[f32]>) -> String {
    let Entry { id, label, metadata } = entry;
    // texts and finite numbers always have a form in JSON
    serde_json::to_string(&WrittenLine { id, label: label.as_deref(), metadata, model, feature }).unwrap_or_default()
}
