//! Depthwise convolutions: each channel has a kernel of its own.
//!
//! A plane is copied with its padding, and split by the stride: one copy for each remainder of row and column. A tap of the
//! kernel is then a fixed distance in memory, and the convolution of the whole plane a sum of shifted rows. Vector
//! instructions compute it well even for small planes. Results that fall into the padding are dropped.

use rayon::prelude::*;

use super::{LANES, Maps, total};

/// Values of a row that are computed at once.
const STEP: usize = 2 * LANES;
/// Number of partial sums over the images. It is not the number of threads, since sums would then depend on it.
const PARTS: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    pub input: Maps,
    pub output: Maps,
    kernel: usize,
    stride: usize,
    /// Length of a row of one copy of a plane, with padding.
    row: usize,
    /// Values of the output in rows of that length, rounded up to a multiple of [`STEP`].
    length: usize,
    /// Distance from one copy of a plane to the next, in values.
    plane: usize,
}

/// Buffers for one channel of one image.
struct Scratch {
    /// The copies of the input plane, one for each pair of remainders.
    planes: Vec<f32>,
    /// The output, or its gradient, in rows of the same length.
    output: Vec<f32>,
}

vectorized! {
    fn forward_plane(layer: &Depthwise, x: &[f32], weight: &[f32], scratch: &mut Scratch) {
        layer.lay_out(x, &mut scratch.planes);
        layer.correlate(&scratch.planes, weight, &mut scratch.output[..layer.length]);
    }

    fn add_weight_gradient_of_plane(
        layer: &Depthwise,
        x: &[f32],
        gradient: &[f32],
        scratch: &mut Scratch,
        sums: &mut [f32],
    ) {
        layer.lay_out(x, &mut scratch.planes);
        layer.lay_out_gradient(gradient, &mut scratch.output);
        layer.add_products(&scratch.planes, &scratch.output[layer.front()..][..layer.length], sums);
    }

    fn add_input_gradient_of_plane(
        layer: &Depthwise,
        gradient: &[f32],
        weight: &[f32],
        scratch: &mut Scratch,
        to_input: &mut [f32],
    ) {
        layer.lay_out_gradient(gradient, &mut scratch.output);
        layer.spread(&scratch.output, weight, &mut scratch.planes);
        layer.collect(&scratch.planes, to_input);
    }
}

