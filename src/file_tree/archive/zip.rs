//! Reading of zip archives: the directory at the end, and the content of entries.
//!
//! A reader of our own, because a check of a data set reports all faults of an archive. Common readers refuse the
//! archive at the first fault, or ignore faults.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::member::{Member, MemberKind};
use super::place::{Place, ZipPlace};
use super::{ArchiveLimits, Fault, crc32, u16_at, u32_at, u64_at};
use crate::file_tree::problem::{ProblemCode, Problems};
use crate::file_tree::source::{Cursor, ReadAt, Source, fill};

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const END64: &[u8] = b"PK\x06\x06";
const END64_BYTES: usize = 56;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_BYTES: usize = 20;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_BYTES: usize = 46;
const SIGNATURE: &[u8] = b"PK\x05\x05";
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const AES: u16 = 99;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_STRONG: u16 = 1 << 6;
const FLAG_UTF8: u16 = 1 << 11;
const FLAG_MASKED: u16 = 1 << 13;

/// The directory at the end of a zip.
struct Directory {
    start: u64,
    end: u64,
    count: u64,
    /// Whether `count` is a number of 64 bits, not the lowest 16 bits of one.
    long_count: bool,
    /// The number of bytes before the archive, which all offsets lack.
    shift: u64,
    /// What the end record says that does not fit: others refuse the archive.
    odd: Option<ProblemCode>,
}

/// The entries in the order of the directory, each with its fault.
pub(super) fn list(source: &Source, limits: &ArchiveLimits, problems: &mut Problems) -> Result<Vec<Member>, Fault> {
    let directory = find_directory(&**source, problems)?;
    let mut members = read_directory(source, &directory, limits, problems)?;
    check_places(&**source, directory.start, &mut members);
    check_sizes(source.size(), limits, &mut members);
    Ok(members)
}

fn find_directory(source: &dyn ReadAt, problems: &mut Problems) -> Result<Directory, Fault> {
    /// The most signatures of an end record that are tried. A comment can contain some.
    const CANDIDATES: usize = 64;
    let size = source.size();
    let mut tail = vec![0; size.min((END_BYTES + usize::from(u16::MAX)) as u64) as usize];
    let tail_start = size - tail.len() as u64;
    if source.fill_at(tail_start, &mut tail)? < tail.len() {
        return Err(ProblemCode::EndMissing.into());
    }
    let last = tail.len().saturating_sub(END_BYTES);
    let ends = (0..=last).rev().filter(|&at| tail[at..].starts_with(END) && at + END_BYTES <= tail.len());
    let mut fault = ProblemCode::EndMissing;
    for at in ends.take(CANDIDATES) {
        match read_end(source, &tail[at..], tail_start + at as u64)? {
            Ok(directory) => {
                let comment = usize::from(u16_at(&tail, at + 20));
                if at + END_BYTES + comment != tail.len() {
                    problems.archive(ProblemCode::TrailingBytes, String::new());
                }
                if let Some(code) = directory.odd {
                    problems.archive(code, String::new());
                }
                return Ok(directory);
            }
            Err(code) => fault = code,
        }
    }
    Err(fault.into())
}

