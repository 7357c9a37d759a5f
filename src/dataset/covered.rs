//! The division of a length into parts, for scaling pictures down.

/// The range of pixels, of `length` pixels, that the part `at` of `parts` covers; at least one pixel.
pub(super) fn covered(at: usize, parts: usize, length: usize) -> (usize, usize) {
    let start = at * length / parts;
    (start, ((at + 1) * length / parts).max(start + 1))
}
