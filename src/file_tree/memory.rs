//! Files in memory as a tree of files.

use std::collections::BTreeMap;

use super::{Entry, EntryKind, FileTree};
use crate::{Error, Result};

/// A tree of files in memory.
///
/// ```
/// use image_feature::file_tree::{FileTree, Memory};
///
/// let tree = Memory::new("example", [("images/a.png", b"...".to_vec()), ("train.txt", b"images/a.png 0\n".to_vec())]);
/// let paths: Vec<&str> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
/// assert_eq!(paths, ["images", "images/a.png", "train.txt"]);
/// assert_eq!(tree.read(tree.find("train.txt").unwrap(), 100).unwrap(), b"images/a.png 0\n");
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    name: String,
    entries: Vec<Entry>,
    contents: Vec<Vec<u8>>,
}

impl Memory {
    /// A tree of these files: paths with `/` between their parts, and contents. Of files with the same path the last
    /// one counts. `name` is for messages.
    pub fn new<P: Into<String>>(name: impl Into<String>, files: impl IntoIterator<Item = (P, Vec<u8>)>) -> Self {
        let mut all: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        for (path, content) in files {
            let path = path.into();
            for (end, _) in path.match_indices('/') {
                all.entry(path[..end].into()).or_default();
            }
            all.insert(path, Some(content));
        }
        let entries = all.iter().map(|(path, content)| Entry {
            path: path.clone(),
            kind: if content.is_some() { EntryKind::File } else { EntryKind::Folder },
            size: content.as_ref().map_or(0, |content| content.len() as u64),
        });
        let entries = entries.collect();
        Memory { name: name.into(), entries, contents: all.into_values().map(Option::unwrap_or_default).collect() }
    }
}

impl FileTree for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let content = &self.contents[index];
        if content.len() as u64 > limit {
            return Err(Error::limit(format!("{} bytes; at most {limit} are read", content.len())));
        }
        Ok(content.clone())
    }
}
