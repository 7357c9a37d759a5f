//! Kinds of files that turn up in the place of an image, a model or a gallery, by their first bytes.

use std::fmt;

/// Bytes at a file's start that tell its kind.
pub(crate) const START: usize = 1024;

/// A kind of file that is known by its first bytes, and is neither an image nor a model nor a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// No bytes at all.
    Empty,
    /// The text that Git keeps in the place of a large file.
    LfsPointer,
    Html,
    Xml,
    Json,
    /// An archive, or a compressed file.
    Archive(&'static str),
}

/// First bytes of archives and compressed files that are not read.
const UNREAD_ARCHIVES: [(&[u8], &str); 8] = [
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x04\x22\x4d\x18", "an lz4 archive"),
    (b"\x1f\x9d", "a compress (.Z) archive"),
    (b"MSCF\0\0\0\0", "a cabinet archive"),
];

/// First bytes of archives that are read where an archive is expected.
const READ_ARCHIVES: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "one part of a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
];

impl FileKind {
    /// The kind of a file that starts with these bytes; `None` where it is not known.
    pub fn of(start: &[u8]) -> Option<Self> {
        let start = &start[..start.len().min(START)];
        if start.is_empty() {
            return Some(FileKind::Empty);
        }
        if let Some(archive) = Self::unread_archive(start) {
            return Some(archive);
        }
        if let Some((_, name)) = READ_ARCHIVES.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Some(FileKind::Archive(name));
        }
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
        if begins(b"version https://git-lfs.github.com/spec/") {
            return Some(FileKind::LfsPointer);
        }
        if [&b"<!doctype html"[..], b"<html", b"<head", b"<body"].iter().any(|tag| begins(tag)) {
            return Some(FileKind::Html);
        }
        if begins(b"<?xml") || begins(b"<!--") {
            let is_html = text.windows(5).any(|window| window.eq_ignore_ascii_case(b"<html"));
            return Some(if is_html { FileKind::Html } else { FileKind::Xml });
        }
        is_json(text).then_some(FileKind::Json)
    }

    /// The kind of an archive that is not read; `None` for all others.
    pub fn unread_archive(start: &[u8]) -> Option<Self> {
        let known = UNREAD_ARCHIVES.iter().find(|(magic, _)| start.starts_with(magic));
        known.map(|(_, name)| FileKind::Archive(name))
    }

    /// Whether it is what a server or Git gives in the place of a file of any kind.
    pub fn is_stand_in(self) -> bool {
        !matches!(self, FileKind::Archive(_) | FileKind::Empty)
    }

    /// What to do about such a file, as a part of a sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            FileKind::Empty => "copy or download it again",
            FileKind::LfsPointer => "fetch the file itself with `git lfs pull`",
            FileKind::Html | FileKind::Xml | FileKind::Json => {
                "download the file again: this looks like a server's answer in its place, such as an error or a login"
            }
            FileKind::Archive(name) if READ_ARCHIVES.iter().any(|(_, read)| *read == name) => {
                "unpack it, and give what is inside"
            }
            FileKind::Archive(_) => "unpack it, or pack it as .zip or .tar.gz",
        }
    }
}

/// The kind with its article, such as `an HTML page`.
impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Empty => "an empty file",
            FileKind::LfsPointer => "a Git LFS pointer",
            FileKind::Html => "an HTML page",
            FileKind::Xml => "an XML text",
            FileKind::Json => "a JSON text",
            FileKind::Archive(name) => name,
        })
    }
}

/// Whether a text begins as a JSON object or array does. Its end may be missing.
fn is_json(text: &[u8]) -> bool {
    let Some((b'{' | b'[', rest)) = text.split_first() else { return false };
    let next = rest.trim_ascii_start().first();
    let is_text = !text.iter().any(|&byte| byte < b' ' && !byte.is_ascii_whitespace());
    is_text && next.is_some_and(|next| b"\"{[]}-0123456789tfn".contains(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_place_of_others_are_known() {
        let cases: [(&[u8], Option<FileKind>); 16] = [
            (b"", Some(FileKind::Empty)),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", Some(FileKind::LfsPointer)),
            (b"<!DOCTYPE html><html>403</html>", Some(FileKind::Html)),
            (b"\xef\xbb\xbf \n<HTML lang=de>", Some(FileKind::Html)),
            (b"<?xml version='1.0'?><html xmlns=''>", Some(FileKind::Html)),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", Some(FileKind::Xml)),
            (b"{\"error\": \"not found\"}", Some(FileKind::Json)),
            (b"[ {\"message\"", Some(FileKind::Json)),
            (b"{}", Some(FileKind::Json)),
            (b"[draft] notes", None),
            (b"{hello", None),
            (b"hello, world", None),
            (b"\x80\x02}q\0", None),
            (b"7z\xbc\xaf\x27\x1c\0\x04", Some(FileKind::Archive("a 7z archive"))),
            (b"\x1f\x8b\x08", Some(FileKind::Archive("a gzip archive"))),
            (b"\xff\xd8\xff\xe0", None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(FileKind::of(bytes), kind, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn nobody_is_told_to_make_a_zip_of_a_zip() {
        let remedy = |bytes: &[u8]| FileKind::of(bytes).unwrap().remedy();
        assert_eq!(remedy(b"PK\x03\x04"), "unpack it, and give what is inside");
        assert_eq!(remedy(b"Rar!\x1a\x07"), "unpack it, or pack it as .zip or .tar.gz");
    }
}
