//! The search of a table.

use serde_json::Value;
use tokio_postgres::types::ToSql;

use super::connection::Database;
use super::row::{Column, extend};
use super::table::{Description, Table};
use image_feature::Result;
use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};

/// Vectors that pgvector's HNSW index reads: minimum and maximum.
const EF_SEARCH: [usize; 2] = [200, 1000];

/// A table that is searched.
pub struct Remote {
    database: Database,
    description: Description,
    /// An empty gallery with the metric, dimension and model of the table.
    pub gallery: Gallery,
    sql: String,
    conditions: Conditions,
}

/// The rows that a search asks for.
pub struct Conditions {
    /// Number of rows.
    pub k: usize,
    /// The row has one of these labels; empty: any label or none.
    pub labels: Vec<String>,
    /// The row has these values in its metadata.
    pub fields: Vec<(String, Value)>,
    /// Read every row instead of the index.
    pub exact: bool,
}

impl Remote {
    /// Prepares a search for rows.
    pub fn open(database: Database, table: &str, conditions: Conditions) -> Result<Self> {
        let Conditions { k, ref labels, ref fields, exact } = conditions;
        let table = Table::new(table)?;
        let description = database.described(&table)?;
        // The database's scores are rounded. It gives more rows than are wanted, and scores are computed here in 64 bits.
        let candidates = k.saturating_mul(2).saturating_add(10);
        let filtered = !labels.is_empty() || !fields.is_empty();
        if exact || candidates > EF_SEARCH[1] || filtered && !database.has_pgvector((0, 8)) {
            // an index gives at most `ef_search` rows, of which the filter removes some
            database.run("SET enable_indexscan = off")?;
        } else {
            database.run(&format!("SET hnsw.ef_search = {}", candidates.clamp(EF_SEARCH[0], EF_SEARCH[1])))?;
        }
        if filtered && database.has_pgvector((0, 8)) {
            database.run("SET hnsw.iterative_scan = strict_order")?;
        }
        let sql = nearest(&table, &description, &conditions, candidates);
        let Description { dimension, metric, ref model, .. } = description;
        let storage = if metric == Metric::Hamming { Storage::Bit } else { Storage::F32 };
        let mut gallery = Gallery::new(dimension, metric, storage)?;
        gallery.set_model(model.clone());
        Ok(Remote { database, description, gallery, sql, conditions })
    }

    /// The nearest rows, with scores as a gallery in a file has them.
    pub fn search(&self, feature: &[f32], search: Search) -> Result<Vec<(Entry, f32)>> {
        let metric = self.description.metric;
        let query = Column::new(metric, feature.to_vec());
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![query.as_sql()];
        if !self.conditions.labels.is_empty() {
            values.push(&self.conditions.labels);
        }
        for (key, value) in &self.conditions.fields {
            values.extend([key as &(dyn ToSql + Sync), value]);
        }
        let rows = self.database.rows(&self.sql, &values)?;
        let mut nearest = Gallery::new(self.description.dimension, metric, self.gallery.storage())?;
        extend(&mut nearest, &rows)?;
        let hits = nearest.search(feature, search)?;
        Ok(hits.iter().map(|hit| (hit.entry.clone(), hit.score)).collect())
    }
}

/// SQL for the nearest rows. Parameters are the vector, the labels where there are any, and keys and values of the metadata.
fn nearest(table: &Table, description: &Description, conditions: &Conditions, limit: usize) -> String {
    let Conditions { labels, fields, .. } = conditions;
    let mut tests = vec!["true".to_string()];
    if !labels.is_empty() {
        tests.push("label = ANY($2)".into());
    }
    let first = if labels.is_empty() { 2 } else { 3 };
    tests.extend(
        (0..fields.len()).map(|at| format!("metadata -> ${}::text = ${}::jsonb", first + 2 * at, first + 2 * at + 1)),
    );
    let query = match description.metric {
        Metric::Hamming => "$1".into(),
        _ => description.compared("$1::vector"),
    };
    // the outer query puts the nearest rows in the order in which they were added
    format!(
        "SELECT id, label, metadata, feature FROM (SELECT * FROM {} WHERE {} ORDER BY {} {} {query} LIMIT {}) \
         AS nearest ORDER BY place, id",
        table.quoted,
        tests.join(" AND "),
        description.compared("feature"),
        description.operator()[0],
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
}
