//! An archive as a tree of files.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::member::{Member, MemberKind};
use super::members::Members;
use super::names::{DecodedNames, NameDecoder};
use super::place::Place;
use super::tar::{BLOCK, Gz};
use super::{ArchiveFormat, ArchiveLimits, Fault, names, zip};
use crate::file_kind::{FileKind, START};
use crate::file_tree::problem::{Problem, ProblemCode, Problems};
use crate::file_tree::source::{ReadAt, Source};
use crate::file_tree::{Entry, EntryKind, FileTree};
use crate::{Error, Result};

/// Options for reading an archive.
#[derive(Default)]
pub struct ArchiveOptions<'a> {
    /// The decoder of names that are not marked as UTF-8, such as `name_decoder` of the feature `dataset`. Without it,
    /// valid UTF-8 is taken as such, and in other names each byte beyond ASCII becomes `%` and two digits.
    pub decode_names: Option<&'a NameDecoder>,
}

/// The files in a `.zip`, `.tar` or `.tar.gz`. Each is unpacked when it is read.
///
/// Faults of the archive are in [`problems`](FileTree::problems); they do not affect other entries. Files of a `.zip`
/// or `.tar` can be read in any order, by any number of threads at a time. A `.tar.gz` can only be unpacked from its
/// beginning: listing it unpacks it once, and [`read_each`](FileTree::read_each) once more; reading files in the
/// archive's order continues where the last one ended. Small text files of a `.tar.gz`, such as the lists of a data
/// set, are kept in memory.
///
/// ```
/// use std::io::Write;
/// use image_feature::file_tree::{Archive, FileTree};
///
/// let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
/// zip.start_file("images\\a.png", zip::write::SimpleFileOptions::default())?;
/// zip.write_all(b"...")?;
///
/// let archive = Archive::from_source("a.zip", zip.finish()?.into_inner())?;
/// let paths: Vec<&str> = archive.entries().iter().map(|entry| entry.path.as_str()).collect();
/// assert_eq!(paths, ["images", "images/a.png"]);
/// assert_eq!(archive.read(archive.find("images/a.png").unwrap(), 100)?, b"...");
/// assert_eq!(archive.problems()[0].code.as_str(), "path-backslash");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Archive {
    name: String,
    format: ArchiveFormat,
    source: Source<'static>,
    entries: Vec<Entry>,
    /// One for each entry.
    slots: Vec<Slot>,
    problems: Mutex<Problems>,
    /// The stream of a compressed tar, where the last read left it.
    stream: Mutex<Option<Gz<'static>>>,
}

/// The content of an entry.
enum Slot {
    Folder,
    File {
        position: u64,
        place: Place,
        fault: Option<ProblemCode>,
    },
    /// A small text file of a compressed tar.
    Text(Arc<[u8]>),
}

/// Text files of a compressed tar are kept in memory up to this size.
const TEXT_BYTES: u64 = 8 << 20;
/// The most bytes of all text files that are kept.
const TEXTS_BYTES: u64 = 32 << 20;

const LIMITS: ArchiveLimits = ArchiveLimits::DATA;

