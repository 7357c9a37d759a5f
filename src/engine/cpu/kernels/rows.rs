//! Functions of each row by itself, which transformers need: LayerNorm and softmax.

use super::super::lanes::Lanes;
use super::functions;

/// LayerNorm of some rows.
#[derive(Clone, Copy)]
pub(in super::super) struct Normalize {
    pub rows: usize,
    /// Values of a row without padding.
    pub channels: usize,
    /// Values of a row with padding, a multiple of [`CHANNELS`](super::CHANNELS).
    pub padded: usize,
    /// `rows` x `padded` values.
    pub input: *const f32,
    /// Values from a row to the next.
    pub input_stride: usize,
    /// `rows` x `padded` values.
    pub output: *mut f32,
    /// Values from a row to the next.
    pub output_stride: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Factors of the channels and numbers added after them, each `padded` values.
    pub affine: Option<[*const f32; 2]>,
}

/// Runs a LayerNorm: mean and variance in two passes, and padding stays zero.
///
/// # Safety
/// The instruction set of `V` is enabled, and every pointer of `work` is valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn normalize<V: Lanes>(work: &Normalize) {
    let &Normalize { channels, padded, affine, .. } = work;
    let whole = channels - channels % V::COUNT;
    for row in 0..work.rows {
        // SAFETY: both rows have `padded` values, at least `channels`, and so have scale and shift; `whole` is a
        // multiple of the lanes
        unsafe {
            let from = work.input.add(row * work.input_stride);
            let to = work.output.add(row * work.output_stride);
            let tail = std::slice::from_raw_parts(from.add(whole), channels - whole);

            let sum = fold(from, whole, V::splat(0.0), |sum, value| sum.add(value));
            let mean = (total(sum) + tail.iter().sum::<f32>()) / channels as f32;
            let less_mean = V::splat(-mean);
            let squares = fold(from, whole, V::splat(0.0), |sum, value| {
                let value = value.add(less_mean);
                sum.mul_add(value, value)
            });
            let tail_squares: f32 = tail.iter().map(|value| (value - mean) * (value - mean)).sum();
            let variance = (total(squares) + tail_squares) / channels as f32;
            let factor = 1.0 / (variance + work.epsilon).sqrt();

            let mut channel = 0;
            while channel < padded {
                let mut value = V::load(from.add(channel)).add(less_mean).mul(V::splat(factor));
                if let Some([scale, shift]) = affine {
                    value = V::load(shift.add(channel)).mul_add(value, V::load(scale.add(channel)));
                }
                value.store(to.add(channel));
                channel += V::COUNT;
            }
            to.add(channels).write_bytes(0, padded - channels);
        }
    }
}

/// Replaces each of `count` rows of `columns` values, `stride` apart, by its softmax. The result of columns that are
/// minus infinity, as padding is, is at most 2e-38.
///
/// # Safety
/// The instruction set of `V` is enabled, and `rows` is valid for `count` rows; `columns` is a multiple of
/// [`CHANNELS`](super::CHANNELS).
#[inline(always)]
pub(in super::super) unsafe fn softmax<V: Lanes>(rows: *mut f32, count: usize, stride: usize, columns: usize) {
    for row in 0..count {
        // SAFETY: the row has `columns` values, a multiple of the lanes
        unsafe {
            let row = rows.add(row * stride);
            let largest = fold(row, columns, V::splat(f32::NEG_INFINITY), |most, value| most.max(value));
            let largest = lanes(largest).into_iter().take(V::COUNT).fold(f32::NEG_INFINITY, f32::max);
            let less = V::splat(-largest);
            let mut sum = V::splat(0.0);
            let mut column = 0;
            while column < columns {
                let power = functions::exp(V::load(row.add(column)).add(less));
                power.store(row.add(column));
                sum = sum.add(power);
                column += V::COUNT;
            }
            let share = V::splat(1.0 / total(sum));
            column = 0;
            while column < columns {
                V::load(row.add(column)).mul(share).store(row.add(column));
                column += V::COUNT;
            }
        }
    }
}

/// Folds `len` values, a multiple of the lanes, into a register.
///
/// # Safety
/// The instruction set of `V` is enabled, and `from` is valid for `len` values.
#[inline(always)]
unsafe fn fold<V: Lanes>(from: *const f32, len: usize, start: V, step: impl Fn(V, V) -> V) -> V {
    let mut folded = start;
    let mut at = 0;
    while at < len {
        // SAFETY: a register of values follows, since `len` is a multiple of the lanes
        folded = step(folded, unsafe { V::load(from.add(at)) });
        at += V::COUNT;
    }
    folded
}

/// The values of a register, and zeros behind them.
///
/// # Safety
/// The instruction set of `V` is enabled.
#[inline(always)]
unsafe fn lanes<V: Lanes>(register: V) -> [f32; super::CHANNELS] {
    let mut values = [0.0; super::CHANNELS];
    // SAFETY: no register has more than `CHANNELS` values
    unsafe { register.store(values.as_mut_ptr()) };
    values
}

/// The sum of a register's values.
///
/// # Safety
/// The instruction set of `V` is enabled.
#[inline(always)]
unsafe fn total<V: Lanes>(register: V) -> f32 {
    // SAFETY: the caller's contract, passed on
    unsafe { lanes(register) }.iter().sum()
}
