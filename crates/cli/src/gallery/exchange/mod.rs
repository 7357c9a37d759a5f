//! `image-feature gallery export` and `import`: formats of other programs.

mod export;
mod import;
mod source;

use std::path::Path;

pub use self::export::{ExportArgs, export};
pub use self::import::{ImportArgs, import, open_any};

/// The suffix of a file, in small letters; empty where it has none.
fn suffix(path: &Path) -> String {
    path.extension().map_or(String::new(), |extension| extension.to_string_lossy().to_ascii_lowercase())
}
