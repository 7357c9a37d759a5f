//! Model archives: `.tar`, `.tar.gz` and `.zip`, known by their content.
//!
//! Everything stays in memory, so a member's name cannot lead out of any folder. Only what a model may need is unpacked,
//! and limits hold while it is: a few kilobytes cannot become gigabytes.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::files::{self, File};
use super::limits;
use crate::{Error, Result};

/// Members of one archive.
const MEMBERS: usize = 100_000;
/// How many bytes may come out for each that goes in. Weights hardly shrink; a graph in JSON shrinks 30-fold.
const RATIO: u64 = 100;
/// What may come out whatever went in.
const FREE_BYTES: u64 = 16 << 20;

/// The members of an archive that a model may need; `None` where the bytes are no archive.
pub(super) fn unpack<'a>(bytes: &'a [u8]) -> Result<Option<Vec<File<'a>>>> {
    let mut members = Members::default();
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        zip(bytes, &mut members)?;
    } else if bytes.starts_with(b"\x1f\x8b") {
        tar_gz(bytes, &mut members)?;
    } else if is_tar(bytes) {
        tar(bytes, &mut members)?;
    } else if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Error::unsupported(format!("{name} are not read; pack the model as .tar, .tar.gz or .zip")));
    } else {
        return Ok(None);
    }
    if members.wanted.is_empty() {
        return Err(Error::model(match members.count {
            0 => "the archive is empty".to_string(),
            count => {
                format!("no model among the archive's {count} members, such as `{}`", members.example)
            }
        }));
    }
    Ok(Some(members.wanted))
}

/// Archives that we know and do not read, by their first bytes.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\xfd7zXZ\0", "xz archives"),
    (b"BZh", "bzip2 archives"),
    (b"\x28\xb5\x2f\xfd", "zstd archives"),
    (b"7z\xbc\xaf\x27\x1c", "7z archives"),
    (b"Rar!\x1a\x07", "rar archives"),
];

#[derive(Default)]
struct Members<'a> {
    wanted: Vec<File<'a>>,
    /// Bytes of `wanted`.
    bytes: u64,
    count: usize,
    example: String,
}

impl<'a> Members<'a> {
    /// Whether the member of this name and size is to be unpacked.
    fn wants(&mut self, name: &str, size: u64) -> Result<bool> {
        self.count += 1;
        if self.count > MEMBERS {
            return Err(Error::limit(format!("the archive has more than {MEMBERS} members")));
        }
        limits::check_name(name)?;
        if self.example.is_empty() {
            self.example = name.into();
        }
        if files::part(name).is_none() {
            return Ok(false);
        }
        self.bytes = self.bytes.saturating_add(size);
        limits::check_size("what a model may need of the archive", self.bytes, limits::MODEL_BYTES)?;
        Ok(true)
    }

    fn push(&mut self, name: String, bytes: impl Into<Cow<'a, [u8]>>) {
        self.wanted.push(File { name, bytes: bytes.into() });
    }
}

/// A tar begins with a header whose checksum holds, and all but the oldest say `ustar`.
fn is_tar(bytes: &[u8]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some(header) = bytes.get(..512) else { return false };
    let sum: u32 = header.iter().enumerate().map(|(i, &b)| if CHECKSUM.contains(&i) { 32 } else { u32::from(b) }).sum();
    let written = std::str::from_utf8(&header[CHECKSUM]).ok();
    let written = written.and_then(|text| u32::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok());
    written == Some(sum)
}

/// Members lie in a tar as they are, and are borrowed from it.
fn tar<'a>(bytes: &'a [u8], members: &mut Members<'a>) -> Result<()> {
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = member_name(&entry.path_bytes());
        if members.wants(&name, entry.size())? {
            let start = entry.raw_file_position();
            let range =
                usize::try_from(start).ok().zip(start.checked_add(entry.size()).and_then(|end| end.try_into().ok()));
            let content = range.and_then(|(start, end)| bytes.get(start..end));
            members.push(name.clone(), content.ok_or_else(|| truncated(&name))?);
        }
    }
    Ok(())
}

fn tar_gz(bytes: &[u8], members: &mut Members) -> Result<()> {
    let exceeded = Cell::new(false);
    let inflated = Bounded::new(MultiGzDecoder::new(bytes), bytes.len() as u64, &exceeded);
    let error = |error: std::io::Error| if exceeded.get() { bomb() } else { damaged(error) };
    let mut archive = tar::Archive::new(inflated);
    for entry in archive.entries().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = member_name(&entry.path_bytes());
        let size = entry.size();
        if members.wants(&name, size)? {
            let content = read(&mut entry, size).map_err(error)?;
            if content.len() as u64 != size {
                return Err(truncated(&name));
            }
            members.push(name, content);
        }
    }
    Ok(())
}

fn zip(bytes: &[u8], members: &mut Members) -> Result<()> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        if !entry.is_file() {
            continue;
        }
        let name = member_name(entry.name_raw());
        let size = entry.size();
        if members.wants(&name, size)? {
            let exceeded = Cell::new(false);
            let compressed = entry.compressed_size().min(bytes.len() as u64);
            let content = read(&mut Bounded::new(&mut entry, compressed, &exceeded), size)
                .map_err(|error| if exceeded.get() { bomb() } else { damaged(error).context(name.clone()) })?;
            if content.len() as u64 != size {
                return Err(truncated(&name));
            }
            members.push(name, content);
        }
    }
    Ok(())
}

/// At most `size` bytes and one more, so that a member which is longer than it says is noticed.
fn read(from: &mut impl Read, size: u64) -> std::io::Result<Vec<u8>> {
    // What is allocated ahead is bounded; a member that says it is large has to prove it.
    let mut content = Vec::with_capacity(size.min(FREE_BYTES) as usize);
    from.take(size.saturating_add(1)).read_to_end(&mut content)?;
    Ok(content)
}

fn member_name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\\', "/")
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::model(format!("the archive is damaged: {error}")).with_source(error)
}

fn truncated(name: &str) -> Error {
    Error::model(format!("the archive is damaged: `{name}` is not as long as it should be"))
}

fn bomb() -> Error {
    Error::limit(format!("the archive grows more than {RATIO}-fold as it is unpacked; no model does"))
}

/// A reader that stops where too much has come out of what went in.
struct Bounded<'c, R> {
    inner: R,
    left: u64,
    exceeded: &'c Cell<bool>,
}

impl<'c, R> Bounded<'c, R> {
    fn new(inner: R, compressed: u64, exceeded: &'c Cell<bool>) -> Self {
        Bounded { inner, left: compressed.saturating_mul(RATIO).saturating_add(FREE_BYTES), exceeded }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.exceeded.set(true);
                return Err(std::io::Error::other("too much comes out"));
            }
        }
        Ok(count)
    }
}
