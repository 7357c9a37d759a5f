//! The lock on a gallery's file.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::Context;
use crate::output_file::OutputFile;

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
///
/// A device or a pipe is not changed but written to, and has no lock.
pub struct Turn(#[cfg_attr(not(unix), allow(dead_code))] Option<Held>);

/// A lock that is held.
#[cfg_attr(not(unix), allow(dead_code))]
struct Held {
    /// Held open, which holds the lock.
    file: File,
    path: PathBuf,
}

impl Turn {
    /// Takes the right to change `target`, which need not exist. Blocks while another thread or process has it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the lock file beside `target` cannot be made, naming both.
    pub fn take(target: impl AsRef<Path>) -> Result<Turn> {
        let given = target.as_ref();
        // two names of one file, a link and its own, have one lock
        let target = match OutputFile::written_path(given) {
            Ok(Some(path)) => path,
            Ok(None) => return Ok(Turn(None)),
            Err(_) => given.to_path_buf(), // the lock's error names the reason
        };
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.lock"));
        loop {
            let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = opened.and_then(|file| file.lock().map(|()| file));
            let file = file.context(|| format!("{}: cannot be locked by {}", target.display(), path.display()))?;
            if is_at(&file, &path) {
                return Ok(Turn(Some(Held { file, path })));
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
        if let Some(Held { file, path }) = &self.0
            && is_at(file, path)
        {
            let _ = std::fs::remove_file(path);
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
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink("gallery", &link).unwrap();
            let turn = Turn::take(&link).unwrap();
            assert!(folder.path().join(".gallery.lock").exists(), "a link and its file have one lock");
            drop(turn);
            drop(Turn::take("/dev/null").unwrap());
            assert!(!Path::new("/dev/.null.lock").exists());
        }
        let error = Turn::take(folder.path().join("absent/gallery")).err().unwrap();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
