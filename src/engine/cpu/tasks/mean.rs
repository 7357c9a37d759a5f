use super::super::memory::Place;
use super::{Run, Task};

/// The mean over a map's pixels without the first `skip` pixels of the first row, which has more.
pub(in super::super) struct Mean {
    pub input: Place,
    pub skip: usize,
    /// One pixel.
    pub output: Place,
}

impl Task for Mean {
    fn chunks(&self, images: usize) -> usize {
        images
    }

    fn scratch(&self) -> usize {
        self.input.channels
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, image: usize) {
        let Place { width, stride, channels, .. } = self.input;
        // SAFETY: the output is a pixel of as many channels as the input, apart from it, and only this chunk uses that
        // of its image. The scratch memory has as many values. Each row of the input has `width` pixels, more than are
        // skipped.
        unsafe {
            let to = run.pixel(&self.output, image, 0, 0);
            let (mean, row) =
                (std::slice::from_raw_parts_mut(to, channels), std::slice::from_raw_parts_mut(scratch, channels));
            mean.fill(0.0);
            for y in 0..self.input.height {
                let skip = if y == 0 { self.skip } else { 0 };
                (run.kernels.sum)(run.pixel(&self.input, image, y, skip), width - skip, stride, channels, scratch);
                mean.iter_mut().zip(&*row).for_each(|(mean, row)| *mean += row);
            }
            mean.iter_mut().for_each(|mean| *mean /= (self.input.pixels() - self.skip) as f32);
        }
    }
}
