//! Reading of tar archives, plain and compressed: a header, a content, a header, a content.

use std::io::{self, Read};

use ::tar::{EntryType, Header, PaxExtensions};
use flate2::read::MultiGzDecoder;

use super::member::{Member, MemberKind};
use super::place::Place;
use super::{ArchiveLimits, Fault, fill};
use crate::file_tree::problem::{ProblemCode, Problems};
use crate::file_tree::source::{Cursor, Source};

pub(super) const BLOCK: usize = 512;
/// The most bytes of an extension header, which holds a long name and little else.
const EXTENSION_BYTES: u64 = 64 << 10;

/// Whether a block is a tar header: its checksum holds.
pub(super) fn is_header(block: &[u8; BLOCK]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let byte = |(at, &byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { byte };
    let sum: u32 = block.iter().enumerate().map(|at| u32::from(byte(at))).sum();
    // old writers added up signed bytes
    let signed: i32 = block.iter().enumerate().map(|at| i32::from(byte(at) as i8)).sum();
    let written = std::str::from_utf8(&block[CHECKSUM]).ok();
    let written = written.and_then(|text| u32::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok());
    written.is_some_and(|written| written == sum || i64::from(written) == i64::from(signed))
}

/// The use of a header.
enum Role {
    /// It describes the entry of the next header.
    Extension,
    /// It describes nothing that is read.
    Skipped,
    /// It describes an entry.
    Entry,
}

fn role(header: &Header) -> Role {
    match header.entry_type() {
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader => {
            Role::Extension
        }
        // a volume's label, the list of a folder's files, the rest of another volume's file, an old long name
        _ if matches!(header.as_bytes()[156], b'V' | b'D' | b'M' | b'N') => Role::Skipped,
        _ => Role::Entry,
    }
}

fn member_kind(kind: EntryType, name: &[u8]) -> MemberKind {
    match kind {
        // old writers mark a folder by its name
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => MemberKind::Folder,
        EntryType::Directory => MemberKind::Folder,
        EntryType::Link => MemberKind::Other(ProblemCode::HardLink),
        EntryType::Symlink => MemberKind::Other(ProblemCode::SymbolicLink),
        EntryType::Char | EntryType::Block | EntryType::Fifo => MemberKind::Other(ProblemCode::SpecialFile),
        // POSIX: a kind that the reader does not know is a file
        _ => MemberKind::File,
    }
}

/// Values of extension headers, which replace those of the next header.
#[derive(Default)]
struct Extensions {
    /// The name, and whether it is UTF-8.
    name: Option<(Vec<u8>, bool)>,
    size: Option<u64>,
    sparse: bool,
}

impl Extensions {
    fn read_long_name(&mut self, content: &[u8]) {
        let end = content.iter().position(|&byte| byte == 0).unwrap_or(content.len());
        // the content of a name that is too long is not read: the empty name is refused, too
        self.name = Some((content[..end].to_vec(), false));
    }

    fn read_pax(&mut self, content: &[u8]) {
        for extension in PaxExtensions::new(content).flatten() {
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.name = Some((value.to_vec(), true)),
                b"size" => self.size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok()),
                key => self.sparse |= key.starts_with(b"GNU.sparse"),
            }
        }
    }
}

/// A tar, read from its beginning.
pub(super) struct Tar<'a> {
    input: Input<'a>,
    limits: ArchiveLimits,
    /// The offset of the next header.
    next: u64,
    /// The number of the last entry.
    position: u64,
    /// Bytes of all names so far.
    names: usize,
    /// Whether the last entry goes beyond the archive's end.
    cut: bool,
    finished: bool,
}

