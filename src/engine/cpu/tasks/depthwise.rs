use std::ptr::null_mut;

use super::super::kernels::{Activation, Depthwise, Target};
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
    /// Where the output is kept as bytes: what its channels are multiplied by.
    pub byte_factors: Option<Vec<f32>>,
}

/// Where rows of an output go.
pub(super) struct Rows {
    pub image: usize,
    pub first: usize,
    pub height: usize,
    pub width: usize,
    /// The first channel and how many there are.
    pub channel: usize,
    pub channels: usize,
    /// The first pixel.
    pub start: *mut f32,
    /// Values of four bytes from a pixel to the next, and from a row to the next.
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
            // the input's margins are at least `reach` wide
            let input = run.pixel(&self.input, rows.image, 0, 0).sub(reach * self.input.stride);
            let (output, unit) = match &self.byte_factors {
                None => (Target::F32(rows.start.add(rows.channel)), 1),
                Some(factors) => {
                    let start = rows.start.cast::<u8>().add(rows.channel);
                    (Target::U7(start, factors.as_ptr().add(rows.channel)), size_of::<f32>())
                }
            };
            kernel(&Depthwise {
                height: rows.height,
                width: rows.width,
                channels: rows.channels,
                taps_stride: self.input.channels,
                side: self.side,
                stride: self.stride,
                input: input.add(rows.channel),
                input_height: self.input.height,
                first: (rows.first * self.stride) as isize - reach as isize,
                input_pixel: self.input.stride,
                input_row: self.input.row(),
                output,
                output_pixel: unit * rows.pixel,
                output_row: unit * rows.row,
                weights: self.weights.as_ptr().add(rows.channel),
                bias: self.bias.as_ptr().add(rows.channel),
                activation: self.activation,
                sums: rows.sums,
            });
        }
    }
}

/// Channels that are one chunk.
const CHANNELS: usize = 64;

impl Depth {
    /// Rows of an image that are one chunk: all, where so many channels of all rows fit a cache.
    fn rows(output: &Place) -> usize {
        let most = (128 << 10) / (4 * output.width * CHANNELS);
        most.clamp(1, output.height)
    }

    /// Bands of rows of an image, each of which leaves its sums.
    pub fn bands(output: &Place) -> usize {
        output.height.div_ceil(Self::rows(output))
    }

    fn blocks(&self) -> usize {
        self.output.channels.div_ceil(CHANNELS)
    }
}

impl Task for Depth {
    fn chunks(&self, images: usize) -> usize {
        images * Self::bands(&self.output) * self.blocks()
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let (band, channel) = (chunk / self.blocks(), chunk % self.blocks() * CHANNELS);
        let bands = Self::bands(&self.output);
        let rows = Self::rows(&self.output);
        let (image, first) = (band / bands, band % bands * rows);
        unsafe {
            if first == 0 && channel == 0 {
                run.clear_margins(&self.output, image);
            }
            let rows = Rows {
                image,
                first,
                height: rows.min(self.output.height - first),
                width: self.output.width,
                channel,
                channels: CHANNELS.min(self.output.channels - channel),
                start: run.pixel(&self.output, image, first, 0),
                pixel: self.output.stride,
                row: self.output.row(),
                sums: match self.sums {
                    Some(sums) => run.memory.add(sums + band * self.output.channels + channel),
                    None => null_mut(),
                },
            };
            self.layer.run(run, rows);
        }
    }
}
