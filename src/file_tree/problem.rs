//! Problems of an archive or folder, or of one of its entries.

use std::fmt;

use crate::{Error, ErrorKind};

/// A problem of an archive, or of one of its entries.
///
/// Where reading an entry fails because of a problem, the problem is the [`Error`]'s source:
///
/// ```
/// use image_feature::file_tree::{Archive, FileTree, Problem, ProblemCode};
///
/// # let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
/// # zip.start_file("a.txt", zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)).unwrap();
/// # std::io::Write::write_all(&mut zip, b"hello").unwrap();
/// # let mut bytes = zip.finish().unwrap().into_inner();
/// // an archive with one file, of which one bit is wrong
/// let at = bytes.windows(5).position(|bytes| bytes == b"hello").unwrap();
/// bytes[at] ^= 1;
///
/// let archive = Archive::from_source("a.zip", bytes)?;
/// let error = archive.read(0, 100).unwrap_err();
/// let problem = std::error::Error::source(&error).unwrap().downcast_ref::<Problem>().unwrap();
/// assert_eq!(problem.code, ProblemCode::Checksum);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The entry's number in the archive's order, from 1; `None` for the archive as a whole, and in folders.
    pub position: Option<u64>,
    /// The entry's name as written in the archive, with escapes for bytes that are not text, shortened where very long.
    pub entry: Option<String>,
    /// The kind of problem.
    pub code: ProblemCode,
    /// A detail, such as the other entry's name; often empty.
    pub detail: String,
}

impl Problem {
    /// The problem in words, with a remedy.
    pub fn message(&self) -> String {
        let text = self.code.text();
        if self.detail.is_empty() { text.into() } else { format!("{text} ({})", self.detail) }
    }

    /// The error of reading an entry, or archive, with this problem.
    pub(crate) fn into_error(self) -> Error {
        let error = Error::new(self.code.kind(), self.message());
        match &self.entry {
            Some(entry) => error.context(entry.clone()),
            None => error,
        }
        .with_source(self)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        f.write_str(&self.message())
    }
}

impl std::error::Error for Problem {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $effect:ident $kind:ident $text:literal;)*) => {
        /// The kinds of problems. [`as_str`](Self::as_str) does not change from version to version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// The code as one lower-case word with hyphens, for reports.
            pub fn as_str(self) -> &'static str {
                match self { $(ProblemCode::$name => $code,)* }
            }

            /// The code with this [`as_str`](Self::as_str), `None` where there is none.
            ///
            /// ```
            /// use image_feature::file_tree::ProblemCode;
            ///
            /// assert_eq!(ProblemCode::from_code("checksum"), Some(ProblemCode::Checksum));
            /// assert_eq!(ProblemCode::from_code("no such code"), None);
            /// ```
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(ProblemCode::$name),)* _ => None }
            }

            /// The effect on the entry or archive.
            pub fn effect(self) -> ProblemEffect {
                match self { $(ProblemCode::$name => ProblemEffect::$effect,)* }
            }

            /// The problem in words, with a remedy.
            fn text(self) -> &'static str {
                match self { $(ProblemCode::$name => $text,)* }
            }

            fn kind(self) -> ErrorKind {
                match self { $(ProblemCode::$name => ErrorKind::$kind,)* }
            }
        }
    };
}

/// The effect of a problem on its entry or archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemEffect {
    /// The entry is not among the tree's [`entries`](super::FileTree::entries).
    LeftOut,
    /// The entry is listed, and reading it is an error.
    Unreadable,
    /// The entry, or the archive, can be read; an entry perhaps under another name.
    Harmless,
    /// The archive may contain more entries than were found.
    Incomplete,
}

