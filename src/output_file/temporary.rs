//! Temporary files and folders: their names, their removal, and what killed programs have left.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind::AlreadyExists;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

/// Beginning and end of the names.
const NAME: [&str; 2] = [".image-feature-", ".part"];
/// End of the names of folders.
const FOLDER: &str = ".folder.part";
/// Names that are tried. One is nearly always free.
const NAMES: usize = 100;
/// A file that was not written for so long, and that nobody has locked, is left over.
const LEFT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The temporary files of this process.
static UNFINISHED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// The temporary files of this process. While this is held, none begins, and none is removed or renamed.
pub(super) fn unfinished() -> MutexGuard<'static, HashSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Creates a file with a name of its own, to which an interrupt puts an end. On Unix, only the bits of `mode` are permitted.
pub(super) fn create(folder: &Path, mode: Option<u32>) -> std::io::Result<(File, PathBuf)> {
    remove_left_once(folder);
    create_named(folder, std::iter::repeat_with(|| random_name(NAME[1])).take(NAMES), mode)
}

/// Makes a temporary folder with a name of its own. While the second result is open, others know that it is in use, where
/// the system has locks on folders.
#[cfg(any(feature = "dataset", feature = "download"))]
pub(crate) fn create_folder(parent: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    remove_left_once(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    for _ in 0..NAMES {
        let path = parent.join(random_name(FOLDER));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == AlreadyExists => {}
            made => {
                made?;
                let lock = File::open(&path).ok().filter(|folder| folder.try_lock().is_ok());
                return Ok((path, lock));
            }
        }
    }
    Err(no_name())
}

/// Not made of the target's name, which may already have the most bytes that file systems allow; nor of the process's number
/// alone, which is 1 in every container.
fn random_name(end: &str) -> String {
    // the keys of a `RandomState` are random bits of the system
    let number = RandomState::new().hash_one((std::process::id(), SystemTime::now()));
    format!("{}{number:016x}{end}", NAME[0])
}

fn no_name() -> std::io::Error {
    std::io::Error::new(AlreadyExists, "no name is free for a temporary file")
}

/// Takes the first of the names that no file has.
fn create_named(
    folder: &Path,
    names: impl Iterator<Item = String>,
    mode: Option<u32>,
) -> std::io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    set_mode(&mut options, mode);
    let mut unfinished = unfinished();
    for name in names {
        let path = folder.join(name);
        match options.open(&path) {
            Err(error) if error.kind() == AlreadyExists => {}
            opened => {
                let file = opened?;
                let _ = file.try_lock(); // tells others that it is in use; not every file system has locks
                unfinished.insert(path.clone());
                return Ok((file, path));
            }
        }
    }
    Err(no_name())
}

#[cfg(unix)]
fn set_mode(options: &mut OpenOptions, mode: Option<u32>) {
    if let Some(mode) = mode {
        std::os::unix::fs::OpenOptionsExt::mode(options, mode);
    }
}

#[cfg(not(unix))]
fn set_mode(_: &mut OpenOptions, _: Option<u32>) {}

/// Removes what killed programs have left in a folder, once in the life of this process.
fn remove_left_once(folder: &Path) {
    static DONE: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let is_new = DONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(folder.to_path_buf());
    if is_new {
        remove_left(folder);
    }
}

fn remove_left(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(NAME[0].as_bytes()) && name.ends_with(NAME[1].as_bytes()) {
            remove_if_left(&entry.path());
        }
    }
}

fn remove_if_left(path: &Path) {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
    let is_folder = metadata.is_dir() && path.as_os_str().as_encoded_bytes().ends_with(FOLDER.as_bytes());
    let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
    if !(metadata.is_file() || is_folder) || age.is_none_or(|age| age < LEFT_AFTER) {
        return;
    }
    // the lock is held until it is gone
    if let Ok(file) = OpenOptions::new().read(is_folder).write(!is_folder).open(path)
        && file.try_lock().is_ok()
    {
        let _ = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let folder = temp_dir::TempDir::new().unwrap();
        std::fs::write(folder.path().join("taken"), "of another process").unwrap();
        let names = ["taken", "free"].map(String::from);
        let (_, path) = create_named(folder.path(), names.into_iter(), None).unwrap();
        assert_eq!(path, folder.path().join("free"));
        assert_eq!(std::fs::read(folder.path().join("taken")).unwrap(), b"of another process");
        let none = create_named(folder.path(), ["taken".to_string()].into_iter(), None);
        assert_eq!(none.unwrap_err().kind(), AlreadyExists);
        unfinished().remove(&path);
    }

    #[test]
    fn names_differ() {
        let names: HashSet<String> = std::iter::repeat_with(|| random_name(NAME[1])).take(1000).collect();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn what_a_killed_program_left_is_removed_after_a_day() {
        let folder = temp_dir::TempDir::new().unwrap();
        let make = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            file
        };
        let days = |days: u64| Duration::from_secs(days * 86_400);
        make(".image-feature-17-0.part", days(2));
        make(".image-feature-0123456789abcdef.part", days(2));
        make(".image-feature-fresh.part", days(0));
        make("mine.part", days(9));
        make(".image-feature-notes", days(9));
        let in_use = make(".image-feature-in-use.part", days(9));
        in_use.lock().unwrap();
        std::fs::create_dir(folder.path().join(".image-feature-folder.part")).unwrap();
        #[cfg(unix)]
        let _held = {
            let make = |name: &str| {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.join("images")).unwrap();
                let held = File::open(&path).unwrap();
                held.set_modified(SystemTime::now() - days(2)).unwrap();
                held
            };
            make(".image-feature-17-0.folder.part");
            let held = make(".image-feature-1-0.folder.part");
            held.lock().unwrap();
            held
        };
        let (_, path) = create(folder.path(), None).unwrap();
        std::fs::remove_file(&path).unwrap();
        unfinished().remove(&path);
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let expected = [
            #[cfg(unix)]
            ".image-feature-1-0.folder.part",
            ".image-feature-folder.part",
            ".image-feature-fresh.part",
            ".image-feature-in-use.part",
            ".image-feature-notes",
            "mine.part",
        ];
        assert_eq!(left, expected);
    }
}
