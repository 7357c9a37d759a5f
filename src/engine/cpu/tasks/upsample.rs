use super::super::memory::Place;
use super::{Run, Task};

/// A larger map: each pixel `factor` times side by side, and each row as often.
pub(in super::super) struct Upsample {
    pub input: Place,
    pub factor: usize,
    /// `factor` times as high and as wide as the input.
    pub output: Place,
}

impl Task for Upsample {
    /// A row of the output.
    fn chunks(&self, images: usize) -> usize {
        images * self.output.height
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        // SAFETY: pixel `x / factor` of row `y / factor` is one of the input's, which has as many channels with padding as
        // the output, apart from it. This chunk alone writes its row, and the first of an image the margins, which no
        // other chunk touches.
        unsafe {
            let (image, y) = run.begin_row(&self.output, chunk);
            for x in 0..self.output.width {
                let from = run.pixel(&self.input, image, y / self.factor, x / self.factor);
                run.pixel(&self.output, image, y, x).copy_from_nonoverlapping(from, self.output.channels);
            }
        }
    }
}
