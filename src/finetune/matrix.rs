//! Products of small row-major matrices.

/// Independent sums of a product, so that they fill vector registers.
const LANES: usize = 16;

/// The dot product of two vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The length of a vector.
pub(super) fn length(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

/// The dot products of each row of `a` with each row of `b`, both of `width` values: `[rows of a, rows of b]`.
pub(super) fn rows_by_rows(a: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let columns = b.len() / width;
    let mut product = vec![0.0; a.len() / width * columns];
    // the rows of `b` are the outer loop: it may be large, and is read only once
    for (column, b) in b.chunks_exact(width).enumerate() {
        for (row, a) in a.chunks_exact(width).enumerate() {
            product[row * columns + column] = dot(a, b);
        }
    }
    product
}

/// The matrix product of `factors` and `b`, with `width` columns: `[rows of factors, width]`.
pub(super) fn sums_of_rows(factors: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let inner = b.len() / width;
    let mut sums = vec![0.0; factors.len() / inner * width];
    for (sum, factors) in sums.chunks_exact_mut(width).zip(factors.chunks_exact(inner)) {
        for (b, &factor) in b.chunks_exact(width).zip(factors) {
            add_scaled(sum, b, factor);
        }
    }
    sums
}

/// The matrix product of the transposed `factors`, with `columns` columns, and `b`: `[columns, width]`.
pub(super) fn sums_by_column(factors: &[f32], columns: usize, b: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns * width];
    for (column, sum) in sums.chunks_exact_mut(width).enumerate() {
        for (row, b) in b.chunks_exact(width).enumerate() {
            add_scaled(sum, b, factors[row * columns + column]);
        }
    }
    sums
}

fn add_scaled(sum: &mut [f32], values: &[f32], factor: f32) {
    if factor != 0.0 {
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let (rows, columns, width) = (3, 5, 37);
        let value = |at: usize| (at as f32 * 0.731).sin();
        let a: Vec<f32> = (0..rows * width).map(value).collect();
        let b: Vec<f32> = (0..columns * width).map(|at| value(at + 1000)).collect();
        let products = rows_by_rows(&a, &b, width);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        for row in 0..rows {
            for column in 0..columns {
                let expected: f32 = (0..width).map(|at| a[row * width + at] * b[column * width + at]).sum();
                assert!(near(products[row * columns + column], expected));
            }
        }
        let sums = sums_of_rows(&products, &b, width);
        let transposed = sums_by_column(&products, columns, &a, width);
        for at in 0..width {
            let expected: f32 = (0..columns).map(|column| products[columns + column] * b[column * width + at]).sum();
            assert!(near(sums[width + at], expected));
            let expected: f32 = (0..rows).map(|row| products[row * columns + 2] * a[row * width + at]).sum();
            assert!(near(transposed[2 * width + at], expected));
        }
    }
}
