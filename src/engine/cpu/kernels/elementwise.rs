//! Passes over pixels that no other kernel could take along.

use super::super::lanes::Lanes;
use super::functions;

/// `pixels *= factors`, channel by channel.
///
/// # Safety
/// The instruction set of `V` must be enabled; `pixels` valid for `count` pixels of `channels` values, `stride` apart,
/// and `factors` for `channels`, a multiple of [`CHANNELS`](super::CHANNELS).
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
/// As [`scale`]; `sums` valid for `channels`.
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

/// Makes pixels whole numbers: each value times its channel's factor and, where there is a gate, the gate's, rounded and
/// cut to 0..=127. The bytes of a pixel take the place of the start of its values.
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
            unsafe {
                let from = pixels.add(pixel * stride);
                let mut factor = V::load(factors.add(channel));
                if let Some(gate) = gate {
                    factor = factor.mul(V::load(gate.add(channel)));
                }
                // never beyond what has been read
                V::load(from.add(channel)).mul(factor).store_u7(from.cast::<u8>().add(channel));
            }
            channel += V::COUNT;
        }
    }
}

/// The GELU of each value, in place.
///
/// # Safety
/// As [`scale`], but for the factors.
#[inline(always)]
pub(in super::super) unsafe fn gelu<V: Lanes>(pixels: *mut f32, count: usize, stride: usize, channels: usize) {
    for pixel in 0..count {
        let mut channel = 0;
        while channel < channels {
            unsafe {
                let at = pixels.add(pixel * stride + channel);
                functions::gelu(V::load(at)).store(at);
            }
            channel += V::COUNT;
        }
    }
}