/// The directory of the end record at `position`, or the fault of that record.
fn read_end(source: &dyn ReadAt, end: &[u8], position: u64) -> io::Result<Result<Directory, ProblemCode>> {
    // the number of this volume, and of the one where the directory begins; all ones where the 64-bit record has them
    let is_volume = |number: u64, all_ones: u64| number != 0 && number != all_ones;
    let mut has_volumes = [4, 6].into_iter().any(|at| is_volume(u16_at(end, at).into(), u16::MAX.into()));
    let mut directory =
        Directory { start: 0, end: position, count: u16_at(end, 10).into(), long_count: false, shift: 0, odd: None };
    let mut size = u64::from(u32_at(end, 12));
    let mut offset = u64::from(u32_at(end, 16));
    let full = directory.count == u64::from(u16::MAX) || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX);
    if full && let Some((record, at, volumes)) = read_end64(source, position)? {
        has_volumes |=
            volumes > 1 || [16, 20].into_iter().any(|at| is_volume(u32_at(&record, at).into(), u32::MAX.into()));
        directory.count = u64_at(&record, 32);
        directory.long_count = true;
        directory.end = at;
        size = u64_at(&record, 40);
        offset = u64_at(&record, 48);
    }
    directory.odd = has_volumes.then_some(ProblemCode::MultiDisk);
    if size == 0 && directory.count == 0 {
        if directory.end > 0 {
            // bytes of entries, and none in the directory
            directory.odd = directory.odd.or(Some(ProblemCode::DirectoryDamaged));
        }
        directory.start = directory.end;
        return Ok(Ok(directory));
    }
    let begins = |at: u64| -> io::Result<bool> {
        let mut magic = [0; 4];
        Ok(source.fill_at(at, &mut magic)? == 4 && magic == *CENTRAL)
    };
    // The directory ends at its end record where bytes were put before the archive; it begins at the announced offset
    // where bytes were put between the two.
    if let Some(start) = directory.end.checked_sub(size)
        && let Some(shift) = start.checked_sub(offset)
        && begins(start)?
    {
        (directory.start, directory.shift) = (start, shift);
    } else if offset < directory.end && begins(offset)? {
        directory.start = offset;
        // it is longer or shorter than it should be
        directory.odd = directory.odd.or(Some(ProblemCode::DirectoryDamaged));
    } else {
        return Ok(Err(if has_volumes { ProblemCode::MultiDisk } else { ProblemCode::DirectoryDamaged }));
    }
    Ok(Ok(directory))
}

/// The 64-bit end record, its offset, and the number of volumes.
fn read_end64(source: &dyn ReadAt, end: u64) -> io::Result<Option<([u8; END64_BYTES], u64, u32)>> {
    let mut locator = [0; LOCATOR_BYTES];
    let Some(locator_at) = end.checked_sub(LOCATOR_BYTES as u64) else { return Ok(None) };
    if source.fill_at(locator_at, &mut locator)? < LOCATOR_BYTES || !locator.starts_with(LOCATOR) {
        return Ok(None);
    }
    for at in [Some(u64_at(&locator, 8)), locator_at.checked_sub(END64_BYTES as u64)].into_iter().flatten() {
        let mut record = [0; END64_BYTES];
        if at < locator_at && source.fill_at(at, &mut record)? == END64_BYTES && record.starts_with(END64) {
            return Ok(Some((record, at, u32_at(&locator, 16))));
        }
    }
    Ok(None)
}

fn read_directory(
    source: &Source,
    directory: &Directory,
    limits: &ArchiveLimits,
    problems: &mut Problems,
) -> Result<Vec<Member>, Fault> {
    let mut cursor = Cursor::new(source.clone(), directory.start);
    let mut members = Vec::new();
    let mut name_bytes = 0;
    let mut damaged = false;
    loop {
        let at = cursor.position();
        let mut header = [0; CENTRAL_BYTES];
        if at + CENTRAL_BYTES as u64 > directory.end || fill(&mut cursor, &mut header)? < CENTRAL_BYTES {
            damaged |= at != directory.end;
            break;
        }
        if !header.starts_with(CENTRAL) {
            if header.starts_with(SIGNATURE) {
                break;
            }
            // damaged: continue with the next header, wherever it is
            damaged = true;
            match find_header(&mut cursor, at + 1, directory.end)? {
                true => continue,
                false => break,
            }
        }
        let [name_length, extra_length, comment_length] = [28, 30, 32].map(|at| usize::from(u16_at(&header, at)));
        if members.len() == limits.entries || name_bytes + name_length > limits.names {
            problems.archive(ProblemCode::TooManyEntries, String::new());
            return Ok(members);
        }
        name_bytes += name_length;
        let mut name = vec![0; name_length];
        let mut extra = vec![0; extra_length];
        if fill(&mut cursor, &mut name)? < name_length || fill(&mut cursor, &mut extra)? < extra_length {
            damaged = true;
            break;
        }
        let after = cursor.position() + comment_length as u64;
        if after > directory.end {
            damaged = true;
        }
        cursor.seek(after);
        members.push(read_entry(&header, name, &extra, directory.shift, members.len() as u64 + 1));
    }
    if damaged {
        problems.archive(ProblemCode::DirectoryDamaged, String::new());
    }
    let found = members.len() as u64;
    let said = if directory.long_count { found } else { found % (1 << 16) };
    if said != directory.count {
        problems.archive(ProblemCode::EntryCount, format!("{found}, not {}", directory.count));
    }
    Ok(members)
}

