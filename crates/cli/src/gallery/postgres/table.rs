//! Tables of galleries: their names, and the description in their comments.

use serde_json::{Value, json};

use super::connection::{Database, Version};
use image_feature::gallery::{Gallery, Metric, ModelId, Storage};
use image_feature::{Error, Result};

/// Key of the description in a table's comment, and the version of its form.
const KEY: &str = "image_feature_gallery";
const VERSION: u64 = 1;
/// Characters of a table's name: PostgreSQL allows 63, and the index has a longer name.
const MAX_NAME: usize = 50;
/// Values of a vector that pgvector can index, as floats and as half floats.
const MAX_INDEXED: usize = 2_000;
const MAX_INDEXED_HALF: usize = 4_000;

/// A table's name, checked, so that it can be part of SQL.
pub(super) struct Table {
    pub name: String,
    pub quoted: String,
    /// The name of its index, which is in the schema of the table.
    index: String,
}

impl Table {
    pub fn new(name: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let plain = |part: &&str| {
            let mut characters = part.chars();
            part.len() <= MAX_NAME
                && characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let (Some(last), 1..=2, true) = (parts.last(), parts.len(), parts.iter().all(plain)) else {
            return Err(Error::usage(format!(
                "`{name}` is no name for a table: up to {MAX_NAME} letters, digits and `_`, the first no digit, or SCHEMA.TABLE"
            )));
        };
        let quoted: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
        Ok(Table { name: name.into(), quoted: quoted.join("."), index: format!("\"{last}_hnsw\"") })
    }
}

/// The properties that all rows of a table share.
#[derive(Debug, PartialEq)]
pub(super) struct Description {
    pub dimension: usize,
    pub metric: Metric,
    pub storage: Storage,
    pub model: Option<ModelId>,
}

impl Description {
    pub fn of(gallery: &Gallery) -> Self {
        Description {
            dimension: gallery.dimension(),
            metric: gallery.metric(),
            storage: gallery.storage(),
            model: gallery.model().cloned(),
        }
    }

    pub fn to_json(&self) -> Value {
        let model = self.model.as_ref().map(|ModelId { name, hash }| json!({ "name": name, "hash": hash }));
        json!({ KEY: {
            "version": VERSION, "dimension": self.dimension, "metric": self.metric.to_string(),
            "storage": self.storage.to_string(), "model": model,
        } })
    }

