//! Patterns of paths.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use image_feature::file_tree::is_hidden;
use image_feature::{Error, Result};

const WILD: [char; 4] = ['*', '?', '[', '{'];

/// A pattern of paths: a folder, and the pattern below it.
pub struct Pattern {
    /// The argument.
    pub text: String,
    /// The folder; empty for the current one.
    pub base: PathBuf,
    rest: String,
}

impl Pattern {
    /// The pattern in an argument; `None` where it has no wildcards. Folders whose names have brackets or braces are
    /// folders, not patterns, where they exist.
    pub fn of(text: &str) -> Option<Self> {
        if !text.contains(WILD) {
            return None;
        }
        let mut start = 0;
        for (end, _) in text.char_indices().filter(|(_, c)| std::path::is_separator(*c)) {
            let part = &text[start..end];
            let is_name = !part.contains(WILD) || (!part.contains(['*', '?']) && Path::new(&text[..end]).is_dir());
            if !is_name {
                break;
            }
            start = end + 1;
        }
        // without doubled and final slashes
        let base = Path::new(&text[..start]).components().collect();
        Some(Pattern { text: text.into(), base, rest: text[start..].into() })
    }

    /// The folder to search.
    pub fn root(&self) -> &Path {
        if self.base.as_os_str().is_empty() { Path::new(".") } else { &self.base }
    }

    /// Whether the pattern itself asks for files that are hidden.
    pub fn wants_hidden(&self) -> bool {
        is_hidden(&self.rest)
    }

    /// The matcher of paths below the folder.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](image_feature::ErrorKind::Usage) for an invalid pattern.
    pub fn matcher(&self) -> Result<GlobMatcher> {
        let glob = GlobBuilder::new(&self.rest).literal_separator(true).build();
        let glob =
            glob.map_err(|error| Error::usage(format!("{}: no such file, and not a pattern: {error}", self.text)))?;
        Ok(glob.compile_matcher())
    }
}
