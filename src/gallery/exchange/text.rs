//! Texts of other programs.

use crate::{Error, Result};

/// The text of a file or a line, without a byte order mark.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|_| match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Error::gallery("UTF-16; save it as UTF-8"),
        _ => Error::gallery("not UTF-8; save it as UTF-8"),
    })?;
    Ok(text.trim_start_matches('\u{feff}'))
}
