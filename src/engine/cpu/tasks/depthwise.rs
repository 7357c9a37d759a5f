use std::ptr::null_mut;

use super::super::kernels::{Activation, Depthwise, Target};
use super::super::memory::Place;
use super::{Run, Task};

/// A depthwise convolution.
pub(in super::super) struct Depth {
    pub layer: Layer,
    pub output: Place,
    /// The index in the arena of each band's sums, which a gate reads.
    pub sums: Option<usize>,
}

/// The weights of a depthwise convolution and the place of its input.
pub(in super::super) struct Layer {
    /// Its margins are at least half the kernel's side.
    pub input: Place,
    /// 3 or 5.
    pub side: usize,
    /// Rows of the kernel above the input at the first output pixel, and columns left of it: at most half of `side`.
    pub before: usize,
    pub stride: usize,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub activation: Activation,
    /// Where the output is stored as bytes: the factor of each channel.
    pub byte_factors: Option<Vec<f32>>,
}

/// Rows of an output, and their place.
pub(super) struct Rows {
    pub image: usize,
    /// The first row.
    pub first: usize,
    /// The number of rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// The first channel.
    pub channel: usize,
    /// The number of channels.
    pub channels: usize,
    /// The first pixel, from channel 0 on.
    pub start: *mut f32,
    /// Values of four bytes from a pixel to the next.
    pub pixel: usize,
    /// Values of four bytes from a row to the next.
    pub row: usize,
    /// Written with each channel's sum over the rows, unless null.
    pub sums: *mut f32,
}

impl Layer {
    /// Computes rows of the output.
    ///
    /// # Safety
    /// As [`Task::run`] for `run`. The rows are ones that the convolution gives of the input. `rows.start` is valid for
    /// these rows with all channels of the input, and `rows.sums`, unless null, for `rows.channels` values; nothing
    /// else reads or writes the channels in question meanwhile.
    pub(super) unsafe fn run(&self, run: &Run, rows: Rows) {
        let kernel = match self.side {
            3 => run.kernels.depthwise_3x3,
            5 => run.kernels.depthwise_5x5,
            side => unreachable!("lowering lets no kernel of {side}x{side} pass"),
        };
        // SAFETY: the input's margins are at least half the kernel wide, and `Plan::check` lets no kernel reach further
        // than that before or behind a row, so all that the kernel reads is in the arena. It leaves out the rows above and below the input. Weights,
        // bias and factors have as many channels as the input. Pixels of bytes are `pixel` times four bytes apart.
        unsafe {
            let input = run.pixel(&self.input, rows.image, 0, 0).sub(self.before * self.input.stride);
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
                first: (rows.first * self.stride) as isize - self.before as isize,
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
    /// Rows of an image that are one chunk: as many as fit a cache with the channels of a chunk.
    fn rows(output: &Place) -> usize {
        let most = (128 << 10) / (size_of::<f32>() * CHANNELS) / output.width;
        most.clamp(1, output.height)
    }

    /// Bands of rows of an image. Each has its own sums.
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
        // SAFETY: the output has the rows from `first` on that are asked for and at least the channels of the block,
        // which no other chunk writes; the first block of the first band writes the margins, which no other chunk
        // touches. Each band has an area of sums of all channels.
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
