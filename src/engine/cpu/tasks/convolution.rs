use super::super::kernels::{Activation, Convolution};
use super::super::memory::Place;
use super::{Run, Task};

/// Rows of an image that are one chunk.
const ROWS: usize = 4;

/// The first layer: a dense convolution of planes.
pub(in super::super) struct Convolve {
    /// Where the planes with their margins begin, and what an image of them takes.
    pub input: usize,
    pub input_image: usize,
    pub input_row: usize,
    pub stride: usize,
    /// For each weight, how far its input lies from that of the first.
    pub taps: Vec<usize>,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub output: Place,
    pub activation: Activation,
}

impl Task for Convolve {
    fn chunks(&self, images: usize) -> usize {
        images * self.output.height.div_ceil(ROWS)
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let chunks = self.output.height.div_ceil(ROWS);
        let (image, first) = (chunk / chunks, chunk % chunks * ROWS);
        unsafe {
            if first == 0 {
                run.clear_margins(&self.output, image);
            }
            for y in first..self.output.height.min(first + ROWS) {
                (run.kernels.convolution)(&Convolution {
                    width: self.output.width,
                    columns: self.output.channels,
                    stride: self.stride,
                    input: run.memory.add(self.input + image * self.input_image + y * self.stride * self.input_row),
                    taps: self.taps.as_ptr(),
                    inner: self.taps.len(),
                    weights: self.weights.as_ptr(),
                    bias: self.bias.as_ptr(),
                    output: run.pixel(&self.output, image, y, 0),
                    output_stride: self.output.stride,
                    activation: self.activation,
                });
            }
        }
    }
}
