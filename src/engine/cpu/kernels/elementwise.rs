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

/// Pixels that are converted to bytes: each value times its channel's factor and, where there is a gate, the gate's, plus
/// `zero`, rounded and limited to 0..=127.
#[derive(Clone, Copy)]
pub(in super::super) struct Quantize {
    pub pixels: *const f32,
    /// Number of pixels.
    pub count: usize,
    /// Values from a pixel to the next.
    pub stride: usize,
    /// A multiple of [`CHANNELS`](super::CHANNELS).
    pub channels: usize,
    /// `channels` values.
    pub factors: *const f32,
    /// `channels` values.
    pub gate: Option<*const f32>,
    /// The number that stands for 0.
    pub zero: f32,
    /// The first pixel's bytes. They may lie on the values of `pixels` where `bytes_stride` is as far as `stride`.
    pub bytes: *mut u8,
    /// Bytes from a pixel's to the next one's.
    pub bytes_stride: usize,
}

/// # Safety
/// The instruction set of `V` is enabled, and every pointer of `work` is valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn quantize<V: Lanes>(work: &Quantize) {
    for pixel in 0..work.count {
        let mut channel = 0;
        while channel < work.channels {
            // SAFETY: the pixel and its bytes have the channels from `channel` on, since their number is a multiple of the
            // lanes
            unsafe {
                let mut factor = V::load(work.factors.add(channel));
                if let Some(gate) = work.gate {
                    factor = factor.mul(V::load(gate.add(channel)));
                }
                let value = V::load(work.pixels.add(pixel * work.stride + channel));
                // in place, the bytes overwrite only values that have been read
                let to = work.bytes.add(pixel * work.bytes_stride + channel);
                // two roundings, which are the same on every instruction set
                value.mul(factor).add(V::splat(work.zero)).store_u7(to);
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
