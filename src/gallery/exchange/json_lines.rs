//! JSON lines: an object for each vector, with `id`, `label`, `metadata` and `feature`.
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

use std::io::{BufRead, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Context;
use crate::file_kind::FileKind;
use crate::gallery::{Entry, Gallery, Metric, Storage};
use crate::{Error, Result};

/// Maximum bytes of a line. A vector of the largest dimension takes one and a half megabytes.
pub const LINE_BYTES: usize = 16 << 20;

#[derive(Serialize)]
struct Line<'g> {
    id: &'g str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'g str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: &'g Map<String, Value>,
    feature: &'g [f32],
}

/// Also the form that `image-feature predict --json` prints.
#[derive(Deserialize)]
struct ReadLine {
    #[serde(alias = "input_path")]
    id: String,
    label: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    feature: Option<Vec<f32>>,
}

/// The entry and the vector of a line; `None` for a line without a vector, which `image-feature predict --json` prints for an
/// image that failed. Lines of that command have the image's path as the id.
///
/// ```
/// use image_feature::gallery::json_lines::read_line;
///
/// let (entry, vector) = read_line(r#"{"id": "7", "label": "tea", "feature": [0.6, 0.8]}"#)?.unwrap();
/// assert_eq!((entry.label.as_deref(), vector), (Some("tea"), vec![0.6, 0.8]));
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) for any other text, and for more than [`LINE_BYTES`].
pub fn read_line(line: &str) -> Result<Option<(Entry, Vec<f32>)>> {
    if line.len() > LINE_BYTES {
        return Err(Error::gallery(format!("a line of {} bytes; at most {LINE_BYTES} are read", line.len())));
    }
    let read: ReadLine = serde_json::from_str(line).map_err(|error| match FileKind::of(line.as_bytes()) {
        Some(kind) if kind.is_stand_in() && kind != FileKind::Json => {
            Error::gallery(format!("not a vector as JSON but {kind}; {}", kind.remedy()))
        }
        _ => Error::gallery(format!("not a vector as JSON: {error}")),
    })?;
    let ReadLine { id, label, metadata, feature } = read;
    Ok(feature.map(|feature| (Entry { id, label, metadata }, feature)))
}

/// The gallery of a file of lines. Empty lines and lines without a vector are skipped.
///
/// # Errors
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) as [`read_line`], and where no line has a vector;
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) as [`Gallery::new`] and [`Gallery::add`]; errors of the input. The message
/// has the line's number.
pub fn read(input: &mut dyn BufRead, metric: Metric, storage: Storage) -> Result<Gallery> {
    let mut gallery: Option<Gallery> = None;
    let mut line = Vec::new();
    for number in 1.. {
        let mut add = || -> Result<bool> {
            line.clear();
            // The limit keeps a file without line ends out of memory. One byte more, so that a longer line is refused, not cut.
            if Read::take(&mut *input, LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)? == 0 {
                return Ok(false);
            }
            let text = std::str::from_utf8(&line).map_err(|_| Error::gallery("not UTF-8"))?;
            let read = if text.trim().is_empty() { None } else { read_line(text)? };
            if let Some((entry, vector)) = read {
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
}

/// Writes a gallery as lines, one vector after the other, in the order in which they were added.
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
    gallery.iter().map(|(entry, feature)| {
        let Entry { id, label, metadata } = entry;
        // texts and finite numbers always have a form in JSON
        serde_json::to_string(&Line { id, label: label.as_deref(), metadata, feature: &feature }).unwrap_or_default()
    })
}
