use super::super::kernels::{self, Activation, Gemm, Pixels};
use super::super::memory::Place;
use super::super::pack;
use super::{Run, Task};
use crate::engine::plan::GateFunction;

/// The factors of a squeeze-and-excitation, from the sums that a depthwise convolution has stored.
pub(in super::super) struct Gate {
    /// The index in the arena of the sums: `chunks` of them for each image.
    pub sums: usize,
    pub chunks: usize,
    /// Pixels that were summed.
    pub pixels: usize,
    /// Channels without padding.
    pub inner: usize,
    /// Channels with padding.
    pub channels: usize,
    /// Channels between the layers, without padding.
    pub hidden: usize,
    pub reduce: Vec<f32>,
    pub reduce_bias: Vec<f32>,
    pub expand: Vec<f32>,
    pub expand_bias: Vec<f32>,
    /// The last function.
    pub function: GateFunction,
    pub output: Place,
}

impl Task for Gate {
    fn chunks(&self, images: usize) -> usize {
        images
    }

    fn scratch(&self) -> usize {
        self.channels.saturating_add(pack::padded(self.hidden))
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, image: usize) {
        let kernels = run.kernels;
        // SAFETY: the arena has `chunks` sums of `channels` values for each image. The scratch memory has `channels`
        // values for the mean and as many as the first layer has columns behind them. Both layers are packed for the
        // sizes given; the output has `channels` values for each image, which only this chunk uses.
        unsafe {
            let sums = run.memory.add(self.sums + image * self.chunks * self.channels);
            let mean = scratch;
            (kernels.sum)(sums, self.chunks, self.channels, self.channels, mean);
            let means = std::slice::from_raw_parts_mut(mean, self.channels);
            means.iter_mut().for_each(|mean| *mean /= self.pixels as f32);

            let hidden = scratch.add(self.channels);
            let layer = Gemm {
                rows: 1,
                inner: self.inner,
                columns: pack::padded(self.hidden),
                input: mean,
                input_stride: 0,
                weights: self.reduce.as_ptr(),
                bias: self.reduce_bias.as_ptr(),
                output: Pixels::contiguous(hidden, 0),
                residual: None,
                activation: Activation::Relu,
            };
            (kernels.gemm)(&layer);
            let factors = run.pixel(&self.output, image, 0, 0);
            (kernels.gemm)(&Gemm {
                inner: self.hidden,
                columns: self.channels,
                input: hidden,
                weights: self.expand.as_ptr(),
                bias: self.expand_bias.as_ptr(),
                output: Pixels::contiguous(factors, 0),
                activation: Activation::None,
                ..layer
            });
            let factors = std::slice::from_raw_parts_mut(factors, self.channels);
            match self.function {
                GateFunction::Sigmoid => {
                    factors.iter_mut().for_each(|factor| *factor = 1.0 / (1.0 + (-*factor).exp()));
                }
                GateFunction::HardSigmoid => {
                    factors.iter_mut().for_each(|factor| *factor = (*factor / 6.0 + 0.5).clamp(0.0, 1.0));
                }
            }
        }
    }
}

/// Converts a map's values to bytes, in place or beside it: each is multiplied by the factor of its channel and, if there
/// is a gate, by the gate's factor, then `zero` is added and the sum is rounded.
pub(in super::super) struct Quantize {
    pub pixels: Place,
    pub gate: Option<Place>,
    pub factors: Vec<f32>,
    /// The number that stands for 0.
    pub zero: u8,
    /// The place of the bytes, which may be that of the pixels.
    pub bytes: Place,
}

impl Task for Quantize {
    fn chunks(&self, images: usize) -> usize {
        images * self.pixels.height
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let (image, y) = (chunk / self.pixels.height, chunk % self.pixels.height);
        // SAFETY: the map has a row of `width` pixels with `channels` values, and a row of as many pixels of bytes, which
        // only this chunk uses; factors and gate have as many values as the map has channels
        unsafe {
            (run.kernels.quantize)(&kernels::Quantize {
                pixels: run.pixel(&self.pixels, image, y, 0),
                count: self.pixels.width,
                stride: self.pixels.stride,
                channels: self.pixels.channels,
                factors: self.factors.as_ptr(),
                gate: self.gate.as_ref().map(|gate| run.pixel(gate, image, 0, 0).cast_const()),
                zero: self.zero.into(),
                bytes: run.pixel(&self.bytes, image, y, 0).cast(),
                bytes_stride: size_of::<f32>() * self.bytes.stride,
            });
        }
    }
}

/// Multiplies a map's channels by a gate's factors, in place.
pub(in super::super) struct Scale {
    pub pixels: Place,
    pub factors: Place,
}

impl Task for Scale {
    fn chunks(&self, images: usize) -> usize {
        images * self.pixels.height
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let (image, y) = (chunk / self.pixels.height, chunk % self.pixels.height);
        // SAFETY: as for `Quantize`
        unsafe {
            (run.kernels.scale)(
                run.pixel(&self.pixels, image, y, 0),
                self.pixels.width,
                self.pixels.stride,
                self.pixels.channels,
                run.pixel(&self.factors, image, 0, 0),
            );
        }
    }
}