codes! {
    /// `..` in the path.
    PathEscapes "path-escapes" LeftOut Unsupported
        "`..` in the path leads out of the archive: such entries are not read; pack the folder again from inside";
    /// The path begins at the root.
    PathAbsolute "path-absolute" Harmless Unsupported
        "the path begins at the root, and is taken from the archive's top; pack the folder again with relative paths";
    /// The path begins with a drive.
    PathDrive "path-drive" Harmless Unsupported
        "the path begins with a drive, and is taken from the archive's top; pack the folder again with relative paths";
    /// Backslashes between the parts of the path.
    PathBackslash "path-backslash" Harmless Unsupported
        "backslashes separate the parts of the path and are taken as `/`; other programs may not, so pack it again";
    /// An empty name, or one with control characters.
    NameInvalid "name-invalid" LeftOut Unsupported
        "the name is empty or holds control characters: such entries are not read; rename the file and pack again";
    /// A name that is too long, or folders that are too deep.
    NameTooLong "name-too-long" LeftOut Limit
        "the name is longer, or its folders are deeper, than any file system takes: such entries are not read";
    /// A name that is not UTF-8.
    NameEncoding "name-encoding" Harmless Unsupported
        "the name is not UTF-8, so what it was can only be guessed; say which encoding it is in, or pack again";
    /// Several entries with the same path.
    NameDuplicate "name-duplicate" LeftOut Unsupported
        "a later entry has the same path, and replaces this one; keep one of them";
    /// Names that differ in case only.
    NameCase "name-case" Harmless Unsupported
        "another path differs from this one in case only: on Windows and macOS one would replace the other; rename one";
    /// A file at a path where other entries have a folder.
    NameFolder "name-folder" LeftOut Unsupported
        "other entries have this file's path as a folder, so the file is not read; rename it";
    /// A name of a folder's file that is not UTF-8.
    FileNameEncoding "file-name-encoding" Harmless Unsupported
        "the name is not UTF-8, so what it was can only be guessed; other programs may not find the file: rename it";
    /// A link that leads back to a folder it is in.
    LinkLoop "link-loop" Harmless Unsupported
        "a link that leads back to a folder it is in, which is not entered again";
    /// A link that leads nowhere.
    LinkBroken "link-broken" LeftOut Io
        "a link that leads nowhere; mend it, or delete it";
    /// Links to too many files.
    TooManyLinked "too-many-linked" Incomplete Limit
        "links lead to more than a million files and folders; from here on they are left out: take out links that are not needed";
    /// A folder that cannot be listed, or a file that cannot be looked at.
    PathUnreadable "path-unreadable" Incomplete Io
        "it cannot be looked at, so it is left out with all that is below it; see to its permissions";
    /// A symbolic link.
    SymbolicLink "symbolic-link" LeftOut Unsupported
        "a symbolic link, which is not followed; pack the file itself (tar --dereference, zip without -y)";
    /// A hard link.
    HardLink "hard-link" LeftOut Unsupported
        "a hard link to another entry, which is not followed; pack the file itself (tar --hard-dereference)";
    /// A device, pipe or other special file.
    SpecialFile "special-file" LeftOut Unsupported
        "not a file but a device, pipe or the like; leave it out";
    /// A sparse file: pieces with holes between them.
    SparseFile "sparse-file" Unreadable Unsupported
        "a sparse file, which is not read; pack it without --sparse";
    /// Encrypted content.
    Encrypted "encrypted" Unreadable Unsupported
        "encrypted; unpack it with its password and pack it without one";
    /// A compression method that is not supported.
    Method "method" Unreadable Unsupported
        "compressed by a method that is not read; pack it as stored or deflated, as every program can";
    /// The 64-bit sizes of a large entry are missing or damaged.
    Zip64 "zip64" Unreadable Decode
        "the archive is damaged: the entry's sizes should be in a zip64 field, and are not; pack it again";
    /// The entry's own header is missing or has another name than the directory.
    HeaderMismatch "header-mismatch" Unreadable Decode
        "the archive is damaged or tampered with: where its directory says this entry is, there is none of that name; pack it again";
    /// Header and directory have different sizes, but the content agrees with the directory.
    HeaderSizes "header-sizes" Harmless Decode
        "header and directory of the archive disagree on sizes or checksum; the content is as the directory says";
    /// The content is not as long as announced.
    ContentSize "content-size" Unreadable Decode
        "the archive is damaged: the content is not as long as it should be; copy or pack it again";
    /// The content's checksum is wrong.
    Checksum "checksum" Unreadable Decode
        "the archive is damaged: the content's checksum is wrong; copy or pack it again";
    /// The compressed data are invalid.
    Compressed "compressed-data" Unreadable Decode
        "the archive is damaged: the compressed data make no sense; copy or pack it again";
    /// The content goes beyond the archive's end.
    Truncated "truncated" Unreadable Decode
        "the archive is damaged: it is cut off within this entry; copy it again, whole";
    /// Entries that share bytes.
    Overlap "overlap" Unreadable Limit
        "shares bytes of the archive with another entry, as archives do that are made to fill memory; pack it again";
    /// An entry unpacks to far more than a real file would.
    EntryBomb "entry-bomb" Unreadable Limit
        "unpacks to more than 100-fold its size, as no photo does; unpack it yourself if you trust it";
    /// The archive unpacks to far more than a real one would.
    ArchiveBomb "archive-bomb" Incomplete Limit
        "the archive unpacks to more than 100-fold its size; unpack it yourself if you trust it, and give the folder";
    /// With this entry, the archive unpacks to far more than a real one would.
    TotalBomb "total-bomb" Unreadable Limit
        "with this entry, the archive unpacks to more than 100-fold its size; unpack it yourself if you trust it, and give the folder";
    /// An archive in the archive.
    Nested "nested-archive" Harmless Unsupported
        "an archive in the archive, which is not looked into; unpack it first if it belongs to the data";
    /// More entries than the limit.
    TooManyEntries "too-many-entries" Incomplete Limit
        "the archive has too many entries, or their names take too much memory; the rest is left out: split it";
    /// Damage in the archive's directory.
    DirectoryDamaged "directory-damaged" Incomplete Decode
        "the archive is damaged: a part of its directory cannot be read; copy or pack it again";
    /// The number of entries is not the announced one.
    EntryCount "entry-count" Incomplete Decode
        "the archive is damaged: it has another number of entries than it says; copy or pack it again";
    /// One file of an archive in several files.
    MultiDisk "multi-volume" Incomplete Unsupported
        "one of several volumes of an archive; join them (`zip -s 0 parts.zip --out whole.zip`)";
    /// A damaged tar header.
    HeaderDamaged "header-damaged" Incomplete Decode
        "the archive is damaged: a header's checksum is wrong, and whatever it described is lost; copy or pack it again";
    /// The archive breaks off.
    EndMissing "end-missing" Incomplete Decode
        "the archive is damaged: its end is missing; copy it again, whole";
    /// A tar ends between two entries, without an end mark.
    NoEndMark "no-end-mark" Harmless Decode
        "the archive has no end mark: it may be cut off";
    /// Damage in a compressed stream.
    StreamDamaged "stream-damaged" Incomplete Decode
        "the archive is damaged: what comes after this place cannot be unpacked; copy or pack it again";
    /// The checksum of the whole archive is wrong.
    StreamChecksum "stream-checksum" Harmless Decode
        "the archive is damaged: the checksum over the whole is wrong, so any of its files may be; copy it again";
    /// Bytes after the archive's end.
    TrailingBytes "trailing-bytes" Harmless Decode
        "there are bytes after the archive's end, which are ignored";
    /// More problems were found than are listed.
    MoreProblems "more-problems" Harmless Limit
        "there are more problems than are listed";
}

