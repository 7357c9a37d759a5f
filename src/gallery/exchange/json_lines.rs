//! JSON lines: an object for each vector, with `id`, `label`, `metadata` and `feature`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::gallery::{Entry, Gallery};
use crate::{Error, Result};

/// Bytes of one line, at most: a vector of the largest dimension takes one and a half megabytes.
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

/// Also what `image-feature predict --json` prints.
#[derive(Deserialize)]
struct ReadLine {
    #[serde(alias = "input_path")]
    id: String,
    label: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    feature: Option<Vec<f32>>,
}

/// The entry and the vector of a line; nothing where the line says that there is none, as `predict --json` does of an image
/// that failed. That command's own lines have the image's path as the id.
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
/// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) for anything else.
pub fn read_line(line: &str) -> Result<Option<(Entry, Vec<f32>)>> {
    if line.len() > LINE_BYTES {
        return Err(Error::gallery(format!("a line of {} bytes; at most {LINE_BYTES} are read", line.len())));
    }
    let read: ReadLine =
        serde_json::from_str(line).map_err(|error| Error::gallery(format!("not a vector as JSON: {error}")))?;
    let ReadLine { id, label, metadata, feature } = read;
    Ok(feature.map(|feature| (Entry { id, label, metadata }, feature)))
}

/// A gallery as lines, in the order in which vectors were added. Numbers are written so that they read back as they were.
pub fn lines(gallery: &Gallery) -> impl Iterator<Item = String> {
    gallery.iter().map(|(entry, feature)| {
        let Entry { id, label, metadata } = entry;
        // what it is made of cannot fail to be JSON: texts, and numbers that are finite
        serde_json::to_string(&Line { id, label: label.as_deref(), metadata, feature: &feature }).unwrap_or_default()
    })
}
