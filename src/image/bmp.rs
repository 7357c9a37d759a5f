//! 16-bit bitmaps with OpenCV's values. OpenCV shifts the five (or six) bits of a sample up and leaves the low bits
//! zero; the `image` crate repeats the high bits there.

/// Clears the low bits in the RGB pixels of a 16-bit bitmap. Other bitmaps, and masks that OpenCV does not read, stay
/// as they are.
pub(super) fn unexpand(bytes: &[u8], rgb: &mut [u8]) {
    let Some(low_bits) = low_bits(bytes) else { return };
    for pixel in rgb.as_chunks_mut::<3>().0 {
        for (sample, low) in pixel.iter_mut().zip(low_bits) {
            *sample &= !low;
        }
    }
}

fn low_bits(bytes: &[u8]) -> Option<[u8; 3]> {
    const BITFIELDS: u32 = 3;
    let u32_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (header_len, bits, compression) = (u32_at(14)?, u32_at(26)? >> 16, u32_at(30)?);
    if header_len < 40 || bits != 16 {
        return None;
    }
    match (compression, [u32_at(54)?, u32_at(58)?, u32_at(62)?]) {
        (0, _) | (BITFIELDS, [0x7c00, 0x3e0, 0x1f]) => Some([7, 7, 7]),
        (BITFIELDS, [0xf800, 0x7e0, 0x1f]) => Some([7, 3, 7]),
        _ => None,
    }
}
