//! Dense convolutions, as matrix products.

use gemm::Parallelism;
use rayon::prelude::*;

use super::Maps;

/// A product with fewer columns is slow: several images are then laid side by side in one product.
const COLUMNS: usize = 192;
/// Number of partial sums over the images. It is not the number of threads, since sums would then depend on it.
const PARTS: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub input: Maps,
    pub output: Maps,
    pub kernel: usize,
    pub stride: usize,
}

impl Dense {
    /// Number of input values that one value of the output depends on.
    fn depth(&self) -> usize {
        self.input.channels * self.kernel * self.kernel
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    /// Number of images that are laid side by side.
    fn side_by_side(&self) -> usize {
        COLUMNS.div_ceil(self.output.plane()).min(self.output.images)
    }

    pub fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let (out, depth, plane) = (self.output.channels, self.depth(), self.output.plane());
        let mut y = vec![0.0; self.output.len()];
        let together = self.side_by_side();
        let weight = Matrix::rows(weight, out, depth);
        y.par_chunks_mut(together * self.output.image()).enumerate().for_each(|(group, y)| {
            let images = y.len() / self.output.image();
            let columns = images * plane;
            let x = &x[group * together * self.input.image()..][..images * self.input.image()];
            if self.is_pointwise() && images == 1 {
                return multiply(weight, Matrix::rows(x, depth, columns), y, false);
            }
            let patches = self.patches(x, images);
            let mut wide = vec![0.0; out * columns];
            multiply(weight, Matrix::rows(&patches, depth, columns), &mut wide, false);
            apart(&wide, out, plane, y);
        });
        y
    }

