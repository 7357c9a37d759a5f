//! Output files that appear only when they are complete.
//!
//! An [`OutputFile`] is written under a temporary name and then renamed. A program that is interrupted calls
//! [`delete_unfinished`] to leave no temporary files. What a killed program has left in a folder is deleted when another file is
//! written there a day later.
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

mod place;
mod stream;
mod temporary;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use self::place::{Place, folder_of};
#[cfg(any(feature = "dataset", feature = "download"))]
pub(crate) use self::temporary::create_folder;
use self::temporary::unfinished;
use crate::Result;
use crate::error::Context;

/// A file that is written under a temporary name in the target's folder, and renamed by [`commit`](OutputFile::commit).
/// Dropped before that, it is deleted.
///
/// If the target is a link, the file that it leads to is written, and the link stays. A file that is replaced passes on its
/// permissions. Devices and pipes, such as `/dev/null` and `/dev/stdout`, are never replaced: they take the bytes at the end.
pub struct OutputFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    place: Place,
}

impl OutputFile {
    /// Starts a file that will be at `target`. Its folder must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a folder, a socket or a disk,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be created.
    pub fn create(target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref();
        let place = Place::of(target)?;
        let created = match &place {
            Place::File { path, replaced } => temporary::create(folder_of(path), replaced.as_ref().and_then(mode_of)),
            Place::Stream(_) => temporary::create(&std::env::temp_dir(), Some(0o600)),
        };
        let (file, temporary) = created.context(|| format!("{}: cannot be written", target.display()))?;
        Ok(OutputFile { file: BufWriter::new(file), temporary, target: target.to_path_buf(), place })
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

    /// Whether a file at `target` would replace another one. Devices and pipes are not replaced.
    ///
    /// ```
    /// use image_feature::output_file::OutputFile;
    ///
    /// let target = std::env::temp_dir().join(format!("image-feature-replaces-{}", std::process::id()));
    /// assert!(!OutputFile::replaces(&target)?);
    /// OutputFile::write(&target, b"something")?;
    /// assert!(OutputFile::replaces(&target)?);
    /// # std::fs::remove_file(&target)?;
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create), where the place cannot be written at all.
    pub fn replaces(target: impl AsRef<Path>) -> Result<bool> {
        Ok(matches!(Place::of(target.as_ref())?, Place::File { replaced: Some(_), .. }))
    }

    /// The path of the file that is written for `target`, after all links were followed; `None` for devices and pipes.
    ///
    /// ```
    /// use image_feature::output_file::OutputFile;
    ///
    /// let target = std::env::temp_dir().join("image-feature-no-link");
    /// assert_eq!(OutputFile::written_path(&target)?, Some(target));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create), where the place cannot be written at all.
    pub fn written_path(target: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        Ok(match Place::of(target.as_ref())? {
            Place::File { path, .. } => Some(path),
            Place::Stream(_) => None,
        })
    }

    /// As [`commit`](Self::commit), and waits until the file is on the disk before it replaces another one: after a
    /// power failure there is the whole old file or the whole new file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written or renamed; it is deleted then.
    pub fn commit_durably(mut self) -> Result<()> {
        if matches!(self.place, Place::File { .. }) {
            let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
            written.context(|| self.target.display().to_string())?;
        }
        self.finish()?;
        // the renaming, too, on systems that can sync a folder
        if let Place::File { path, .. } = &self.place
            && let Ok(folder) = File::open(folder_of(path))
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Finishes the file and renames it to the target. Replaces an existing file. A device or pipe takes the content now.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be written or renamed; it is deleted then.
    pub fn commit(mut self) -> Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        let OutputFile { file, temporary, target, place } = self;
        let mut finish = || -> std::io::Result<()> {
            file.flush()?;
            match place {
                Place::File { path, replaced } => {
                    if let Some(replaced) = replaced {
                        keep_owner(file.get_ref(), replaced);
                    }
                    let mut unfinished = unfinished();
                    std::fs::rename(&*temporary, path)?;
                    unfinished.remove(temporary);
                    Ok(())
                }
                Place::Stream(stream) => {
                    file.rewind()?;
                    stream.take(file.get_mut())
                }
            }
        };
        finish().context(|| target.display().to_string())
    }
}

/// The permissions of a file that is replaced: its new content is no more public while it is written.
#[cfg(unix)]
fn mode_of(replaced: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(replaced) & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> Option<u32> {
    None
}

/// Gives a file the owner and the permissions of the one that it replaces, as far as this user may.
#[cfg(unix)]
fn keep_owner(file: &File, replaced: &Metadata) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let Ok(own) = file.metadata() else { return };
    if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
        let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
    }
    let _ = file.set_permissions(std::fs::Permissions::from_mode(replaced.mode() & 0o777));
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}

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
        let mut unfinished = unfinished();
        if unfinished.remove(&self.temporary) {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Deletes all unfinished files, and then calls `end`. Meanwhile no file can be started or committed.
pub fn delete_unfinished<T>(end: impl FnOnce() -> T) -> T {
    let unfinished = unfinished();
    for file in unfinished.iter() {
        let _ = std::fs::remove_file(file);
    }
    end()
}
