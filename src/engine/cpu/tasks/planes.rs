use super::{Run, Task};

/// Copies the input's planes into memory, with a margin of zeros around each.
pub(in super::super) struct Planes {
    /// The index in the arena at which the first plane begins.
    pub offset: usize,
    /// Planes of an image.
    pub planes: usize,
    pub height: usize,
    pub width: usize,
    /// Zeros on each side of a plane.
    pub margin: usize,
}

impl Planes {
    /// Values from a row to the next.
    pub fn row(&self) -> usize {
        self.width + 2 * self.margin
    }

    /// Values of the planes of `images`, or `usize::MAX` where they are too many to count.
    pub fn values(&self, images: usize) -> usize {
        let side = |size: usize| size.saturating_add(2 * self.margin);
        let plane = side(self.height).saturating_mul(side(self.width));
        plane.saturating_mul(self.planes).saturating_mul(images)
    }

    /// Values of a plane.
    pub fn plane(&self) -> usize {
        (self.height + 2 * self.margin) * self.row()
    }
}

impl Task for Planes {
    fn chunks(&self, images: usize) -> usize {
        images * self.planes
    }

    unsafe fn run(&self, run: &Run, _: *mut f32, chunk: usize) {
        let source = &run.input[chunk * self.height * self.width..][..self.height * self.width];
        // SAFETY: the arena has a plane with margins for each plane of each image, and only this chunk writes this one;
        // row `y` of the image lies within it, `margin` rows below its top and `margin` values from its left
        unsafe {
            let plane = run.memory.add(self.offset + chunk * self.plane());
            plane.write_bytes(0, self.plane());
            for (y, row) in source.chunks_exact(self.width).enumerate() {
                let to = plane.add((y + self.margin) * self.row() + self.margin);
                to.copy_from_nonoverlapping(row.as_ptr(), self.width);
            }
        }
    }
}
