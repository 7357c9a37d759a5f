//! Forms of Unicode: macOS writes a letter and its accent apart, other systems write them as one.

use unicode_normalization::UnicodeNormalization;

/// Whether two names are the same letters, in whatever form of Unicode.
///
/// ```
/// use image_feature::file_tree::has_same_letters;
///
/// assert!(has_same_letters("caf\u{e9}.jpg", "cafe\u{301}.jpg") && !has_same_letters("a.jpg", "A.jpg"));
/// ```
pub fn has_same_letters(a: &str, b: &str) -> bool {
    a == b || !(a.is_ascii() && b.is_ascii()) && a.nfd().eq(b.nfd())
}

/// A path in lower case, with letters and their accents apart.
pub(crate) fn plain_form(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.to_lowercase().nfd().collect() }
}
