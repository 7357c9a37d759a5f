//! The product of 8-bit values on every instruction set against plain arithmetic.

use proptest::prelude::*;

use super::super::super::pack;
use super::super::*;

/// Every compilation this machine can run.
fn products() -> Vec<ProductI8> {
    let mut products = vec![scalar_bytes::PRODUCT];
    #[cfg(target_arch = "x86_64")]
    {
        let avx512 = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl");
        if avx512 && is_x86_feature_detected!("avx512vnni") {
            products.push(avx512_vnni::PRODUCT);
        }
        if avx512 {
            products.push(avx512_bytes::PRODUCT);
        }
        if is_x86_feature_detected!("avxvnni") {
            products.push(avx_vnni::PRODUCT);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            products.push(avx2_bytes::PRODUCT);
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            products.push(neon_dot_product::PRODUCT);
        }
        products.push(neon_bytes::PRODUCT);
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    products.push(simd128_bytes::PRODUCT);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
    products.push(simd128_halves::PRODUCT);
    products
}

/// A product's operands: `rows` x `inner` activations, `columns` x `inner` weights.
#[derive(Debug)]
struct Operands {
    rows: usize,
    inner: usize,
    columns: usize,
    input: Vec<u8>,
    weights: Vec<i8>,
}

fn operands() -> impl Strategy<Value = Operands> {
    (1usize..40, 1usize..70, 1usize..80, any::<bool>()).prop_flat_map(|(rows, inner, columns, extreme)| {
        // all at the ends of the range is where sums of two come nearest to 16 bits
        let activation = if extreme { prop_oneof![Just(127u8), Just(0)].boxed() } else { (0u8..=127).boxed() };
        let weight = if extreme { prop_oneof![Just(127i8), Just(-127)].boxed() } else { (-127i8..=127).boxed() };
        let input = prop::collection::vec(activation, rows * inner);
        let weights = prop::collection::vec(weight, columns * inner);
        (input, weights).prop_map(move |(input, weights)| Operands { rows, inner, columns, input, weights })
    })
}

impl Operands {
    fn sum(&self, row: usize, column: usize) -> i32 {
        let activations = &self.input[row * self.inner..][..self.inner];
        let weights = &self.weights[column * self.inner..][..self.inner];
        activations.iter().zip(weights).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    }

    /// Runs a product over packed operands; `output` gets pixels of `columns` padded values.
    fn run(&self, product: &ProductI8, scales: &[f32], bias: &[f32], residual: Option<Pixels>, output: Output) {
        let (inner, stride) = (pack::quads_inner(self.inner), pack::padded(self.inner));
        let mut input = vec![0u8; self.rows * stride];
        for (to, from) in input.chunks_exact_mut(stride).zip(self.input.chunks_exact(self.inner)) {
            to[..self.inner].copy_from_slice(from);
        }
        let weights = pack::quads(&self.weights, self.inner, product.panel);
        let work = GemmI8 {
            rows: self.rows,
            inner,
            columns: pack::padded(self.columns),
            input: input.as_ptr(),
            input_stride: stride,
            weights: weights.as_ptr(),
            scales: scales.as_ptr(),
            bias: bias.as_ptr(),
            output,
            residual,
            activation: Activation::None,
        };
        // SAFETY: the instruction set is available, the pointers those of slices of these sizes
        unsafe { (product.gemm)(&work) };
    }
}

proptest! {
    /// The sums are below 2^24, so `f32` holds them exactly: equal bits.
    #[test]
    fn sums_are_exact_on_every_instruction_set(operands in operands()) {
        let columns = pack::padded(operands.columns);
        for product in products() {
            let mut output = vec![f32::NAN; operands.rows * columns];
            let to = Output::F32(Pixels::contiguous(output.as_mut_ptr(), columns));
            operands.run(&product, &vec![1.0; columns], &vec![0.0; columns], None, to);
            for row in 0..operands.rows {
                for column in 0..columns {
                    let expected = if column < operands.columns { operands.sum(row, column) as f32 } else { 0.0 };
                    prop_assert_eq!(output[row * columns + column], expected, "{} at {}, {}", product.name, row, column);
                }
            }
        }
    }

    /// Scales, bias, residual and the way back to bytes, with image rows that end in margins.
    #[test]
    fn what_follows_the_sums_is_right(operands in operands(), width in 1usize..9, first in 0usize..9, factor in 1e-3f32..1e-2) {
        let columns = pack::padded(operands.columns);
        let first = first % width;
        let scales: Vec<f32> = (0..columns).map(|column| 1.0 + column as f32 / 64.0).collect();
        let bias: Vec<f32> = (0..columns).map(|column| 100.0 - column as f32).collect();
        let factors: Vec<f32> = (0..columns).map(|column| factor * (1 + column % 7) as f32).collect();
        let image_rows = (first + operands.rows).div_ceil(width);
        let row = (width + 2) * columns;
        let mut residual: Vec<f32> = (0..image_rows * row).map(|at| (at % 97) as f32).collect();
        let place = |index: usize| (first + index) / width * row + (first + index) % width * columns;
        let margin = 2 * columns;
        fn pixels<T>(start: *mut T, stride: usize, first: usize, width: usize, margin: usize) -> Pixels<T> {
            Pixels { start: start.wrapping_add(first * stride), stride, first: width - first, width, margin }
        }
        for product in products() {
            let mut floats = vec![f32::NAN; image_rows * row];
            let mut bytes = vec![255u8; image_rows * row];
            let added = Some(pixels(residual.as_mut_ptr(), columns, first, width, margin));
            let to = Output::F32(pixels(floats.as_mut_ptr(), columns, first, width, margin));
            operands.run(&product, &scales, &bias, added, to);
            let to = Output::U7(pixels(bytes.as_mut_ptr(), columns, first, width, margin), factors.as_ptr());
            operands.run(&product, &scales, &bias, added, to);
            for index in 0..operands.rows {
                for column in 0..operands.columns {
                    let at = place(index) + column;
                    let expected = f64::from(operands.sum(index, column)) * f64::from(scales[column])
                        + f64::from(bias[column]) + f64::from(residual[at]);
                    let tolerance = 1e-6 * expected.abs() + 0.1;
                    prop_assert!((f64::from(floats[at]) - expected).abs() < tolerance, "{}: {} for {expected}", product.name, floats[at]);
                    let byte = (f64::from(floats[at]) * f64::from(factors[column])).clamp(0.0, 127.0);
                    // half a step, and the error of f32 near it
                    prop_assert!((f64::from(bytes[at]) - byte).abs() < 0.501, "{}: {} for {byte}", product.name, bytes[at]);
                }
            }
            // margins, and pixels before the first, are left alone
            let written: std::collections::HashSet<usize> =
                (0..operands.rows).flat_map(|index| place(index)..place(index) + columns).collect();
            prop_assert!((0..bytes.len()).all(|at| written.contains(&at) || (bytes[at] == 255 && floats[at].is_nan())));
        }
    }

    /// Bytes from floats, in place, with and without factors of the channels.
    #[test]
    fn every_instruction_set_quantizes_alike(pixels in 1usize..5, blocks in 1usize..5, seed in any::<u32>(), factor in 0.5f32..3.0, gated in any::<bool>(), signed in any::<bool>()) {
        let channels = CHANNELS * blocks;
        let stride = channels + CHANNELS;
        let value = |at: usize| ((seed.wrapping_add(at as u32).wrapping_mul(0x9E37_79B9) >> 8) as f32 / 65536.0) - 20.0;
        let by: Vec<f32> = (0..channels).map(|channel| factor * (1 + channel % 5) as f32).collect();
        let gates: Vec<f32> = (0..channels).map(|channel| 1.0 / (1.0 + channel as f32)).collect();
        for kernels in Kernels::available() {
            let mut values: Vec<f32> = (0..pixels * stride).map(value).collect();
            let (factors, gate) = (by.as_ptr(), gated.then_some(gates.as_ptr()));
            let zero = if signed { 64.0 } else { 0.0 };
            let bytes = values.as_mut_ptr().cast::<u8>();
            let (pixels_at, bytes_stride) = (values.as_ptr(), 4 * stride);
            let work = Quantize { pixels: pixels_at, count: pixels, stride, channels, factors, gate, zero, bytes, bytes_stride };
            // SAFETY: the kernels are available, the pointers those of slices of these sizes
            unsafe { (kernels.quantize)(&work) };
            for pixel in 0..pixels {
                for channel in 0..channels {
                    let by = if gated { by[channel] * gates[channel] } else { by[channel] };
                    let expected = (value(pixel * stride + channel) * by + zero).clamp(0.0, 127.0).round_ties_even();
                    let byte = values[pixel * stride + channel / 4].to_le_bytes()[channel % 4];
                    prop_assert_eq!(f32::from(byte), expected, "{} at {}, {}", kernels.name, pixel, channel);
                }
            }
        }
    }
}
