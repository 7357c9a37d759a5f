//! Dense convolution of few planes, as in a network's first layer. It makes no rearranged copy of the input.

use super::super::lanes::Lanes;
use super::Activation;

/// One row of a convolution's output, from planes with a margin of zeros.
#[derive(Clone, Copy)]
pub(in super::super) struct Convolution {
    /// Output pixels.
    pub width: usize,
    /// Output channels, a multiple of [`CHANNELS`](super::CHANNELS).
    pub columns: usize,
    /// Input pixels from an output pixel to the next.
    pub stride: usize,
    /// The first plane's value under the top left weight at the first output pixel. Valid, at each tap, for the pixels
    /// under the whole row.
    pub input: *const f32,
    /// For each weight of an output channel, the distance of its input from there.
    pub taps: *const usize,
    /// Number of `taps`.
    pub inner: usize,
    /// As [`pack`](super::super::pack::panels) leaves them.
    pub weights: *const f32,
    /// `columns` values.
    pub bias: *const f32,
    /// `width` pixels of `columns` values.
    pub output: *mut f32,
    /// Values from an output pixel to the next.
    pub output_stride: usize,
    pub activation: Activation,
}

/// Runs a convolution in tiles of `ROWS` pixels x `VECTORS` registers of channels.
///
/// # Safety
/// The instruction set of `V` is enabled, and every pointer of `work` is valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn convolution<V: Lanes, const ROWS: usize, const VECTORS: usize>(work: &Convolution) {
    // a stride known to the compiler needs no register for each pixel's address
    match work.stride {
        // SAFETY: the caller's contract, passed on
        2 => unsafe { columns::<V, ROWS, VECTORS, 2>(work) },
        // SAFETY: as above
        1 => unsafe { columns::<V, ROWS, VECTORS, 1>(work) },
        stride => unreachable!("program.rs refuses dense convolutions of stride {stride}"),
    }
}

/// # Safety
/// As [`convolution`]; `STRIDE` is the stride of `work`.
#[inline(always)]
unsafe fn columns<V: Lanes, const ROWS: usize, const VECTORS: usize, const STRIDE: usize>(work: &Convolution) {
    let mut column = 0;
    while column < work.columns {
        // SAFETY: `columns` is a multiple of `CHANNELS` and so of the lanes: a panel of one register always fits, one
        // of `VECTORS` where this many columns are left
        unsafe {
            if work.columns - column >= VECTORS * V::COUNT {
                panel::<V, ROWS, VECTORS, STRIDE>(work, column);
                column += VECTORS * V::COUNT;
            } else {
                panel::<V, ROWS, 1, STRIDE>(work, column);
                column += V::COUNT;
            }
        }
    }
}

/// All pixels of a panel of columns.
///
/// # Safety
/// As [`columns`]; the row has `VECTORS` registers of columns from `column` on, which begin a panel of the weights.
#[inline(always)]
unsafe fn panel<V: Lanes, const ROWS: usize, const VECTORS: usize, const STRIDE: usize>(
    work: &Convolution,
    column: usize,
) {
    // SAFETY: each tile has no more pixels than are left of the row
    unsafe {
        let mut x = 0;
        while x + ROWS <= work.width {
            tile::<V, ROWS, VECTORS, STRIDE>(work, column, x);
            x += ROWS;
        }
        if ROWS > 4 && x + 4 <= work.width {
            tile::<V, 4, VECTORS, STRIDE>(work, column, x);
            x += 4;
        }
        while x < work.width {
            tile::<V, 1, VECTORS, STRIDE>(work, column, x);
            x += 1;
        }
    }
}

/// `ROWS` pixels from `x` on.
///
/// # Safety
/// As [`panel`]; the row has these pixels.
#[inline(always)]
unsafe fn tile<V: Lanes, const ROWS: usize, const VECTORS: usize, const STRIDE: usize>(
    work: &Convolution,
    column: usize,
    x: usize,
) {
    // SAFETY: bias and output have the columns and pixels of the tile, the panel has `inner` rows of the tile's
    // columns, and at each of the `inner` taps the input reaches to the row's last pixel
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for v in 0..VECTORS {
            let bias = V::load(work.bias.add(column + v * V::COUNT));
            for row in &mut sums {
                row[v] = bias;
            }
        }
        let input = work.input.add(x * STRIDE);
        let mut weights = work.weights.add(column * work.inner);
        for tap in 0..work.inner {
            let from = input.add(*work.taps.add(tap));
            let mut columns = [V::splat(0.0); VECTORS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = V::load(weights.add(v * V::COUNT));
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*from.add(row * STRIDE));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = sum.mul_add(value, column);
                }
            }
            weights = weights.add(VECTORS * V::COUNT);
        }
        for (row, sums) in sums.iter().enumerate() {
            let to = work.output.add((x + row) * work.output_stride + column);
            for (v, sum) in sums.iter().enumerate() {
                work.activation.apply(*sum).store(to.add(v * V::COUNT));
            }
        }
    }
}
