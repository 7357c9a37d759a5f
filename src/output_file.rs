//! Output files that appear only when they are complete.
//!
//! An [`OutputFile`] is written under a temporary name and then renamed. A program that is interrupted calls
//! [`delete_unfinished`] to leave no temporary files.
//!
//! ```
//! use std::io::Write;
//! use image_feature::output_file::OutputFile;
//!
//! # let folder = std::env::temp_dir().join(format!("image-feature-output-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let target = folder.join("out.json");
//! let mut file = OutputFile::create(&target)?;
//! file.write_all(b"{}")?;
//! assert!(!target.exists());
//! file.commit()?;
//! assert_eq!(std::fs::read(&target)?, b"{}");
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), image_feature::Error>(())
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use crate::error::Context;
use crate::{Error, Result};

/// The temporary files, by their number. The lock is held while one is removed or renamed, so that an interrupt does
/// not happen in between.
static UNFINISHED: LazyLock<Mutex<HashMap<u64, PathBuf>>> = LazyLock::new(Mutex::default);

/// A file that is written under a temporary name in the target's folder, and renamed by [`commit`](OutputFile::commit).
/// Dropped before that, it is deleted.
pub struct OutputFile {
    file: BufWriter<File>,
    number: u64,
    temporary: PathBuf,
    target: PathBuf,
}

impl OutputFile {
    /// Starts a file that will be at `target`. Its folder must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a path without a file name,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be created.
    pub fn create(target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref();
        if target.file_name().is_none() {
            return Err(Error::usage(format!("{}: not a file name; give the file to write", target.display())));
        }
        // not made of the target's name: that may already have the most bytes that file systems allow
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let number = unfinished.keys().max().map_or(0, |last| last + 1);
        let temporary = target.with_file_name(format!(".image-feature-{}-{number}.part", std::process::id()));
        let file = File::create(&temporary).context(|| format!("{}: cannot be written", target.display()))?;
        unfinished.insert(number, temporary.clone());
        Ok(OutputFile { file: BufWriter::new(file), number, temporary, target: target.to_path_buf() })
    }

    /// Writes a whole file. Its folder must exist.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written.
    pub fn write(target: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let target = target.as_ref();
        let mut file = Self::create(target)?;
        file.write_all(bytes).context(|| target.display().to_string())?;
        file.commit()
    }

    /// As [`commit`](Self::commit), and waits until the file is on the disk before it replaces another one: after a
    /// power failure there is the whole old file or the whole new file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written or renamed; it is deleted then.
    pub fn commit_durably(mut self) -> Result<()> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.context(|| self.target.display().to_string())?;
        let folder = self.target.parent().map(Path::to_path_buf);
        self.commit()?;
        // the renaming, too, on systems that can sync a folder
        if let Some(folder) = folder.and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Finishes the file and renames it to the target. Replaces an existing file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written or renamed; it is deleted then.
    pub fn commit(mut self) -> Result<()> {
        self.file.flush().context(|| self.target.display().to_string())?;
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::fs::rename(&self.temporary, &self.target).context(|| self.target.display().to_string())?;
        unfinished.remove(&self.number);
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(position)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if unfinished.remove(&self.number).is_some() {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Deletes all unfinished files, and then calls `end`. Meanwhile no file can be started or committed.
pub fn delete_unfinished<T>(end: impl FnOnce() -> T) -> T {
    let unfinished = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for file in unfinished.values() {
        let _ = std::fs::remove_file(file);
    }
    end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_when_committed() {
        let folder = temp_dir::TempDir::new().unwrap();
        let target = folder.path().join("out.json");
        std::fs::write(&target, "old").unwrap();

        let mut dropped = OutputFile::create(&target).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");

        let mut first = OutputFile::create(&target).unwrap();
        let mut second = OutputFile::create(folder.path().join("other")).unwrap();
        first.write_all(b"new").unwrap();
        second.write_all(b"too").unwrap();
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
    }
}
