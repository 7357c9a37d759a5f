//! Matrix product of 8-bit values with packed weights.

#[cfg(test)]
mod tests;

use super::super::lanes::{Dot, Lanes};
use super::{Activation, Pixels};

/// `output = activation(input * weights * scales + bias) + residual`
#[derive(Clone, Copy)]
pub(in super::super) struct GemmI8 {
    /// Pixels.
    pub rows: usize,
    /// Input channels, a multiple of 4.
    pub inner: usize,
    /// Output channels, a multiple of [`CHANNELS`](super::CHANNELS).
    pub columns: usize,
    /// `rows` x `inner` values from 0 to 127.
    pub input: *const u8,
    /// Values from a pixel to the next.
    pub input_stride: usize,
    /// As packed by [`quads`](super::super::pack::quads), from the first of these columns on.
    pub weights: *const i8,
    /// The scale of each column's sum of products: `columns` values.
    pub scales: *const f32,
    /// `columns` values.
    pub bias: *const f32,
    /// `rows` x `columns`.
    pub output: Output,
    /// Values that are added after the activation, of the output's shape. Only read.
    pub residual: Option<Pixels>,
    pub activation: Activation,
}

/// The type and the addresses of an output.
#[derive(Clone, Copy)]
pub(in super::super) enum Output {
    F32(Pixels),
    /// Bytes: each value multiplied by the factor of its column, rounded and limited to 0..=127.
    U7(Pixels<u8>, *const f32),
}

/// Runs a product in tiles of `ROWS` x `VECTORS` registers.
///
/// # Safety
/// The instruction set of `D` is enabled, and every pointer of `gemm` is valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn gemm_i8<D: Dot, const ROWS: usize, const VECTORS: usize>(gemm: &GemmI8) {
    let count = D::Lanes::COUNT;
    let mut column = 0;
    while column < gemm.columns {
        // SAFETY: `columns` is a multiple of `CHANNELS` and so of the lanes: a panel of one register always fits, one
        // of `VECTORS` where this many columns are left. Packed panels follow each other, `inner` weights of their
        // columns each.
        unsafe {
            let weights = gemm.weights.add(column * gemm.inner);
            if gemm.columns - column >= VECTORS * count {
                panel::<D, ROWS, VECTORS>(gemm, weights, column);
                column += VECTORS * count;
            } else {
                panel::<D, ROWS, 1>(gemm, weights, column);
                column += count;
            }
        }
    }
}

/// All rows of one panel of weights.
///
/// # Safety
/// As [`gemm_i8`]; there are `VECTORS` registers of columns from `column` on, and `weights` is their panel.
#[inline(always)]
unsafe fn panel<D: Dot, const ROWS: usize, const VECTORS: usize>(gemm: &GemmI8, weights: *const i8, column: usize) {
    let mut at = Position { input: gemm.input, output: gemm.output, residual: gemm.residual };
    let mut left = gemm.rows;
    // SAFETY: each tile has no more rows than are left, and moves `at` on by as many
    unsafe {
        while left >= ROWS {
            tile::<D, ROWS, VECTORS>(gemm, &mut at, weights, column);
            left -= ROWS;
        }
        if ROWS > 4 && left >= 4 {
            tile::<D, 4, VECTORS>(gemm, &mut at, weights, column);
            left -= 4;
        }
        while left >= 1 {
            tile::<D, 1, VECTORS>(gemm, &mut at, weights, column);
            left -= 1;
        }
    }
}

/// The next row of a product.
struct Position {
    input: *const u8,
    output: Output,
    residual: Option<Pixels>,
}

/// `ROWS` rows of a panel.
///
/// # Safety
/// As [`panel`]; input, output and residual have `ROWS` rows from `at` on.
#[inline(always)]
unsafe fn tile<D: Dot, const ROWS: usize, const VECTORS: usize>(
    gemm: &GemmI8,
    at: &mut Position,
    weights: *const i8,
    column: usize,
) {
    let count = D::Lanes::COUNT;
    // SAFETY: bias, scales, factors, output and residual have the columns of the panel, and `advance` gives the address
    // of one row after the other
    unsafe {
        let sums = accumulate::<D, ROWS, VECTORS>(at.input, gemm.input_stride, weights, gemm.inner);
        at.input = at.input.wrapping_add(ROWS * gemm.input_stride);
        let mut values = [[D::Lanes::splat(0.0); VECTORS]; ROWS];
        for v in 0..VECTORS {
            let bias = D::Lanes::load(gemm.bias.add(column + v * count));
            let scale = D::Lanes::load(gemm.scales.add(column + v * count));
            for (values, sums) in values.iter_mut().zip(&sums) {
                values[v] = gemm.activation.apply(bias.mul_add(sums[v].to_lanes(), scale));
            }
        }
        if let Some(residual) = &mut at.residual {
            for row in &mut values {
                let from = residual.advance().add(column);
                for (v, value) in row.iter_mut().enumerate() {
                    *value = value.add(D::Lanes::load(from.add(v * count)));
                }
            }
        }
        match &mut at.output {
            Output::F32(pixels) => {
                for row in &values {
                    let to = pixels.advance().add(column);
                    for (v, value) in row.iter().enumerate() {
                        value.store(to.add(v * count));
                    }
                }
            }
            Output::U7(pixels, factors) => {
                let factors = factors.add(column);
                for row in &values {
                    let to = pixels.advance().add(column);
                    for (v, value) in row.iter().enumerate() {
                        value.mul(D::Lanes::load(factors.add(v * count))).store_u7(to.add(v * count));
                    }
                }
            }
        }
    }
}

/// The sums of products of a tile: the loop in which nearly all time is spent.
///
/// # Safety
/// The instruction set of `D` is enabled; `input` is valid for `ROWS` rows of `inner` bytes, `stride` apart, and
/// `weights` for `inner` times as many weights as `VECTORS` registers of lanes. `inner` is a multiple of 4.
#[inline(always)]
unsafe fn accumulate<D: Dot, const ROWS: usize, const VECTORS: usize>(
    input: *const u8,
    stride: usize,
    mut weights: *const i8,
    inner: usize,
) -> [[D; VECTORS]; ROWS] {
    // SAFETY: `k` and the three values after it are less than `inner`, the number of values of a row and of weights of
    // a column
    unsafe {
        let mut sums = [[D::zero(); VECTORS]; ROWS];
        let mut rows = [input; ROWS];
        for (row, start) in rows.iter_mut().enumerate() {
            *start = input.wrapping_add(row * stride);
        }
        let mut k = 0;
        while k < inner {
            let mut columns = [D::weights(weights); VECTORS];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = D::weights(weights.add(v * 4 * D::Lanes::COUNT));
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                let quad = D::quad(row.add(k));
                for (sum, weights) in sums.iter_mut().zip(columns) {
                    *sum = sum.add(quad, weights);
                }
            }
            weights = weights.add(VECTORS * 4 * D::Lanes::COUNT);
            k += 4;
        }
        sums
    }
}
