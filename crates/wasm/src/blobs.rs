//! Files of the browser, read piece by piece: an archive of gigabytes takes no more memory than the part that is read.
//!
//! They are read synchronously, which browsers allow in workers only. A Blob belongs to the worker that received it; on other
//! threads of a shared memory, reading it fails with an error.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use js_sys::Uint8Array;
use web_sys::{Blob, FileReaderSync, TextDecoder, TextDecoderOptions};

use image_feature::file_tree::{
    DecodedNames, Entry, EntryKind, FileTree, NameDecoder, Problem, ProblemCode, ReadAt, is_hidden,
};
use image_feature::{Error, Result};

thread_local! {
    /// The Blobs of this worker, by the number of their [`Held`]. JavaScript objects cannot be shared among threads.
    static HELD: RefCell<Vec<(u32, Vec<Blob>)>> = const { RefCell::new(Vec::new()) };
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Blobs of the worker that made this. Dropped on another thread, the Blobs stay until that worker ends.
struct Held(u32);

impl Held {
    fn new(blobs: Vec<Blob>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        HELD.with_borrow_mut(|held| held.push((number, blobs)));
        Held(number)
    }

    /// Fills `into` from `offset` on, as far as the Blob reaches.
    fn read(&self, which: usize, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let failed =
            || io::Error::other("the file can no longer be read: it was moved or changed; drop or pick it again");
        let slice = HELD.with_borrow(|held| {
            let (_, blobs) = held.iter().find(|(number, _)| *number == self.0)?;
            // whole numbers up to 2^53, beyond which there is no Blob
            Some(
                blobs
                    .get(which)?
                    .slice_with_f64_and_f64(offset as f64, offset.saturating_add(into.len() as u64) as f64),
            )
        });
        let slice = slice
            .ok_or_else(|| io::Error::other("a file of the browser can only be read by the worker that was given it"))?
            .map_err(|_| failed())?;
        let reader = FileReaderSync::new().map_err(|_| failed())?;
        let bytes = Uint8Array::new(reader.read_as_array_buffer(&slice).map_err(|_| failed())?.as_ref());
        let count = (bytes.length() as usize).min(into.len());
        bytes.subarray(0, count as u32).copy_to(&mut into[..count]);
        Ok(count)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // at the worker's end the thread-local list may be gone
        let _ = HELD.try_with(|held| held.borrow_mut().retain(|(number, _)| *number != self.0));
    }
}

/// Bytes that are fetched together. A call of the browser takes as long as copying this much.
const BUFFER: usize = 256 << 10;

/// A dropped or picked file, as the source of an [`Archive`](image_feature::file_tree::Archive).
pub struct BlobSource {
    held: Held,
    size: u64,
    /// The offset of the bytes that were fetched last, and the bytes.
    buffer: Mutex<(u64, Vec<u8>)>,
}

impl BlobSource {
    /// A source that reads a Blob or File.
    pub fn new(blob: Blob) -> Self {
        let size = blob.size() as u64;
        BlobSource { held: Held::new(vec![blob]), size, buffer: Mutex::default() }
    }
}

impl ReadAt for BlobSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size {
            return Ok(0);
        }
        if into.len() >= BUFFER {
            return self.held.read(0, offset, into);
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, bytes) = &mut *buffer;
        if offset < *start || offset >= *start + bytes.len() as u64 {
            bytes.resize(BUFFER, 0);
            let read = self.held.read(0, offset, bytes);
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            *start = offset;
            read?;
        }
        let rest = &bytes[(offset - *start) as usize..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A dropped or picked folder.
pub struct BlobFolder {
    name: String,
    entries: Vec<Entry>,
    /// The place of each entry's Blob; `None` for folders.
    blobs: Vec<Option<usize>>,
    held: Held,
    problems: Vec<Problem>,
}

impl BlobFolder {
    /// A folder of files, with their paths below it, `/` between the parts. Of files with the same path the last counts.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) for a path that leads out of the folder.
    pub fn new(name: impl Into<String>, files: Vec<(String, Blob)>) -> Result<Self> {
        let mut paths: Vec<(String, Option<usize>)> = Vec::with_capacity(files.len());
        let mut blobs = Vec::with_capacity(files.len());
        for (path, blob) in files {
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(Error::usage(format!("`{path}` is no path below a folder")));
            }
            let before = paths
                .last()
                .map_or(0, |(before, _)| before.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count());
            // folders that the path before has, too, are listed already
            let new = path
                .match_indices('/')
                .filter(|&(end, _)| end >= before)
                .map(|(end, _)| (path[..end].to_string(), None));
            let new: Vec<_> = new.collect();
            paths.extend(new);
            paths.push((path, Some(blobs.len())));
            blobs.push(blob);
        }
        paths.sort_unstable_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
        paths.dedup_by(|later, first| later.0 == first.0);
        let entries = paths.iter().map(|(path, blob)| Entry {
            path: path.clone(),
            kind: if blob.is_some() { EntryKind::File } else { EntryKind::Folder },
            size: blob.map_or(0, |blob| blobs[blob].size() as u64),
        });
        let entries = entries.collect();
        let which = paths.into_iter().map(|(_, blob)| blob).collect();
        Ok(BlobFolder { name: name.into(), entries, blobs: which, held: Held::new(blobs), problems: Vec::new() })
    }

    /// Adds paths that the browser could not look at. They are among the folder's problems, unless they are hidden.
    pub fn with_unreadable(mut self, paths: Vec<String>) -> Self {
        let paths = paths.into_iter().filter(|path| !is_hidden(path));
        let problem = |path| Problem {
            position: None,
            entry: Some(path),
            code: ProblemCode::PathUnreadable,
            detail: String::new(),
        };
        self.problems.extend(paths.map(problem));
        self
    }

    /// The first bytes of a file, at most `count` of them.
    fn start(&self, index: usize, count: u64) -> Result<Vec<u8>> {
        let Entry { path, size, .. } = &self.entries[index];
        let Some(blob) = self.blobs[index] else {
            return Err(Error::usage("a folder, not a file").context(path.clone()));
        };
        let mut content = vec![0; count.min(*size) as usize];
        let count = self.held.read(blob, 0, &mut content).map_err(|error| Error::from(error).context(path.clone()))?;
        content.truncate(count);
        Ok(content)
    }
}

impl FileTree for BlobFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let Entry { path, size, .. } = &self.entries[index];
        if *size > limit {
            let message = format!("{size} bytes; at most {limit} are read");
            return Err(Error::limit(message).context(path.clone()));
        }
        self.start(index, *size)
    }

    fn read_start(&self, index: usize, count: usize) -> Result<Vec<u8>> {
        self.start(index, count as u64)
    }

    fn problems(&self) -> Vec<Problem> {
        self.problems.clone()
    }
}

