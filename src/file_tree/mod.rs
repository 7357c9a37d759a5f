//! A tree of files to read, wherever it lies: a folder, an archive, memory.
//!
//! Nothing is unpacked onto a disk, and no more than one file at a time is held in memory.

#[cfg(not(target_arch = "wasm32"))]
mod folder;
mod memory;

use std::ops::ControlFlow;

use crate::Result;

#[cfg(not(target_arch = "wasm32"))]
pub use folder::Folder;
pub use memory::Memory;

/// What lies in a tree at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
}

/// One file or folder of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Below the root, parts separated by `/`; never absolute, without `.` and `..`.
    pub path: String,
    pub kind: EntryKind,
    /// Bytes of a file as its directory announces them, which may be a lie.
    pub size: u64,
}

/// A tree of files that can be read, by any number of threads at a time.
pub trait FileTree: Send + Sync {
    /// How the whole is called in messages: the folder's or archive's path, a dropped file's name.
    fn name(&self) -> &str;

    /// Everything that can be read, sorted by path, each path once. Folders that archives do not list are there, too.
    fn entries(&self) -> &[Entry];

    /// The bytes of the file at this index of [`entries`](Self::entries).
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more than `limit` bytes, of which no more are held;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) and others where it cannot be read.
    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>>;

    /// Gives the bytes of each of these files to `take`, in the order in which this tree is read best, until it breaks.
    fn read_each(
        &self,
        indices: &[usize],
        limit: u64,
        take: &mut dyn FnMut(usize, Result<Vec<u8>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        indices.iter().try_for_each(|&index| take(index, self.read(index, limit)))
    }

    /// The index of the entry at a path.
    fn find(&self, path: &str) -> Option<usize> {
        self.entries().binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
    }
}
