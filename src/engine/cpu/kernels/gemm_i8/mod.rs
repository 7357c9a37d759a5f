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
    /// As [`pack`](super::super::pack::quads) leaves them, from the first of these columns on.
    pub weights: *const i8,
    /// What 1 stands for in the sum of products: `columns` values.
    pub scales: *const f32,
    /// `columns` values.
    pub bias: *const f32,
    /// `rows` x `columns`.
    pub output: Output,
    /// What is added after the activation, of the output's shape.
    pub residual: Option<Pixels>,
    pub activation: Activation,
}

/// What becomes of a product.
#[derive(Clone, Copy)]
pub(in super::super) enum Output {
    F32(Pixels),
    /// Multiplied by the factor of its column, rounded and cut to 0..=127.
    U7(Pixels<u8>, *const f32),
}

/// Runs a product in tiles of `ROWS` x `VECTORS` registers.
///
/// # Safety
/// The instruction set of `D` must be enabled and every pointer of `gemm` valid for what its field says.
#[inline(always)]
pub(in super::super) unsafe fn gemm_i8<D: Dot, const ROWS: usize, const VECTORS: usize>(gemm: &GemmI8) {
    let count = D::Lanes::COUNT;
    let mut column = 0;
    while column < gemm.columns {
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
#[inline(always)]
unsafe fn panel<D: Dot, const ROWS: usize, const VECTORS: usize>(gemm: &GemmI8, weights: *const i8, column: usize) {
    let mut at = Position { input: gemm.input, output: gemm.output, residual: gemm.residual };
    let mut left = gemm.rows;
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

#[inline(always)]
unsafe fn tile<D: Dot, const ROWS: usize, const VECTORS: usize>(
    gemm: &GemmI8,
    at: &mut Position,
    weights: *const i8,
    column: usize,
) {
    let count = D::Lanes::COUNT;
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

/// The loop in which nearly all time is spent.
#[inline(always)]
unsafe fn accumulate<D: Dot, const ROWS: usize, const VECTORS: usize>(
    input: *const u8,
    stride: usize,
    mut weights: *const i8,
    inner: usize,
) -> [[D; VECTORS]; ROWS] {
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
