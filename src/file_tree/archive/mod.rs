//! Archives: `.zip`, `.tar` and `.tar.gz`, detected by their content.
//!
//! An archive is untrusted input. Names never lead out of it, sizes are checked while data are unpacked, and a fault is
//! a [`Problem`] that does not affect the other entries.

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
mod encoding;
mod member;
mod members;
mod names;
mod place;
mod tar;
mod tree;
mod zip;

use std::io;

use super::problem::{Problem, ProblemCode};
use super::source::{ReadAt, fill};
use crate::file_kind::FileKind;
use crate::{Error, Result};

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub use encoding::name_decoder;
pub use member::{Member, MemberKind};
pub use members::Members;
#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub(super) use names::escaped;
pub use names::{DecodedNames, NameDecoder};
pub use tree::{Archive, ArchiveOptions};

/// The archive formats that are supported.
///
/// ```
/// use image_feature::file_tree::ArchiveFormat;
///
/// assert_eq!(ArchiveFormat::of(&&b"PK\x03\x04..."[..])?, Some(ArchiveFormat::Zip));
/// assert_eq!(ArchiveFormat::of(&&b"a text"[..])?, None);
/// assert!(ArchiveFormat::of(&&b"Rar!\x1a\x07"[..]).unwrap_err().is_unsupported());
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// `.zip`
    Zip,
    /// `.tar`
    Tar,
    /// `.tar.gz`
    TarGz,
}

impl ArchiveFormat {
    /// The format by the first bytes of `source`; `None` where they are not those of an archive.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other archive formats, with their name;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the source cannot be read.
    pub fn of(source: &dyn ReadAt) -> Result<Option<Self>> {
        let mut start = [0; tar::BLOCK];
        let count = source.fill_at(0, &mut start)?;
        let start = &start[..count];
        if [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|magic| start.starts_with(&magic[..])) {
            Ok(Some(ArchiveFormat::Zip))
        } else if start.starts_with(b"\x1f\x8b") {
            Ok(Some(ArchiveFormat::TarGz))
        } else if start.try_into().is_ok_and(tar::is_header) {
            Ok(Some(ArchiveFormat::Tar))
        } else if let Some(kind) = FileKind::unread_archive(start) {
            Err(Error::unsupported(format!("{kind}, which is not read; {}", kind.remedy())))
        } else {
            Ok(None)
        }
    }
}

/// Limits on the size of an archive, against archives made to fill memory.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// The most unpacked bytes for each packed byte, of an entry and of the whole archive.
    pub ratio: u64,
    /// Unpacked bytes that an entry may have in addition, whatever its packed size.
    pub entry_free: u64,
    /// Unpacked bytes that the archive may always have, whatever its packed size.
    pub total_free: u64,
    /// The most entries.
    pub entries: usize,
    /// The most bytes of all names together.
    pub names: usize,
}

impl ArchiveLimits {
    /// Limits for data sets: `ratio` 100, 128 MiB for an entry, 1 GiB in all, a million entries with 128 MiB of names.
    ///
    /// Photographs hardly compress, so a higher ratio means an archive made to fill memory or time. A drawing in one
    /// colour shrinks a thousandfold, though: one entry may always have the size of a large bitmap.
    pub const DATA: ArchiveLimits =
        ArchiveLimits { ratio: 100, entry_free: 128 << 20, total_free: 1 << 30, entries: 1_000_000, names: 128 << 20 };

    fn entry_bytes(&self, packed: u64) -> u64 {
        packed.saturating_mul(self.ratio).saturating_add(self.entry_free)
    }

    fn total_bytes(&self, archive: u64) -> u64 {
        archive.saturating_mul(self.ratio).max(self.total_free)
    }
}

/// The most bytes of one name: the longest path of the strictest common file system.
const NAME_BYTES: usize = 4096;

/// The reason why an entry, or an archive, cannot be read.
#[derive(Debug)]
enum Fault {
    Problem(ProblemCode, String),
    TooLong(u64),
    Io(io::Error),
}

impl From<ProblemCode> for Fault {
    fn from(code: ProblemCode) -> Self {
        Fault::Problem(code, String::new())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl Fault {
    /// The error of the entry with this position and name, or of the archive.
    fn into_error(self, entry: Option<(u64, String)>) -> Error {
        let error = match self {
            Fault::Problem(code, detail) => {
                let (position, entry) = entry.unzip();
                return Problem { position, entry, code, detail }.into_error();
            }
            Fault::TooLong(limit) => Error::limit(format!("more than {limit} bytes, which is the most that is read")),
            Fault::Io(error) => error.into(),
        };
        match entry {
            Some((_, name)) => error.context(name),
            None => error,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
