//! Problems of an archive as JSON, for sessions that share the work: a row `[position, entry, code, detail]` each.

use serde_json::{Value, json};

use crate::file_tree::{Problem, ProblemCode};

/// Problems as a list of rows.
pub fn to_json(problems: Vec<Problem>) -> Value {
    let rows = problems.into_iter();
    rows.map(|Problem { position, entry, code, detail }| json!([position, entry, code.as_str(), detail])).collect()
}

/// The problems of rows. Rows that cannot be understood are left out.
pub fn from_json(rows: &[Value]) -> impl Iterator<Item = Problem> {
    rows.iter().filter_map(|row| {
        let text = |at: usize| row[at].as_str().map(str::to_string);
        Some(Problem {
            position: row[0].as_u64(),
            entry: text(1),
            code: ProblemCode::from_code(row[2].as_str()?)?,
            detail: text(3)?,
        })
    })
}
