//! Positions of entries' contents in an archive.

/// The position of an entry's content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In a zip.
    Zip(ZipPlace),
    /// The offset in a tar, or in the unpacked bytes of a `.tar.gz`.
    Tar(u64),
}

/// The position of an entry in a zip, and the expected properties of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZipPlace {
    /// The offset of the entry's own header.
    pub offset: u64,
    /// The offset of the next entry, or of the directory.
    pub end: u64,
    pub packed: u64,
    pub size: u64,
    pub crc: u32,
    pub method: u16,
    pub flags: u16,
    /// The length of the name as written, for comparison with the entry's own header; so is the checksum.
    pub name_length: u16,
    pub name_crc: u32,
}

impl ZipPlace {
    /// The offset in the archive where the entry begins.
    pub fn start(&self) -> u64 {
        self.offset
    }
}
