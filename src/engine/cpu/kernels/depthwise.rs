//! Depthwise convolution: each channel with its own 3x3 or 5x5 kernel.

use super::super::lanes::Lanes;
use super::Activation;

/// Channels that are computed for all pixels before the next channels: their weights stay in the first-level cache.
const BLOCK: usize = 64;

/// Some rows of a depthwise convolution's output. The input has margins of zeros left and right, wide enough for the
/// kernel. Rows above and below the input are skipped.
#[derive(Clone, Copy)]
pub(in super::super) struct Depthwise {
    /// Output rows.
    pub height: usize,
    /// Output pixels of a row.
    pub width: usize,
    /// A multiple of [`CHANNELS`](super::CHANNELS).
    pub channels: usize,
    /// Rows of the kernel: 3 or 5.
    pub side: usize,
    /// 1 or 2.
    pub stride: usize,
    /// In the first input row, the pixel under the leftmost weight at the first output pixel. Valid for `input_height`
    /// rows, each up to the pixel under the rightmost weight at the last output pixel, with `channels` values.
    pub input: *const f32,
    /// Input rows.
    pub input_height: usize,
    /// The input row under the top weight at the first output row, negative above the input.
    pub first: isize,
    /// Values from an input pixel to the next.
    pub input_pixel: usize,
    /// Values from an input row to the next.
    pub input_row: usize,
    /// `height` x `width` pixels of `channels` values.
    pub output: Target,
    /// Values from an output pixel to the next.
    pub output_pixel: usize,
    /// Values from an output row to the next.
    pub output_row: usize,
    /// `side * side` times `channels` values.
    pub weights: *const f32,
    /// Values from a weight of the kernel to the next.
    pub taps_stride: usize,
    /// `channels` values.
    pub bias: *const f32,
    pub activation: Activation,
    /// Written with each channel's sum over the rows, unless null: `channels` values.
    pub sums: *mut f32,
}

/// The type and the address of an output.
#[derive(Clone, Copy)]
pub(in super::super) enum Target {
    F32(*mut f32),
    /// Bytes: each value multiplied by the factor of its channel, rounded and limited to 0..=127.
    U7(*mut u8, *const f32),
}

/// Runs a convolution with kernels of `SIDE` x `SIDE`, `PIXELS` neighbours at a time.
///
/// # Safety
/// The instruction set of `V` is enabled, every pointer of `work` is valid for what its field says, and `SIDE` is the
/// side of `work`. Each output row has a row of the kernel over the input.
#[inline(always)]
pub(in super::super) unsafe fn depthwise<V: Lanes, const PIXELS: usize, const SIDE: usize>(work: &Depthwise) {
    match work.stride {
        // SAFETY: the caller's contract, passed on
        1 => unsafe { strided::<V, PIXELS, SIDE, 1>(work) },
        // SAFETY: as above
        2 => unsafe { strided::<V, PIXELS, SIDE, 2>(work) },
        stride => unreachable!("program.rs refuses depthwise convolutions of stride {stride}"),
    }
}

/// # Safety
/// As [`depthwise`]; `STRIDE` is the stride of `work`.
#[inline(always)]
unsafe fn strided<V: Lanes, const PIXELS: usize, const SIDE: usize, const STRIDE: usize>(work: &Depthwise) {
    // SAFETY: `sums`, unless null, has `channels` values; the pixels from `x` on are no more than are left of the row,
    // and the channels from `start` to `end` are multiples of the lanes within `channels`
    unsafe {
        if !work.sums.is_null() {
            work.sums.write_bytes(0, work.channels);
        }
        let mut start = 0;
        while start < work.channels {
            let end = work.channels.min(start + BLOCK);
            for y in 0..work.height {
                let taps = Taps::new(work, y * STRIDE);
                let mut x = 0;
                while x + PIXELS <= work.width {
                    pixels::<V, PIXELS, SIDE, STRIDE>(work, &taps, x, y, start, end);
                    x += PIXELS;
                }
                if PIXELS > 4 && x + 4 <= work.width {
                    pixels::<V, 4, SIDE, STRIDE>(work, &taps, x, y, start, end);
                    x += 4;
                }
                if PIXELS > 2 && x + 2 <= work.width {
                    pixels::<V, 2, SIDE, STRIDE>(work, &taps, x, y, start, end);
                    x += 2;
                }
                while x < work.width {
                    pixels::<V, 1, SIDE, STRIDE>(work, &taps, x, y, start, end);
                    x += 1;
                }
            }
            start = end;
        }
    }
}

/// The rows of the kernel that lie over the input.
struct Taps {
    /// The input row under the first of them.
    input: *const f32,
    /// Their weights.
    weights: *const f32,
    rows: usize,
}

impl Taps {
    /// For the output row whose top weight is `down` input rows below that of the first one.
    #[inline(always)]
    fn new(work: &Depthwise, down: usize) -> Self {
        let top = work.first + down as isize;
        let from = top.min(0).unsigned_abs();
        let first = top.max(0) as usize;
        Taps {
            input: work.input.wrapping_add(first * work.input_row),
            weights: work.weights.wrapping_add(from * work.side * work.taps_stride),
            rows: (work.side - from).min(work.input_height - first),
        }
    }
}

/// `PIXELS` neighbouring output pixels, channels from `start` to `end`: each output is stored once.
///
/// # Safety
/// As [`strided`]; row `y` of the output has these pixels and channels, and `taps` are that row's.
#[inline(always)]
unsafe fn pixels<V: Lanes, const PIXELS: usize, const SIDE: usize, const STRIDE: usize>(
    work: &Depthwise,
    taps: &Taps,
    x: usize,
    y: usize,
    start: usize,
    end: usize,
) {
    // SAFETY: `taps.rows` rows of the input and of the weights from `taps` on are within both, as `Taps::new` counts
    // them; the other pointers have the channels and pixels
    unsafe {
        let input = taps.input.add(x * STRIDE * work.input_pixel);
        let output = y * work.output_row + x * work.output_pixel;
        let mut channel = start;
        while channel < end {
            let mut sums = [V::load(work.bias.add(channel)); PIXELS];
            let mut row = input.add(channel);
            let mut weights = taps.weights.add(channel);
            for _ in 0..taps.rows {
                // where registers are few, a loop for the compiler too: unrolled, it would hold all weights at once
                for kx in 0..if V::FEW_REGISTERS && SIDE > 3 { work.side } else { SIDE } {
                    let weight = V::load(weights.add(kx * work.taps_stride));
                    for (pixel, sum) in sums.iter_mut().enumerate() {
                        let value = V::load(row.add((pixel * STRIDE + kx) * work.input_pixel));
                        *sum = sum.mul_add(value, weight);
                    }
                }
                row = row.wrapping_add(work.input_row);
                weights = weights.wrapping_add(SIDE * work.taps_stride);
            }
            let mut total = V::splat(0.0);
            for (pixel, sum) in sums.into_iter().enumerate() {
                let value = work.activation.apply(sum);
                let at = output + pixel * work.output_pixel + channel;
                match work.output {
                    Target::F32(to) => value.store(to.add(at)),
                    Target::U7(to, factors) => value.mul(V::load(factors.add(channel))).store_u7(to.add(at)),
                }
                total = total.add(value);
            }
            if !work.sums.is_null() {
                let to = work.sums.add(channel);
                V::load(to).add(total).store(to);
            }
            channel += V::COUNT;
        }
    }
}