enum Input<'a> {
    /// A reader, and the archive's size.
    Plain(Cursor<'a>, u64),
    Gz(Box<Gz<'a>>),
}

impl<'a> Tar<'a> {
    pub fn plain(source: Source<'a>, limits: ArchiveLimits) -> Self {
        let size = source.size();
        Tar::new(Input::Plain(Cursor::new(source, 0), size), limits)
    }

    pub fn gz(source: Source<'a>, limits: ArchiveLimits) -> Self {
        Tar::new(Input::Gz(Box::new(Gz::new(source, &limits))), limits)
    }

    fn new(input: Input<'a>, limits: ArchiveLimits) -> Self {
        Tar { input, limits, next: 0, position: 0, names: 0, cut: false, finished: false }
    }

    /// Whether the contents are bytes of the source, not compressed.
    pub fn is_plain(&self) -> bool {
        matches!(self.input, Input::Plain(..))
    }

    /// The next entry.
    pub fn next(&mut self, problems: &mut Problems) -> Result<Option<Member>, Fault> {
        if self.finished {
            return Ok(None);
        }
        let found = self.find_next(problems);
        self.finished = self.cut || !matches!(found, Ok(Some(_)));
        found
    }

    fn find_next(&mut self, problems: &mut Problems) -> Result<Option<Member>, Fault> {
        let mut extensions = Extensions::default();
        let mut damaged = false;
        while let Some((at, block)) = self.next_block(problems)? {
            if !is_header(&block) || damaged && &block[257..262] != b"ustar" {
                if at == 0 {
                    return Err(Fault::Problem(ProblemCode::HeaderDamaged, "this is no tar archive".into()));
                }
                // blocks are skipped up to the next valid header
                if !damaged {
                    problems.archive(ProblemCode::HeaderDamaged, format!("at byte {at}"));
                }
                damaged = true;
                extensions = Extensions::default();
                continue;
            }
            let header = Header::from_byte_slice(&block);
            damaged = header.entry_size().is_err();
            let Ok(size) = header.entry_size() else {
                problems.archive(ProblemCode::HeaderDamaged, format!("at byte {at}"));
                continue;
            };
            match role(header) {
                Role::Extension => self.read_extension(header.entry_type(), size, &mut extensions)?,
                Role::Skipped => {
                    extensions.name = None;
                    self.next = after(self.next, extensions.size.take().unwrap_or(size))?;
                }
                Role::Entry => return self.entry(header, size, extensions, problems),
            }
        }
        Ok(None)
    }

    /// The next block that is not empty, and its offset; `None` at the archive's end, which two empty blocks mark.
    fn next_block(&mut self, problems: &mut Problems) -> Result<Option<(u64, [u8; BLOCK])>, Fault> {
        let mut after_empty = false;
        loop {
            self.seek(self.next)?;
            let mut block = [0; BLOCK];
            match self.fill(&mut block)? {
                BLOCK => {}
                0 => {
                    if !after_empty {
                        problems.archive(ProblemCode::NoEndMark, String::new());
                    }
                    return Ok(None);
                }
                _ => return Err(ProblemCode::EndMissing.into()),
            }
            let at = self.next;
            self.next += BLOCK as u64;
            if block.iter().any(|&byte| byte != 0) {
                return Ok(Some((at, block)));
            }
            if after_empty {
                self.drain(problems)?;
                return Ok(None);
            }
            after_empty = true;
        }
    }

    /// Reads the content of an extension header, and moves to the next header.
    fn read_extension(&mut self, kind: EntryType, size: u64, extensions: &mut Extensions) -> Result<(), Fault> {
        let content = if size <= EXTENSION_BYTES { self.content(size)? } else { Vec::new() };
        self.next = after(self.next, size)?;
        match kind {
            EntryType::GNULongName => extensions.read_long_name(&content),
            EntryType::XHeader => extensions.read_pax(&content),
            _ => {}
        }
        Ok(())
    }

    /// The entry of a header; moves to the next header. `None` where there are too many entries.
    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        extensions: Extensions,
        problems: &mut Problems,
    ) -> Result<Option<Member>, Fault> {
        let (name, utf8) = extensions.name.unwrap_or_else(|| (header.path_bytes().into_owned(), false));
        let size = extensions.size.unwrap_or(size);
        let kind = member_kind(header.entry_type(), &name);
        self.skip_sparse_map(header)?;
        let start = self.next;
        // special files have no content, whatever their size field says
        let content = if kind == MemberKind::Other(ProblemCode::SpecialFile) { 0 } else { size };
        self.next = after(start, content)?;
        self.position += 1;
        self.names += name.len();
        if self.position > self.limits.entries as u64 || self.names > self.limits.names {
            problems.archive(ProblemCode::TooManyEntries, String::new());
            return Ok(None);
        }
        self.cut = matches!(self.input, Input::Plain(_, archive) if start.saturating_add(size) > archive);
        let fault = if extensions.sparse || header.entry_type() == EntryType::GNUSparse {
            Some(ProblemCode::SparseFile)
        } else {
            self.cut.then_some(ProblemCode::Truncated)
        };
        let size = if kind == MemberKind::File { size } else { 0 };
        Ok(Some(Member { name, utf8, kind, size, position: self.position, place: Place::Tar(start), fault }))
    }

    /// Skips the further blocks that list the pieces of an old sparse file.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<(), Fault> {
        let mut goes_on = header.entry_type() == EntryType::GNUSparse && header.as_bytes()[482] != 0;
        while goes_on {
            let mut map = [0; BLOCK];
            goes_on = self.fill(&mut map)? == BLOCK && map[504] != 0;
            self.next += BLOCK as u64;
        }
        Ok(())
    }

    /// The content of an entry. In a compressed archive, not of one before the last one that was read.
    pub fn read(&mut self, offset: u64, size: u64, limit: u64) -> Result<Vec<u8>, Fault> {
        if size > limit {
            return Err(Fault::TooLong(limit));
        }
        self.seek(offset)?;
        self.content(size)
    }

    fn content(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        match &mut self.input {
            Input::Plain(cursor, _) => exactly(cursor, size),
            Input::Gz(gz) => gz.content(size),
        }
    }

    /// Moves to an offset. Beyond the end of a plain tar, moves to its end.
    fn seek(&mut self, to: u64) -> Result<(), Fault> {
        match &mut self.input {
            Input::Plain(cursor, archive) => cursor.seek(to.min(*archive)),
            Input::Gz(gz) => gz.skip_to(to)?,
        }
        Ok(())
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        match &mut self.input {
            Input::Plain(cursor, _) => Ok(fill(cursor, into)?),
            Input::Gz(gz) => gz.fill(into),
        }
    }

    /// Reads to the end of a compressed stream, where its checksum is.
    fn drain(&mut self, problems: &mut Problems) -> Result<(), Fault> {
        let Input::Gz(gz) = &mut self.input else { return Ok(()) };
        match gz.drain() {
            // flate2 has one error kind for trailing bytes and for a wrong checksum
            Err(Fault::Problem(ProblemCode::StreamDamaged, detail)) => {
                let follows = detail.contains("header");
                let code = if follows { ProblemCode::TrailingBytes } else { ProblemCode::StreamChecksum };
                problems.archive(code, String::new());
                Ok(())
            }
            other => other,
        }
    }
}

