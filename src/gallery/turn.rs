//! Who may change a gallery's file now.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::Context;

/// The right to change a file, until it is dropped. It is a lock of the system's on a file beside it: what was saved is renamed into its
/// place, so that a lock on the file itself would be one on a file of yesterday. It ends with the process, however that ends.
pub struct Turn {
    #[cfg_attr(not(unix), allow(dead_code))] // held open, which holds the lock
    file: File,
    #[cfg_attr(not(unix), allow(dead_code))]
    path: PathBuf,
}

impl Turn {
    /// Waits until nobody else has it.
    pub fn take(target: &Path) -> Result<Turn> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.lock"));
        loop {
            let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = opened.and_then(|file| file.lock().map(|()| file));
            let file = file.context(|| format!("{}: cannot be locked by {}", target.display(), path.display()))?;
            if is_at(&file, &path) {
                return Ok(Turn { file, path });
            }
        }
    }
}

/// Whether the file is still the one of that name: who had the turn before has removed it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().and_then(|ours| Ok(same(ours, std::fs::metadata(path)?))).unwrap_or(false)
}

/// Elsewhere it is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
impl Drop for Turn {
    /// Leaves nothing behind. It is removed before the lock ends: who waits for it sees that and makes another.
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = temp_dir::TempDir::new().unwrap();
        let counter = folder.path().join("counter");
        std::fs::write(&counter, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _turn = Turn::take(&counter).unwrap();
                        let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                        std::fs::write(&counter, (count + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "400");
        #[cfg(unix)]
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the lock is left");
        let error = Turn::take(&folder.path().join("absent/gallery")).err().unwrap();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