/// Moves to the next header of the directory at or after `from`.
fn find_header(cursor: &mut Cursor, from: u64, end: u64) -> io::Result<bool> {
    cursor.seek(from);
    let mut window = [0; 4];
    let mut byte = [0];
    while cursor.position() < end && cursor.read(&mut byte)? == 1 {
        window.rotate_left(1);
        window[3] = byte[0];
        if window == *CENTRAL {
            cursor.seek(cursor.position() - 4);
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_entry(header: &[u8; CENTRAL_BYTES], name: Vec<u8>, extra: &[u8], shift: u64, position: u64) -> Member {
    let made_by_unix = matches!(header[5], 3 | 19);
    let attributes = u32_at(header, 38);
    let mut place = ZipPlace {
        offset: u32_at(header, 42).into(),
        end: 0,
        packed: u32_at(header, 20).into(),
        size: u32_at(header, 24).into(),
        crc: u32_at(header, 16),
        method: u16_at(header, 10),
        flags: u16_at(header, 8),
        name_length: name.len() as u16,
        name_crc: crc32(&name),
    };
    let mut fault = None;
    let mut wide = fields(extra).find(|&(id, _)| id == 1).map_or(&[][..], |(_, field)| field);
    for value in [&mut place.size, &mut place.packed, &mut place.offset] {
        if *value == u64::from(u32::MAX) {
            match wide.split_at_checked(8) {
                Some((bytes, rest)) => {
                    *value = u64_at(bytes, 0);
                    wide = rest;
                }
                None => fault = Some(ProblemCode::Zip64),
            }
        }
    }
    place.offset = place.offset.saturating_add(shift);

    // A field with the name in UTF-8, beside the name in an old encoding. It holds the checksum of the name it is for.
    let unicode = fields(extra).find(|&(id, field)| {
        let (head, name) = field.split_at_checked(5).unwrap_or_default();
        let of_this = !head.is_empty() && head[0] == 1 && u32_at(head, 1) == place.name_crc;
        id == 0x7075 && of_this && !name.is_empty() && std::str::from_utf8(name).is_ok()
    });
    let utf8 = unicode.is_some() || place.flags & FLAG_UTF8 != 0;
    let name = unicode.map_or(name, |(_, field)| field[5..].to_vec());

    const TYPE: u32 = 0o170_000;
    let unix_type = if made_by_unix { (attributes >> 16) & TYPE } else { 0 };
    let dos_folder = !made_by_unix && attributes & 0x10 != 0 && place.size == 0;
    let kind = match unix_type {
        0o120_000 => MemberKind::Other(ProblemCode::SymbolicLink),
        // an entry with content is the data of a pipe, which a packer read
        0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 if place.size == 0 => MemberKind::Other(ProblemCode::SpecialFile),
        _ if name.ends_with(b"/") || name.ends_with(b"\\") || dos_folder => MemberKind::Folder,
        _ => MemberKind::File,
    };
    if place.flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED) != 0 || place.method == AES {
        fault = fault.or(Some(ProblemCode::Encrypted));
    } else if !matches!(place.method, STORED | DEFLATED) {
        fault = fault.or(Some(ProblemCode::Method));
    }
    Member { name, utf8, kind, size: place.size, position, place: Place::Zip(place), fault }
}

/// The extra fields with their ids, up to the first invalid one.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = extra.split_at_checked(4)?;
        let (content, rest) = rest.split_at_checked(u16_at(head, 2).into())?;
        extra = rest;
        Some((u16_at(head, 0), content))
    })
}

fn place_of(member: &mut Member) -> &mut ZipPlace {
    match &mut member.place {
        Place::Zip(place) => place,
        Place::Tar(_) => unreachable!("a zip's member"),
    }
}

