//! The files and folders below a folder, also those that links lead to.

use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::file_tree::EntryKind;
use crate::file_tree::problem::ProblemCode;

/// Maximum files and folders that links lead to. Links that lead to folders with links can stand for any number.
const MOST_LINKED: usize = 1_000_000;

/// A file or folder, with its path below the root.
pub struct Found {
    pub path: PathBuf,
    pub kind: EntryKind,
    pub size: u64,
    /// Whether it is below a folder that is a link.
    pub is_below_link: bool,
}

/// A path below the root that is left out, or not entered.
pub struct Fault {
    pub path: PathBuf,
    pub code: ProblemCode,
    pub detail: String,
}

/// Lists everything below `root`, in no particular order. Only a root that cannot be listed is an error.
pub fn walk(root: &Path) -> io::Result<(Vec<Found>, Vec<Fault>)> {
    walk_with(root, MOST_LINKED)
}

/// As [`walk`], with at most `most` files and folders that links lead to.
pub(super) fn walk_with(root: &Path, most: usize) -> io::Result<(Vec<Found>, Vec<Fault>)> {
    std::fs::read_dir(root)?;
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    let mut links = Links { depth: None, left: most };
    for entry in WalkDir::new(root).min_depth(1).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                faults.push(fault(root, &error));
                continue;
            }
        };
        let path = below(root, entry.path());
        let Some(is_below_link) = links.count(&entry) else {
            faults.push(Fault { path, code: ProblemCode::TooManyLinked, detail: String::new() });
            break;
        };
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                found.push(Found { path, kind: EntryKind::Folder, size: 0, is_below_link });
            }
            Ok(metadata) if metadata.is_file() => {
                found.push(Found { path, kind: EntryKind::File, size: metadata.len(), is_below_link });
            }
            // reading a pipe would wait for ever
            Ok(_) => faults.push(Fault { path, code: ProblemCode::SpecialFile, detail: String::new() }),
            Err(error) => faults.push(Fault { path, code: ProblemCode::PathUnreadable, detail: error.to_string() }),
        }
    }
    Ok((found, faults))
}

/// Counts what is found below links.
struct Links {
    /// The depth of the link that the walk is below of.
    depth: Option<usize>,
    left: usize,
}

impl Links {
    /// Counts an entry, and tells whether it is below a link; `None` where there were too many.
    fn count(&mut self, entry: &DirEntry) -> Option<bool> {
        if self.depth.is_some_and(|depth| entry.depth() <= depth) {
            self.depth = None;
        }
        if self.depth.is_some() {
            self.left = self.left.checked_sub(1)?;
            return Some(true);
        }
        if entry.path_is_symlink() {
            self.depth = Some(entry.depth());
        }
        Some(false)
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}

fn fault(root: &Path, error: &walkdir::Error) -> Fault {
    let path = below(root, error.path().unwrap_or(root));
    if let Some(ancestor) = error.loop_ancestor() {
        let ancestor = below(root, ancestor);
        let above = if ancestor.as_os_str().is_empty() { ".".into() } else { ancestor.to_string_lossy() };
        return Fault { path, code: ProblemCode::LinkLoop, detail: format!("to {above}") };
    }
    let is_link = std::fs::symlink_metadata(root.join(&path)).is_ok_and(|metadata| metadata.is_symlink());
    // a link that leads to an existing folder is as good as the folder
    let is_broken = is_link && std::fs::metadata(root.join(&path)).is_err();
    let code = if is_broken { ProblemCode::LinkBroken } else { ProblemCode::PathUnreadable };
    Fault { path, code, detail: error.io_error().map_or_else(|| error.to_string(), ToString::to_string) }
}
