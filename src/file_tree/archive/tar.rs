//! Tars, plain and compressed: header, content, header, content.

use std::io::{self, Read};

use ::tar::{EntryType, Header, PaxExtensions};
use flate2::read::MultiGzDecoder;

use super::member::{Member, MemberKind, Place};
use super::{ArchiveLimits, Fault, fill};
use crate::file_tree::problem::{ProblemCode, Problems};
use crate::file_tree::source::{Cursor, Source};

pub(super) const BLOCK: usize = 512;
/// Bytes of a header's extension, which holds a long name and little else.
const EXTENSION_BYTES: u64 = 64 << 10;

/// Whether a block is a tar header: its checksum holds.
pub(super) fn is_header(block: &[u8; BLOCK]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let byte = |(at, &byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { byte };
    let sum: u32 = block.iter().enumerate().map(|at| u32::from(byte(at))).sum();
    // old writers took bytes as signed
    let signed: i32 = block.iter().enumerate().map(|at| i32::from(byte(at) as i8)).sum();
    let written = std::str::from_utf8(&block[CHECKSUM]).ok();
    let written = written.and_then(|text| u32::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok());
    written.is_some_and(|written| written == sum || i64::from(written) == i64::from(signed))
}

/// A tar, read from its beginning on.
pub(super) struct Tar<'a> {
    input: Input<'a>,
    limits: ArchiveLimits,
    /// Where the next header is.
    next: u64,
    position: u64,
    names: usize,
    /// Whether the last entry reaches beyond the archive's end.
    cut: bool,
    finished: bool,
}

enum Input<'a> {
    /// With the archive's size.
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

    /// Whether contents lie in the source as they are.
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
        let (mut long_name, mut long_size, mut sparse) = (None, None, false);
        let (mut damaged, mut mark) = (false, false);
        loop {
            self.seek(self.next)?;
            let mut block = [0; BLOCK];
            match self.fill(&mut block)? {
                BLOCK => {}
                0 => {
                    if !mark {
                        problems.archive(ProblemCode::NoEndMark, String::new());
                    }
                    return Ok(None);
                }
                _ => return Err(ProblemCode::EndMissing.into()),
            }
            let at = self.next;
            self.next += BLOCK as u64;
            if block.iter().all(|&byte| byte == 0) {
                if mark {
                    self.drain(problems)?;
                    return Ok(None);
                }
                mark = true;
                continue;
            }
            mark = false;
            if !is_header(&block) || damaged && &block[257..262] != b"ustar" {
                if at == 0 {
                    return Err(Fault::Problem(ProblemCode::HeaderDamaged, "this is no tar archive".into()));
                }
                // The next header that is one takes up the thread again.
                if !damaged {
                    problems.archive(ProblemCode::HeaderDamaged, format!("at byte {at}"));
                }
                damaged = true;
                (long_name, long_size, sparse) = (None, None, false);
                continue;
            }
            damaged = false;
            let header = Header::from_byte_slice(&block);
            let Ok(mut size) = header.entry_size() else {
                problems.archive(ProblemCode::HeaderDamaged, format!("at byte {at}"));
                damaged = true;
                continue;
            };
            let kind = header.entry_type();
            if matches!(
                kind,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            ) {
                let content = if size <= EXTENSION_BYTES { self.content(size)? } else { Vec::new() };
                self.next = after(self.next, size)?;
                match kind {
                    EntryType::GNULongName => {
                        let end = content.iter().position(|&byte| byte == 0).unwrap_or(content.len());
                        // an empty one is refused as a name, as one that is too long should be
                        long_name = Some((content[..end].to_vec(), false));
                    }
                    EntryType::XHeader => {
                        for extension in PaxExtensions::new(&content).flatten() {
                            let value = extension.value_bytes();
                            match extension.key_bytes() {
                                b"path" => long_name = Some((value.to_vec(), true)),
                                b"size" => {
                                    long_size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                                }
                                key => sparse |= key.starts_with(b"GNU.sparse"),
                            }
                        }
                    }
                    _ => {}
                }
                continue;
            }
            let (name, utf8) = long_name.take().unwrap_or_else(|| (header.path_bytes().into_owned(), false));
            size = long_size.take().unwrap_or(size);
            let old_folder = name.ends_with(b"/");
            let (kind, content) = match kind {
                EntryType::Regular | EntryType::Continuous if old_folder => (MemberKind::Folder, size),
                EntryType::Directory => (MemberKind::Folder, size),
                EntryType::Link => (MemberKind::Other(ProblemCode::HardLink), size),
                EntryType::Symlink => (MemberKind::Other(ProblemCode::SymbolicLink), size),
                EntryType::Char | EntryType::Block | EntryType::Fifo => {
                    (MemberKind::Other(ProblemCode::SpecialFile), 0)
                }
                // a volume's label, a list of what a folder held, the rest of another volume's file, an old long name
                _ if matches!(block[156], b'V' | b'D' | b'M' | b'N') => {
                    self.next = after(self.next, size)?;
                    continue;
                }
                EntryType::GNUSparse => {
                    sparse = true;
                    (MemberKind::File, size)
                }
                // as POSIX has it for kinds that a reader does not know
                _ => (MemberKind::File, size),
            };
            // the map of an old sparse file goes on in blocks of its own
            let mut map_goes_on = header.entry_type() == EntryType::GNUSparse && block[482] != 0;
            while map_goes_on {
                let mut map = [0; BLOCK];
                map_goes_on = self.fill(&mut map)? == BLOCK && map[504] != 0;
                self.next += BLOCK as u64;
            }
            let start = self.next;
            self.next = after(start, content)?;
            self.position += 1;
            self.names += name.len();
            if self.position > self.limits.entries as u64 || self.names > self.limits.names {
                problems.archive(ProblemCode::TooManyEntries, String::new());
                return Ok(None);
            }
            self.cut = matches!(self.input, Input::Plain(_, archive) if start.saturating_add(size) > archive);
            let fault = match () {
                () if sparse => Some(ProblemCode::SparseFile),
                () if self.cut => Some(ProblemCode::Truncated),
                () => None,
            };
            let size = if kind == MemberKind::File { size } else { 0 };
            let place = Place::Tar(start);
            return Ok(Some(Member { name, utf8, kind, size, position: self.position, place, fault }));
        }
    }

    /// The content of an entry; of a compressed archive, of none before the last one that was read.
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

    /// Moves on. Beyond the end of a plain tar nothing is found then.
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
            // flate2 has one kind for both
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

/// Where the next header is after a content of this size.
fn after(start: u64, size: u64) -> Result<u64, Fault> {
    let next = size.checked_next_multiple_of(BLOCK as u64).and_then(|size| start.checked_add(size));
    next.ok_or_else(|| ProblemCode::EndMissing.into())
}

/// What is reserved before it is known to be there: more than a photo has.
const RESERVED: u64 = 64 << 20;

/// `size` bytes.
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

/// What comes out of a compressed tar, from its beginning on.
pub(super) struct Gz<'a> {
    decoder: MultiGzDecoder<Cursor<'a>>,
    /// Bytes that came out, and that still may.
    position: u64,
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
            // the end is found by whoever reads on from here
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
