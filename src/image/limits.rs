//! Limits on the size of images.

use crate::{Error, Result};

use super::format::ImageFormat;

/// The largest image that is decoded. Checked against the file's header, before memory for pixels is allocated.
///
/// ```
/// use image_feature::{DecodeLimits, decode};
///
/// // 100 bytes that announce 65535 x 65535 pixels
/// let mut bomb = b"P6 65535 65535 255\n".to_vec();
/// bomb.resize(100, 0);
/// let error = decode(&bomb, &DecodeLimits::default()).unwrap_err();
/// assert!(error.is_limit());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The most pixels of an image. Default: 268 435 456 (2^28), more than any phone's camera takes.
    pub max_pixels: u64,
    /// The most bytes that decoding may hold at once, estimated from the header: the pixels and the decoder's own
    /// buffers. Default: 2 GiB; on wasm32, where all memory is 4 GiB, 1 GiB.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        let gibibyte = 1 << 30;
        DecodeLimits {
            max_pixels: 1 << 28,
            max_bytes: if cfg!(target_arch = "wasm32") { gibibyte } else { 2 * gibibyte },
        }
    }
}

impl DecodeLimits {
    /// An error for an image whose header announces too much. `bytes_per_pixel`: the peak memory of decoding.
    pub(super) fn check(&self, format: ImageFormat, width: u32, height: u32, bytes_per_pixel: u64) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(Error::decode(format!("{format} image of {width}x{height} pixels: a side is zero")));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.max_pixels {
            return Err(Error::limit(format!(
                "{format} image of {width}x{height} = {pixels} pixels exceeds the limit of {} pixels; raise DecodeLimits::max_pixels if you trust the file",
                self.max_pixels
            )));
        }
        let bytes = pixels.saturating_mul(bytes_per_pixel);
        // a Vec holds no more than isize::MAX bytes, which a raised limit may exceed on 32-bit targets
        if bytes > self.max_bytes.min(isize::MAX as u64) {
            return Err(Error::limit(format!(
                "{format} image of {width}x{height} pixels needs {bytes} bytes to decode, the limit is {} bytes; raise DecodeLimits::max_bytes if you trust the file",
                self.max_bytes.min(isize::MAX as u64)
            )));
        }
        Ok(())
    }
}

/// `len` zero bytes, or an error where the allocation fails.
pub(super) fn zeroed(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| Error::limit(format!("out of memory: {len} bytes for pixels cannot be allocated")))?;
    bytes.resize(len, 0);
    Ok(bytes)
}