    fn parse(comment: &str) -> Result<Self> {
        let stated: Value = serde_json::from_str(comment).unwrap_or_default();
        let stated = &stated[KEY];
        match stated["version"].as_u64() {
            None => {
                return Err(Error::gallery("the table is no gallery: its comment does not say so; name another table"));
            }
            Some(VERSION) => {}
            Some(version) => {
                let message = format!("a gallery of version {version}; this program knows version {VERSION}");
                return Err(Error::unsupported(message));
            }
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let wrong = |error: Error| Error::gallery(format!("the table's comment: {error}"));
        let dimension = stated["dimension"].as_u64().and_then(|dimension| usize::try_from(dimension).ok());
        let model = &stated["model"];
        Ok(Description {
            dimension: dimension.unwrap_or(0),
            metric: text(&stated["metric"]).parse().map_err(wrong)?,
            storage: text(&stated["storage"]).parse().map_err(wrong)?,
            model: model.is_object().then(|| ModelId { name: text(&model["name"]), hash: text(&model["hash"]) }),
        })
    }

    /// Refuses a gallery that does not fit the table: another dimension, metric or model.
    pub fn check(&self, gallery: &Gallery, table: &Table) -> Result<()> {
        let ours = Description::of(gallery);
        let other = |what: &str, theirs: String, ours: String| {
            Err(Error::usage(format!(
                "table `{}` holds a gallery with {what} {theirs}, this one has {ours}; name another with --table",
                table.name
            )))
        };
        match (&self.model, &ours.model) {
            _ if self.dimension != ours.dimension => {
                other("dimension", self.dimension.to_string(), ours.dimension.to_string())
            }
            _ if self.metric != ours.metric => other("metric", self.metric.to_string(), ours.metric.to_string()),
            (Some(theirs), Some(ours)) if theirs.is_same(ours) => Ok(()),
            (None, None) => Ok(()),
            (theirs, ours) => {
                let name = |model: &Option<ModelId>| model.as_ref().map_or("unknown".into(), ModelId::to_string);
                other("model", name(theirs), name(ours))
            }
        }
    }

    /// The SQL type of the column of vectors.
    pub fn column(&self) -> String {
        let kind = if self.metric == Metric::Hamming { "bit" } else { "vector" };
        format!("{kind}({})", self.dimension)
    }

    /// pgvector's operator for the distance, and the end of the name of its operator class.
    pub fn operator(&self) -> [&'static str; 2] {
        match self.metric {
            Metric::Cosine => ["<=>", "cosine_ops"],
            Metric::InnerProduct => ["<#>", "ip_ops"],
            Metric::L2 => ["<->", "l2_ops"],
            Metric::Hamming => ["<~>", "hamming_ops"],
        }
    }

    /// The expression that is compared, for an expression of vectors: half floats where an index can have only these.
    pub fn compared(&self, vector: &str) -> String {
        let Description { dimension, .. } = self;
        if self.metric != Metric::Hamming && (MAX_INDEXED + 1..=MAX_INDEXED_HALF).contains(dimension) {
            format!("({vector}::halfvec({dimension}))")
        } else {
            vector.into()
        }
    }

    /// SQL that makes the index, or the reason why there can be none.
    pub fn index(&self, table: &Table, pgvector: Option<Version>) -> Result<String, String> {
        let Description { dimension, .. } = self;
        let half = self.compared("feature") != "feature";
        let kind = match self.metric {
            Metric::Hamming => "bit",
            _ if *dimension > MAX_INDEXED_HALF => {
                return Err(format!(
                    "pgvector indexes up to {MAX_INDEXED_HALF} values, and the vectors have {dimension}"
                ));
            }
            _ if half && pgvector < Some((0, 7)) => {
                return Err(format!(
                    "pgvector before 0.7 indexes up to {MAX_INDEXED} values, and the vectors have {dimension}"
                ));
            }
            _ if half => "halfvec",
            _ => "vector",
        };
        Ok(format!(
            "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw ({} {kind}_{})",
            table.index,
            table.quoted,
            self.compared("feature"),
            self.operator()[1]
        ))
    }
}

impl Database {
    /// The description of a table; `None` where there is no such table.
    pub(super) fn describe(&self, table: &Table) -> Result<Option<Description>> {
        let sql = "SELECT to_regclass($1) IS NOT NULL, obj_description(to_regclass($1)::oid, 'pg_class')";
        let rows = self.rows(sql, &[&table.quoted])?;
        let row = rows.first().ok_or_else(|| Error::internal("a query without rows"))?;
        if !row.get::<_, bool>(0) {
            return Ok(None);
        }
        let comment: Option<String> = row.get(1);
        Description::parse(comment.as_deref().unwrap_or(""))
            .map(Some)
            .map_err(|error| error.context(table.name.clone()))
    }

    /// The description of a table that must exist.
    pub(super) fn described(&self, table: &Table) -> Result<Description> {
        self.describe(table)?.ok_or_else(|| {
            Error::usage(format!("the database has no table `{}`; `gallery push` makes one", table.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use image_feature::ErrorKind;

    use super::*;

    #[test]
    fn names_of_tables_are_plain() {
        assert_eq!(Table::new("Photos_2").unwrap().quoted, "\"Photos_2\"");
        assert_eq!(Table::new("shop.photos").unwrap().quoted, "\"shop\".\"photos\"");
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", ".", "a.", "a.b.c", "2a", "a b", "a\"b", "a;drop table b", "é", "a-b", &long] {
            assert!(Table::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_a_table_is_survives_its_comment() {
        for (metric, storage) in [(Metric::Cosine, Storage::I8), (Metric::Hamming, Storage::Bit)] {
            for model in [None, Some(ModelId { name: "a'\"\\b".into(), hash: "0af".into() })] {
                let description = Description { dimension: 7, metric, storage, model };
                assert_eq!(Description::parse(&description.to_json().to_string()).unwrap(), description);
            }
        }
        for comment in ["", "a table of mine", "{}", "[1]", "{\"image_feature_gallery\": 1}"] {
            let error = Description::parse(comment).unwrap_err();
            assert!(error.to_string().contains("is no gallery"), "{comment}: {error}");
        }
        let later = "{\"image_feature_gallery\": {\"version\": 2}}";
        assert_eq!(Description::parse(later).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
