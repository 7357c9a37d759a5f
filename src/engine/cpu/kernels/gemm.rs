//! Matrix product with packed weights: 1x1 convolutions and fully connected layers.

use super::super::lanes::Lanes;
use super::Activation;

/// `output = activation(input * weights + bias) + residual`
#[derive(Clone, Copy)]
pub(in super::super) struct Gemm {
    /// Pixels.
    pub rows: usize,
    /// Input channels.
    pub inner: usize,
    /// Output channels, a multiple of [`CHANNELS`](super::CHANNELS).
    pub columns: usize,
    /// `rows` x `inner`.
    pub input: *const f32,
    /// Values from a pixel to the next.
    pub input_stride: usize,
    /// As packed by [`panels`](super::super::pack::panels), from the first of these columns on.
    pub weights: *const f32,
    /// `columns` values.
    pub bias: *const f32,
    /// `rows` x `columns`.
    pub output: Pixels,
    /// Values that are added after the activation, of the output's shape. Only read.
    pub residual: Option<Pixels>,
    pub activation: Activation,
}

/// The addresses of consecutive pixels. Image rows may be followed by a margin.
#[derive(Clone, Copy)]
pub(in super::super) struct Pixels<T = f32> {
    /// The first pixel.
    pub start: *mut T,
    /// Values from a pixel to the next.
    pub stride: usize,
    /// Pixels of an image row from the first pixel on; later rows have `width`.
    pub first: usize,
    /// Pixels of an image row.
    pub width: usize,
    /// Values between the end of an image row and the start of the next.
    pub margin: usize,
}

impl<T> Pixels<T> {
    /// Pixels one after the other, without margins.
    pub fn contiguous(start: *mut T, stride: usize) -> Self {
        Pixels { start, stride, first: usize::MAX, width: usize::MAX, margin: 0 }
    }

    /// The address of the first pixel. `self` then starts at the next one.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> *mut T {
        let here = self.start;
        self.start = self.start.wrapping_add(self.stride);
        self.first -= 1;
        if self.first == 0 {
            self.start = self.start.wrapping_add(self.margin);
            self.first = self.width;
        }
        here
    }
}

/// Runs a product in tiles of `ROWS` x `VECTORS` registers.
///
/// # Safety
/// The instruction set of `V` is enabled, and every pointer of `gemm` is valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn gemm<V: Lanes, const ROWS: usize, const VECTORS: usize>(gemm: &Gemm) {
    let mut column = 0;
    while column < gemm.columns {
        // SAFETY: `columns` is a multiple of `CHANNELS` and so of the lanes: a panel of one register always fits, one
        // of `VECTORS` where this many columns are left. Packed panels follow each other, `inner` rows of their columns
        // each.
        unsafe {
            let weights = gemm.weights.add(column * gemm.inner);
            if gemm.columns - column >= VECTORS * V::COUNT {
                panel::<V, ROWS, VECTORS>(gemm, weights, column);
                column += VECTORS * V::COUNT;
            } else {
                panel::<V, ROWS, 1>(gemm, weights, column);
                column += V::COUNT;
            }
        }
    }
}

/// All rows of one panel of weights.
///
/// # Safety
/// As [`gemm`]; there are `VECTORS` registers of columns from `column` on, and `weights` is their panel.
#[inline(always)]
unsafe fn panel<V: Lanes, const ROWS: usize, const VECTORS: usize>(gemm: &Gemm, weights: *const f32, column: usize) {
    let mut at = Position { input: gemm.input, output: gemm.output, residual: gemm.residual };
    let mut left = gemm.rows;
    // SAFETY: each tile has no more rows than are left, and moves `at` on by as many
    unsafe {
        while left >= ROWS {
            tile::<V, ROWS, VECTORS>(gemm, &mut at, weights, column);
            left -= ROWS;
        }
        if ROWS > 8 && left >= 8 {
            tile::<V, 8, VECTORS>(gemm, &mut at, weights, column);
            left -= 8;
        }
        if ROWS > 4 && left >= 4 {
            tile::<V, 4, VECTORS>(gemm, &mut at, weights, column);
            left -= 4;
        }
        if ROWS > 2 && left >= 2 {
            tile::<V, 2, VECTORS>(gemm, &mut at, weights, column);
            left -= 2;
        }
        if left >= 1 {
            tile::<V, 1, VECTORS>(gemm, &mut at, weights, column);
        }
    }
}

/// The next row of a product.
struct Position {
    input: *const f32,
    output: Pixels,
    residual: Option<Pixels>,
}

/// `ROWS` rows of a panel.
///
/// # Safety
/// As [`panel`]; input, output and residual have `ROWS` rows from `at` on.
#[inline(always)]
unsafe fn tile<V: Lanes, const ROWS: usize, const VECTORS: usize>(
    gemm: &Gemm,
    at: &mut Position,
    weights: *const f32,
    column: usize,
) {
    // SAFETY: bias, output and residual have the columns of the panel, and `advance` gives the address of one row after
    // the other
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for (v, bias) in (0..VECTORS).map(|v| (v, V::load(gemm.bias.add(column + v * V::COUNT)))) {
            for row in &mut sums {
                row[v] = bias;
            }
        }
        accumulate(&mut sums, at.input, gemm.input_stride, weights, gemm.inner);
        at.input = at.input.wrapping_add(ROWS * gemm.input_stride);
        for row in &mut sums {
            for value in row.iter_mut() {
                *value = gemm.activation.apply(*value);
            }
        }
        if let Some(residual) = &mut at.residual {
            for row in &mut sums {
                let from = residual.advance().add(column);
                for (v, value) in row.iter_mut().enumerate() {
                    *value = value.add(V::load(from.add(v * V::COUNT)));
                }
            }
        }
        for row in &sums {
            let to = at.output.advance().add(column);
            for (v, value) in row.iter().enumerate() {
                value.store(to.add(v * V::COUNT));
            }
        }
    }
}

/// `sums += input * weights`: the loop in which nearly all time is spent.
///
/// It is not unrolled. For WebAssembly the compiler would order several rounds by accumulator, and a browser's
/// registers would then spill; natively it makes no difference.
///
/// # Safety
/// The instruction set of `V` is enabled; `input` is valid for `ROWS` rows of `inner` values, `stride` apart, and
/// `weights` for `inner` times `VECTORS` registers.
#[inline(always)]
unsafe fn accumulate<V: Lanes, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    input: *const f32,
    stride: usize,
    mut weights: *const f32,
    inner: usize,
) {
    let mut local = *sums;
    let mut row_start = [input; ROWS];
    for (row, start) in row_start.iter_mut().enumerate() {
        *start = input.wrapping_add(row * stride);
    }
    for k in 0..inner {
        // SAFETY: `k` is less than `inner`, the number of values of a row of input and of rows of weights
        unsafe {
            let mut columns = [V::splat(0.0); VECTORS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = V::load(weights.add(v * V::COUNT));
            }
            for (row, sums) in local.iter_mut().enumerate() {
                let value = V::splat(*row_start[row].add(k));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = sum.mul_add(value, column);
                }
            }
            weights = weights.add(VECTORS * V::COUNT);
        }
    }
    *sums = local;
}
