//! Trees of files that can be read: folders, archives, files in memory.
//!
//! [`FileTree`] is the common interface of [`Archive`], [`Memory`] and, with the feature `dataset`, of `Folder` and
//! `Overlay`. Archives are not unpacked to disk; one file at a time is in memory.
//!
//! ```
//! use image_feature::file_tree::{EntryKind, FileTree, Memory};
//!
//! let tree = Memory::new("example", ["images/a.png", "images/b.png"].map(|path| (path, b"...".to_vec())));
//! for (index, entry) in tree.entries().iter().enumerate() {
//!     if entry.kind == EntryKind::File {
//!         assert_eq!(tree.read(index, 1 << 20)?, b"...");
//!     }
//! }
//! # Ok::<(), image_feature::Error>(())
//! ```

mod archive;
#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
mod folder;
#[cfg(feature = "dataset")]
mod forms;
mod hidden;
mod images;
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
pub use folder::{Folder, path_text};
#[cfg(feature = "dataset")]
pub use forms::has_same_letters;
#[cfg(feature = "dataset")]
pub(crate) use forms::plain_form;
pub use hidden::is_hidden;
pub use images::{
    Images, PassedOver, image_suffixes, images, images_among, is_image_name, is_other_name, tell_passed_over,
    why_no_image,
};
pub use memory::Memory;
#[cfg(feature = "dataset")]
pub use overlay::{Content, Overlay};
pub use problem::{Problem, ProblemCode, ProblemEffect};
#[cfg(any(unix, windows))]
pub use source::FileSource;
pub use source::{ReadAt, Seekable};

/// The most bytes of a file of which only the start is wanted, where a tree can only read it whole.
const START_LIMIT: u64 = 64 << 20;

/// Opens a folder or an archive of the file system. Archives are known by their content, not by their name.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where there is nothing at the path or it cannot be listed, and the errors of
/// [`Archive::from_source`].
#[cfg(all(feature = "dataset", any(unix, windows)))]
pub fn open(path: impl AsRef<std::path::Path>) -> Result<Box<dyn FileTree>> {
    let decoder = name_decoder(None)?;
    open_with(path, &ArchiveOptions { decode_names: Some(&*decoder) })
}

/// As [`open`], with options for archives.
///
/// # Errors
/// As [`open`].
#[cfg(all(feature = "dataset", any(unix, windows)))]
pub fn open_with(path: impl AsRef<std::path::Path>, options: &ArchiveOptions) -> Result<Box<dyn FileTree>> {
    use crate::error::Context;
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).context(|| path.display().to_string())?;
    Ok(if metadata.is_dir() { Box::new(Folder::open(path)?) } else { Box::new(Archive::open_with(path, options)?) })
}

/// The kind of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// One file or folder of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path below the root, parts separated by `/`; never absolute, without `.` and `..`.
    pub path: String,
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// Bytes of a file as the folder or archive announces them; the true size may differ. 0 for folders.
    pub size: u64,
}

/// A tree of files that can be read, by any number of threads at a time.
pub trait FileTree: Send + Sync {
    /// The tree's name in messages: the path of the folder or archive, or the name of a dropped file.
    fn name(&self) -> &str;

    /// All files and folders, sorted by path, each path once. Folders that an archive does not list are added. Damaged
    /// and encrypted files are listed, too: reading them is an error.
    fn entries(&self) -> &[Entry];

    /// Reads the file at this index of [`entries`](Self::entries).
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for a file of more than `limit` bytes; no more than these are held
    /// in memory. [`ErrorKind::Io`](crate::ErrorKind::Io) and others where the file cannot be read.
    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>>;

    /// The first bytes of the file at this index of [`entries`](Self::entries), at most `count` of them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_start(&self, index: usize, count: usize) -> Result<Vec<u8>> {
        let mut bytes = self.read(index, START_LIMIT)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Reads each of these files and passes its index and bytes to `take`, in the fastest order for this tree, until
    /// `take` breaks.
    fn read_each(
        &self,
        indices: &[usize],
        limit: u64,
        take: &mut dyn FnMut(usize, Result<Vec<u8>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        indices.iter().try_for_each(|&index| take(index, self.read(index, limit)))
    }

    /// Sorts these indices into the fastest order for reading this tree.
    fn sort_for_reading(&self, indices: &mut [usize]) {
        indices.sort_unstable();
    }

    /// The problems of an archive or folder: first those of the whole, then those of each entry. Some
    /// problems are only found when files are read: the list is complete after all files were read.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Whether the entry at this index is below a folder that is a link. False in trees without links.
    fn is_below_link(&self, _index: usize) -> bool {
        false
    }

    /// The index of the entry at a path, `None` where there is none.
    fn find(&self, path: &str) -> Option<usize> {
        self.entries().binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
    }
}
