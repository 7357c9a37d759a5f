//! Files beside a matrix, which say what its rows are.

use super::json_lines;
use super::text::utf8;
use crate::gallery::{Entry, ModelId};
use crate::{Error, Result};

/// Suffixes of files that may lie beside a matrix under its name: entries as JSON lines, the list of `image-feature predict --save`,
/// and labels.
pub const SUFFIXES: [&str; 3] = ["jsonl", "csv", "txt"];

/// The first line of the list that `image-feature predict --save … --format npy` writes.
const LIST: &str = "row,input_path";

/// What is known of the rows of a matrix.
///
/// ```
/// use image_feature::gallery::beside::Rows;
///
/// let rows = Rows::read("shop.txt", b"tea\ncup\n")?;
/// assert_eq!(rows.entries[1].label.as_deref(), Some("cup"));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Debug)]
pub struct Rows {
    /// An entry for each row.
    pub entries: Vec<Entry>,
    /// The model that made the vectors; `None` where it is not known.
    pub model: Option<ModelId>,
}

impl Rows {
    /// Reads a file by its suffix: `.jsonl` has an entry in each line, `.csv` the list that `image-feature predict` writes, and
    /// `.txt` a label in each line.
    ///
    /// # Errors
    /// [`ErrorKind::Gallery`](crate::ErrorKind::Gallery) where the file has something else. The message does not name the file.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self> {
        match name.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_ascii_lowercase().as_str() {
            "jsonl" => json_lines::read_entries(&mut &*bytes),
            "csv" => Ok(Rows { entries: list(utf8(bytes)?)?, model: None }),
            _ => Ok(Rows { entries: labels(utf8(bytes)?), model: None }),
        }
    }
}

fn labels(text: &str) -> Vec<Entry> {
    text.lines().enumerate().map(|(row, label)| Entry::new(row.to_string()).label(label)).collect()
}

/// The images of a list, in the order of their rows.
fn list(text: &str) -> Result<Vec<Entry>> {
    let rest = text.strip_prefix(LIST).and_then(|rest| rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')));
    let mut rest = rest.ok_or_else(|| {
        Error::gallery(format!(
            "its first line is not `{LIST}`, as of the lists of `predict --save`; labels may be in a .txt, a line for each row, and ids, \
             labels and metadata in a .jsonl"
        ))
    })?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let row = entries.len();
        let wrong = || Error::gallery(format!("row {row} (the first is 0) is not `{row},PATH`"));
        let after = rest.strip_prefix(&format!("{row},")).ok_or_else(wrong)?;
        let (path, after) = field(after).ok_or_else(wrong)?;
        entries.push(Entry::new(path));
        rest = after;
    }
    Ok(entries)
}

/// The last field of a row, and the text after the row.
fn field(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let (field, after) = text.split_once('\n').unwrap_or((text, ""));
        return Some((field.trim_end_matches('\r').into(), after));
    };
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        field += part;
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => {
                let after = after.trim_start_matches('\r');
                return if after.is_empty() {
                    Some((field, after))
                } else {
                    after.strip_prefix('\n').map(|after| (field, after))
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_predict_give_ids() {
        let ids = |text: &str| {
            Rows::read("a.CSV", text.as_bytes())
                .map(|rows| rows.entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>())
        };
        assert_eq!(
            ids("row,input_path\n0,a b.jpg\n1,\"x \"\"y\"\",\nz.jpg\"\n").unwrap(),
            ["a b.jpg", "x \"y\",\nz.jpg"]
        );
        assert_eq!(ids("\u{feff}row,input_path\r\n0,a.jpg\r\n1,\"b.jpg\"\r\n").unwrap(), ["a.jpg", "b.jpg"]);
        for (text, part) in
            [("id,label\n", "row,input_path"), ("row,input_path\n1,a\n", "row 0"), ("row,input_path\n0,\"a\n", "row 0")]
        {
            let error = ids(text).unwrap_err();
            assert!(error.is_gallery() && error.to_string().contains(part), "{error}");
        }
    }
}
