use super::super::memory::Place;
use super::{Run, Task};

/// Maps of the same pixels joined: the channels of one after those of the other.
pub(in super::super) struct Concat {
    /// The maps, each with its number of channels without padding.
    pub parts: Vec<(Place, usize)>,
    pub output: Place,
}

impl Task for Concat {
    /// A row of the output.
    fn chunks(&self, images: usize) -> usize {
        images * self.output.height
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        // SAFETY: each part has the output's pixels, apart from it, and the sum of their channels is the number of the
        // output's without padding. This chunk alone writes its row, and the first of an image the margins, which no
        // other chunk touches.
        unsafe {
            let (image, y) = run.begin_row(&self.output, chunk);
            for x in 0..self.output.width {
                let to = run.pixel(&self.output, image, y, x);
                let mut at = 0;
                for (part, channels) in &self.parts {
                    to.add(at).copy_from_nonoverlapping(run.pixel(part, image, y, x), *channels);
                    at += channels;
                }
                to.add(at).write_bytes(0, self.output.channels - at);
            }
        }
    }
}
