use super::{Run, Task};

/// Copies the input's planes into memory, with a margin of zeros around each.
pub(in super::super) struct Planes {
    pub offset: usize,
    pub planes: usize,
    pub height: usize,
    pub width: usize,
    pub margin: usize,
}

impl Planes {
    /// Values from a row to the next.
    pub fn row(&self) -> usize {
        self.width + 2 * self.margin
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
