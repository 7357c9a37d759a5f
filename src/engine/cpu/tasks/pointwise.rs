use super::super::kernels::{Activation, Gemm, GemmI8, Output, Pixels};
use super::super::memory::Place;
use super::super::pack;
use super::{Run, Task};

/// Columns that are one chunk: a multiple of every panel's width.
const COLUMNS: usize = 32;
/// Pixels that are one chunk, about: enough to pay for reading the weights.
const PIXELS: usize = 98;

/// A matrix product at each pixel.
pub(in super::super) struct Point {
    pub layer: Layer,
    /// As many pixels as the output.
    pub input: Place,
    /// Rows of the kernel's tile.
    pub tile: usize,
}

/// The weights of a matrix product and the place of its output.
pub(in super::super) struct Layer {
    /// Input channels.
    pub inner: usize,
    pub weights: Weights,
    pub bias: Vec<f32>,
    pub output: Place,
    /// Where the output is stored as bytes: the factor of each channel. Only products of bytes have such.
    pub byte_factors: Option<Vec<f32>>,
    /// Of the output's shape.
    pub residual: Option<Place>,
    pub activation: Activation,
    /// Whether each value is replaced by its GELU, instead of the activation. The output then has no margin.
    pub gelu: bool,
}

/// Packed weights.
pub(in super::super) enum Weights {
    F32(Vec<f32>),
    /// The input is bytes too.
    I8 {
        values: Vec<i8>,
        /// The scale of each output channel.
        scales: Vec<f32>,
    },
}

impl Layer {
    /// Multiplies `count` pixels, from pixel `first` of the image on, with `columns` columns from `column` on.
    ///
    /// # Safety
    /// As [`Task::run`] for `run`. `input` is an address and a distance: of `count` pixels of as many channels as the
    /// layer has, in f32 or, for weights of 8 bits, in bytes. The output has these pixels and columns, `column` begins
    /// a panel of the weights, `columns` is a multiple of a lane's channels, and nothing else reads or writes them
    /// meanwhile.
    pub(super) unsafe fn run(
        &self,
        run: &Run,
        input: (*const f32, usize),
        image: usize,
        (first, count): (usize, usize),
        (column, columns): (usize, usize),
    ) {
        // SAFETY: weights, bias, scales and factors are packed for all columns of the output, and the residual has the
        // output's shape, so columns from `column` on and pixels from `first` on lie within them
        unsafe {
            let bias = self.bias.as_ptr().add(column);
            let residual = self.residual.as_ref().map(|residual| pixels(run, residual, image, first, column));
            match &self.weights {
                Weights::F32(weights) => (run.kernels.gemm)(&Gemm {
                    rows: count,
                    inner: self.inner,
                    columns,
                    input: input.0,
                    input_stride: input.1,
                    weights: weights.as_ptr().add(column * self.inner),
                    bias,
                    output: pixels(run, &self.output, image, first, column),
                    residual,
                    activation: self.activation,
                }),
                Weights::I8 { values, scales } => {
                    let inner = pack::quads_inner(self.inner);
                    (run.kernels.product_i8.gemm)(&GemmI8 {
                        rows: count,
                        inner,
                        columns,
                        input: input.0.cast(),
                        input_stride: size_of::<f32>() * input.1,
                        weights: values.as_ptr().add(column * inner),
                        scales: scales.as_ptr().add(column),
                        bias,
                        output: match &self.byte_factors {
                            None => Output::F32(pixels(run, &self.output, image, first, column)),
                            Some(factors) => {
                                let to = pixels(run, &self.output, image, first, column);
                                Output::U7(to, factors.as_ptr().add(column))
                            }
                        },
                        residual,
                        activation: self.activation,
                    });
                }
            }
            if self.gelu {
                let Pixels { start, stride, .. } = pixels(run, &self.output, image, first, column);
                (run.kernels.gelu)(start, count, stride, columns);
            }
        }
    }
}

/// The pixels of a map of `T` from `first` on, each from `column` on.
///
/// # Safety
/// As [`Run::pixel`]; the map has such a pixel with such a column.
unsafe fn pixels<T>(run: &Run, place: &Place, image: usize, first: usize, column: usize) -> Pixels<T> {
    let (y, x) = (first / place.width, first % place.width);
    let unit = size_of::<f32>() / size_of::<T>();
    Pixels {
        // SAFETY: the caller says that the map has the pixel and the column
        start: unsafe { run.pixel(place, image, y, x).cast::<T>().add(column) },
        stride: unit * place.stride,
        first: place.width - x,
        width: place.width,
        margin: unit * 2 * place.margin * place.stride,
    }
}

impl Point {
    /// The number of maps and the pixels of each. Without margins, a batch is one long map.
    fn maps(&self, images: usize) -> (usize, usize) {
        let margins = self.layer.residual.iter().chain([&self.input, &self.layer.output]).any(|place| place.margin > 0);
        let pixels = self.layer.output.pixels();
        if margins { (images, pixels) } else { (1, images * pixels) }
    }

    /// Pixels of a map that are one chunk.
    fn block(&self, pixels: usize) -> usize {
        let parts = (pixels / PIXELS).max(1);
        pixels.div_ceil(parts).next_multiple_of(self.tile)
    }
}

impl Task for Point {
    fn input(&self) -> Option<&Place> {
        Some(&self.input)
    }

    fn chunks(&self, images: usize) -> usize {
        let (maps, pixels) = self.maps(images);
        maps * pixels.div_ceil(self.block(pixels)) * self.layer.output.channels.div_ceil(COLUMNS)
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let Layer { output, .. } = &self.layer;
        let (maps, pixels) = self.maps(run.images);
        let block = self.block(pixels);
        let blocks = pixels.div_ceil(block);
        // all pixels with the same columns, one after the other: the columns' weights stay in the cache
        let (column, at) = (chunk / (maps * blocks) * COLUMNS, chunk % (maps * blocks));
        let (image, first) = (at / blocks, at % blocks * block);
        // SAFETY: input, output and residual have the same pixels, image after image; without margins the pixels of the
        // next image follow those of the last, so `first` may be beyond one image; with a margin of the input each run is
        // within one of its rows. This chunk alone writes these pixels
        // and columns, and the first of a map the margins, which no other chunk touches. A chunk's columns begin at a
        // multiple of `COLUMNS`, and so with a panel.
        unsafe {
            if column == 0 && first == 0 {
                run.clear_margins(output, image);
            }
            let count = block.min(pixels - first);
            let columns = COLUMNS.min(output.channels - column);
            if self.input.margin == 0 {
                // a long map's pixels go on where the image ends
                let input = run.pixel(&self.input, image, 0, 0).add(first * self.input.stride);
                self.layer.run(run, (input, self.input.stride), image, (first, count), (column, columns));
                return;
            }
            // the kernel's pixels lie side by side, so between margins they are those of a row
            let (mut at, end) = (first, first + count);
            while at < end {
                let (y, x) = (at / self.input.width, at % self.input.width);
                let row = (self.input.width - x).min(end - at);
                let input = run.pixel(&self.input, image, y, x);
                self.layer.run(run, (input, self.input.stride), image, (at, row), (column, columns));
                at += row;
            }
        }
    }
}
