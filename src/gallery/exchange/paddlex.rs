//! PaddleX's index folders: `vector.index`, a FAISS file, and `id_map.yaml`, the labels by id.
//!
//! ```
//! use image_feature::gallery::{Entry, Gallery, Metric, Storage, paddlex};
//!
//! let mut gallery = Gallery::new(2, Metric::InnerProduct, Storage::F32)?;
//! gallery.add(Entry::new("0").label("tea"), &[0.6, 0.8])?;
//! let (vectors, labels) = paddlex::write(&gallery)?;
//! assert_eq!(labels, "id_map:\n  0: tea\nindex_type: Flat\nmetric_type: IP\n");
//!
//! let read = paddlex::read(&vectors, labels.as_bytes(), Storage::F32)?;
//! assert_eq!(read.get("0"), gallery.get("0"));
//! # Ok::<(), image_feature::Error>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::faiss;
use crate::gallery::{Entry, Gallery, Metric, Storage};
use crate::{Error, Result};

/// Name of the file of vectors.
pub const VECTORS: &str = "vector.index";
/// Name of the file of labels.
pub const LABELS: &str = "id_map.yaml";

/// The gallery of the contents of the two files. Ids become texts; PaddleX's metric `IP` is [`Metric::InnerProduct`].
/// [`Gallery::with_metric`] makes a gallery with another metric of it.
///
/// # Errors
/// As [`faiss::read`] and [`Gallery::new`], and [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the two files do not
/// belong together.
pub fn read(vectors: &[u8], labels: &[u8], storage: Storage) -> Result<Gallery> {
    let mut labels = parse(labels).map_err(|error| error.context(LABELS))?;
    let index = faiss::read(vectors).map_err(|error| error.context(VECTORS))?;
    if index.ids.len() != labels.len() {
        return Err(Error::gallery(format!(
            "{VECTORS} has {} vectors, {LABELS} has {} labels; they do not belong together",
            index.ids.len(),
            labels.len()
        )));
    }
    let metric = if index.l2 { Metric::L2 } else { Metric::InnerProduct };
    let mut gallery = Gallery::new(index.dimension, metric, storage)?;
    let entry = |id: &i64| {
        let label = labels.remove(id).ok_or_else(|| {
            Error::gallery(format!("{LABELS} has no label for id {id}, which {VECTORS} has, or has twice"))
        })?;
        Ok(Entry { label, ..Entry::new(id.to_string()) })
    };
    let entries = index.ids.iter().map(entry).collect::<Result<Vec<Entry>>>()?;
    gallery.extend(entries, &index.vectors).map_err(|error| Error::gallery(error.to_string()))?;
    Ok(gallery)
}

/// The contents of the two files of a gallery: [`VECTORS`] and [`LABELS`]. Ids are kept where all are whole numbers; else
/// vectors are numbered from 0. An entry without a label gets its id as label. Metadata is left out.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the metric is Hamming.
pub fn write(gallery: &Gallery) -> Result<(Vec<u8>, String)> {
    if gallery.metric() == Metric::Hamming {
        return Err(Error::unsupported(
            "PaddleX's index has no bits; galleries with metric cosine, ip and l2 are exported",
        ));
    }
    // only ids that read back as the same text, so that no two ids become one
    let whole = |entry: &Entry| entry.id.parse().ok().filter(|id: &i64| *id >= 0 && id.to_string() == entry.id);
    let ids: Option<Vec<i64>> = gallery.iter().map(|(entry, _)| whole(entry)).collect();
    let ids = ids.unwrap_or_else(|| (0..gallery.len() as i64).collect());
    let vectors = gallery.iter().flat_map(|(_, vector)| vector.into_owned()).collect();
    let names = gallery.iter().map(|(entry, _)| entry.label.as_ref().unwrap_or(&entry.id));
    let by_id: BTreeMap<i64, &String> = ids.iter().copied().zip(names).collect();
    let mut labels = String::from(if by_id.is_empty() { "id_map: {}\n" } else { "id_map:\n" });
    for (id, label) in by_id {
        let _ = writeln!(labels, "  {id}: {}", scalar(label));
    }
    let l2 = gallery.metric() == Metric::L2;
    let _ = write!(labels, "index_type: Flat\nmetric_type: {}\n", if l2 { "L2" } else { "IP" });
    Ok((faiss::write(&faiss::Index { dimension: gallery.dimension(), l2, ids, vectors }), labels))
}

