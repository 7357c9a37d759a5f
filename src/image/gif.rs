//! The background of a GIF: OpenCV fills the whole screen with the background colour before it draws the first frame.

/// Colours the transparent pixels of decoded RGBA samples.
pub(super) fn paint_background(bytes: &[u8], rgba: &mut [u8]) {
    let background = background(bytes).unwrap_or([0; 3]);
    for pixel in rgba.as_chunks_mut::<4>().0.iter_mut().filter(|pixel| pixel[3] == 0) {
        pixel[..3].copy_from_slice(&background);
    }
}

/// The background colour: the entry of the global colour table that the screen descriptor names.
fn background(bytes: &[u8]) -> Option<[u8; 3]> {
    const TABLE: usize = 13;
    let (flags, index) = (*bytes.get(10)?, usize::from(*bytes.get(11)?));
    let has_table = flags & 0x80 != 0;
    let colors = 2 << (flags & 7);
    (has_table && index < colors).then(|| bytes.get(TABLE + 3 * index..)?.first_chunk().copied())?
}
