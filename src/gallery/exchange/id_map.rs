//! The labels of an index by id: `id_map.yaml` and `id_map.pkl`.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::text::utf8;
use crate::gallery::{Entry, ModelId};
use crate::weights::read_id_map;
use crate::{Error, Result};

/// Keys of the model, which this crate writes.
pub(super) const MODEL_NAME: &str = "model_name";
pub(super) const MODEL_HASH: &str = "model_hash";

/// Suffixes of pictures, by which a path is told from a label.
const PICTURES: [&str; 10] = ["jpg", "jpeg", "jfif", "png", "bmp", "webp", "tif", "tiff", "gif", "ppm"];

/// The entries of an index by id.
#[derive(Debug)]
pub(super) struct IdMap {
    pub entries: BTreeMap<i64, Entry>,
    pub model: Option<ModelId>,
}

impl IdMap {
    /// Reads either file. A pickle begins with the number of its protocol.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.first() == Some(&0x80) { Self::of_pickle(bytes) } else { Self::of_yaml(bytes) }
    }

    fn of_yaml(bytes: &[u8]) -> Result<Self> {
        let Yaml { labels, model_name, model_hash } = parse_yaml(bytes)?;
        let entry = |(id, label): (i64, Option<String>)| (id, Entry { label, ..Entry::new(id.to_string()) });
        let model = model_name.zip(model_hash).map(|(name, hash)| ModelId { name, hash });
        Ok(IdMap { entries: labels.into_iter().map(entry).collect(), model })
    }

    fn of_pickle(bytes: &[u8]) -> Result<Self> {
        let labels = read_id_map(bytes).map_err(|error| match error.is_model() {
            true => Error::gallery(error.to_string()),
            false => error,
        })?;
        let mut entries = BTreeMap::new();
        for (id, text) in labels {
            if entries.insert(id, entry_of(id, text)).is_some() {
                return Err(Error::gallery(format!("id {id} is there twice")));
            }
        }
        Ok(IdMap { entries, model: None })
    }
}

/// The entry of a line of PaddleClas's list, `PATH<tab>LABEL`, or of a label alone, as the beta versions of PaddleX keep it.
fn entry_of(id: i64, text: &str) -> Entry {
    let entry = Entry::new(id.to_string());
    let is_picture = |path: &str| {
        let suffix = path.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
        suffix.is_some_and(|suffix| PICTURES.contains(&suffix.as_str()))
    };
    match text.split_once('\t').or_else(|| text.rsplit_once(' ').filter(|(path, _)| is_picture(path))) {
        Some((path, label)) => entry.label(label).metadata("path", path),
        None => entry.label(text),
    }
}

/// A text in YAML: in quotes, unless every reader takes it for the same text without them.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // a string of JSON is one of YAML
    if plain { text.into() } else { serde_json::Value::from(text).to_string() }
}

/// The content of an `id_map.yaml`.
#[derive(Debug, Default)]
struct Yaml {
    labels: BTreeMap<i64, Option<String>>,
    model_name: Option<String>,
    model_hash: Option<String>,
}

/// The labels of an `id_map.yaml`. All scalars are texts: PyYAML quotes those that it would not read as texts.
fn parse_yaml(bytes: &[u8]) -> Result<Yaml> {
    let text = utf8(bytes)?;
    let mut labels = None;
    let mut model: [Option<String>; 2] = [None, None];
    // for each open mapping, the key that has no value yet
    let mut keys: Vec<Option<String>> = Vec::new();
    let mut settings = [("metric_type", false), ("index_type", false)];
    for event in Parser::new_from_str(text) {
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
                } else if let Some(at) = [MODEL_NAME, MODEL_HASH].iter().position(|name| *name == key) {
                    model[at] = Some(text.into_owned());
                }
            }
            Event::SequenceStart(..) | Event::Alias(..) => return Err(at(line, "a text is expected")),
            _ => {}
        }
    }
    if let Some((name, _)) = settings.iter().find(|(_, there)| !there) {
        return Err(Error::gallery(format!("`{name}` is missing")));
    }
    let labels = labels.ok_or_else(|| Error::gallery("`id_map` is missing, or no mapping"))?;
    let [model_name, model_hash] = model;
    Ok(Yaml { labels, model_name, model_hash })
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
        let labels = parse_yaml(yaml.as_bytes()).unwrap().labels;
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
            let error = parse_yaml(yaml.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{yaml:?}: {error}");
        }
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        assert_eq!(scalar("label_0"), "label_0");
        for text in ["yes", "", "1", "a: b", "é", "- x", "tea cup", "#"] {
            let yaml = format!("id_map:\n  0: {}\nindex_type: Flat\nmetric_type: IP\n", scalar(text));
            assert_eq!(parse_yaml(yaml.as_bytes()).unwrap().labels[&0].as_deref(), Some(text));
            assert!(scalar(text).starts_with('"'));
        }
    }

    #[test]
    fn lines_of_lists_are_split_and_labels_are_not() {
        let parts = |text: &str| {
            let entry = entry_of(7, text);
            (entry.metadata.get("path").map(|path| path.as_str().unwrap().to_string()), entry.label.unwrap())
        };
        assert_eq!(parts("a b.jpg\tgreen tea"), (Some("a b.jpg".into()), "green tea".into()));
        assert_eq!(parts("gallery/1.JPG 5"), (Some("gallery/1.JPG".into()), "5".into()));
        assert_eq!(parts("green tea"), (None, "green tea".into()));
    }
}