impl Depthwise {
    /// A convolution between these shapes; `None` where there is no code for this kernel or stride.
    pub fn new(input: Maps, output: Maps, kernel: usize, stride: usize) -> Option<Self> {
        if !matches!((kernel, stride), (1 | 3 | 5, 1 | 2)) {
            return None;
        }
        let border = 2 * (kernel / 2);
        let row = (input.width + border).div_ceil(stride);
        let rows = (input.height + border).div_ceil(stride);
        let length = ((output.height - 1) * row + output.width).next_multiple_of(STEP);
        let reach = (kernel - 1) / stride * (row + 1);
        Some(Depthwise { input, output, kernel, stride, row, length, plane: (rows * row).max(length + reach) })
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            planes: vec![0.0; self.stride * self.stride * self.plane],
            output: vec![0.0; self.front() + self.length + self.front()],
        }
    }

    /// Number of zeros before and after a gradient, for taps that reach beyond it.
    fn front(&self) -> usize {
        ((self.kernel - 1) / self.stride * (self.row + 1)).next_multiple_of(STEP)
    }

    pub fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        let mut y = vec![0.0; self.output.len()];
        y.par_chunks_mut(self.output.image()).zip(x.par_chunks(self.input.image())).for_each(|(y, x)| {
            let mut scratch = self.scratch();
            let channels = y.chunks_exact_mut(self.output.plane()).zip(x.chunks_exact(self.input.plane()));
            for ((y, x), weight) in channels.zip(weight.chunks_exact(taps)) {
                forward_plane(self, x, weight, &mut scratch);
                for (y, row) in y.chunks_exact_mut(self.output.width).zip(scratch.output.chunks(self.row)) {
                    y.copy_from_slice(&row[..self.output.width]);
                }
            }
        });
        y
    }

    pub fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        let share = self.output.images.div_ceil(PARTS);
        let parts: Vec<Vec<f32>> = gradient
            .par_chunks(share * self.output.image())
            .zip(x.par_chunks(share * self.input.image()))
            .map(|(gradient, x)| {
                let mut sums = vec![0.0; self.output.channels * taps];
                let mut scratch = self.scratch();
                let planes = gradient.chunks_exact(self.output.plane()).zip(x.chunks_exact(self.input.plane()));
                for (index, (gradient, x)) in planes.enumerate() {
                    let sums = &mut sums[index % self.output.channels * taps..][..taps];
                    add_weight_gradient_of_plane(self, x, gradient, &mut scratch, sums);
                }
                sums
            })
            .collect();
        let mut sum = vec![0.0; self.output.channels * taps];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    pub fn add_input_gradient(&self, gradient: &[f32], weight: &[f32], to_input: &mut [f32]) {
        let taps = self.kernel * self.kernel;
        to_input.par_chunks_mut(self.input.image()).zip(gradient.par_chunks(self.output.image())).for_each(
            |(to_input, gradient)| {
                let mut scratch = self.scratch();
                let channels =
                    to_input.chunks_exact_mut(self.input.plane()).zip(gradient.chunks_exact(self.output.plane()));
                for ((to_input, gradient), weight) in channels.zip(weight.chunks_exact(taps)) {
                    add_input_gradient_of_plane(self, gradient, weight, &mut scratch, to_input);
                }
            },
        );
    }

    /// Start of a row of the input in the copies.
    #[inline(always)]
    fn start(&self, y: usize) -> usize {
        let padded = y + self.kernel / 2;
        padded % self.stride * self.stride * self.plane + padded / self.stride * self.row
    }

    #[inline(always)]
    fn lay_out(&self, x: &[f32], planes: &mut [f32]) {
        let (width, pad) = (self.input.width, self.kernel / 2);
        for (y, x) in x.chunks_exact(width).enumerate() {
            let start = self.start(y);
            if self.stride == 1 {
                planes[start + pad..start + pad + width].copy_from_slice(x);
                continue;
            }
            for first in 0..2 {
                // the columns that go to the copy of even places, or of odd ones
                let place = first + pad;
                let to = &mut planes[start + place % 2 * self.plane + place / 2..];
                let count = (width - first).div_ceil(2);
                for (i, to) in to[..count].iter_mut().enumerate() {
                    *to = x[first + 2 * i];
                }
            }
        }
    }

    /// The reverse of [`lay_out`](Self::lay_out): adds each value to its place in the input.
    #[inline(always)]
    fn collect(&self, planes: &[f32], to_input: &mut [f32]) {
        let (width, pad) = (self.input.width, self.kernel / 2);
        for (y, to) in to_input.chunks_exact_mut(width).enumerate() {
            let start = self.start(y);
            if self.stride == 1 {
                for (to, from) in to.iter_mut().zip(&planes[start + pad..start + pad + width]) {
                    *to += from;
                }
                continue;
            }
            for first in 0..2 {
                let place = first + pad;
                let count = (width - first).div_ceil(2);
                let from = &planes[start + place % 2 * self.plane + place / 2..][..count];
                for (i, from) in from.iter().enumerate() {
                    to[first + 2 * i] += from;
                }
            }
        }
    }

    /// Copies a gradient into rows of the same length. The buffer was zeroed, so the gaps between rows hold 0.
    #[inline(always)]
    fn lay_out_gradient(&self, gradient: &[f32], output: &mut [f32]) {
        let to = output[self.front()..].chunks_mut(self.row);
        for (from, to) in gradient.chunks_exact(self.output.width).zip(to) {
            to[..from.len()].copy_from_slice(from);
        }
    }

    /// The copy that a tap reads, and its distance from the start of that copy.
    #[inline(always)]
    fn tap(&self, dy: usize, dx: usize) -> (usize, usize) {
        let stride = self.stride;
        (dy % stride * stride + dx % stride, dy / stride * self.row + dx / stride)
    }

    #[inline(always)]
    fn correlate(&self, planes: &[f32], weight: &[f32], output: &mut [f32]) {
        match self.kernel {
            1 => self.correlate_by::<1>(planes, weight, output),
            3 => self.correlate_by::<3>(planes, weight, output),
            _ => self.correlate_by::<5>(planes, weight, output),
        }
    }

    #[inline(always)]
    fn correlate_by<const K: usize>(&self, planes: &[f32], weight: &[f32], output: &mut [f32]) {
        for (step, output) in output.chunks_exact_mut(STEP).enumerate() {
            let mut sums = [0.0f32; STEP];
            for dy in 0..K {
                for dx in 0..K {
                    let (plane, on) = self.tap(dy, dx);
                    let from = &planes[plane * self.plane + on + step * STEP..][..STEP];
                    let weight = weight[dy * K + dx];
                    for (sum, from) in sums.iter_mut().zip(from) {
                        *sum = from.mul_add(weight, *sum);
                    }
                }
            }
            output.copy_from_slice(&sums);
        }
    }

    /// The gradient of the copies: each value is used by several outputs, one for each tap.
    #[inline(always)]
    fn spread(&self, gradient: &[f32], weight: &[f32], planes: &mut [f32]) {
        match self.kernel {
            1 => self.spread_by::<1>(gradient, weight, planes),
            3 => self.spread_by::<3>(gradient, weight, planes),
            _ => self.spread_by::<5>(gradient, weight, planes),
        }
    }

    #[inline(always)]
    fn spread_by<const K: usize>(&self, gradient: &[f32], weight: &[f32], planes: &mut [f32]) {
        let (stride, front) = (self.stride, self.front());
        // no tap reads beyond this
        let used = self.length + (K - 1) / stride * (self.row + 1);
        for (index, plane) in planes.chunks_exact_mut(self.plane).enumerate() {
            let (odd_row, odd_column) = (index / stride, index % stride);
            let mut place = 0;
            while place < used {
                let size = STEP.min(used - place);
                let mut sums = [0.0f32; STEP];
                for dy in (odd_row..K).step_by(stride) {
                    for dx in (odd_column..K).step_by(stride) {
                        let (_, on) = self.tap(dy, dx);
                        let start = front + place - on;
                        let weight = weight[dy * K + dx];
                        if let Some(from) = gradient.get(start..start + STEP) {
                            for (sum, from) in sums.iter_mut().zip(from) {
                                *sum = from.mul_add(weight, *sum);
                            }
                        }
                    }
                }
                plane[place..place + size].copy_from_slice(&sums[..size]);
                place += STEP;
            }
        }
    }

    #[inline(always)]
    fn add_products(&self, planes: &[f32], gradient: &[f32], sums: &mut [f32]) {
        match self.kernel {
            1 => self.add_products_by::<1>(planes, gradient, sums),
            3 => self.add_products_by::<3>(planes, gradient, sums),
            _ => self.add_products_by::<5>(planes, gradient, sums),
        }
    }

    #[inline(always)]
    fn add_products_by<const K: usize>(&self, planes: &[f32], gradient: &[f32], sums: &mut [f32]) {
        for dy in 0..K {
            let mut lanes = [[0.0f32; LANES]; K];
            let mut from: [&[f32]; K] = [planes; K];
            for (dx, from) in from.iter_mut().enumerate() {
                let (plane, on) = self.tap(dy, dx);
                *from = &planes[plane * self.plane + on..][..gradient.len()];
            }
            for (step, gradient) in gradient.as_chunks::<LANES>().0.iter().enumerate() {
                for dx in 0..K {
                    let from = &from[dx][step * LANES..][..LANES];
                    for lane in 0..LANES {
                        lanes[dx][lane] = gradient[lane].mul_add(from[lane], lanes[dx][lane]);
                    }
                }
            }
            for (sum, lanes) in sums[dy * K..][..K].iter_mut().zip(lanes) {
                *sum += total(lanes);
            }
        }
    }
}
