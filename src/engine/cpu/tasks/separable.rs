use std::ptr::null_mut;

use super::depthwise::{self, Rows};
use super::{Run, Task, pointwise};
use crate::engine::cpu::memory::Place;

/// A depthwise convolution and the matrix product after it, some rows at a time: what is between them never leaves the
/// cache.
pub(in super::super) struct Separable {
    pub depthwise: depthwise::Layer,
    /// The map between the two, which is never whole.
    pub between: Place,
    pub pointwise: pointwise::Layer,
}

impl Separable {
    /// Rows that are one chunk: some tens of kibibytes, and enough chunks for several threads to share evenly.
    fn rows(&self) -> usize {
        let by_size = (48 << 10) / (4 * self.between.width * self.between.stride);
        by_size.min(self.between.height / 14).max(1)
    }
}

impl Task for Separable {
    fn chunks(&self, images: usize) -> usize {
        images * self.between.height.div_ceil(self.rows())
    }

    fn scratch(&self) -> usize {
        self.rows() * self.between.width * self.between.stride
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize) {
        let Place { height, width, stride, .. } = self.between;
        let chunks = height.div_ceil(self.rows());
        let (image, first) = (chunk / chunks, chunk % chunks * self.rows());
        let rows = self.rows().min(height - first);
        unsafe {
            if first == 0 {
                run.clear_margins(&self.pointwise.output, image);
            }
            let between = Rows {
                image,
                first,
                height: rows,
                width,
                channel: 0,
                channels: self.between.channels,
                start: scratch,
                pixel: stride,
                row: width * stride,
                sums: null_mut(),
            };
            self.depthwise.run(run, between);
            let columns = self.pointwise.output.channels;
            self.pointwise.run(run, (scratch, stride), image, (first * width, rows * width), (0, columns));
        }
    }
}