/// The problems of one archive. Their number is bounded: a hostile archive may have any number.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

/// The most problems that are kept.
const MOST: usize = 10_000;

impl Problems {
    /// Adds a problem of an entry.
    pub fn entry(&mut self, code: ProblemCode, position: u64, name: &[u8], detail: String) {
        self.push(Problem { position: Some(position), entry: Some(shown(name)), code, detail });
    }

    /// Adds a problem of the archive.
    pub fn archive(&mut self, code: ProblemCode, detail: String) {
        self.push(Problem { position: None, entry: None, code, detail });
    }

    /// Adds a problem, unless it equals the last one or there are too many.
    pub fn push(&mut self, problem: Problem) {
        if self.0.len() > MOST || self.0.last() == Some(&problem) {
            return;
        }
        let full = self.0.len() == MOST;
        self.0.push(if full {
            Problem { position: None, entry: None, code: ProblemCode::MoreProblems, detail: String::new() }
        } else {
            problem
        });
    }

    /// All problems: those of the archive first, then those of its entries in order.
    pub fn sorted(&self) -> Vec<Problem> {
        let mut all = self.0.clone();
        all.sort();
        all.dedup();
        all
    }
}

/// A name for messages: escapes for control characters and for bytes that are not UTF-8, at most some 200 bytes.
pub(super) fn shown(name: &[u8]) -> String {
    const MOST: usize = 200;
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut shown = String::new();
    let push_byte = |shown: &mut String, byte: u8| {
        shown.push_str("\\x");
        shown.push(HEX[usize::from(byte >> 4)] as char);
        shown.push(HEX[usize::from(byte & 15)] as char);
    };
    let text = std::str::from_utf8(name);
    for &byte in name.iter().filter(|_| text.is_err()) {
        if byte.is_ascii_graphic() || byte == b' ' {
            shown.push(byte as char)
        } else {
            push_byte(&mut shown, byte)
        }
        if shown.len() > MOST {
            break;
        }
    }
    for c in text.unwrap_or_default().chars() {
        if c.is_ascii_control() {
            push_byte(&mut shown, c as u8)
        } else {
            shown.push(c)
        }
        if shown.len() > MOST {
            break;
        }
    }
    if shown.len() > MOST {
        shown.push('…');
    }
    shown
}
