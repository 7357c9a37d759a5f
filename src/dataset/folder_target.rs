//! A folder that appears when it is complete.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind::{AlreadyExists, NotFound};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::output::Target;
use crate::error::Context;
use crate::output_file::create_folder;
use crate::{Error, Result};

/// The temporary folders, each with the folders that were made to contain it, the outermost first. The lock is held
/// while something is written, so that nothing is added to a folder that an interrupt deletes.
static UNFINISHED: Mutex<BTreeMap<PathBuf, Vec<PathBuf>>> = Mutex::new(BTreeMap::new());

fn unfinished() -> MutexGuard<'static, BTreeMap<PathBuf, Vec<PathBuf>>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of the file system as the destination of a data set.
///
/// All is written to a temporary folder: beside the target, or in it where it is an empty folder. The target has its
/// files when [`complete`](Target::complete) is called. Dropped before that, nothing is left, and no folder that was
/// not there.
///
/// ```
/// use image_feature::dataset::{FolderTarget, Target};
///
/// # let folder = std::env::temp_dir().join(format!("image-feature-target-{}", std::process::id()));
/// let mut target = FolderTarget::new(&folder)?;
/// target.write("images/a.png", b"...")?;
/// assert!(!folder.exists());
/// target.complete()?;
/// assert_eq!(std::fs::read(folder.join("images/a.png"))?, b"...");
/// assert!(FolderTarget::new(&folder).is_err(), "it is not empty");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct FolderTarget {
    target: PathBuf,
    temporary: PathBuf,
    /// Whether the target was there: an empty folder, perhaps of another disk.
    is_there: bool,
    /// Keeps other runs from taking the temporary folder for one that a killed run has left.
    _lock: Option<fs::File>,
}

impl FolderTarget {
    /// Starts a folder that will be at a path, where there is nothing or an empty folder.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is something else;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be created.
    pub fn new(folder: impl AsRef<Path>) -> Result<Self> {
        let target = folder.as_ref();
        let name = || target.display().to_string();
        let is_there = is_empty_folder(target).context(name)?;
        let mut known = unfinished();
        let mut made = Vec::new();
        let parent = if is_there { target } else { target.parent().unwrap_or(Path::new("")) };
        let temporary = make_with_parents(parent, &mut made).and_then(|()| create_folder(parent));
        match temporary {
            Ok((temporary, lock)) => {
                known.insert(temporary.clone(), made);
                Ok(FolderTarget { target: target.into(), temporary, is_there, _lock: lock })
            }
            Err(error) => {
                remove_made(&made);
                Err(error).context(|| format!("{}: the folder cannot be made", name()))
            }
        }
    }

    /// Makes a folder in it, and those that contain it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be made.
    pub fn folder(&mut self, path: &str) -> Result<()> {
        let _turn = unfinished();
        fs::create_dir_all(self.temporary.join(path)).context(|| self.target.join(path).display().to_string())
    }

    /// Moves everything into the target, which is an empty folder: the lists last.
    fn move_into_target(&self) -> std::io::Result<()> {
        let mut entries = fs::read_dir(&self.temporary)?.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| (!entry.path().is_dir(), entry.file_name()));
        let mut moved = Vec::new();
        for entry in entries {
            let to = self.target.join(entry.file_name());
            if let Err(error) = fs::rename(entry.path(), &to) {
                moved.iter().for_each(remove_any);
                return Err(error);
            }
            moved.push(to);
        }
        fs::remove_dir(&self.temporary)
    }
}

impl Target for FolderTarget {
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let _turn = unfinished();
        let name = || self.target.join(path).display().to_string();
        let path = self.temporary.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(name)?;
        }
        fs::write(&path, bytes).context(name)
    }

    fn complete(&mut self) -> Result<()> {
        let mut known = unfinished();
        let moved = if self.is_there { self.move_into_target() } else { fs::rename(&self.temporary, &self.target) };
        moved.context(|| self.target.display().to_string())?;
        known.remove(&self.temporary);
        Ok(())
    }
}

