//! A tree of files to read, wherever it lies: a folder, an archive, memory.
//!
//! Nothing is unpacked onto a disk, and no more than one file at a time is held in memory.

mod archive;
#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
mod folder;
mod memory;
#[cfg(feature = "dataset")]
mod overlay;
mod problem;
mod source;

use std::ops::ControlFlow;

use crate::Result;

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub use archive::name_decoder;
pub use archive::{Archive, ArchiveFormat, ArchiveOptions, DecodedNames, NameDecoder};
pub use archive::{ArchiveLimits, Member, MemberKind, Members};
#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub use folder::Folder;
pub use memory::Memory;
#[cfg(feature = "dataset")]
pub use overlay::{Content, Overlay};
pub use problem::{Problem, ProblemCode, ProblemEffect};
#[cfg(any(unix, windows))]
pub use source::FileSource;
pub use source::{ReadAt, Seekable};

/// The tree at a path: a folder, or an archive, known by its content.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where there is none or it cannot be listed; and those of
/// [`Archive::from_source`].
#[cfg(all(feature = "dataset", any(unix, windows)))]
pub fn open(path: &std::path::Path) -> Result<Box<dyn FileTree>> {
    let decoder = name_decoder(None)?;
    open_with(path, &ArchiveOptions { decode_names: Some(&*decoder) })
}

/// As [`open`], with a say in how an archive is read.
///
/// # Errors
/// As [`open`].
#[cfg(all(feature = "dataset", any(unix, windows)))]
pub fn open_with(path: &std::path::Path, options: &ArchiveOptions) -> Result<Box<dyn FileTree>> {
    use crate::error::Context;
    let metadata = std::fs::metadata(path).context(|| path.display().to_string())?;
    Ok(if metadata.is_dir() { Box::new(Folder::open(path)?) } else { Box::new(Archive::open_with(path, options)?) })
}

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

    /// Everything that can be read, sorted by path, each path once. Folders that archives do not list are there, too, and
    /// so are files that are damaged or locked: reading them is an error.
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

    /// Puts these indices in the order in which this tree is read best.
    fn sort_for_reading(&self, indices: &mut [usize]) {
        indices.sort_unstable();
    }

    /// What is wrong with the tree itself, which only archives have: first what concerns the whole, then entry by entry.
    /// Some of it is found only as files are read, so this is complete when all have been.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// The index of the entry at a path.
    fn find(&self, path: &str) -> Option<usize> {
        self.entries().binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
    }
}