/// A text in YAML: in quotes, unless every reader takes it for the same text without them.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // a string of JSON is one of YAML
    if plain { text.into() } else { serde_json::Value::from(text).to_string() }
}

/// The labels of an `id_map.yaml`. All scalars are texts: PyYAML quotes those that it would not read as texts.
fn parse(bytes: &[u8]) -> Result<BTreeMap<i64, Option<String>>> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::gallery("not UTF-8"))?;
    let mut labels = None;
    // for each open mapping, the key that has no value yet
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut settings = [("metric_type", false), ("index_type", false)];
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = event.map_err(|error| at(error.marker().line(), error.info()))?;
        let line = span.start.line();
        match event {
            Event::MappingStart(..) => {
                match keys.as_slice() {
                    [] => {}
                    [Some(key)] if key == "id_map" => labels = Some(BTreeMap::new()),
                    _ => return Err(at(line, "a mapping where a label is expected")),
                }
                keys.push(None);
            }
            Event::MappingEnd => {
                keys.pop();
                keys.last_mut().map(Option::take);
            }
            Event::Scalar(text, style, ..) => {
                let depth = keys.len();
                let Some(key) = keys.last_mut() else { return Err(at(line, "a mapping is expected")) };
                let Some(key) = key.take() else {
                    *key = Some(text.into_owned());
                    continue;
                };
                if let (2, Some(labels)) = (depth, &mut labels) {
                    let id = key.parse().map_err(|_| at(line, &format!("`{key}` is no id; whole numbers are")))?;
                    let nothing = style == ScalarStyle::Plain && matches!(&*text, "null" | "~" | "");
                    if labels.insert(id, (!nothing).then(|| text.into_owned())).is_some() {
                        return Err(at(line, &format!("id {id} is there twice")));
                    }
                } else if let Some((_, there)) = settings.iter_mut().find(|(name, _)| *name == key) {
                    *there = true;
                }
            }
            Event::SequenceStart(..) | Event::Alias(..) => return Err(at(line, "a text is expected")),
            _ => {}
        }
    }
    if let Some((name, _)) = settings.iter().find(|(_, there)| !there) {
        return Err(Error::gallery(format!("`{name}` is missing")));
    }
    labels.ok_or_else(|| Error::gallery("`id_map` is missing, or no mapping"))
}

fn at(line: usize, message: &str) -> Error {
    Error::gallery(format!("line {line}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_texts() {
        let yaml = "id_map:\n  0: 1e3\n  10: '012'\n  2: \"a\\nb\"\n  3: 'yes we: can''t'\n  4: null\n  5: 'null'\n  6: Tasse Tee\nindex_type: Flat\nmetric_type: IP\n";
        let labels = parse(yaml.as_bytes()).unwrap();
        let texts: Vec<_> = labels.iter().map(|(id, label)| (*id, label.as_deref())).collect();
        let expected = [
            (0, Some("1e3")),
            (2, Some("a\nb")),
            (3, Some("yes we: can't")),
            (4, None),
            (5, Some("null")),
            (6, Some("Tasse Tee")),
            (10, Some("012")),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn damage_is_named() {
        for (yaml, part) in [
            ("", "missing"),
            ("id_map: {}\nindex_type: Flat\n", "`metric_type` is missing"),
            ("id_map: [1]\nindex_type: Flat\nmetric_type: IP\n", "line 1"),
            ("id_map:\n  x: a\nindex_type: Flat\nmetric_type: IP\n", "`x` is no id"),
            ("id_map:\n  1: a\n  1: b\nindex_type: Flat\nmetric_type: IP\n", "line 3: id 1 is there twice"),
            ("id_map: 5\nindex_type: Flat\nmetric_type: IP\n", "`id_map` is missing"),
            ("id_map:\n  1: {a: b}\nindex_type: Flat\nmetric_type: IP\n", "line 2"),
            ("text", "a mapping is expected"),
        ] {
            let error = parse(yaml.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{yaml:?}: {error}");
        }
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        assert_eq!(scalar("label_0"), "label_0");
        for text in ["yes", "", "1", "a: b", "é", "- x", "tea cup", "#"] {
            let yaml = format!("id_map:\n  0: {}\nindex_type: Flat\nmetric_type: IP\n", scalar(text));
            assert_eq!(parse(yaml.as_bytes()).unwrap()[&0].as_deref(), Some(text));
            assert!(scalar(text).starts_with('"'));
        }
    }
}
