//! The files of a model in an archive. [`file_tree`](crate::file_tree) reads the archive.

use std::borrow::Cow;
use std::sync::Arc;

use super::files::{self, File};
use super::limits;
use crate::file_tree::{ArchiveFormat, ArchiveLimits, MemberKind, Members};
use crate::{Error, ErrorKind, Result};

/// Compressed, weights hardly shrink; a graph in JSON shrinks 30-fold.
pub(super) const LIMITS: ArchiveLimits =
    ArchiveLimits { ratio: 100, entry_free: 16 << 20, total_free: 16 << 20, entries: 100_000, names: 16 << 20 };

/// The members of an archive that may belong to a model; `None` where the bytes are not an archive.
pub(super) fn unpack<'a>(bytes: &'a [u8]) -> Result<Option<Vec<File<'a>>>> {
    let Some(format) = ArchiveFormat::of(&bytes)? else { return Ok(None) };
    let mut members = Members::open(Arc::new(bytes), format, LIMITS).map_err(of_model)?;
    let mut wanted = Vec::new();
    let (mut wanted_bytes, mut count, mut example) = (0u64, 0usize, String::new());
    while let Some(member) = members.next_member().map_err(of_model)? {
        if member.kind != MemberKind::File {
            continue;
        }
        count += 1;
        let name = member.lossy_name().replace('\\', "/");
        limits::check_name(&name)?;
        if files::part(&name).is_some() {
            wanted_bytes = wanted_bytes.saturating_add(member.size);
            limits::check_size("what a model may need of the archive", wanted_bytes, limits::MODEL_BYTES)?;
            // a tar stores members as they are: they are borrowed from it
            let plain = members.plain_range(&member);
            let plain = plain.and_then(|range| bytes.get(range.start as usize..range.end as usize));
            let content = match plain {
                Some(plain) => Cow::Borrowed(plain),
                None => Cow::Owned(members.read(&member, limits::MODEL_BYTES).map_err(of_model)?),
            };
            wanted.push(File { name: name.clone(), bytes: content });
        }
        if example.is_empty() {
            example = name;
        }
    }
    if let Some(error) = members.damage() {
        return Err(of_model(error));
    }
    if wanted.is_empty() {
        return Err(Error::model(match count {
            0 => "the archive is empty".to_string(),
            count => format!("no model among the archive's {count} members, such as `{example}`"),
        }));
    }
    Ok(Some(wanted))
}

/// Reports a damaged archive as a damaged model.
pub(super) fn of_model(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Decode | ErrorKind::Io => Error::model(error.to_string()).with_source(error),
        _ => error,
    }
}