/// The offset of the next header after a content of this size.
fn after(start: u64, size: u64) -> Result<u64, Fault> {
    let next = size.checked_next_multiple_of(BLOCK as u64).and_then(|size| start.checked_add(size));
    next.ok_or_else(|| ProblemCode::EndMissing.into())
}

/// The bytes allocated for a content before any of it is read: more than a photo has.
const RESERVED: u64 = 64 << 20;

/// Reads `size` bytes.
fn exactly(from: &mut dyn Read, size: u64) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        let held = content.len() as u64;
        let step = (size - held).min(held.max(RESERVED));
        content.reserve_exact(step as usize);
        if (Read::take(&mut *from, step).read_to_end(&mut content)? as u64) < step {
            return Err(ProblemCode::Truncated.into());
        }
    }
    Ok(content)
}

/// The unpacked bytes of a compressed tar, from its beginning.
pub(super) struct Gz<'a> {
    decoder: MultiGzDecoder<Cursor<'a>>,
    /// Unpacked bytes so far.
    position: u64,
    /// The most unpacked bytes still allowed.
    left: u64,
}

impl<'a> Gz<'a> {
    pub fn new(source: Source<'a>, limits: &ArchiveLimits) -> Self {
        let left = limits.total_bytes(source.size());
        Gz { decoder: MultiGzDecoder::new(Cursor::new(source, 0)), position: 0, left }
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn skip_to(&mut self, to: u64) -> Result<(), Fault> {
        let mut skipped = vec![0; 32 << 10];
        while self.position < to {
            let most = (to - self.position).min(skipped.len() as u64) as usize;
            // the next read finds the end
            if self.fill(&mut skipped[..most])? < most {
                break;
            }
        }
        Ok(())
    }

    pub fn content(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let before = self.position;
        match exactly(self, size) {
            Ok(content) => Ok(content),
            Err(Fault::Io(error)) => Err(self.fault(error)),
            Err(_) if before == self.position && size > 0 => Err(ProblemCode::EndMissing.into()),
            Err(fault) => Err(fault),
        }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        fill(self, into).map_err(|error| self.fault(error))
    }

    fn drain(&mut self) -> Result<(), Fault> {
        let mut rest = vec![0; 32 << 10];
        while self.fill(&mut rest)? > 0 {}
        Ok(())
    }

    fn fault(&self, error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ProblemCode::EndMissing.into(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                Fault::Problem(ProblemCode::StreamDamaged, error.to_string())
            }
            io::ErrorKind::FileTooLarge => ProblemCode::ArchiveBomb.into(),
            _ => Fault::Io(error),
        }
    }
}

impl Read for Gz<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(into)?;
        self.left = self.left.checked_sub(count as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.position += count as u64;
        Ok(count)
    }
}
