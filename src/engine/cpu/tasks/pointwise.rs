use super::super::kernels::{Activation, Gemm, Pixels};
use super::super::memory::Place;
use super::{Run, Task};

/// Columns that are one chunk: a multiple of every panel's width.
const COLUMNS: usize = 32;
/// Pixels that are one chunk, about: enough to pay for reading the weights.
const PIXELS: usize = 98;

/// A matrix product at each pixel.
pub(in super::super) struct Point {
    pub layer: Layer,
    /// Has no margin.
    pub input: Place,
    /// Rows of the kernel's tile.
    pub tile: usize,
}

/// The weights of a matrix product and where its output goes.
pub(in super::super) struct Layer {
    pub inner: usize,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub output: Place,
    pub residual: Option<Place>,
    pub activation: Activation,
}

impl Layer {
    /// Multiplies `count` pixels, from `first` of the image on, with columns from `column` on.
    pub(super) unsafe fn run(
        &self,
        run: &Run,
        input: (*const f32, usize),
        image: usize,
        (first, count): (usize, usize),
        (column, columns): (usize, usize),
    ) {
        unsafe {
            (run.kernels.gemm)(&Gemm {
                rows: count,
                inner: self.inner,
                columns,
                input: input.0,
                input_stride: input.1,
                weights: self.weights.as_ptr().add(column * self.inner),
                bias: self.bias.as_ptr().add(column),
                output: pixels(run, &self.output, image, first, column),
                residual: self.residual.as_ref().map(|residual| pixels(run, residual, image, first, column)),
                activation: self.activation,
            });
        }
    }
}

/// The pixels of a map from one on.
unsafe fn pixels(run: &Run, place: &Place, image: usize, first: usize, column: usize) -> Pixels {
    let (y, x) = (first / place.width, first % place.width);
    Pixels {
        start: unsafe { run.pixel(place, image, y, x).add(column) },
        stride: place.stride,
        first: place.width - x,
        width: place.width,
        margin: 2 * place.margin * place.stride,
    }
}

impl Point {
    /// How many maps there are and how many pixels each has: without margins, a batch is one long map.
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
    fn chunks(&self, images: usize) -> usize {
        let (maps, pixels) = self.maps(images);
        maps * pixels.div_ceil(self.block(pixels)) * self.layer.output.channels.div_ceil(COLUMNS)
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let Layer { output, .. } = &self.layer;
        let (maps, pixels) = self.maps(run.images);
        let block = self.block(pixels);
        let blocks = pixels.div_ceil(block);
        // all pixels with the same columns, one after the other: their weights are at hand
        let (column, at) = (chunk / (maps * blocks) * COLUMNS, chunk % (maps * blocks));
        let (image, first) = (at / blocks, at % blocks * block);
        unsafe {
            if column == 0 && first == 0 {
                run.clear_margins(output, image);
            }
            // a long map's pixels go on where the image ends
            let input = run.pixel(&self.input, image, 0, 0).add(first * self.input.stride);
            let count = block.min(pixels - first);
            let columns = COLUMNS.min(output.channels - column);
            self.layer.run(run, (input, self.input.stride), image, (first, count), (column, columns));
        }
    }
}
