//! A zip of all files, made piece by piece: only one file is in memory.

use crate::Result;
use crate::dataset::{MOST_FILE_BYTES, Target, ZipTarget};
use crate::file_tree::{EntryKind, FileTree};

/// A zip that is not complete.
pub(super) struct ZipPieces {
    target: ZipTarget<Vec<u8>>,
    /// Index of the tree's next entry.
    next: usize,
}

impl ZipPieces {
    pub fn new() -> Self {
        ZipPieces { target: ZipTarget::new(Vec::new()), next: 0 }
    }

    /// The next bytes, and the rest of the zip unless these were the last.
    pub fn next(mut self, tree: &dyn FileTree) -> Result<(Vec<u8>, Option<Self>)> {
        let Some(entry) = tree.entries().get(self.next) else { return Ok((self.target.finish()?, None)) };
        match entry.kind {
            EntryKind::Folder => self.target.folder(&entry.path)?,
            EntryKind::File => self.target.write(&entry.path, &tree.read(self.next, MOST_FILE_BYTES)?)?,
        }
        let bytes = std::mem::take(self.target.writer());
        self.next += 1;
        Ok((bytes, Some(self)))
    }
}
