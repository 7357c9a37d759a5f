//! Archives with faults, made byte by byte, because no writer makes them.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use image_feature::file_tree::{Archive, EntryKind, FileTree, Problem};

/// An entry of a zip. Fields that are changed after [`Zipped::new`] are written unchecked.
#[derive(Clone)]
pub struct Zipped {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub packed: Vec<u8>,
    /// The size in the directory.
    pub packed_size: u32,
    pub size: u32,
    /// The size in the entry's own header.
    pub local_sizes: [u32; 3],
    /// Bytes after the content.
    pub descriptor: bool,
    pub extra: Vec<u8>,
    pub mode: u32,
    /// A wrong offset in the directory.
    pub offset: Option<u32>,
}

pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Zipped {
    pub fn new(name: impl AsRef<[u8]>, content: &[u8], deflated: bool) -> Self {
        let packed = if deflated { deflate(content) } else { content.to_vec() };
        let (crc, packed_size, size) = (crc32(content), packed.len() as u32, content.len() as u32);
        Zipped {
            name: name.as_ref().into(),
            local_name: name.as_ref().into(),
            method: if deflated { 8 } else { 0 },
            flags: 0,
            crc,
            packed,
            packed_size,
            size,
            local_sizes: [crc, packed_size, size],
            descriptor: false,
            extra: Vec::new(),
            mode: 0o100_644,
            offset: None,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn local(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 4]);
        for value in self.local_sizes {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend((self.local_name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(&self.local_name);
        bytes.extend(&self.packed);
        if self.descriptor {
            bytes.extend(b"PK\x07\x08");
            for value in [self.crc, self.packed_size, self.size] {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    fn central(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02\x14\x03\x14\0".to_vec();
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 4]);
        for value in [self.crc, self.packed_size, self.size] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend((self.extra.len() as u16).to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend((self.mode << 16).to_le_bytes());
        bytes.extend(self.offset.unwrap_or(offset).to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.extra);
        bytes
    }
}

pub fn zip(entries: &[Zipped]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(entry.central(bytes.len() as u32));
        bytes.extend(entry.local());
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries.len() as u16; 2].iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A tar entry of any kind; `kind` is a tar's type flag.
pub fn tarred(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// An archive as text: a line for each entry, with its content or the error's code, then the problems.
pub fn described(archive: &Archive) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, entry) in archive.entries().iter().enumerate() {
        if entry.kind == EntryKind::File {
            let content = match archive.read(index, 1 << 26) {
                Ok(bytes) if bytes.len() < 20 => String::from_utf8_lossy(&bytes).into_owned(),
                Ok(bytes) => format!("{} bytes", bytes.len()),
                Err(error) => format!("! {}", code(&error)),
            };
            lines.push(format!("{} = {content}", entry.path));
        }
    }
    lines.extend(archive.problems().iter().map(|problem| {
        let entry = problem.position.map_or(String::new(), |position| format!(" #{position}"));
        format!("{}{entry}", problem.code.as_str())
    }));
    lines
}

/// The code of the problem that an error is about.
pub fn code(error: &image_feature::Error) -> String {
    let problem = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    problem.map_or_else(|| error.to_string(), |problem: &Problem| problem.code.as_str().into())
}
