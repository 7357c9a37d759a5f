//! The lock on a gallery's file.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::Context;

/// The exclusive right to change a file, until it is dropped. The operating system ends it with the process, too.
///
/// It locks a second file beside the first. A save renames a new file over the old one, so a lock on the file itself would be
/// on the old file.
///
/// ```ignore-wasm32
/// use image_feature::gallery::{Gallery, Metric, Storage, Turn};
///
/// let path = std::env::temp_dir().join(format!("turn-{}.safetensors", std::process::id()));
/// let turn = Turn::take(&path)?;
/// Gallery::new(2, Metric::Cosine, Storage::F32)?.save(&path)?; // other processes wait
/// drop(turn);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Turn {
    #[cfg_attr(not(unix), allow(dead_code))] // held open, which holds the lock
    file: File,
    #[cfg_attr(not(unix), allow(dead_code))]
    path: PathBuf,
}

impl Turn {
    /// Takes the right to change `target`, which need not exist. Blocks while another thread or process has it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the lock file beside `target` cannot be made, naming both.
    pub fn take(target: impl AsRef<Path>) -> Result<Turn> {
        let target = target.as_ref();
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

/// Whether the open file still has this name: the holder before has removed it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().and_then(|ours| Ok(same(ours, std::fs::metadata(path)?))).unwrap_or(false)
}

/// On other systems the lock file is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
impl Drop for Turn {
    /// Removes the lock file while it is still locked. A waiting thread notices that and makes another.
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
        let error = Turn::take(folder.path().join("absent/gallery")).err().unwrap();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
