//! An image that the arguments name.

use std::path::{Path, PathBuf};

use image_feature::Error;
use image_feature::file_tree::path_text;

/// The names of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name in results: the path as given, or below the folder or archive that was given.
    pub input_path: String,
    /// The path below the folder of saved results: the file's name, or the path inside the folder, pattern or archive that
    /// was given. Never leads outside.
    pub relative: PathBuf,
}

/// An image to read, or the reason why it cannot be read.
pub struct Item {
    pub origin: Origin,
    pub content: Content,
}

/// The bytes of an image, or their file.
pub enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
    Failed(Error),
}

impl Origin {
    pub(super) fn of_file(path: &Path) -> Self {
        let relative = path.file_name().map(|name| PathBuf::from(path_text(Path::new(name)))).unwrap_or_default();
        Origin { input_path: path_text(path), relative }
    }

    /// With this in front of the relative path.
    pub(super) fn below(self, front: &Path) -> Self {
        Origin { relative: front.join(&self.relative), ..self }
    }

    /// The names of an archive's entry. The archive's name for it may be any text.
    pub fn of_entry(archive: &Path, entry: &str) -> Self {
        let relative: PathBuf = entry.split(['/', '\\']).filter_map(safe_component).collect();
        Origin { input_path: format!("{}/{entry}", archive.display()), relative }
    }
}

/// A part of an entry's name as a file name that every file system allows; `None` for parts that lead elsewhere.
fn safe_component(part: &str) -> Option<String> {
    let part = part.trim_end_matches(['.', ' ']); // Windows drops these, `..` becomes nothing
    let mut safe: String =
        part.chars().map(|c| if c.is_control() || "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    while safe.len() > 180 {
        safe.remove(0); // keeps the end, with number and suffix
    }
    (!safe.is_empty()).then_some(safe)
}
