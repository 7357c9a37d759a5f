//! One line of JSON: the fields of an entry, by their usual names, and its vector.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::file_kind::FileKind;
use crate::gallery::{Entry, ModelId};
use crate::{Error, Result};

/// Keys of the vector.
const VECTOR: [&str; 7] = ["feature", "embedding", "vector", "rec_feature", "features", "embeddings", "vectors"];
/// Keys of the id: the first that is there counts.
const ID: [&str; 8] = ["id", "_id", "input_path", "image_path", "path", "file_name", "filename", "image"];

/// The fields of a line.
#[derive(Debug)]
pub(super) struct Line {
    /// `None` where the line has no id.
    pub id: Option<String>,
    pub label: Option<String>,
    pub metadata: Map<String, Value>,
    pub model: Option<ModelId>,
    pub vector: Option<Vec<f32>>,
    /// Whether the line says that its image failed, as `image-feature predict --json` does.
    pub failed: bool,
}

impl Line {
    /// Reads a JSON object.
    pub fn parse(text: &str) -> Result<Self> {
        let Fields(fields) = serde_json::from_str(text).map_err(|error| not_a_vector(text, &error))?;
        let mut fields = unwrapped(fields)?;
        let model = take_model(&mut fields);
        let vector = take_vector(&mut fields)?;
        let id = take_id(&mut fields)?;
        let label = fields.remove("label").map_or(Ok(None), |label| text_of("label", label))?;
        let failed = vector.is_none() && fields.get("error").is_some_and(Value::is_string);
        let metadata = metadata(fields)?;
        Ok(Line { id, label, metadata, model, vector, failed })
    }

    /// The entry.
    pub fn entry(self) -> Result<Entry> {
        let Line { id, label, metadata, .. } = self;
        let id = id.ok_or_else(|| {
            Error::gallery(format!("no `id`; the name of the picture is expected under one of {}", listed(&ID)))
        })?;
        Ok(Entry { id, label, metadata })
    }

    /// Whether the line says nothing but the model.
    pub fn is_model_only(&self) -> bool {
        let Line { id, label, metadata, model, vector, failed } = self;
        model.is_some() && id.is_none() && label.is_none() && metadata.is_empty() && vector.is_none() && !failed
    }
}

/// The error of a line without a vector.
pub(super) fn without_vector() -> Error {
    Error::gallery(format!("no vector; a list of numbers is expected under one of {}", listed(&VECTOR)))
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn not_a_vector(text: &str, error: &serde_json::Error) -> Error {
    if let Some(kind) = FileKind::of(text.as_bytes()).filter(|kind| kind.is_stand_in() && *kind != FileKind::Json) {
        return Error::gallery(format!("not a vector as JSON but {kind}; {}", kind.remedy()));
    }
    let hint = if error.is_eof() { "; each line must be a whole object, as `jq -c .` writes it" } else { "" };
    Error::gallery(format!("not a vector as JSON: {error}{hint}"))
}

/// The fields of an object, none of them twice.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        while let Some((key, value)) = object.next_entry::<String, Value>()? {
            if fields.insert(key.clone(), value).is_some() {
                return Err(serde::de::Error::custom(format!("`{key}` is there twice")));
            }
        }
        Ok(Fields(fields))
    }
}

/// The fields of a result of PaddleX: `{"res": {…}}`. Fields beside `res` stay.
fn unwrapped(mut fields: Map<String, Value>) -> Result<Map<String, Value>> {
    if !fields.get("res").is_some_and(Value::is_object) {
        return Ok(fields);
    }
    let Some(Value::Object(inner)) = fields.remove("res") else { return Ok(fields) };
    for (key, value) in inner {
        if fields.contains_key(&key) {
            return Err(Error::gallery(format!("`{key}` is there twice: within `res` and beside it")));
        }
        fields.insert(key, value);
    }
    Ok(fields)
}

/// The id of a model. Other texts under this key, such as OpenAI's names, are metadata.
fn take_model(fields: &mut Map<String, Value>) -> Option<ModelId> {
    let model: ModelId = serde_json::from_value(fields.get("model")?.clone()).ok()?;
    fields.remove("model");
    Some(model)
}

/// The one list of numbers under a key of vectors.
fn take_vector(fields: &mut Map<String, Value>) -> Result<Option<Vec<f32>>> {
    let mut found: Option<(&str, Vec<f32>)> = None;
    let mut other = None;
    for key in VECTOR {
        let Some(value) = fields.get(key).filter(|value| !value.is_null()) else { continue };
        match numbers(value) {
            Ok(_) if found.is_some() => {
                let first = found.map_or("", |(key, _)| key);
                return Err(Error::gallery(format!("`{first}` and `{key}` both hold vectors; leave one of them")));
            }
            Ok(vector) => found = Some((key, vector)),
            Err(why) => other = other.or(Some(format!("`{key}` {why}"))),
        }
    }
    match (found, other) {
        (Some((key, vector)), _) => {
            fields.remove(key);
            Ok(Some(vector))
        }
        (None, Some(other)) => Err(Error::gallery(other)),
        (None, None) => Ok(None),
    }
}

/// The numbers of a list, also within further lists of one. The error says what it is instead.
fn numbers(value: &Value) -> Result<Vec<f32>, String> {
    let mut list = value.as_array().ok_or_else(|| String::from("is no list of numbers"))?;
    while let [Value::Array(inner)] = list.as_slice() {
        list = inner;
    }
    if list.len() > 1 && list.iter().all(Value::is_array) {
        return Err(format!("holds {} vectors; a line has one", list.len()));
    }
    if list.is_empty() {
        return Err("is empty".into());
    }
    let number = |(at, value): (usize, &Value)| match value.as_f64() {
        Some(number) => Ok(number as f32),
        None if value.is_null() => {
            Err(format!("has null as value {at}, as NaN and infinity are written; numbers are needed"))
        }
        None => Err(format!("is no list of numbers: value {at} is none")),
    };
    list.iter().enumerate().map(number).collect()
}

fn take_id(fields: &mut Map<String, Value>) -> Result<Option<String>> {
    for key in ID {
        if fields.get(key).is_some_and(|value| !value.is_null())
            && let Some(value) = fields.remove(key)
        {
            return text_of(key, value);
        }
    }
    Ok(None)
}

/// A text, or a whole number as its text. Other numbers would come back as other texts than they were.
fn text_of(key: &str, value: Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        Value::Number(number) => {
            Err(Error::gallery(format!("`{key}` is the number {number}; put it into quotes, so that its text is kept")))
        }
        _ => Err(Error::gallery(format!("`{key}` is no text; put it into quotes"))),
    }
}

/// The metadata: the fields of `metadata` or `meta`, and all other fields of the line that have a value.
fn metadata(mut fields: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut all = Vec::new();
    for key in ["metadata", "meta"] {
        if fields.get(key).is_some_and(Value::is_object)
            && let Some(Value::Object(inner)) = fields.remove(key)
        {
            all.extend(inner);
        }
    }
    all.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    let mut metadata = Map::new();
    for (key, value) in all {
        if metadata.insert(key.clone(), value).is_some() {
            return Err(Error::gallery(format!("`{key}` is there twice, within the metadata and beside it")));
        }
    }
    Ok(metadata)
}