impl Archive {
    /// Opens and lists an archive of the file system. The encoding of names that are not UTF-8 is detected.
    ///
    /// # Errors
    /// As [`from_source`](Self::from_source).
    #[cfg(all(feature = "dataset", any(unix, windows)))]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let decoder = super::name_decoder(None)?;
        Archive::open_with(path, &ArchiveOptions { decode_names: Some(&*decoder) })
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`from_source`](Self::from_source).
    #[cfg(all(feature = "dataset", any(unix, windows)))]
    pub fn open_with(path: impl AsRef<std::path::Path>, options: &ArchiveOptions) -> Result<Self> {
        use crate::error::Context;
        use crate::file_tree::source::FileSource;
        let path = path.as_ref();
        let name = path.display().to_string();
        let file = std::fs::File::open(path).and_then(FileSource::new).context(|| name.clone())?;
        Archive::with_options(name, file, options)
    }

    /// Lists an archive in a file, in memory, or in another source with random access. `name` is for messages.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for other formats, and for sources that are not an
    /// archive; [`ErrorKind::Decode`](crate::ErrorKind::Decode) where it is so damaged that no entry is found;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the source cannot be read.
    pub fn from_source(name: impl Into<String>, source: impl ReadAt + 'static) -> Result<Self> {
        Archive::with_options(name, source, &ArchiveOptions::default())
    }

    /// As [`from_source`](Self::from_source), with options.
    ///
    /// # Errors
    /// As [`from_source`](Self::from_source).
    pub fn with_options(
        name: impl Into<String>,
        source: impl ReadAt + 'static,
        options: &ArchiveOptions,
    ) -> Result<Self> {
        let name = name.into();
        Archive::list(name.clone(), Arc::new(source), options).map_err(|error| error.context(name))
    }

    fn list(name: String, source: Source<'static>, options: &ArchiveOptions) -> Result<Self> {
        let not_one = || match start_of(&*source).and_then(|start| FileKind::of(&start)) {
            Some(kind) if kind.is_stand_in() => {
                Error::unsupported(format!("not an archive but {kind}; {}", kind.remedy()))
            }
            _ => Error::unsupported("not an archive that is read; expected a .zip, .tar or .tar.gz"),
        };
        // A self-extracting archive begins with a program and ends like a zip.
        let empty = is_empty_tar(&*source)?.then_some(ArchiveFormat::Tar);
        let known = ArchiveFormat::of(&*source)?.or(empty);
        let format = known.unwrap_or(ArchiveFormat::Zip);
        let mut members = Members::open(source.clone(), format, LIMITS);
        if known.is_none() {
            members = members.map_err(|_| not_one());
        }
        let mut members = members?;
        let mut listing = Listing::default();
        loop {
            match members.next_member() {
                Ok(Some(member)) => {
                    let text = listing.wants_text(format, &member);
                    let text = if text { members.read(&member, TEXT_BYTES).ok() } else { None };
                    listing.push(member, text);
                }
                Ok(None) => break,
                Err(error) if listing.members.is_empty() => return Err(error),
                Err(error) => {
                    match std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Problem>()) {
                        Some(problem) => {
                            members.problems.push(problem.clone());
                            break;
                        }
                        None => return Err(error),
                    }
                }
            }
        }
        let mut problems = std::mem::take(&mut members.problems);
        let (entries, slots) = listing.finish(options, &mut problems);
        let problems = Mutex::new(problems);
        Ok(Archive { name, format, source, entries, slots, problems, stream: Mutex::new(None) })
    }

    /// The archive's format, detected by its content.
    pub fn format(&self) -> ArchiveFormat {
        self.format
    }

    fn lock_problems(&self) -> MutexGuard<'_, Problems> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset of the content, for reading in the archive's order.
    fn start(&self, index: usize) -> u64 {
        match self.slots[index] {
            Slot::File { place: Place::Tar(offset), .. } => offset,
            Slot::File { place: Place::Zip(place), .. } => place.start(),
            Slot::Folder | Slot::Text(_) => 0,
        }
    }

    fn read_from(&self, index: usize, limit: u64, stream: &mut Option<Gz<'static>>) -> Result<Vec<u8>> {
        let entry = &self.entries[index];
        let (position, place, fault) = match &self.slots[index] {
            Slot::Folder => return Err(Error::usage(format!("{}: a folder, not a file", entry.path))),
            Slot::Text(text) if text.len() as u64 > limit => {
                return Err(Fault::TooLong(limit).into_error(Some((0, entry.path.clone()))));
            }
            Slot::Text(text) => return Ok(text.to_vec()),
            Slot::File { position, place, fault } => (*position, place, *fault),
        };
        let content = match (fault, place) {
            (Some(code), _) => Err(code.into()),
            (None, Place::Zip(place)) => zip::read(&*self.source, place, limit, &mut |code| {
                self.lock_problems().entry(code, position, entry.path.as_bytes(), String::new());
            }),
            (None, _) if entry.size > limit => Err(Fault::TooLong(limit)),
            (None, &Place::Tar(offset)) if self.format == ArchiveFormat::Tar => self.read_plain(offset, entry.size),
            (None, &Place::Tar(offset)) => {
                if stream.as_ref().is_none_or(|stream| stream.position() > offset) {
                    *stream = Some(Gz::new(self.source.clone(), &LIMITS));
                }
                match stream {
                    Some(stream) => stream.skip_to(offset).and_then(|()| stream.content(entry.size)),
                    None => Err(ProblemCode::StreamDamaged.into()),
                }
            }
        };
        content.map_err(|fault| {
            // a stream cannot be used after an error
            *stream = None;
            fault.into_error(Some((position, entry.path.clone())))
        })
    }

    fn read_plain(&self, offset: u64, size: u64) -> Result<Vec<u8>, Fault> {
        // the content lies within the archive: `Tar` marks others as truncated
        let mut content = vec![0; usize::try_from(size).map_err(|_| Fault::TooLong(usize::MAX as u64))?];
        match self.source.fill_at(offset, &mut content)? {
            count if count < content.len() => Err(ProblemCode::Truncated.into()),
            _ => Ok(content),
        }
    }
}

