//! Names of an archive's entries, and their paths in a tree.

use super::NAME_BYTES;
use crate::file_tree::problem::ProblemCode;

/// Names that are not UTF-8, decoded to text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedNames {
    /// The usual name of their encoding.
    pub encoding: String,
    /// The text of each name.
    pub names: Vec<String>,
}

/// Decodes all names of one archive that are not marked as UTF-8. It gets all of them together, because one name is
/// mostly too short to detect an encoding. `None` where no encoding fits.
pub type NameDecoder = dyn Fn(&[&[u8]]) -> Option<DecodedNames>;

/// The most folders within folders. Each may be one that the archive does not list, and takes memory of its own.
const DEPTH: usize = 64;

/// The path in the tree for this name, and the code of a fault that was repaired in it. The path is empty for the root.
pub(super) fn clean(name: &str) -> Result<(String, Option<ProblemCode>), ProblemCode> {
    if name.len() > NAME_BYTES {
        return Err(ProblemCode::NameTooLong);
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ProblemCode::NameInvalid);
    }
    let mut mended = None;
    let mut rest = name;
    if name.contains('\\') {
        mended = Some(ProblemCode::PathBackslash);
    }
    if let [letter, b':', ..] = rest.as_bytes()
        && letter.is_ascii_alphabetic()
        && rest[2..].starts_with(['/', '\\'])
    {
        mended = Some(ProblemCode::PathDrive);
        rest = &rest[2..];
    } else if rest.starts_with(['/', '\\']) {
        mended = Some(ProblemCode::PathAbsolute);
    }
    let mut path = String::with_capacity(rest.len());
    let mut depth = 0;
    for part in rest.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => return Err(ProblemCode::PathEscapes),
            _ => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
                depth += 1;
            }
        }
    }
    if depth > DEPTH { Err(ProblemCode::NameTooLong) } else { Ok((path, mended)) }
}

/// The text for a name in an unknown encoding: `%` and two digits for each byte beyond ASCII, so that different names
/// stay different.
pub(in crate::file_tree) fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii() {
            text.push(byte as char);
        } else {
            text.push('%');
            text.extend([byte >> 4, byte & 15].map(|digit| b"0123456789ABCDEF"[usize::from(digit)] as char));
        }
    }
    text
}

/// Whether the file name's extension is that of an archive.
pub(super) fn is_archive(path: &str) -> bool {
    const SUFFIXES: [&str; 12] =
        [".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".7z", ".rar", ".lz4"];
    SUFFIXES.iter().any(|suffix| {
        path.len() >= suffix.len()
            && path.as_bytes()[path.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_clean() {
        use ProblemCode::*;
        let cases = [
            ("a/b.png", Ok(("a/b.png", None))),
            ("./a//b/./c.png", Ok(("a/b/c.png", None))),
            ("folder/", Ok(("folder", None))),
            ("./", Ok(("", None))),
            ("a\\b.png", Ok(("a/b.png", Some(PathBackslash)))),
            ("/etc/passwd", Ok(("etc/passwd", Some(PathAbsolute)))),
            ("\\\\server\\share\\a.png", Ok(("server/share/a.png", Some(PathAbsolute)))),
            ("C:\\photos\\a.png", Ok(("photos/a.png", Some(PathDrive)))),
            ("c:/a.png", Ok(("a.png", Some(PathDrive)))),
            ("a:b.png", Ok(("a:b.png", None))),
            ("../a.png", Err(PathEscapes)),
            ("a/..\\b.png", Err(PathEscapes)),
            ("a/...", Ok(("a/...", None))),
            ("", Err(NameInvalid)),
            ("a\0.png", Err(NameInvalid)),
            ("a\n.png", Err(NameInvalid)),
        ];
        for (name, expected) in cases {
            assert_eq!(clean(name), expected.map(|(path, mended)| (path.to_string(), mended)), "{name:?}");
        }
        assert_eq!(clean(&"x".repeat(NAME_BYTES + 1)), Err(NameTooLong));
        assert_eq!(clean(&"x/".repeat(DEPTH + 1)), Err(NameTooLong));
    }

    #[test]
    fn unknown_names_stay_different() {
        assert_eq!(escaped(b"a\xc4\x0f.png"), "a%C4\x0f.png");
        assert_ne!(escaped(b"\xc4"), escaped(b"\xc5"));
    }
}
