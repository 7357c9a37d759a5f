//! Devices and pipes as outputs: they take bytes in order, and are never replaced.

use std::fs::{File, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What takes the bytes of a complete output.
pub(super) enum Stream {
    /// The standard output of this process, by one of its names in the file system.
    Stdout,
    /// An open file of a process, such as `/dev/fd/63`. Written at its end: it may have content.
    Descriptor(PathBuf),
    /// A character device, such as `/dev/null`.
    Device(PathBuf),
    /// A named pipe.
    Pipe(PathBuf),
}

impl Stream {
    /// The open file that a path in `/dev/fd` or `/proc/*/fd` names. `metadata` is that of the path itself.
    #[cfg(unix)]
    pub fn descriptor(path: &Path, metadata: &Metadata) -> Option<Stream> {
        if !metadata.is_symlink() && !path.starts_with("/dev/fd") {
            return None; // spares files the look at their folder
        }
        let folder = std::fs::canonicalize(super::place::folder_of(path)).ok()?;
        let own =
            [PathBuf::from("/dev/fd"), PathBuf::from(format!("/proc/{}/fd", std::process::id()))].contains(&folder);
        match own || folder.starts_with("/proc") && folder.ends_with("fd") {
            true if own && path.file_name().is_some_and(|name| name == "1") => Some(Stream::Stdout),
            true => Some(Stream::Descriptor(path.to_path_buf())),
            false => None,
        }
    }

    #[cfg(not(unix))]
    pub fn descriptor(_: &Path, _: &Metadata) -> Option<Stream> {
        None
    }

    /// The stream of what is neither a file nor a folder nor a link. The error says what it is.
    #[cfg(unix)]
    pub fn special(path: &Path, metadata: &Metadata) -> Result<Stream, &'static str> {
        use std::os::unix::fs::FileTypeExt;
        match metadata.file_type() {
            kind if kind.is_char_device() => Ok(Stream::Device(path.to_path_buf())),
            kind if kind.is_fifo() => Ok(Stream::Pipe(path.to_path_buf())),
            kind if kind.is_socket() => Err("a socket"),
            kind if kind.is_block_device() => Err("a disk"),
            _ => Err("not a file"),
        }
    }

    #[cfg(not(unix))]
    pub fn special(_: &Path, _: &Metadata) -> Result<Stream, &'static str> {
        Err("not a file")
    }

    /// Writes all of a file.
    pub fn take(&self, content: &mut File) -> std::io::Result<()> {
        match self {
            Stream::Stdout => {
                let mut stdout = std::io::stdout().lock();
                std::io::copy(content, &mut stdout)?;
                stdout.flush()
            }
            Stream::Descriptor(path) => {
                std::io::copy(content, &mut File::options().append(true).open(path)?).map(|_| ())
            }
            Stream::Device(path) => std::io::copy(content, &mut File::options().write(true).open(path)?).map(|_| ()),
            Stream::Pipe(path) => std::io::copy(content, &mut open_pipe(path)?).map(|_| ()),
        }
    }
}

/// Opens a named pipe. A reader that starts at the same time is waited for, and one that never comes is not.
#[cfg(unix)]
fn open_pipe(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    use std::time::{Duration, Instant};

    const READER_TIME: Duration = Duration::from_secs(5);
    let started = Instant::now();
    loop {
        // without waiting for a reader; it fails if there is none
        match File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
            // writes are to wait for the reader, so it is opened once more
            Ok(_held) => return File::options().write(true).open(path),
            Err(error) if error.raw_os_error() != Some(libc::ENXIO) => return Err(error),
            Err(_) if started.elapsed() >= READER_TIME => {
                return Err(std::io::Error::other("nobody reads from this pipe; start its reader first"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(not(unix))]
fn open_pipe(path: &Path) -> std::io::Result<File> {
    File::options().write(true).open(path)
}