/// Finds entries that share bytes: with those, a small archive can have many large files.
fn check_places(source: &dyn ReadAt, directory: u64, members: &mut [Member]) {
    /// The most entries whose own header is read, to find out which of two overlapping entries is at its offset.
    const LOOKED_AT: usize = 256;
    let spans: Vec<(u64, u64)> = members
        .iter_mut()
        .map(|member| {
            let place = place_of(member);
            let head = LOCAL_BYTES as u64 + u64::from(place.name_length);
            (place.offset, place.offset.saturating_add(head).saturating_add(place.packed))
        })
        .collect();
    let mut order: Vec<usize> =
        (0..members.len()).filter(|&index| members[index].fault != Some(ProblemCode::Zip64)).collect();
    order.sort_unstable_by_key(|&index| spans[index]);

    let next_start = |order: &[usize], at: usize| order.get(at + 1).map_or(directory, |&next| spans[next].0);
    let mut suspects: Vec<usize> = Vec::new();
    for at in 0..order.len() {
        if spans[order[at]].1 > next_start(&order, at) {
            suspects.extend(order[at..].iter().take(2));
        }
    }
    suspects.dedup();
    if suspects.len() <= LOOKED_AT {
        for &index in &suspects {
            let member = &mut members[index];
            if local_header(source, place_of(member)).is_err() {
                member.fault = member.fault.or(Some(ProblemCode::HeaderMismatch));
                order.retain(|&other| other != index);
            }
        }
    }
    let (mut end, mut later) = (directory, None);
    for &index in order.iter().rev() {
        let (start, own_end) = spans[index];
        let same = later == Some((start, own_end));
        if let Some((next, _)) = later.filter(|_| !same) {
            end = next;
        }
        later = Some((start, own_end));
        place_of(&mut members[index]).end = end;
        // A few entries that are listed twice are left out: the tree reports their common path.
        if own_end > end || same && suspects.len() > LOOKED_AT {
            let code = if end == directory { ProblemCode::Truncated } else { ProblemCode::Overlap };
            members[index].fault = members[index].fault.or(Some(code));
        }
    }
}

/// Finds entries that would fill memory, by their announced sizes. No more than the announced size is ever read.
fn check_sizes(archive: u64, limits: &ArchiveLimits, members: &mut [Member]) {
    let mut left = limits.total_bytes(archive);
    for member in members.iter_mut().filter(|member| member.kind == MemberKind::File && member.fault.is_none()) {
        let size = member.size;
        if size > limits.entry_bytes(place_of(member).packed) {
            member.fault = Some(ProblemCode::EntryBomb);
        } else if size > left {
            member.fault = Some(ProblemCode::TotalBomb);
        } else {
            left -= size;
        }
    }
}

/// An entry's own header, before its content.
struct LocalHeader {
    /// Where the content begins.
    content: u64,
    /// Whether sizes and checksum equal the directory's, or come after the content.
    agrees: bool,
}

fn local_header(source: &dyn ReadAt, place: &ZipPlace) -> Result<LocalHeader, Fault> {
    let mut start = vec![0; LOCAL_BYTES + usize::from(place.name_length)];
    let count = source.fill_at(place.offset, &mut start)?;
    parse_local_header(&start[..count], place)
}

fn parse_local_header(start: &[u8], place: &ZipPlace) -> Result<LocalHeader, Fault> {
    let name_length = usize::from(place.name_length);
    let name = start.get(LOCAL_BYTES..LOCAL_BYTES + name_length);
    let (true, Some(name)) = (start.starts_with(LOCAL), name) else {
        return Err(ProblemCode::HeaderMismatch.into());
    };
    if u16_at(start, 26) != place.name_length || crc32(name) != place.name_crc {
        return Err(ProblemCode::HeaderMismatch.into());
    }
    let same = |at: usize, value: u64| u64::from(u32_at(start, at)) == value || u32_at(start, at) == u32::MAX;
    let described = u16_at(start, 6) & FLAG_DESCRIPTOR != 0;
    let agrees = described || same(14, place.crc.into()) && same(18, place.packed) && same(22, place.size);
    let head = LOCAL_BYTES + name_length + usize::from(u16_at(start, 28));
    Ok(LocalHeader { content: place.offset + head as u64, agrees })
}

/// The most compressed bytes in memory. Also the size of an entry's first read, with its header: most photos take one
/// read.
const CHUNK: u64 = 1 << 20;
/// The most bytes that deflate makes of one byte, and of none.
const DEFLATE_RATIO: u64 = 1032;
const DEFLATE_FREE: u64 = 1024;

