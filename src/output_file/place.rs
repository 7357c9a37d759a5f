//! The place that a path names: a file, or what takes bytes without being one.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::stream::Stream;
use crate::error::Context;
use crate::{Error, ErrorKind, Result};

/// Links that are followed, as many as Linux follows.
const LINKS: usize = 40;

/// The place of an output, after all links were followed.
pub(super) enum Place {
    /// A file, and what is known of the one that it replaces.
    File { path: PathBuf, replaced: Option<Metadata> },
    /// A device or a pipe.
    Stream(Stream),
}

impl Place {
    /// Follows the links of `target`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a folder and for what cannot be written, [`ErrorKind::Io`] where the folder of the file is
    /// missing or unreadable.
    pub fn of(target: &Path) -> Result<Place> {
        if target.file_name().is_none() || ends_with_separator(target) {
            return Err(Error::usage(format!("{}: is a folder; give the file to write", target.display())));
        }
        let mut path = target.to_path_buf();
        for _ in 0..=LINKS {
            let metadata = match std::fs::symlink_metadata(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return new_file(target, path),
                found => found.context(|| format!("{}: cannot be written", target.display()))?,
            };
            if let Some(stream) = Stream::descriptor(&path, &metadata) {
                return Ok(Place::Stream(stream));
            }
            if !metadata.is_symlink() {
                return existing(target, path, metadata);
            }
            let link = std::fs::read_link(&path).context(|| target.display().to_string())?;
            path = folder_of(&path).join(link);
        }
        Err(Error::usage(format!("{}: its links lead in a circle; give the file to write", target.display())))
    }
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|&last| std::path::is_separator(last.into()))
}

/// The target, and where its links lead if they lead elsewhere.
fn shown(target: &Path, path: &Path) -> String {
    match target == path {
        true => target.display().to_string(),
        false => format!("{}: a link to {}", target.display(), path.display()),
    }
}

fn new_file(target: &Path, path: PathBuf) -> Result<Place> {
    if folder_of(&path).is_dir() {
        return Ok(Place::File { path, replaced: None });
    }
    let message = format!("{}: there is no such folder; make it first", shown(target, &path));
    Err(Error::new(ErrorKind::Io, message))
}

fn existing(target: &Path, path: PathBuf, metadata: Metadata) -> Result<Place> {
    if metadata.is_file() {
        return Ok(Place::File { path, replaced: Some(metadata) });
    }
    if metadata.is_dir() {
        return Err(Error::usage(format!("{}: is a folder; give the file to write", shown(target, &path))));
    }
    match Stream::special(&path, &metadata) {
        Ok(stream) => Ok(Place::Stream(stream)),
        Err(kind) => Err(Error::usage(format!("{}: is {kind}; give the file to write", shown(target, &path)))),
    }
}
