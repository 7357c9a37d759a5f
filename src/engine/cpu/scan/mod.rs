//! Products of vectors with the rows of a matrix, of which a search in a gallery consists.
//!
//! The functions are safe: they compare the lengths of their slices.

mod kernels;
pub(crate) mod pages;
mod pieces;
#[cfg(test)]
mod tests;

use self::kernels::ScanKernels;
pub(crate) use self::pieces::in_pieces;
use super::kernels::{Activation, Gemm, Kernels, Pixels};
use super::pack;

/// The most queries whose products with a row are computed at once: their packed values stay in the second-level cache.
pub(crate) const TOGETHER: usize = 64;

/// The kernels of the scan for one instruction set of this machine.
#[derive(Clone, Copy)]
pub(crate) struct Scanner {
    scan: ScanKernels,
    product: Kernels,
}

/// Queries in the order in which the matrix product reads them.
pub(crate) struct PackedQueries {
    values: Vec<f32>,
    zeros: Vec<f32>,
    dimension: usize,
    count: usize,
}

impl PackedQueries {
    /// Values of each row of a product: the number of queries, padded.
    pub fn columns(&self) -> usize {
        self.zeros.len()
    }

    /// The number of queries.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Scanner {
    /// The fastest scanner that this machine can run.
    pub fn best() -> Self {
        Self::available().swap_remove(0)
    }

    /// Every scanner that this machine can run, fastest first.
    pub fn available() -> Vec<Self> {
        let products = Kernels::available();
        let of = |scan: ScanKernels| {
            let product = *products.iter().find(|product| product.name == scan.name)?;
            Some(Scanner { scan, product })
        };
        kernels::available().into_iter().filter_map(of).collect()
    }

    /// The instruction set.
    pub fn name(&self) -> &'static str {
        self.scan.name
    }

    /// The product of a query with each row, as many rows as `out` has places.
    pub fn dots_f32(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()));
        // SAFETY: the kernels are available, and there are as many rows of the query's length as `out` has places
        unsafe { (self.scan.dots_f32)(query.as_ptr(), rows.as_ptr(), query.len(), out.len(), out.as_mut_ptr()) }
    }

    /// As [`dots_f32`](Self::dots_f32), with rows of half floats.
    pub fn dots_f16(&self, query: &[f32], rows: &[u16], out: &mut [f32]) {
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()));
        // SAFETY: as in `dots_f32`
        unsafe { (self.scan.dots_f16)(query.as_ptr(), rows.as_ptr(), query.len(), out.len(), out.as_mut_ptr()) }
    }

    /// As [`dots_f32`](Self::dots_f32), with rows of 8-bit whole numbers.
    pub fn dots_i8(&self, query: &[f32], rows: &[i8], out: &mut [f32]) {
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()));
        // SAFETY: as in `dots_f32`
        unsafe { (self.scan.dots_i8)(query.as_ptr(), rows.as_ptr(), query.len(), out.len(), out.as_mut_ptr()) }
    }

    /// The number of bits in which each row differs from the query.
    pub fn differing_bits(&self, query: &[u64], rows: &[u64], out: &mut [u16]) {
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()));
        // SAFETY: the kernels are available
        unsafe { (self.scan.differing_bits)(query, rows, out) }
    }

    /// Converts half floats to floats.
    pub fn widen_f16(&self, from: &[u16], to: &mut [f32]) {
        assert_eq!(from.len(), to.len());
        // SAFETY: the kernels are available, and both slices have this length
        unsafe { (self.scan.widen_f16)(from.as_ptr(), to.as_mut_ptr(), from.len()) }
    }

    /// Converts 8-bit whole numbers to floats.
    pub fn widen_i8(&self, from: &[i8], to: &mut [f32]) {
        assert_eq!(from.len(), to.len());
        // SAFETY: the kernels are available, and both slices have this length
        unsafe { (self.scan.widen_i8)(from.as_ptr(), to.as_mut_ptr(), from.len()) }
    }

    /// Packs queries for [`products`](Self::products): at most [`TOGETHER`], one after the other in `queries`.
    pub fn pack(&self, queries: &[f32], dimension: usize) -> PackedQueries {
        let values = pack::panels(queries, dimension, self.product.panel);
        let count = queries.len() / dimension;
        PackedQueries { values, zeros: vec![0.0; pack::padded(count)], dimension, count }
    }

    /// The product of each row with each query: `out` has [`columns`](PackedQueries::columns) values for each row,
    /// those beyond the queries are zero.
    pub fn products(&self, queries: &PackedQueries, rows: &[f32], out: &mut [f32]) {
        let count = rows.len() / queries.dimension;
        assert_eq!(count * queries.dimension, rows.len());
        assert_eq!(count.checked_mul(queries.columns()), Some(out.len()));
        if count == 0 {
            return;
        }
        let work = Gemm {
            rows: count,
            inner: queries.dimension,
            columns: queries.columns(),
            input: rows.as_ptr(),
            input_stride: queries.dimension,
            weights: queries.values.as_ptr(),
            bias: queries.zeros.as_ptr(),
            output: Pixels::contiguous(out.as_mut_ptr(), queries.columns()),
            residual: None,
            activation: Activation::None,
        };
        // SAFETY: the kernels are available; the slices have the lengths asserted above, and `pack` has made as many
        // values and zeros as there are columns
        unsafe { (self.product.gemm)(&work) }
    }
}