/// The content of an entry. `note` gets the codes of harmless problems.
pub(super) fn read(
    source: &dyn ReadAt,
    place: &ZipPlace,
    limit: u64,
    note: &mut dyn FnMut(ProblemCode),
) -> Result<Vec<u8>, Fault> {
    if place.size > limit {
        return Err(Fault::TooLong(limit));
    }
    let possible = match place.method {
        STORED => place.size == place.packed,
        _ => place.size <= place.packed.saturating_mul(DEFLATE_RATIO).saturating_add(DEFLATE_FREE),
    };
    if !possible {
        return Err(ProblemCode::ContentSize.into());
    }
    // the extra fields of common writers are shorter
    const EXTRA: u64 = 64;
    let head = LOCAL_BYTES as u64 + u64::from(place.name_length);
    let mut chunk = vec![0; (head + EXTRA).saturating_add(place.packed).min(CHUNK) as usize];
    let count = source.fill_at(place.offset, &mut chunk)?;
    chunk.truncate(count);
    let header = parse_local_header(&chunk, place)?;
    let end = header.content.saturating_add(place.packed);
    if end > place.end {
        return Err(ProblemCode::Overlap.into());
    }
    let begun = (header.content - place.offset).min(chunk.len() as u64) as usize;
    if place.packed == 0 && place.size == 0 {
        // some writers mark empty content as deflated
        return Ok(Vec::new());
    }
    let packed = Packed { source, chunk, at: begun, next: place.offset + count as u64, end };
    let content = match place.method {
        STORED => packed.stored(place.packed)?,
        _ => packed.inflated(place.size)?,
    };
    if crc32(&content) != place.crc {
        return Err(ProblemCode::Checksum.into());
    }
    if !header.agrees {
        note(ProblemCode::HeaderSizes);
    }
    Ok(content)
}

/// An entry's content in the archive, of which a chunk is in memory.
struct Packed<'s> {
    source: &'s dyn ReadAt,
    chunk: Vec<u8>,
    /// The position in the chunk of the first byte that is not used yet.
    at: usize,
    /// The source's offset of the chunk's end.
    next: u64,
    /// The source's offset of the content's end.
    end: u64,
}

impl Packed<'_> {
    fn held(&self) -> &[u8] {
        let beyond = self.next.saturating_sub(self.end).min((self.chunk.len() - self.at) as u64) as usize;
        &self.chunk[self.at..self.chunk.len() - beyond]
    }

    fn stored(mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let held = self.held().len();
        // the content lies within the archive: `end` was compared with its end
        let size = usize::try_from(size).map_err(|_| Fault::TooLong(usize::MAX as u64))?;
        if held == size {
            let at = self.at;
            self.chunk.copy_within(at..at + size, 0);
            self.chunk.truncate(size);
            return Ok(self.chunk);
        }
        let mut content = vec![0; size];
        content[..held].copy_from_slice(self.held());
        let from = self.end - (size - held) as u64;
        if self.source.fill_at(from, &mut content[held..])? < size - held {
            return Err(ProblemCode::Truncated.into());
        }
        Ok(content)
    }

    fn inflated(mut self, size: u64) -> Result<Vec<u8>, Fault> {
        // One byte more, to notice content that is too long. `read` has checked that the packed bytes can become as
        // many.
        let room = usize::try_from(size).ok().and_then(|size| size.checked_add(1));
        let room = room.ok_or(Fault::TooLong(usize::MAX as u64))?;
        let mut content = Vec::with_capacity(room);
        let mut inflate = Decompress::new(false);
        let whole = self.next >= self.end;
        // without a window beside the output where all input is at hand
        let flush = if whole { FlushDecompress::Finish } else { FlushDecompress::None };
        loop {
            if self.held().is_empty() && self.next < self.end {
                self.chunk.resize((self.end - self.next).min(CHUNK) as usize, 0);
                self.at = 0;
                let count = self.source.fill_at(self.next, &mut self.chunk)?;
                if count < self.chunk.len() {
                    return Err(ProblemCode::Truncated.into());
                }
                self.next += count as u64;
            }
            let (taken, given) = (inflate.total_in(), content.len());
            let status = inflate.decompress_vec(self.held(), &mut content, flush);
            let status = status.map_err(|_| Fault::from(ProblemCode::Compressed))?;
            let taken = (inflate.total_in() - taken) as usize;
            self.at += taken;
            if content.len() as u64 > size {
                return Err(ProblemCode::ContentSize.into());
            }
            match status {
                Status::StreamEnd if content.len() as u64 == size => return Ok(content),
                Status::StreamEnd => return Err(ProblemCode::ContentSize.into()),
                _ if taken == 0 && content.len() == given => return Err(ProblemCode::Compressed.into()),
                _ => {}
            }
        }
    }
}
