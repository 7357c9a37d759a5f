use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The id, label and metadata of a vector.
///
/// ```
/// use image_feature::gallery::Entry;
///
/// let entry = Entry::new("42").label("tea").metadata("shelf", 7);
/// assert_eq!(serde_json::to_string(&entry).unwrap(), r#"{"id":"42","label":"tea","metadata":{"shelf":7}}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name, unique within a gallery.
    pub id: String,
    /// The class of the picture; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Further fields, with JSON values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Entry {
    /// An entry without label and metadata.
    pub fn new(id: impl Into<String>) -> Self {
        Entry { id: id.into(), label: None, metadata: Map::new() }
    }

    /// Sets the label.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets a field of the metadata.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}