    pub fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let (out, depth, plane) = (self.output.channels, self.depth(), self.output.plane());
        let together = self.side_by_side();
        let share = self.output.images.div_ceil(PARTS);
        let parts: Vec<Vec<f32>> = gradient
            .par_chunks(share * self.output.image())
            .zip(x.par_chunks(share * self.input.image()))
            .map(|(gradient, x)| {
                let mut sum = vec![0.0; out * depth];
                let gradients = gradient.chunks(together * self.output.image());
                for (gradient, x) in gradients.zip(x.chunks(together * self.input.image())) {
                    let images = gradient.len() / self.output.image();
                    let columns = images * plane;
                    let (wide, patches);
                    let (gradient, x) = if images == 1 && self.is_pointwise() {
                        (gradient, x)
                    } else {
                        wide = beside(gradient, out, plane);
                        patches = self.patches(x, images);
                        (wide.as_slice(), patches.as_slice())
                    };
                    let x = Matrix::rows(x, depth, columns).transposed();
                    multiply(Matrix::rows(gradient, out, columns), x, &mut sum, true);
                }
                sum
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_else(|| vec![0.0; out * depth]);
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    pub fn add_input_gradient(&self, gradient: &[f32], weight: &[f32], to_input: &mut [f32]) {
        let (out, depth, plane) = (self.output.channels, self.depth(), self.output.plane());
        let together = self.side_by_side();
        let weight = Matrix::rows(weight, out, depth).transposed();
        to_input.par_chunks_mut(together * self.input.image()).enumerate().for_each(|(group, to_input)| {
            let images = to_input.len() / self.input.image();
            let columns = images * plane;
            let gradient = &gradient[group * together * self.output.image()..][..images * self.output.image()];
            if self.is_pointwise() && images == 1 {
                return multiply(weight, Matrix::rows(gradient, out, columns), to_input, true);
            }
            let wide = beside(gradient, out, plane);
            let mut patches = vec![0.0; depth * columns];
            multiply(weight, Matrix::rows(&wide, out, columns), &mut patches, false);
            self.add_patches(&patches, images, to_input);
        });
    }

    /// The input values of each output value (im2col): `[depth, images * plane]`.
    fn patches(&self, x: &[f32], images: usize) -> Vec<f32> {
        let plane = self.output.plane();
        if self.is_pointwise() {
            return beside(x, self.input.channels, plane);
        }
        let mut patches = vec![0.0; self.depth() * images * plane];
        self.each_run(images, |patch, from, length| {
            let from = &x[from..];
            for (i, value) in patches[patch..patch + length].iter_mut().enumerate() {
                *value = from[i * self.stride];
            }
        });
        patches
    }

    /// The reverse of [`patches`](Self::patches): adds each value to the place of the input that it came from.
    fn add_patches(&self, patches: &[f32], images: usize, to_input: &mut [f32]) {
        let (plane, image) = (self.output.plane(), self.input.image());
        if self.is_pointwise() {
            for (channel, row) in patches.chunks_exact(images * plane).enumerate() {
                for (number, from) in row.chunks_exact(plane).enumerate() {
                    let to = &mut to_input[number * image + channel * plane..][..plane];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                }
            }
            return;
        }
        self.each_run(images, |patch, to, length| {
            let to = &mut to_input[to..];
            for (i, value) in patches[patch..patch + length].iter().enumerate() {
                to[i * self.stride] += value;
            }
        });
    }

    /// Calls `run` with each piece of a row of patches whose values lie in one row of the input, `stride` apart.
    ///
    /// Its arguments: the start in the patches, the start in the input, and the number of values.
    fn each_run(&self, images: usize, mut run: impl FnMut(usize, usize, usize)) {
        let Dense { input, output, kernel, stride, .. } = self;
        let pad = kernel / 2;
        for row in 0..self.depth() {
            let (channel, dy, dx) = (row / (kernel * kernel), row / kernel % kernel, row % kernel);
            // the first and last column of the output that read inside of the image
            let first = pad.saturating_sub(dx).div_ceil(*stride);
            let Some(last) = (input.width + pad - 1).checked_sub(dx).map(|last| (last / stride).min(output.width - 1))
            else {
                continue;
            };
            if first > last {
                continue;
            }
            for image in 0..images {
                for y in 0..output.height {
                    let Some(from) = (y * stride + dy).checked_sub(pad).filter(|&from| from < input.height) else {
                        continue;
                    };
                    let patch = (row * images + image) * output.plane() + y * output.width + first;
                    let start = image * input.image() + channel * input.plane() + from * input.width;
                    run(patch, start + first * stride + dx - pad, last - first + 1);
                }
            }
        }
    }
}

/// `[images, channels, plane]` to `[channels, images, plane]`.
fn beside(values: &[f32], channels: usize, plane: usize) -> Vec<f32> {
    let images = values.len() / (channels * plane);
    let mut wide = vec![0.0; values.len()];
    for (image, values) in values.chunks_exact(channels * plane).enumerate() {
        for (channel, values) in values.chunks_exact(plane).enumerate() {
            wide[(channel * images + image) * plane..][..plane].copy_from_slice(values);
        }
    }
    wide
}

/// `[channels, images, plane]` to `[images, channels, plane]`.
fn apart(wide: &[f32], channels: usize, plane: usize, values: &mut [f32]) {
    let images = values.len() / (channels * plane);
    for (image, values) in values.chunks_exact_mut(channels * plane).enumerate() {
        for (channel, values) in values.chunks_exact_mut(plane).enumerate() {
            values.copy_from_slice(&wide[(channel * images + image) * plane..][..plane]);
        }
    }
}

/// A matrix in memory, stored row by row or column by column.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    fn rows(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "values of a {rows}x{columns} matrix");
        Matrix { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    fn transposed(self) -> Self {
        Matrix {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Writes `left * right` to `to`, row by row, or adds it to the values there if `add`.
#[expect(unsafe_code, reason = "the library takes pointers and strides")]
fn multiply(left: Matrix, right: Matrix, to: &mut [f32], add: bool) {
    assert_eq!(left.columns, right.rows);
    assert_eq!(to.len(), left.rows * right.columns);
    // SAFETY: `Matrix::rows` has asserted that each matrix borrows a slice of rows times columns values, and its strides are
    // those of its rows or columns. `to` is as long as the product and borrowed mutably. Inner sizes are equal.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            to.as_mut_ptr(),
            1,
            right.columns as isize,
            add,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
