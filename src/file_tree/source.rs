//! Sources of bytes with random access.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that can be read at any offset, by any number of threads at a time: a file, memory, a browser's Blob.
pub trait ReadAt: Send + Sync {
    /// The number of bytes.
    fn size(&self) -> u64;

    /// Reads bytes at `offset` into `into` and returns their number. That may be less than the length of `into`; it is
    /// 0 only at the end.
    ///
    /// # Errors
    /// Errors of the file system or the browser.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Fills `into` with the bytes at `offset`, and returns their number: less than the length of `into` only at the
    /// end.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn fill_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read_at(offset.saturating_add(filled as u64), &mut into[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// The source of an archive, shared with the streams that read it.
pub(super) type Source<'a> = Arc<dyn ReadAt + 'a>;

impl ReadAt for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, into)
    }
}

/// A source over any reader that can seek. Threads read one after the other.
///
/// ```
/// use image_feature::file_tree::{ReadAt, Seekable};
///
/// let source = Seekable::new(std::io::Cursor::new(b"hello, world")).unwrap();
/// let mut word = [0; 5];
/// assert_eq!(source.fill_at(7, &mut word).unwrap(), 5);
/// assert_eq!(&word, b"world");
/// ```
#[derive(Debug)]
pub struct Seekable<R> {
    reader: Mutex<R>,
    size: u64,
}

impl<R: Read + Seek> Seekable<R> {
    /// A source of all bytes of `reader`, from its beginning.
    ///
    /// # Errors
    /// Errors of seeking to the end, which tells the size.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let size = reader.seek(SeekFrom::End(0))?;
        Ok(Seekable { reader: Mutex::new(reader), size })
    }
}

impl<R: Read + Seek + Send> ReadAt for Seekable<R> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(offset))?;
        reader.read(into)
    }
}

/// A source over a file of the file system. Threads read at the same time, each at its own offset.
///
/// ```
/// use image_feature::file_tree::{FileSource, ReadAt};
///
/// # let path = std::env::temp_dir().join(format!("image-feature-source-{}", std::process::id()));
/// std::fs::write(&path, b"hello, world")?;
/// let source = FileSource::new(std::fs::File::open(&path)?)?;
/// let mut word = [0; 5];
/// source.fill_at(7, &mut word)?;
/// assert_eq!((source.size(), &word), (12, b"world"));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[cfg(any(unix, windows))]
#[derive(Debug)]
pub struct FileSource {
    file: std::fs::File,
    size: u64,
}

#[cfg(any(unix, windows))]
impl FileSource {
    /// A source of all bytes of an open file.
    ///
    /// # Errors
    /// Errors of asking for the file's size.
    pub fn new(file: std::fs::File) -> io::Result<Self> {
        Ok(FileSource { size: file.metadata()?.len(), file })
    }
}

#[cfg(any(unix, windows))]
impl ReadAt for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, into, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, into, offset)
    }
}

/// Reads a source in order, through a buffer.
pub(super) struct Cursor<'a> {
    source: Source<'a>,
    /// The source's offset of the first byte in `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
}

/// The bytes of a read for headers and names. Longer reads do not go through the buffer.
const BUFFER: usize = 8 << 10;

impl<'a> Cursor<'a> {
    pub fn new(source: Source<'a>, offset: u64) -> Self {
        Cursor { source, offset, buffer: Vec::new(), at: 0 }
    }

    pub fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    pub fn seek(&mut self, position: u64) {
        match position.checked_sub(self.offset) {
            Some(at) if at <= self.buffer.len() as u64 => self.at = at as usize,
            _ => {
                self.offset = position;
                self.buffer.clear();
                self.at = 0;
            }
        }
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() {
            let position = self.position();
            self.offset = position;
            self.buffer.clear();
            self.at = 0;
            if into.len() >= BUFFER {
                let count = self.source.read_at(position, into)?;
                self.offset += count as u64;
                return Ok(count);
            }
            self.buffer.resize(BUFFER, 0);
            let read = self.source.read_at(position, &mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let rest = &self.buffer[self.at..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Reads until `into` is full or the reader's end, and returns the number of bytes.
pub(super) fn fill(from: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
