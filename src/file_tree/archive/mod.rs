//! Archives: `.zip`, `.tar` and `.tar.gz`, known by their content.
//!
//! Everything in an archive is a claim of whoever made it. Names never lead out of it, sizes are checked while data are
//! unpacked, and what is wrong is a [`Problem`] that leaves the other entries as they are.

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
mod encoding;
mod member;
mod members;
mod names;
mod tar;
mod tree;
mod zip;

use std::io;

use super::problem::{Problem, ProblemCode};
use super::source::{ReadAt, fill};
use crate::{Error, Result};

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub use encoding::name_decoder;
pub use member::{Member, MemberKind};
pub use members::Members;
pub use names::{DecodedNames, NameDecoder};
pub use tree::{Archive, ArchiveOptions};

/// The kinds of archives that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    Zip,
    Tar,
    TarGz,
}

/// Archives that we know and do not read, by their first bytes.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\xfd7zXZ\0", "xz archives"),
    (b"BZh", "bzip2 archives"),
    (b"\x28\xb5\x2f\xfd", "zstd archives"),
    (b"7z\xbc\xaf\x27\x1c", "7z archives"),
    (b"Rar!\x1a\x07", "rar archives"),
];

impl ArchiveFormat {
    /// The kind of archive that begins like this; `None` for what is no archive.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other kinds of archives, by name;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the beginning cannot be read.
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
        } else if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
            Err(Error::unsupported(format!("{name} are not read; pack as .tar, .tar.gz or .zip")))
        } else {
            Ok(None)
        }
    }
}

/// What an archive may ask for.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// How many bytes may come out of one entry for each that goes in, beyond [`entry_free`](Self::entry_free).
    pub ratio: u64,
    /// Bytes that may come out of one entry whatever its packed size.
    pub entry_free: u64,
    /// What may come out of the archive, whatever goes in, before `ratio` counts.
    pub total_free: u64,
    /// Number of entries.
    pub entries: usize,
    /// Bytes of all names together.
    pub names: usize,
}

impl ArchiveLimits {
    /// Photographs hardly compress. What goes far beyond is made to fill memory or time: but a drawing of one colour
    /// shrinks a thousandfold, so that one entry may always have the size of a large bitmap.
    pub const DATA: ArchiveLimits =
        ArchiveLimits { ratio: 100, entry_free: 128 << 20, total_free: 1 << 30, entries: 1_000_000, names: 128 << 20 };

    fn entry_bytes(&self, packed: u64) -> u64 {
        packed.saturating_mul(self.ratio).saturating_add(self.entry_free)
    }

    fn total_bytes(&self, archive: u64) -> u64 {
        archive.saturating_mul(self.ratio).max(self.total_free)
    }
}

/// Bytes of one name: what the strictest of the usual file systems takes for a whole path.
const NAME_BYTES: usize = 4096;

/// Why an entry, or an archive, cannot be read.
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
    /// As the error of the entry at this position and of this name, or of the archive.
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
