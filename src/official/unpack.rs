//! A model's archive, unpacked into a folder that appears when it is complete.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use crate::error::Context;
use crate::file_tree::{ArchiveFormat, ArchiveLimits, MemberKind, Members, Seekable, is_hidden};
use crate::output_file::create_folder;
use crate::{Error, Result};

/// Bytes of all files.
const MOST_BYTES: u64 = 4 << 30;
/// Number of files. An official model has three or four.
const MOST_FILES: usize = 64;

/// Unpacks the files of an archive into `folder`, whatever folder of the archive they are in.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) where it is no archive, a damaged one, or has no model;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) where the folder cannot be written.
pub(super) fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let name = || folder.display().to_string();
    let (temporary, _lock) = create_folder(parent).context(name)?;
    let unpacked = unpack_into(archive, &temporary)
        .and_then(|()| fs::rename(&temporary, folder).context(name).or_else(there(folder)));
    if unpacked.is_err() || temporary.exists() {
        let _ = fs::remove_dir_all(&temporary);
    }
    unpacked
}

/// Accepts that another program has put the model there meanwhile.
fn there(folder: &Path) -> impl FnOnce(Error) -> Result<()> {
    move |error| if folder.is_dir() { Ok(()) } else { Err(error) }
}

fn unpack_into(archive: &Path, folder: &Path) -> Result<()> {
    let damaged = |error: Error| Error::model(format!("the archive cannot be used: {error}")).with_source(error);
    let source = Arc::new(Seekable::new(File::open(archive)?)?);
    let no_archive = || Error::model("what came is no archive; is there a page of a proxy or a login in between?");
    let format = ArchiveFormat::of(&*source)?.ok_or_else(no_archive)?;
    let mut members = Members::open(source, format, ArchiveLimits::DATA).map_err(damaged)?;
    let (mut files, mut bytes) = (0, 0);
    while let Some(member) = members.next_member().map_err(damaged)? {
        let path = member.lossy_name().replace('\\', "/");
        let file = path.rsplit('/').next().unwrap_or_default();
        if member.kind != MemberKind::File || is_hidden(&path) {
            continue;
        }
        if !is_plain(file) {
            return Err(Error::model(format!("the archive has a file of the odd name {file:?}")));
        }
        (files, bytes) = (files + 1, member.size.saturating_add(bytes));
        if files > MOST_FILES || bytes > MOST_BYTES {
            return Err(Error::limit(format!("the archive has more than {MOST_FILES} files or {MOST_BYTES} bytes")));
        }
        let content = members.read(&member, MOST_BYTES).map_err(damaged)?;
        fs::write(folder.join(file), content).context(|| folder.join(file).display().to_string())?;
    }
    if let Some(error) = members.damage() {
        return Err(damaged(error));
    }
    let has = |name: &str| folder.join(name).is_file();
    if has("inference.pdiparams") && (has("inference.json") || has("inference.pdmodel")) {
        return Ok(());
    }
    Err(Error::model("the archive has no inference.pdiparams with inference.json or inference.pdmodel"))
}

/// Whether a name is of the usual letters, so that it means a file in the folder on every system.
fn is_plain(name: &str) -> bool {
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "._-+ ".contains(letter);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(usual)
}
