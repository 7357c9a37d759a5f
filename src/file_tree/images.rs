//! The images among files: by their names, and by their first bytes where names do not tell.

use super::{EntryKind, FileTree, is_hidden};
use crate::ImageFormat;
use crate::file_kind::{FileKind, START};
use crate::image::known_but_unread;

/// Suffixes of images, in lower case.
const IMAGES: [&str; 21] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "pfm", "ras", "sun", "qoi",
];
/// Suffixes of files that people keep beside images, and that are none.
const OTHERS: [&str; 29] = [
    "txt",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "xml",
    "yml",
    "yaml",
    "toml",
    "ini",
    "cfg",
    "md",
    "rst",
    "log",
    "html",
    "htm",
    "css",
    "js",
    "py",
    "ipynb",
    "sh",
    "bat",
    "npy",
    "npz",
    "pkl",
    "safetensors",
    "pdparams",
    "xmp",
    "aae",
];

/// Whether a file has the suffix of an image that can be read.
///
/// ```
/// use image_feature::file_tree::is_image_name;
///
/// assert!(is_image_name("tea/1.JPG") && !is_image_name("tea/.jpg") && !is_image_name("tea/1.txt"));
/// ```
pub fn is_image_name(path: &str) -> bool {
    has_suffix(path, &IMAGES)
}

/// Whether a file has a suffix that says that it is no image and no archive: a text, a table, a model.
pub fn is_other_name(path: &str) -> bool {
    has_suffix(path, &OTHERS)
}

/// The suffixes by which images are known, for messages.
pub fn image_suffixes() -> String {
    IMAGES.map(|suffix| format!(".{suffix}")).join(" ")
}

fn has_suffix(path: &str, suffixes: &[&str]) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let suffix = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, suffix)| suffix);
    suffix.is_some_and(|suffix| suffixes.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}

/// What a file is that starts with these bytes, where it is no image that can be read; `None` for an image.
///
/// ```
/// use image_feature::file_tree::why_no_image;
///
/// assert_eq!(why_no_image(b"\xff\xd8\xff\xe0"), None);
/// assert_eq!(why_no_image(b"\0\0\0\x1cftypheic").as_deref(), Some("a HEIC image"));
/// ```
pub fn why_no_image(start: &[u8]) -> Option<String> {
    if ImageFormat::detect(start).is_ok() {
        return None;
    }
    let known = known_but_unread(start).map(String::from);
    Some(known.or_else(|| FileKind::of(start).map(|kind| kind.to_string())).unwrap_or_else(|| "unknown".into()))
}

/// A file that was passed over in a search for images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The file's path in the tree.
    pub path: String,
    /// What it is instead of an image, in a few words.
    pub what: String,
}

/// The images of a tree. See [`images`].
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// Indices of the tree's [`entries`](FileTree::entries), in ascending order.
    pub files: Vec<usize>,
    /// Files that may have been meant, and are no images that can be read.
    pub passed_over: Vec<PassedOver>,
}

/// Finds the images of a tree, without those that are [hidden](is_hidden). The suffix tells an image; of a file without a
/// known suffix, the first bytes do. Files with the suffix of a text, a table or a model are not looked at.
///
/// ```
/// use image_feature::file_tree::{Memory, images};
///
/// let jpeg = b"\xff\xd8\xff\xe0".to_vec();
/// let files = [("1.HEIC", jpeg), ("2.jpg", vec![]), ("3.mov", b"\0\0\0\x18ftypqt".to_vec()), ("labels.txt", vec![])];
/// let found = images(&Memory::new("example", files));
/// assert_eq!(found.files, [0, 1]);
/// assert_eq!(found.passed_over[0].path, "3.mov");
/// ```
pub fn images(tree: &dyn FileTree) -> Images {
    let entries = tree.entries().iter().enumerate();
    let files = entries.filter(|(_, entry)| entry.kind == EntryKind::File && !is_hidden(&entry.path));
    images_among(tree, files.map(|(index, _)| index))
}

/// As [`images`], of these files only, hidden or not.
pub fn images_among(tree: &dyn FileTree, files: impl IntoIterator<Item = usize>) -> Images {
    let path = |index: usize| tree.entries()[index].path.as_str();
    let (mut found, mut unclear) = (Images::default(), Vec::new());
    for index in files {
        if is_image_name(path(index)) {
            found.files.push(index);
        } else if !is_other_name(path(index)) {
            unclear.push(index);
        }
    }
    tree.sort_for_reading(&mut unclear);
    for index in unclear {
        let what = match tree.read_start(index, START) {
            Ok(start) => why_no_image(&start),
            Err(error) => Some(error.without_context().to_string()),
        };
        match what {
            None => found.files.push(index),
            Some(what) => found.passed_over.push(PassedOver { path: path(index).into(), what }),
        }
    }
    found.files.sort_unstable();
    found.passed_over.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// A sentence about files that were passed over: their number, and the names of the first; `None` where there are none.
///
/// ```
/// use image_feature::file_tree::{PassedOver, tell_passed_over};
///
/// let one = PassedOver { path: "a.HEIC".into(), what: "a HEIC image".into() };
/// let text = tell_passed_over(1, &[one]).unwrap();
/// assert_eq!(text, "passed over 1 file that is no image that can be read: a.HEIC (a HEIC image)");
/// ```
pub fn tell_passed_over(count: usize, first: &[PassedOver]) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<String> =
        first.iter().take(SHOWN).map(|PassedOver { path, what }| format!("{path} ({what})")).collect();
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let are = if count == 1 { "file that is no image" } else { "files that are no images" };
    (count > 0).then(|| format!("passed over {count} {are} that can be read: {}{more}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::Memory;

    #[test]
    fn names_and_first_bytes_tell_images() {
        let files: [(&str, &[u8]); 10] = [
            ("a.jpg", b"whatever"),
            ("b.HEIC", b"\xff\xd8\xff\xe0"),
            ("c.heic", b"\0\0\0\x1cftypheic"),
            ("d", b"P6 1 1 255\n123"),
            ("e", b"hello"),
            ("f.bin", b""),
            ("g.txt", b"P6 1 1 255\n123"),
            (".h.jpg", b""),
            ("__MACOSX/i.jpg", b""),
            ("j.zip", b"PK\x03\x04"),
        ];
        let tree = Memory::new("x", files.map(|(path, bytes)| (path, bytes.to_vec())));
        let found = images(&tree);
        let paths: Vec<&str> = found.files.iter().map(|&index| tree.entries()[index].path.as_str()).collect();
        assert_eq!(paths, ["a.jpg", "b.HEIC", "d"]);
        let passed: Vec<(&str, &str)> =
            found.passed_over.iter().map(|one| (one.path.as_str(), one.what.as_str())).collect();
        assert_eq!(
            passed,
            [("c.heic", "a HEIC image"), ("e", "unknown"), ("f.bin", "an empty file"), ("j.zip", "a zip archive")]
        );
        let text = tell_passed_over(12, &found.passed_over).unwrap();
        assert!(
            text.starts_with("passed over 12 files that are no images that can be read: c.heic (a HEIC image), "),
            "{text}"
        );
        assert!(text.ends_with("j.zip (a zip archive) and 8 more"), "{text}");
    }
}
