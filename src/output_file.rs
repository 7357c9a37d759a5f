//! Output files that exist whole or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use crate::error::Context;
use crate::{Error, Result};

/// Files being written, by their number. Whoever removes or renames one holds the lock, so that an interrupt never
/// meets a file half-way.
static UNFINISHED: LazyLock<Mutex<HashMap<u64, PathBuf>>> = LazyLock::new(Mutex::default);

/// A file written beside its final place under another name, and moved there by [`commit`](OutputFile::commit).
/// Dropped or interrupted before that, it is deleted.
pub struct OutputFile {
    file: BufWriter<File>,
    number: u64,
    temporary: PathBuf,
    target: PathBuf,
}

impl OutputFile {
    /// Starts a file that will be at `target`. Its folder must exist.
    pub fn create(target: &Path) -> Result<Self> {
        if target.file_name().is_none() {
            return Err(Error::usage(format!("{}: not a file name; give the file to write", target.display())));
        }
        // Short whatever the target's name: file systems allow 255 bytes.
        let mut unfinished = UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let number = unfinished.keys().max().map_or(0, |last| last + 1);
        let temporary = target.with_file_name(format!(".image-feature-{}-{number}.part", std::process::id()));
        let file = File::create(&temporary).context(|| format!("{}: cannot be written", target.display()))?;
        unfinished.insert(number, temporary.clone());
        Ok(OutputFile { file: BufWriter::new(file), number, temporary, target: target.to_path_buf() })
    }

    /// Writes a whole file. Its folder must exist.

    pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = Self::create(target)?;
        file.write_all(bytes).context(|| target.display().to_string())?;
        file.commit()
    }

    /// As [`commit`](Self::commit), but the file is on the disk before it takes the other's place: of a machine that fails then
    /// the old file is left or the new one, whole.
    pub fn commit_durably(mut self) -> Result<()> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.context(|| self.target.display().to_string())?;
        let folder = self.target.parent().map(Path::to_path_buf);
        self.commit()?;
        // where a folder can be brought to the disk, which not every system lets one ask for
        if let Some(folder) = folder.and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Finishes the file and puts it in its place, where it replaces one that is there already.
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

/// Runs `end` after all that is unfinished has been deleted. Nothing new is begun meanwhile.

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
        let mut second = OutputFile::create(&folder.path().join("other")).unwrap();
        first.write_all(b"new").unwrap();
        second.write_all(b"too").unwrap();
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
    }
}
