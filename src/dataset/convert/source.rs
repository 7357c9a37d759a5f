//! What is read from the source of a conversion.

use super::division::Division;
use crate::dataset::text::{OldEncoding, decode_text};
use crate::error::Context;
use crate::file_tree::{EntryKind, FileTree, is_hidden};
use crate::{Error, Result};

/// The most bytes of a text file.
const MOST_TEXT_BYTES: u64 = 256 << 20;
/// The most faults that are told one by one.
const MOST_FAULTS: usize = 20;

/// The images of a source, and their classes.
pub(super) struct Source {
    pub images: Vec<Labelled>,
    /// Names of the classes, where they have names.
    pub classes: Option<Vec<String>>,
    /// The length of the root's path, which is the beginning of all paths.
    pub skip: usize,
    pub faults: Faults,
    /// What was taken as what, in words.
    pub notes: Vec<String>,
}

/// An image with its label.
pub(super) struct Labelled {
    pub entry: usize,
    pub label: i64,
    pub division: Option<Division>,
    /// The file, and line, with the label.
    pub place: String,
}

/// Faults of rows and annotations. All are counted, and the first are kept.
#[derive(Default)]
pub(super) struct Faults {
    first: Vec<String>,
    count: usize,
}

impl Faults {
    /// Adds a fault: its place, and what is wrong. Control characters of names are escaped: a fault is one line.
    pub fn add(&mut self, fault: String) {
        self.count += 1;
        if self.first.len() < MOST_FAULTS {
            let line = fault.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() });
            self.first.push(line.collect());
        }
    }

    /// Nothing where there are no faults. Else an error with them; or notes, where they are skipped.
    pub fn settle(&self, skip: bool, notes: &mut Vec<String>) -> Result<()> {
        let more = match self.count - self.first.len() {
            0 => None,
            more => Some(format!("… and {more} more")),
        };
        match self.first.as_slice() {
            [] => Ok(()),
            faults if skip => {
                notes.push(format!("left out because of faults: {}", self.count));
                notes.extend(faults.iter().cloned().chain(more));
                Ok(())
            }
            [fault] => Err(Error::unsupported(fault.clone())),
            faults => {
                let head = format!("{}; {} faults in all:", faults[0], self.count);
                let lines: Vec<String> = [head].into_iter().chain(faults.iter().cloned()).chain(more).collect();
                Err(Error::unsupported(lines.join("\n")))
            }
        }
    }
}

/// Reads a text file in whatever encoding, and notes that it was not UTF-8.
pub(super) fn read_text(
    tree: &dyn FileTree,
    index: usize,
    old: OldEncoding<'_>,
    notes: &mut Vec<String>,
) -> Result<String> {
    let name = || tree.entries()[index].path.clone();
    let bytes = tree.read(index, MOST_TEXT_BYTES).context(name)?;
    let decoded = decode_text(&bytes, old).context(name)?;
    if let Some(encoding) = decoded.encoding {
        notes.push(format!("{} is read as {encoding}", name()));
    }
    Ok(decoded.text)
}

/// The files of a tree that are not hidden.
pub(super) fn files(tree: &dyn FileTree) -> impl Iterator<Item = (usize, &str)> {
    let entries = tree.entries().iter().enumerate().filter(|(_, entry)| entry.kind == EntryKind::File);
    entries.map(|(index, entry)| (index, entry.path.as_str())).filter(|(_, path)| !is_hidden(path))
}

/// The entry of a file; `None` where there is none, or a folder.
pub(super) fn file_at(tree: &dyn FileTree, path: &str) -> Option<usize> {
    tree.find(path).filter(|&entry| tree.entries()[entry].kind == EntryKind::File)
}
