use std::ptr::null_mut;

use super::depthwise::{self, Rows};
use super::{Run, Task, pointwise};
use crate::engine::cpu::memory::Place;

/// A depthwise convolution and the matrix product after it, some rows at a time: the values between the two never leave
/// the cache.
pub(in super::super) struct Separable {
    pub depthwise: depthwise::Layer,
    /// The sizes of the map between the two, which is never whole. It has no margin.
    pub between: Place,
    pub pointwise: pointwise::Layer,
}

impl Separable {
    /// Rows that are one chunk: some tens of kibibytes, and enough chunks for several threads to share evenly.
    fn rows(&self) -> usize {
        let by_size = (48 << 10) / size_of::<f32>() / self.between.width / self.between.stride;
        by_size.min(self.between.height / 14).max(1)
    }
}

impl Task for Separable {
    fn chunks(&self, images: usize) -> usize {
        images * self.between.height.div_ceil(self.rows())
    }

    fn scratch(&self) -> usize {
        self.rows().saturating_mul(self.between.width).saturating_mul(self.between.stride)
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize) {
        let Place { height, width, stride, .. } = self.between;
        let chunks = height.div_ceil(self.rows());
        let (image, first) = (chunk / chunks, chunk % chunks * self.rows());
        let rows = self.rows().min(height - first);
        // SAFETY: the scratch memory holds `rows` rows of the map between, which the first layer writes and the second
        // reads. The output has the pixels of that map; this chunk alone writes these rows of it, and the first of an
        // image the margins, which no other chunk touches.
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
