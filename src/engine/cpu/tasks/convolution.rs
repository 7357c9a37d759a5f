use super::super::kernels::{Activation, Convolution};
use super::super::memory::Place;
use super::{Run, Task};

/// Rows of an image that are one chunk.
const ROWS: usize = 4;

/// The first layer: a dense convolution of planes.
pub(in super::super) struct Convolve {
    /// The index in the arena at which the planes with their margins begin.
    pub input: usize,
    /// Values of the planes of an image.
    pub input_image: usize,
    /// Values of a row of a plane.
    pub input_row: usize,
    pub stride: usize,
    /// For each weight of an output channel, the distance of its input from that of the first.
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
        // SAFETY: the planes have margins of half the kernel's side, so the taps of the last pixel of the last row lie
        // within them. Weights and bias are packed for the output's channels. This chunk alone writes its rows, and the
        // first of an image the margins, which no other chunk touches.
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
