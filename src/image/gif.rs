//! What shows where a GIF's first frame does not: OpenCV paints the whole screen in the background colour first.

/// Colours the transparent pixels of decoded RGBA samples.
pub(super) fn paint_background(bytes: &[u8], rgba: &mut [u8]) {
    let background = background(bytes).unwrap_or([0; 3]);
    for pixel in rgba.as_chunks_mut::<4>().0.iter_mut().filter(|pixel| pixel[3] == 0) {
        pixel[..3].copy_from_slice(&background);
    }
}

/// The colour that the screen descriptor names, from the global colour table.
fn background(bytes: &[u8]) -> Option<[u8; 3]> {
    const TABLE: usize = 13;
    let (flags, index) = (*bytes.get(10)?, usize::from(*bytes.get(11)?));
    let has_table = flags & 0x80 != 0;
    let colors = 2 << (flags & 7);
    (has_table && index < colors).then(|| bytes.get(TABLE + 3 * index..)?.first_chunk().copied())?
}
