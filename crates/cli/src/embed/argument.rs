//! What an argument names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::archive::format_of;
use super::pattern::Pattern;
use crate::address::as_address;
use image_feature::file_tree::{ArchiveFormat, has_same_letters};
use image_feature::{Error, ErrorKind};

/// What an argument names.
pub enum Argument {
    Stdin,
    Folder(PathBuf),
    File(PathBuf),
    Archive(ArchiveFormat, PathBuf),
    Pattern(Pattern),
    /// Nothing that can be read.
    Failed(PathBuf, Error),
}

impl Argument {
    /// Looks at the file system to tell what the argument is. A file of a pattern's very name goes before the pattern.
    pub fn of(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            return Argument::Stdin;
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Argument::Folder(path.into()),
            // a pipe is read once: nobody may look at it before
            Ok(metadata) if !metadata.is_file() => Argument::File(path.into()),
            Ok(_) => Argument::of_file(path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Argument::of_missing(path),
            Err(error) => Argument::Failed(path.into(), error.into()),
        }
    }

    /// A file, which is an archive or an image.
    pub fn of_file(path: &Path) -> Self {
        match format_of(path) {
            Ok(Some(format)) => Argument::Archive(format, path.into()),
            Ok(None) => Argument::File(path.into()),
            Err(error) => Argument::Failed(path.into(), error),
        }
    }

    fn of_missing(path: &Path) -> Self {
        if let Some(error) = as_address(path) {
            return Argument::Failed(path.into(), error);
        }
        if let Some(other) = in_other_form(path) {
            return Argument::of(&other);
        }
        match path.to_str().and_then(Pattern::of) {
            Some(pattern) => Argument::Pattern(pattern),
            None => Argument::Failed(path.into(), Error::new(ErrorKind::Io, "no such file or folder")),
        }
    }
}

/// The only existing path that differs in the form of Unicode, as macOS writes names; `None` where there is none.
pub fn in_other_form(path: &Path) -> Option<PathBuf> {
    let text = path.to_str().filter(|text| !text.is_ascii())?;
    if std::fs::symlink_metadata(path).is_ok() {
        return None;
    }
    let name = path.file_name().and_then(OsStr::to_str)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = match parent {
        Some(parent) if !parent.exists() => in_other_form(parent)?,
        Some(parent) => parent.into(),
        None => PathBuf::from("."),
    };
    let beside = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.file_name());
    let same: Vec<_> =
        beside.filter(|other| other.to_str().is_some_and(|other| has_same_letters(other, name))).collect();
    let [other] = same.as_slice() else { return None };
    let found = if parent.is_some() { folder.join(other) } else { PathBuf::from(other) };
    (found.to_str() != Some(text)).then_some(found)
}
