//! A folder of the file system.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Entry, EntryKind, FileTree};
use crate::error::Context;
use crate::{Error, Result};

/// A folder of the file system and all below it. Links count as what they lead to, but folders are not entered through
/// links: they may form a circle.
#[derive(Clone, Debug)]
pub struct Folder {
    name: String,
    root: PathBuf,
    entries: Vec<Entry>,
}

impl Folder {
    /// Lists a folder. What lies in it is read when asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the folder, or one below it, cannot be listed.
    pub fn open(root: &Path) -> Result<Self> {
        let mut entries = Vec::new();
        for entry in WalkDir::new(root).min_depth(1) {
            let entry = entry.map_err(std::io::Error::from).context(|| root.display().to_string())?;
            let Some(path) = below(root, entry.path()) else { continue };
            // a link that leads nowhere is not there
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            let kind = if metadata.is_dir() { EntryKind::Folder } else { EntryKind::File };
            let size = if metadata.is_file() { metadata.len() } else { 0 };
            entries.push(Entry { path, kind, size });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Folder { name: root.display().to_string(), root: root.into(), entries })
    }
}

/// The path below `root`, with `/` between its parts; nothing for names that are no text.
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