/// A decoder of names in the encoding with this label of the browser (`gbk`, `shift_jis`, …).
///
/// # Errors
/// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) for an encoding that it does not know.
pub fn name_decoder(label: &str) -> Result<Box<NameDecoder>> {
    let options = TextDecoderOptions::new();
    options.set_fatal(true);
    let decoder = TextDecoder::new_with_label_and_options(label, &options)
        .map_err(|_| Error::usage(format!("this browser knows no encoding `{label}`")))?;
    Ok(Box::new(move |names| {
        // A copy outside WebAssembly's memory: decoders refuse shared memory.
        let decoded = names.iter().map(|name| decoder.decode_with_buffer_source(&Uint8Array::from(*name)).ok());
        Some(DecodedNames { encoding: decoder.encoding(), names: decoded.collect::<Option<_>>()? })
    }))
}

/// A decoder that takes names as UTF-8 if all are valid, else in the first of these encodings in which all are valid.
///
/// # Errors
/// As [`name_decoder`].
pub fn guessing_name_decoder(labels: &[String]) -> Result<Box<NameDecoder>> {
    let decoders = labels.iter().map(|label| name_decoder(label)).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |names| {
        if names.iter().all(|name| std::str::from_utf8(name).is_ok()) {
            return None;
        }
        decoders.iter().find_map(|decode| decode(names))
    }))
}
