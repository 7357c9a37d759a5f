//! Every kernel, on every instruction set of this machine, against plain loops over drawn shapes.

use std::ptr::null_mut;

use proptest::prelude::*;

use super::*;
use crate::engine::cpu::pack;

/// Values that differ from place to place, in [-1, 1).
pub(in super::super) fn values(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64)
        .map(|index| {
            let hash = (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ seed.wrapping_mul(0xD129_0D3F)).rotate_left(29);
            (hash.wrapping_mul(0x94D0_49BB_1331_11EB) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A map in memory with channels padded by zeros and everything between the pixels filled with `fill`.
struct Map {
    values: Vec<f32>,
    height: usize,
    width: usize,
    channels: usize,
    stride: usize,
    margin: usize,
}

impl Map {
    fn new(height: usize, width: usize, channels: usize, margin: usize, fill: f32) -> Self {
        let stride = pack::stride(channels);
        Map { values: vec![fill; height * (width + 2 * margin) * stride], height, width, channels, stride, margin }
    }

    fn random(height: usize, width: usize, channels: usize, margin: usize, seed: u64) -> Self {
        let mut map = Map::new(height, width, channels, margin, 0.0);
        let random = values(height * width * channels, seed);
        for (pixel, values) in random.chunks_exact(channels).enumerate() {
            let at = map.at(pixel / width, pixel % width);
            map.values[at..at + channels].copy_from_slice(values);
        }
        map
    }

    fn at(&self, y: usize, x: usize) -> usize {
        (y * (self.width + 2 * self.margin) + x + self.margin) * self.stride
    }

    fn row(&self) -> usize {
        (self.width + 2 * self.margin) * self.stride
    }

    /// A channel of a pixel, zero outside.
    fn get(&self, y: isize, x: isize, channel: usize) -> f64 {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        if inside { f64::from(self.values[self.at(y as usize, x as usize) + channel]) } else { 0.0 }
    }

    fn pixels(&mut self) -> Pixels {
        let start = self.at(0, 0);
        Pixels {
            start: self.values[start..].as_mut_ptr(),
            stride: self.stride,
            first: self.width,
            width: self.width,
            margin: 2 * self.margin * self.stride,
        }
    }

    /// Whether each channel is as `expected` says, the padding zero, and nothing between the pixels was touched.
    fn holds(&self, fill: f32, expected: impl Fn(usize, usize, usize) -> f64) -> std::result::Result<(), String> {
        self.holds_within(1e-5, fill, expected)
    }

    fn holds_within(
        &self,
        tolerance: f64,
        fill: f32,
        expected: impl Fn(usize, usize, usize) -> f64,
    ) -> std::result::Result<(), String> {
        let row = self.width + 2 * self.margin;
        for (index, &value) in self.values.iter().enumerate() {
            let (pixel, channel) = (index / self.stride, index % self.stride);
            let (y, x) = (pixel / row, (pixel % row).wrapping_sub(self.margin));
            let good = if x >= self.width || channel >= pack::padded(self.channels) {
                value.to_bits() == fill.to_bits()
            } else if channel >= self.channels {
                value == 0.0
            } else {
                let expected = expected(y, x, channel);
                (f64::from(value) - expected).abs() <= tolerance * (1.0 + expected.abs())
            };
            if !good {
                return Err(format!("row {y}, column {x}, channel {channel} is {value}"));
            }
        }
        Ok(())
    }
}

fn activate(activation: Activation, value: f64) -> f64 {
    match activation {
        Activation::None => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
        Activation::HardSwish => value * (value / 6.0 + 0.5).clamp(0.0, 1.0),
    }
}

/// The value between pixels, which no kernel may change.
const FILL: f32 = 12345.0;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn products(
        (height, width, margin) in (1usize..7, 1usize..20, 0usize..3),
        (inner, columns) in (1usize..70, 1usize..100),
        activation in 0usize..4,
        residual in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let input = Map::random(height, width, inner, 0, seed);
        let weights = values(columns * inner, seed ^ 1);
        let bias = values(columns, seed ^ 2);
        let mut added = Map::random(height, width, columns, 2, seed ^ 3);
        let activation = [Activation::None, Activation::Relu, Activation::Relu6, Activation::HardSwish][activation];
        for kernels in Kernels::available() {
            let packed = pack::panels(&weights, inner, kernels.panel);
            let padded_bias = pack::vector(&bias);
            let mut output = Map::new(height, width, columns, margin, FILL);
            let work = Gemm {
                rows: height * width,
                inner,
                columns: pack::padded(columns),
                input: input.values.as_ptr(),
                input_stride: input.stride,
                weights: packed.as_ptr(),
                bias: padded_bias.as_ptr(),
                output: output.pixels(),
                residual: residual.then(|| added.pixels()),
                activation,
            };
            // SAFETY: the kernels are available, the pointers those of maps of these sizes
            unsafe { (kernels.gemm)(&work) };
            let expected = |y: usize, x: usize, column: usize| {
                let (y, x) = (y as isize, x as isize);
                let products = (0..inner).map(|k| input.get(y, x, k) * f64::from(weights[column * inner + k]));
                let sum = activate(activation, products.sum::<f64>() + f64::from(bias[column]));
                sum + if residual { added.get(y, x, column) } else { 0.0 }
            };
            if let Err(error) = output.holds(FILL, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
        }
    }

    #[test]
    fn depthwise_convolutions(
        (height, width, channels) in (1usize..12, 1usize..24, 1usize..100),
        (side, stride, less) in (prop::sample::select(vec![3usize, 5]), 1usize..3, 0usize..2),
        (activation, margin) in (0usize..4, 0usize..3),
        seed in any::<u64>(),
    ) {
        let reach = side / 2;
        // fewer rows above than below, where the maps have room for it
        let less = if stride == 2 && height % 2 == 0 && width % 2 == 0 { less } else { 0 };
        let before = reach - less;
        let input = Map::random(height, width, channels, reach, seed);
        let weights = values(channels * side * side, seed ^ 1);
        let bias = values(channels, seed ^ 2);
        let (rows, columns) = ((height - 1) / stride + 1, (width - 1) / stride + 1);
        // the rows from `first` on, as a later chunk computes them
        let first = rows / 3;
        let padded = pack::padded(channels);
        let (taps, padded_bias) = (pack::taps(&weights, side * side), pack::vector(&bias));
        let activation = [Activation::None, Activation::Relu, Activation::Relu6, Activation::HardSwish][activation];
        for kernels in Kernels::available() {
            let mut output = Map::new(rows - first, columns, channels, margin, FILL);
            let mut sums = vec![FILL; padded];
            let (output_row, start) = (output.row(), output.at(0, 0));
            let kernel = if side == 3 { kernels.depthwise_3x3 } else { kernels.depthwise_5x5 };
            // in two halves of the channels, as the tasks do
            let half = (padded / 2).next_multiple_of(CHANNELS);
            for (channel, count) in [(0, half), (half, padded - half)] {
                let work = Depthwise {
                    height: rows - first,
                    width: columns,
                    channels: count,
                    side,
                    stride,
                    input: input.values[less * input.stride + channel..].as_ptr(),
                    input_height: height,
                    first: (first * stride) as isize - before as isize,
                    input_pixel: input.stride,
                    input_row: input.row(),
                    output: Target::F32(output.values[start + channel..].as_mut_ptr()),
                    output_pixel: output.stride,
                    output_row,
                    weights: taps[channel..].as_ptr(),
                    taps_stride: padded,
                    bias: padded_bias[channel..].as_ptr(),
                    activation,
                    sums: if seed % 3 == 0 { null_mut() } else { sums[channel..].as_mut_ptr() },
                };
                // SAFETY: the kernels are available, the pointers those of maps of these sizes
                unsafe { kernel(&work) };
            }
            let expected = |y: usize, x: usize, channel: usize| {
                let mut sum = f64::from(bias[channel]);
                for tap in 0..side * side {
                    let y = ((y + first) * stride + tap / side) as isize - before as isize;
                    let x = (x * stride + tap % side) as isize - before as isize;
                    sum += input.get(y, x, channel) * f64::from(weights[channel * side * side + tap]);
                }
                activate(activation, sum)
            };
            if let Err(error) = output.holds(FILL, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
            for (channel, &sum) in sums.iter().enumerate().take(channels) {
                let pixels = (0..rows - first).flat_map(|y| (0..columns).map(move |x| (y, x)));
                let expected: f64 = pixels.map(|(y, x)| expected(y, x, channel)).sum();
                let good = match seed % 3 {
                    0 => sum == FILL,
                    _ => (f64::from(sum) - expected).abs() < 1e-3,
                };
                prop_assert!(good, "{}: sum of channel {channel} is {sum}, not {expected}", kernels.name);
            }
        }
    }

    #[test]
    fn dense_convolutions(
        (planes, width, columns) in (1usize..5, 1usize..40, 1usize..70),
        (side, stride) in (prop::sample::select(vec![1usize, 3, 5]), 1usize..3),
        activation in 0usize..4,
        seed in any::<u64>(),
    ) {
        // one row of output: as many rows of input as the kernel has
        let row = (width - 1) * stride + side;
        let input = values(planes * side * row, seed);
        let inner = planes * side * side;
        let weights = values(columns * inner, seed ^ 1);
        let bias = values(columns, seed ^ 2);
        let tap = |index: usize| (index / side) * row + index % side;
        let taps: Vec<usize> = (0..inner).map(tap).collect();
        let activation = [Activation::None, Activation::Relu, Activation::Relu6, Activation::HardSwish][activation];
        for kernels in Kernels::available() {
            let packed = pack::panels(&weights, inner, kernels.panel);
            let padded_bias = pack::vector(&bias);
            let mut output = Map::new(1, width, columns, 1, FILL);
            let start = output.at(0, 0);
            let work = Convolution {
                width,
                columns: pack::padded(columns),
                stride,
                input: input.as_ptr(),
                taps: taps.as_ptr(),
                inner,
                weights: packed.as_ptr(),
                bias: padded_bias.as_ptr(),
                output: output.values[start..].as_mut_ptr(),
                output_stride: output.stride,
                activation,
            };
            // SAFETY: the kernels are available, the pointers those of slices of these sizes
            unsafe { (kernels.convolution)(&work) };
            let expected = |_: usize, x: usize, column: usize| {
                let products = (0..inner)
                    .map(|k| f64::from(input[tap(k) + x * stride]) * f64::from(weights[column * inner + k]));
                activate(activation, products.sum::<f64>() + f64::from(bias[column]))
            };
            if let Err(error) = output.holds(FILL, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
        }
    }

    #[test]
    fn scaling_and_summing(
        (width, channels) in (1usize..30, 1usize..100),
        seed in any::<u64>(),
    ) {
        let factors = pack::vector(&values(channels, seed ^ 1));
        for kernels in Kernels::available() {
            let plain = Map::random(1, width, channels, 0, seed);
            let mut map = Map::random(1, width, channels, 0, seed);
            let mut sums = vec![FILL; pack::padded(channels)];
            // SAFETY: the kernels are available, the pointers those of maps of these sizes
            unsafe {
                (kernels.scale)(map.values.as_mut_ptr(), width, map.stride, sums.len(), factors.as_ptr());
                (kernels.sum)(plain.values.as_ptr(), width, plain.stride, sums.len(), sums.as_mut_ptr());
            }
            let expected = |y: usize, x: usize, channel: usize| {
                plain.get(y as isize, x as isize, channel) * f64::from(factors[channel])
            };
            if let Err(error) = map.holds(0.0, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
            for (channel, &sum) in sums.iter().enumerate() {
                let values = (0..width).map(|x| if channel < channels { plain.get(0, x as isize, channel) } else { 0.0 });
                let expected: f64 = values.sum();
                prop_assert!((f64::from(sum) - expected).abs() < 1e-4, "{}: {sum}, not {expected}", kernels.name);
            }
        }
    }

    #[test]
    fn rows_are_normalized(
        (width, channels) in (1usize..20, 1usize..100),
        (affine, far) in (any::<bool>(), any::<bool>()),
        seed in any::<u64>(),
    ) {
        // far from zero the variance is a small difference of large numbers
        let offset = if far { 50.0 } else { 0.0 };
        let mut input = Map::random(1, width, channels, 0, seed);
        for pixel in 0..width {
            let at = input.at(0, pixel);
            input.values[at..at + channels].iter_mut().for_each(|value| *value += offset);
        }
        let (scale, shift) = (values(channels, seed ^ 1), values(channels, seed ^ 2));
        let vectors = [pack::vector(&scale), pack::vector(&shift)];
        let epsilon = 1e-5;
        for kernels in Kernels::available() {
            let mut output = Map::new(1, width, channels, 0, FILL);
            let work = Normalize {
                rows: width,
                channels,
                padded: vectors[0].len(),
                input: input.values.as_ptr(),
                input_stride: input.stride,
                output: output.values.as_mut_ptr(),
                output_stride: output.stride,
                epsilon,
                affine: affine.then_some([vectors[0].as_ptr(), vectors[1].as_ptr()]),
            };
            // SAFETY: the kernels are available, the pointers those of maps of these sizes
            unsafe { (kernels.normalize)(&work) };
            let expected = |y: usize, x: usize, channel: usize| {
                let value = |channel| input.get(y as isize, x as isize, channel);
                let mean = (0..channels).map(value).sum::<f64>() / channels as f64;
                let squares = (0..channels).map(|channel| (value(channel) - mean).powi(2)).sum::<f64>();
                let normal = (value(channel) - mean) / (squares / channels as f64 + f64::from(epsilon)).sqrt();
                if affine { normal * f64::from(scale[channel]) + f64::from(shift[channel]) } else { normal }
            };
            // The mean of numbers near 50 has an error of some 5e-5 where one lane adds them all up: the sum is then exact to 2e-4
            // only. The error grows in proportion as the numbers differ less.
            let deviation = |x: usize| {
                let values = (0..channels).map(|channel| input.get(0, x as isize, channel));
                let mean = values.clone().sum::<f64>() / channels as f64;
                (values.map(|value| (value - mean).powi(2)).sum::<f64>() / channels as f64 + f64::from(epsilon)).sqrt()
            };
            let least = (0..width).map(deviation).fold(f64::INFINITY, f64::min);
            let tolerance = if far { (6e-5 / least).max(1e-4) } else { 1e-5 };
            if let Err(error) = output.holds_within(tolerance, FILL, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
        }
    }

    #[test]
    fn rows_become_shares(
        (rows, columns) in (1usize..20, 1usize..100),
        exponent in -3i32..7,
        seed in any::<u64>(),
    ) {
        let padded = pack::padded(columns);
        let input: Vec<f32> = values(rows * padded, seed).iter().map(|value| value * 2f32.powi(exponent)).collect();
        for kernels in Kernels::available() {
            let mut output = input.clone();
            for row in output.chunks_exact_mut(padded) {
                row[columns..].fill(f32::NEG_INFINITY);
            }
            // SAFETY: the kernels are available, the pointer is valid for this many values
            unsafe { (kernels.softmax)(output.as_mut_ptr(), rows, padded, padded) };
            for (output, input) in output.chunks_exact(padded).zip(input.chunks_exact(padded)) {
                let input: Vec<f64> = input[..columns].iter().map(|&value| f64::from(value)).collect();
                let largest = input.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = input.iter().map(|value| (value - largest).exp()).sum();
                for (column, &share) in output.iter().enumerate() {
                    let expected = input.get(column).map_or(0.0, |value| (value - largest).exp() / sum);
                    let good = (f64::from(share) - expected).abs() <= 1e-6 * expected + 1e-30;
                    prop_assert!(good, "{}: column {column} is {share}, not {expected}", kernels.name);
                }
            }
        }
    }

    #[test]
    fn gelu_of_pixels((width, channels) in (1usize..10, 1usize..60), seed in any::<u64>()) {
        for kernels in Kernels::available() {
            let plain = Map::random(1, width, channels, 0, seed);
            let mut map = Map::random(1, width, channels, 0, seed);
            // SAFETY: the kernels are available, the pointer that of a map of these sizes
            unsafe { (kernels.gelu)(map.values.as_mut_ptr(), width, map.stride, pack::padded(channels)) };
            let expected = |y: usize, x: usize, channel: usize| gelu(plain.get(y as isize, x as isize, channel));
            if let Err(error) = map.holds(0.0, expected) {
                prop_assert!(false, "{}: {error}", kernels.name);
            }
        }
    }
}

/// The GELU in 64 bits: the series of the error function has no terms that cancel each other.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    let (mut term, mut sum) = (z, 0.0);
    for n in 0..400 {
        sum += term;
        term *= 2.0 * z * z / f64::from(2 * n + 3);
    }
    let erf = std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum;
    x / 2.0 * (1.0 + erf)
}

/// The error that `functions` state, over the whole range.
#[test]
fn functions_are_as_exact_as_they_say() {
    assert!((gelu(1.0) - 0.841_344_746_068_542_9).abs() < 1e-15);
    let points = || (-4000..=4000).map(|step| step as f32 * 0.002_503_7);
    for kernels in Kernels::available() {
        let mut values: Vec<f32> = points().chain([0.0, 40.0, -40.0, 1e9, -1e9, f32::MIN_POSITIVE]).collect();
        values.resize(pack::padded(values.len()), 0.0);
        let mut gelus = values.clone();
        // SAFETY: the kernels are available, the pointer is valid for this many values
        unsafe { (kernels.gelu)(gelus.as_mut_ptr(), 1, gelus.len(), gelus.len()) };
        for (&value, &result) in values.iter().zip(&gelus) {
            let x = f64::from(value);
            let expected = if x.abs() < 12.0 { gelu(x) } else { x.max(0.0) };
            let error = (f64::from(result) - expected).abs() / x.abs().max(1.0);
            assert!(error < 3e-7, "{}: the GELU of {value} is off by {error}", kernels.name);
        }
        // the exponentials of softmax, two in a row: of 0 and of a number below
        for x in points().map(|point| 8.7 * (point - 10.1).clamp(-10.0, 0.0)) {
            let mut row = [f32::NEG_INFINITY; CHANNELS];
            (row[0], row[1]) = (0.0, x);
            // SAFETY: the kernels are available, the pointer is valid for a row of this many values
            unsafe { (kernels.softmax)(row.as_mut_ptr(), 1, CHANNELS, CHANNELS) };
            let (power, expected) = (f64::from(row[1]) / f64::from(row[0]), f64::from(x).exp());
            assert!((power / expected - 1.0).abs() < 4e-7, "{}: exp({x}) is {power}", kernels.name);
        }
    }
}
