//! A folder of the file system as a tree of files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Entry, EntryKind, FileTree};
use crate::error::Context;
use crate::{Error, Result};

/// A folder of the file system, with all folders below it. A link counts as its target, but a folder is not entered
/// through a link: links may form a circle.
///
/// ```
/// use image_feature::file_tree::{FileTree, Folder};
///
/// # let root = std::env::temp_dir().join(format!("image-feature-folder-{}", std::process::id()));
/// std::fs::create_dir_all(root.join("images"))?;
/// std::fs::write(root.join("images/a.png"), b"...")?;
/// let folder = Folder::open(&root)?;
/// let paths: Vec<&str> = folder.entries().iter().map(|entry| entry.path.as_str()).collect();
/// assert_eq!(paths, ["images", "images/a.png"]);
/// # std::fs::remove_dir_all(&root)?;
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Folder {
    name: String,
    root: PathBuf,
    entries: Vec<Entry>,
}

impl Folder {
    /// Lists a folder. Files are not read yet.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the folder, or one below it, cannot be listed.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let mut entries = Vec::new();
        for entry in WalkDir::new(root).min_depth(1) {
            let entry = entry.map_err(std::io::Error::from).context(|| root.display().to_string())?;
            let Some(path) = below(root, entry.path()) else { continue };
            // a link without a target is left out
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            let kind = if metadata.is_dir() { EntryKind::Folder } else { EntryKind::File };
            let size = if metadata.is_file() { metadata.len() } else { 0 };
            entries.push(Entry { path, kind, size });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Folder { name: root.display().to_string(), root: root.into(), entries })
    }
}

/// The path below `root`, with `/` between its parts; `None` for names that are not Unicode.
fn below(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

impl FileTree for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let path = &self.entries[index].path;
        let file = File::open(self.root.join(path)).context(|| path.clone())?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).context(|| path.clone())?;
        if bytes.len() as u64 > limit {
            return Err(
                Error::limit(format!("more than {limit} bytes, which is the most that is read")).context(path.clone())
            );
        }
        Ok(bytes)
    }
}
