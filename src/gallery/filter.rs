use serde_json::{Map, Value};

use super::Entry;
use crate::{Error, Result};

/// A condition on labels and metadata that says which entries take part in a search. JSON can express it.
///
/// ```
/// use image_feature::gallery::{Entry, Filter};
///
/// let filter = Filter::from_json(&serde_json::json!({
///     "label": ["tea", "coffee"],
///     "metadata": { "shop": "north", "price": { "max": 3.5 } },
/// }))?;
/// assert!(filter.matches(&Entry::new("1").label("tea").metadata("shop", "north").metadata("price", 2)));
/// assert!(!filter.matches(&Entry::new("2").label("tea").metadata("shop", "south").metadata("price", 2)));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The label must be one of these; empty: any label or none.
    labels: Vec<String>,
    /// Each of these tests must pass.
    fields: Vec<(String, Test)>,
}

/// A test of a field of the metadata.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    OneOf(Vec<Value>),
    Between(f64, f64),
}

impl Filter {
    /// A filter that every entry passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a label, in addition to labels allowed before.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.labels.push(label.into());
        self
    }

    /// Requires a value of a field of the metadata. Numbers are compared as numbers.
    pub fn field(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((key.into(), Test::OneOf(vec![value.into()])));
        self
    }

    /// Reads `{"label": …, "metadata": {KEY: …}}`. The value of `label` is a text or a list of allowed texts. The value of a
    /// field is a value, a list of allowed values, or `{"min": NUMBER, "max": NUMBER}`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for anything else, naming the key.
    pub fn from_json(json: &Value) -> Result<Self> {
        let mut filter = Filter::default();
        for (key, value) in object(json, "a filter")? {
            match key.as_str() {
                "label" => {
                    for label in list(value) {
                        let text = label.as_str().ok_or_else(|| wrong("label", "a text or a list of texts", label))?;
                        filter.labels.push(text.into());
                    }
                    if filter.labels.is_empty() {
                        return Err(wrong("label", "a text or a list of texts", value));
                    }
                }
                "metadata" => {
                    for (key, test) in object(value, "`metadata`")? {
                        filter.fields.push((key.clone(), Test::from_json(key, test)?));
                    }
                }
                _ => return Err(Error::usage(format!("a filter has no `{key}`; there are `label` and `metadata`"))),
            }
        }
        Ok(filter)
    }

    /// Whether every entry passes.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an entry passes.
    pub fn matches(&self, entry: &Entry) -> bool {
        let label = entry.label.as_ref();
        (self.labels.is_empty() || label.is_some_and(|label| self.labels.contains(label)))
            && self.fields.iter().all(|(key, test)| entry.metadata.get(key).is_some_and(|value| test.passes(value)))
    }
}

impl Test {
    fn from_json(key: &str, json: &Value) -> Result<Self> {
        let Value::Object(bounds) = json else { return Ok(Test::OneOf(list(json).to_vec())) };
        let (mut min, mut max) = (f64::NEG_INFINITY, f64::INFINITY);
        for (bound, value) in bounds {
            let number = value.as_f64().ok_or_else(|| wrong(key, "a number as its bound", value))?;
            match bound.as_str() {
                "min" => min = number,
                "max" => max = number,
                _ => return Err(wrong(key, "a value, a list of values, or `min` and `max`", json)),
            }
        }
        Ok(Test::Between(min, max))
    }

    fn passes(&self, value: &Value) -> bool {
        match self {
            Test::OneOf(values) => values.iter().any(|wanted| match (wanted.as_f64(), value.as_f64()) {
                (Some(wanted), Some(value)) => wanted == value,
                _ => wanted == value,
            }),
            Test::Between(min, max) => value.as_f64().is_some_and(|value| (*min..=*max).contains(&value)),
        }
    }
}

fn object<'v>(json: &'v Value, what: &str) -> Result<&'v Map<String, Value>> {
    json.as_object().ok_or_else(|| Error::usage(format!("{what} is an object, not {}", short(json))))
}

/// The items of a list, or the one value.
fn list(json: &Value) -> &[Value] {
    if let Value::Array(items) = json { items } else { std::slice::from_ref(json) }
}

fn wrong(key: &str, expected: &str, found: &Value) -> Error {
    Error::usage(format!("`{key}` of a filter takes {expected}, not {}", short(found)))
}

fn short(json: &Value) -> String {
    json.to_string().chars().take(60).collect()
}