/// The first bytes of a source that can be read.
fn start_of(source: &dyn ReadAt) -> Option<Vec<u8>> {
    let mut start = vec![0; START];
    let count = source.fill_at(0, &mut start).ok()?;
    start.truncate(count);
    Some(start)
}

/// Whether it is what `tar` makes of no files: nothing but zeros, some blocks of them.
fn is_empty_tar(source: &dyn ReadAt) -> Result<bool> {
    const MOST: u64 = 1 << 16;
    let size = source.size();
    if size > MOST || size < 2 * BLOCK as u64 || !size.is_multiple_of(BLOCK as u64) {
        return Ok(false);
    }
    let mut bytes = vec![0; size as usize];
    Ok(source.fill_at(0, &mut bytes)? == bytes.len() && bytes.iter().all(|&byte| byte == 0))
}

impl FileTree for Archive {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        match self.slots[index] {
            Slot::File { .. } if self.format == ArchiveFormat::TarGz => {
                self.read_from(index, limit, &mut self.stream.lock().unwrap_or_else(PoisonError::into_inner))
            }
            _ => self.read_from(index, limit, &mut None),
        }
    }

    fn read_each(
        &self,
        indices: &[usize],
        limit: u64,
        take: &mut dyn FnMut(usize, Result<Vec<u8>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut indices = indices.to_vec();
        self.sort_for_reading(&mut indices);
        let mut stream = None;
        indices.into_iter().try_for_each(|index| take(index, self.read_from(index, limit, &mut stream)))
    }

    fn sort_for_reading(&self, indices: &mut [usize]) {
        indices.sort_by_key(|&index| self.start(index));
    }

    fn problems(&self) -> Vec<Problem> {
        self.lock_problems().sorted()
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

/// The entries of an archive, before they are entries of a tree.
#[derive(Default)]
struct Listing {
    members: Vec<(Member, Option<Arc<[u8]>>)>,
    texts: u64,
}

/// An entry with its path in the tree.
struct Named {
    path: String,
    /// The index in the listing's members; `None` for a folder that the archive does not list.
    member: Option<usize>,
    is_file: bool,
}

impl Listing {
    /// Whether to keep the content: reading it later would unpack everything before it again.
    fn wants_text(&self, format: ArchiveFormat, member: &Member) -> bool {
        format == ArchiveFormat::TarGz
            && member.kind == MemberKind::File
            && member.size <= TEXT_BYTES.min(TEXTS_BYTES - self.texts)
            && member.name.to_ascii_lowercase().ends_with(b".txt")
    }

    fn push(&mut self, member: Member, text: Option<Vec<u8>>) {
        self.texts += text.as_ref().map_or(0, |text| text.len() as u64);
        self.members.push((member, text.map(Arc::from)));
    }

    fn finish(self, options: &ArchiveOptions, problems: &mut Problems) -> (Vec<Entry>, Vec<Slot>) {
        let decoded = self.decode_names(options, problems);
        let mut named = self.clean(decoded, problems);
        self.drop_duplicates(&mut named, problems);
        self.add_folders(&mut named, problems);
        self.find_case_collisions(&named, problems);
        let mut members: Vec<_> = self.members.into_iter().map(Some).collect();
        let both = named.into_iter().map(|Named { path, member, is_file }| {
            let member = member.filter(|_| is_file).and_then(|index| members[index].take());
            let Some((member, text)) = member else {
                return (Entry { path, kind: EntryKind::Folder, size: 0 }, Slot::Folder);
            };
            let slot = match text {
                Some(text) => Slot::Text(text),
                None => Slot::File { position: member.position, place: member.place, fault: member.fault },
            };
            (Entry { path, kind: EntryKind::File, size: member.size }, slot)
        });
        both.unzip()
    }

    fn report(&self, problems: &mut Problems, index: usize, code: ProblemCode, detail: String) {
        let (member, _) = &self.members[index];
        problems.entry(code, member.position, &member.name, detail);
    }

    /// Decodes the names that are not marked as UTF-8: their members' indices, in ascending order, and their texts.
    ///
    /// Some names in an old encoding are valid UTF-8 by accident: `模` in GBK is `ģ` in UTF-8. So where one name is not
    /// UTF-8, all names that are not marked are decoded together, in the same encoding, where that is possible.
    fn decode_names(&self, options: &ArchiveOptions, problems: &mut Problems) -> Vec<(usize, String)> {
        let name = |index: usize| self.members[index].0.name.as_slice();
        let is_utf8 = |index: usize| std::str::from_utf8(name(index)).is_ok();
        let decode = |indices: &[usize]| {
            let names: Vec<&[u8]> = indices.iter().map(|&index| name(index)).collect();
            let decoded = options.decode_names.filter(|_| !names.is_empty()).and_then(|decode| decode(&names));
            decoded.filter(|decoded| decoded.names.len() == names.len())
        };
        let is_sure = |index: usize| name(index).is_ascii() || self.members[index].0.utf8 && is_utf8(index);
        let mut others: Vec<usize> = (0..self.members.len()).filter(|&index| !is_sure(index)).collect();
        let decoded = decode(&others).or_else(|| {
            others.retain(|&index| !is_utf8(index));
            decode(&others)
        });
        let DecodedNames { encoding, names } = decoded.unwrap_or_else(|| DecodedNames {
            encoding: String::new(),
            names: others.iter().map(|&index| names::escaped(name(index))).collect(),
        });
        for (&index, read) in others.iter().zip(&names) {
            if read.as_bytes() != name(index) {
                let read_as = if encoding.is_empty() {
                    format!("read as `{read}`")
                } else {
                    format!("read as {encoding}: `{read}`")
                };
                self.report(problems, index, ProblemCode::NameEncoding, read_as);
            }
        }
        others.into_iter().zip(names).collect()
    }

    /// The files and folders that can be in a tree, with their paths. Others are reported and left out.
    fn clean(&self, decoded: Vec<(usize, String)>, problems: &mut Problems) -> Vec<Named> {
        let mut decoded = decoded.into_iter().peekable();
        let mut named = Vec::with_capacity(self.members.len());
        for (index, (member, _)) in self.members.iter().enumerate() {
            let other = decoded.next_if(|(other, _)| *other == index);
            let name = other.as_ref().map(|(_, name)| name.as_str()).or_else(|| std::str::from_utf8(&member.name).ok());
            let (path, mended) = match names::clean(name.unwrap_or_default()) {
                Ok(cleaned) => cleaned,
                Err(code) => {
                    self.report(problems, index, code, String::new());
                    continue;
                }
            };
            if let MemberKind::Other(code) = member.kind {
                self.report(problems, index, code, String::new());
                continue;
            }
            let is_file = member.kind == MemberKind::File;
            if path.is_empty() {
                if is_file {
                    self.report(problems, index, ProblemCode::NameInvalid, String::new());
                }
                continue;
            }
            for code in mended.into_iter().chain(member.fault.filter(|_| is_file)) {
                self.report(problems, index, code, String::new());
            }
            if is_file && names::is_archive(&path) {
                self.report(problems, index, ProblemCode::Nested, String::new());
            }
            named.push(Named { path, member: Some(index), is_file });
        }
        named
    }

    /// Sorts by path and keeps the last entry of each path, as unpacking would.
    fn drop_duplicates(&self, named: &mut Vec<Named>, problems: &mut Problems) {
        named.sort_by(|a, b| (&a.path, a.is_file, a.member).cmp(&(&b.path, b.is_file, b.member)));
        let mut kept: Vec<Named> = Vec::with_capacity(named.len());
        for next in named.drain(..) {
            if let Some(last) = kept.last_mut()
                && last.path == next.path
                && last.is_file == next.is_file
            {
                // folders may be listed several times
                if let (true, Some(index)) = (last.is_file, last.member) {
                    self.report(problems, index, ProblemCode::NameDuplicate, String::new());
                }
                *last = next;
            } else {
                kept.push(next);
            }
        }
        *named = kept;
    }

    /// Adds the folders that are not listed, and drops files at the path of a folder.
    fn add_folders(&self, named: &mut Vec<Named>, problems: &mut Problems) {
        // The memory of a folder beside its name. Short names in deep folders must not become long lists.
        const FOLDER_BYTES: usize = size_of::<Named>() + size_of::<Entry>() + size_of::<Slot>();
        let mut left = LIMITS.names;
        let mut folders = Vec::new();
        let mut fit = named.len();
        'all: for (at, one) in named.iter().enumerate() {
            let before = at.checked_sub(1).map_or("", |before| named[before].path.as_str());
            for (end, _) in one.path.match_indices('/') {
                // the previous path's folders are there already
                if before.starts_with(&one.path[..=end]) {
                    continue;
                }
                let Some(rest) = left.checked_sub(end + FOLDER_BYTES) else {
                    fit = at;
                    break 'all;
                };
                left = rest;
                folders.push(Named { path: one.path[..end].into(), member: None, is_file: false });
            }
        }
        if fit < named.len() {
            problems.archive(ProblemCode::TooManyEntries, String::new());
            named.truncate(fit);
        }
        named.append(&mut folders);
        named.sort_by(|a, b| (&a.path, a.is_file, a.member).cmp(&(&b.path, b.is_file, b.member)));
        named.dedup_by(|later, first| {
            let same = later.path == first.path;
            if let (true, true, Some(index)) = (same, later.is_file, later.member) {
                self.report(problems, index, ProblemCode::NameFolder, String::new());
            }
            same
        });
    }

    /// Reports paths that would be the same on Windows and macOS.
    fn find_case_collisions(&self, named: &[Named], problems: &mut Problems) {
        let mut lower: Vec<(String, usize)> =
            named.iter().enumerate().map(|(at, one)| (one.path.to_lowercase(), at)).collect();
        lower.sort_unstable();
        for pair in lower.windows(2) {
            let [(first_key, first), (second_key, second)] = pair else { continue };
            if first_key == second_key
                && let Some(index) = named[*second].member.or(named[*first].member)
            {
                self.report(problems, index, ProblemCode::NameCase, named[*first].path.clone());
            }
        }
    }
}
