//! Rows of a table, as entries and vectors.

use pgvector::{Bit, Vector};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::connection::Explained;
use image_feature::gallery::{Entry, Gallery, Metric};
use image_feature::{Error, Result};

/// A vector in the type of its column.
pub(super) enum Column {
    Vector(Vector),
    Bits(Bit),
}

impl Column {
    pub fn new(metric: Metric, vector: Vec<f32>) -> Self {
        match metric {
            Metric::Hamming => Column::Bits(Bit::new(&vector.iter().map(|&value| value > 0.0).collect::<Vec<bool>>())),
            _ => Column::Vector(Vector::from(vector)),
        }
    }

    fn of_row(metric: Metric, row: &Row, at: usize) -> Result<Vec<f32>> {
        if metric != Metric::Hamming {
            return Ok(row.try_get::<_, Vector>(at).explained()?.into());
        }
        let bits: Bit = row.try_get(at).explained()?;
        let bit = |at: usize| if bits.as_bytes()[at / 8] << (at % 8) & 0x80 != 0 { 1.0 } else { -1.0 };
        Ok((0..bits.len()).map(bit).collect())
    }

    pub fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Column::Vector(vector) => vector,
            Column::Bits(bits) => bits,
        }
    }
}

/// A hash of an entry and its vector, which shows whether a row has changed.
pub(super) fn digest(entry: &Entry, vector: &[f32]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(json!(entry).to_string().as_bytes());
    hasher.update(bytemuck::cast_slice(vector));
    hasher.finalize().as_bytes()[..16].to_vec()
}

/// Refuses texts with the character NUL, which PostgreSQL cannot store.
pub(super) fn check_characters(entry: &Entry) -> Result<()> {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    let label = entry.label.as_deref().unwrap_or("");
    let metadata = entry.metadata.iter().any(|(key, value)| key.contains('\0') || has_nul(value));
    if entry.id.contains('\0') || label.contains('\0') || metadata {
        let id = entry.id.escape_debug();
        return Err(Error::unsupported(format!("id `{id}`: PostgreSQL has no place for the character NUL")));
    }
    Ok(())
}

/// The entry and the vector of a row `id, label, metadata, feature`.
fn entry_of(row: &Row, metric: Metric) -> Result<(Entry, Vec<f32>)> {
    let Json(metadata): Json<Map<String, Value>> = row.try_get(2).explained()?;
    Ok((
        Entry { id: row.try_get(0).explained()?, label: row.try_get(1).explained()?, metadata },
        Column::of_row(metric, row, 3)?,
    ))
}

/// Adds rows `id, label, metadata, feature` to a gallery.
pub(super) fn extend(gallery: &mut Gallery, rows: &[Row]) -> Result<()> {
    let (mut entries, mut vectors) = (Vec::new(), Vec::new());
    for row in rows {
        let (entry, vector) = entry_of(row, gallery.metric())?;
        entries.push(entry);
        vectors.extend(vector);
    }
    gallery.extend(entries, &vectors).map_err(|error| Error::gallery(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_wherever_it_is() {
        let deep = Entry::new("a").metadata("k", json!([{ "x": "b\0" }]));
        for entry in [Entry::new("a\0"), Entry::new("a").label("\0"), Entry::new("a").metadata("\0", 1), deep] {
            assert!(check_characters(&entry).is_err(), "{entry:?}");
        }
        check_characters(&Entry::new("a").label("\\u0000").metadata("k", "\\u0000")).unwrap();
    }
}
