//! Passes over pixels that are not part of another kernel.

use super::super::lanes::Lanes;
use super::functions;

/// `pixels *= factors`, channel by channel.
///
/// # Safety
/// The instruction set of `V` is enabled; `pixels` is valid for `count` pixels of `channels` values, `stride` apart,
/// and `factors` for `channels` values, a multiple of [`CHANNELS`](super::CHANNELS).
#[inline(always)]
pub(in super::super) unsafe fn scale<V: Lanes>(
    pixels: *mut f32,
    count: usize,
    stride: usize,
    channels: usize,
    factors: *const f32,
) {
    for pixel in 0..count {
        let mut channel = 0;
        while channel < channels {
            // SAFETY: pixel and channel are within the pixels, and a register of channels follows
            unsafe {
                let at = pixels.add(pixel * stride + channel);
                V::load(at).mul(V::load(factors.add(channel))).store(at);
            }
            channel += V::COUNT;
        }
    }
}

/// The sum of `count` pixels, channel by channel.
///
/// # Safety
/// As [`scale`]; `sums` is valid for `channels` values.
#[inline(always)]
pub(in super::super) unsafe fn sum<V: Lanes>(
    pixels: *const f32,
    count: usize,
    stride: usize,
    channels: usize,
    sums: *mut f32,
) {
    let mut channel = 0;
    while channel < channels {
        // SAFETY: as in `scale`
        unsafe {
            let mut total = V::splat(0.0);
            for pixel in 0..count {
                total = total.add(V::load(pixels.add(pixel * stride + channel)));
            }
            total.store(sums.add(channel));
        }
        channel += V::COUNT;
    }
}

/// Converts pixels to bytes: each value times its channel's factor and, where there is a gate, the gate's, rounded and
/// limited to 0..=127. The bytes of a pixel overwrite the first of its values.
///
/// # Safety
/// As [`scale`]; `gate` as `factors`.
#[inline(always)]
pub(in super::super) unsafe fn quantize<V: Lanes>(
    pixels: *mut f32,
    count: usize,
    stride: usize,
    channels: usize,
    factors: *const f32,
    gate: Option<*const f32>,
) {
    for pixel in 0..count {
        let mut channel = 0;
        while channel < channels {
            // SAFETY: as in `scale`; a channel's byte lies within its pixel
            unsafe {
                let from = pixels.add(pixel * stride);
                let mut factor = V::load(factors.add(channel));
                if let Some(gate) = gate {
                    factor = factor.mul(V::load(gate.add(channel)));
                }
                // the bytes overwrite only values that have been read
                V::load(from.add(channel)).mul(factor).store_u7(from.cast::<u8>().add(channel));
            }
            channel += V::COUNT;
        }
    }
}

/// The GELU of each value, in place.
///
/// # Safety
/// As [`scale`], without factors.
#[inline(always)]
pub(in super::super) unsafe fn gelu<V: Lanes>(pixels: *mut f32, count: usize, stride: usize, channels: usize) {
    for pixel in 0..count {
        let mut channel = 0;
        while channel < channels {
            // SAFETY: as in `scale`
            unsafe {
                let at = pixels.add(pixel * stride + channel);
                functions::gelu(V::load(at)).store(at);
            }
            channel += V::COUNT;
        }
    }
}
