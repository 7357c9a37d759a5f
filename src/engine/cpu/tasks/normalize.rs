use super::super::kernels;
use super::super::memory::Place;
use super::{Run, Task};

/// Pixels that are one chunk.
const PIXELS: usize = 16;

/// LayerNorm of each pixel.
pub(in super::super) struct Normalize {
    pub input: Place,
    /// Of the input's shape, without margin.
    pub output: Place,
    /// Channels without padding.
    pub channels: usize,
    pub epsilon: f32,
    /// Scale and shift, their channels padded.
    pub affine: Option<[Vec<f32>; 2]>,
}

impl Task for Normalize {
    fn chunks(&self, images: usize) -> usize {
        images * self.input.height * self.input.width.div_ceil(PIXELS)
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let Place { height, width, channels, .. } = self.input;
        let blocks = width.div_ceil(PIXELS);
        let (image, y, x) = (chunk / blocks / height, chunk / blocks % height, chunk % blocks * PIXELS);
        // SAFETY: input and output have the same pixels, apart in the arena, of which this chunk alone writes these in
        // the output; scale and shift have as many values as the pixels have channels with padding
        unsafe {
            (run.kernels.normalize)(&kernels::Normalize {
                rows: PIXELS.min(width - x),
                channels: self.channels,
                padded: channels,
                input: run.pixel(&self.input, image, y, x),
                input_stride: self.input.stride,
                output: run.pixel(&self.output, image, y, x),
                output_stride: self.output.stride,
                epsilon: self.epsilon,
                affine: self.affine.as_ref().map(|vectors| [vectors[0].as_ptr(), vectors[1].as_ptr()]),
            });
        }
    }
}