impl Drop for FolderTarget {
    fn drop(&mut self) {
        if let Some((temporary, made)) = unfinished().remove_entry(&self.temporary) {
            remove(&temporary, &made);
        }
    }
}

/// Deletes all folders that are not complete, and then calls `end`. Meanwhile nothing can be written to them.
pub fn delete_unfinished_folders<T>(end: impl FnOnce() -> T) -> T {
    let mut known = unfinished();
    for (temporary, made) in std::mem::take(&mut *known) {
        remove(&temporary, &made);
    }
    end()
}

fn remove(temporary: &Path, made: &[PathBuf]) {
    let _ = fs::remove_dir_all(temporary);
    remove_made(made);
}

/// Removes folders, the innermost first, unless others have put something into them.
fn remove_made(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}

fn remove_any(path: &PathBuf) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Whether there is an empty folder; an error where there is anything else.
fn is_empty_folder(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == NotFound => return Ok(false),
        found => found?,
    };
    if !fs::metadata(path)?.is_dir() {
        return Err(Error::usage("is a file; give a new folder"));
    }
    match fs::read_dir(path)?.next().transpose()? {
        None => Ok(true),
        Some(entry) => {
            let name = entry.file_name();
            Err(Error::usage(format!("the folder is not empty (`{}` is in it); give a new one", name.display())))
        }
    }
}

/// Makes a folder and those that contain it, and notes which ones were not there.
fn make_with_parents(folder: &Path, made: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => made.push(path.into()),
            // by another run, meanwhile
            Err(error) if error.kind() == AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use temp_dir::TempDir;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_left_of_what_was_not_completed() {
        let root = TempDir::new().unwrap();
        let deep = root.path().join("a/b/c");
        let mut target = FolderTarget::new(&deep).unwrap();
        target.write("images/1.png", b"1").unwrap();
        assert_eq!(names(root.path()), ["a"]);
        drop(target);
        assert!(names(root.path()).is_empty(), "folders that were made are left");

        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let mut target = FolderTarget::new(&empty).unwrap();
        target.write("images/1.png", b"1").unwrap();
        drop(target);
        assert!(names(&empty).is_empty(), "an empty folder stays as it was");

        let mut target = FolderTarget::new(&deep).unwrap();
        fs::write(root.path().join("a/other"), "of another program").unwrap();
        // a folder cannot be written as a file
        target.write("images/1.png", b"1").unwrap();
        assert!(target.write("images", b"1").unwrap_err().is_io());
        drop(target);
        assert_eq!(names(&root.path().join("a")), ["other"]);
    }

    #[test]
    fn new_and_empty_folders_are_filled_at_the_end() {
        let root = TempDir::new().unwrap();
        let (new, empty) = (root.path().join("x/new"), root.path().join("empty"));
        fs::create_dir(&empty).unwrap();
        for folder in [&new, &empty] {
            let mut target = FolderTarget::new(folder).unwrap();
            target.folder("images/none").unwrap();
            target.write("train.txt", b"images/1.png 0\n").unwrap();
            target.write("images/1.png", b"1").unwrap();
            assert!(!folder.join("images").exists() && !folder.join("train.txt").exists());
            target.complete().unwrap();
            drop(target);
            assert_eq!(names(folder), ["images", "train.txt"]);
            assert_eq!(names(&folder.join("images")), ["1.png", "none"]);
        }
        assert_eq!(names(root.path()), ["empty", "x"]);
    }

    #[test]
    fn other_targets_are_refused() {
        let root = TempDir::new().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = |path: &Path| FolderTarget::new(path).err().unwrap();
        assert!(error(&file).is_usage());
        assert!(error(&file.join("below")).is_io());
        let full = error(root.path()).to_string();
        assert!(full.contains("`file` is in it"), "{full}");
        assert_eq!(names(root.path()), ["file"]);
        let mut late = FolderTarget::new(root.path().join("late")).unwrap();
        fs::create_dir_all(root.path().join("late/by/another")).unwrap();
        assert!(late.complete().unwrap_err().is_io(), "another run was faster");
        drop(late);
        assert_eq!(names(&root.path().join("late")), ["by"]);
    }
}
