//! One image of those that the arguments name.

use std::path::{Path, PathBuf};

use image_feature::Error;

/// How an image is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As results show it: the path as given, or below the folder or archive that was given.
    pub input_path: String,
    /// Below the folder that results are saved in: the name of a file that was named itself, or the path inside the
    /// folder, pattern or archive. Never leads outside.
    pub relative: PathBuf,
}

/// One image to be read, or the reason why it cannot be.
pub struct Item {
    pub origin: Origin,
    pub content: Content,
}

/// The bytes of an image, or where they are.
pub enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
    Failed(Error),
}

impl Origin {
    pub(super) fn of_file(path: &Path) -> Self {
        Origin {
            input_path: path.to_string_lossy().into_owned(),
            relative: path.file_name().map(PathBuf::from).unwrap_or_default(),
        }
    }

    pub(super) fn below(base: &Path, path: &Path) -> Self {
        let relative = path.strip_prefix(base).unwrap_or(path).to_path_buf();
        Origin { relative, ..Origin::of_file(path) }
    }

    /// An entry of an archive, whose name is anything at all.
    pub fn of_entry(archive: &Path, entry: &str) -> Self {
        let relative: PathBuf = entry.split(['/', '\\']).filter_map(safe_component).collect();
        Origin { input_path: format!("{}/{entry}", archive.display()), relative }
    }
}

/// A part of an entry's name as a file name of every file system; nothing for the parts that lead elsewhere.
fn safe_component(part: &str) -> Option<String> {
    let part = part.trim_end_matches(['.', ' ']); // Windows drops these, `..` becomes nothing
    let mut safe: String =
        part.chars().map(|c| if c.is_control() || "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    while safe.len() > 180 {
        safe.remove(0); // the end tells more: number and suffix
    }
    (!safe.is_empty()).then_some(safe)
}
