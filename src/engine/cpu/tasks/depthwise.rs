use std::ptr::null_mut;

use super::super::kernels::{Activation, Depthwise};
use super::super::memory::Place;
use super::{Run, Task};

/// A depthwise convolution.
pub(in super::super) struct Depth {
    pub layer: Layer,
    pub output: Place,
    /// Where the sums of each chunk are left for the mean, if one is wanted.
    pub sums: Option<usize>,
}

/// The weights of a depthwise convolution and where its input lies.
pub(in super::super) struct Layer {
    pub input: Place,
    pub side: usize,
    pub stride: usize,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub activation: Activation,
}

/// Where rows of an output go.
pub(super) struct Rows {
    pub image: usize,
    pub first: usize,
    pub height: usize,
    pub width: usize,
    pub start: *mut f32,
    pub pixel: usize,
    pub row: usize,
    pub sums: *mut f32,
}

impl Layer {
    /// Computes rows of the output.
    pub(super) unsafe fn run(&self, run: &Run, rows: Rows) {
        let reach = self.side / 2;
        let kernel = match self.side {
            3 => run.kernels.depthwise_3x3,
            5 => run.kernels.depthwise_5x5,
            side => unreachable!("lowering lets no kernel of {side}x{side} pass"),
        };
        unsafe {
            // the input's margin is at least `reach` wide
            let input = run.pixel(&self.input, rows.image, rows.first * self.stride, 0);
            kernel(&Depthwise {
                height: rows.height,
                width: rows.width,
                channels: self.input.channels,
                stride: self.stride,
                input: input.sub(reach * self.input.row() + reach * self.input.stride),
                input_pixel: self.input.stride,
                input_row: self.input.row(),
                output: rows.start,
                output_pixel: rows.pixel,
                output_row: rows.row,
                weights: self.weights.as_ptr(),
                bias: self.bias.as_ptr(),
                activation: self.activation,
                sums: rows.sums,
            });
        }
    }
}

impl Depth {
    /// Rows of an image that are one chunk.
    fn rows(&self) -> usize {
        rows_per_chunk(&self.output)
    }

    fn chunks_per_image(&self) -> usize {
        Self::chunks_of(&self.output)
    }

    /// Chunks of one image of such an output, each of which leaves its sums.
    pub fn chunks_of(output: &Place) -> usize {
        output.height.div_ceil(rows_per_chunk(output))
    }
}

/// Rows that are one chunk: some tens of kibibytes, and enough chunks for several threads to share evenly.
pub(in super::super) fn rows_per_chunk(place: &Place) -> usize {
    let by_size = (48 << 10) / (4 * place.width * place.stride);
    by_size.min(place.height / 14).max(1)
}

impl Task for Depth {
    fn chunks(&self, images: usize) -> usize {
        images * self.chunks_per_image()
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let chunks = self.chunks_per_image();
        let (image, first) = (chunk / chunks, chunk % chunks * self.rows());
        unsafe {
            if first == 0 {
                run.clear_margin(&self.output, image);
            }
            let rows = Rows {
                image,
                first,
                height: self.rows().min(self.output.height - first),
                width: self.output.width,
                start: run.pixel(&self.output, image, first, 0),
                pixel: self.output.stride,
                row: self.output.row(),
                sums: match self.sums {
                    Some(sums) => run.memory.add(sums + chunk * self.output.channels),
                    None => null_mut(),
                },
            };
            self.layer.run(run, rows);
        }
    }
}
