use super::super::kernels::{Activation, Gemm, Pixels};
use super::super::memory::Place;
use super::super::pack;
use super::{Run, Task};

/// Patches that are one chunk, about.
const PATCHES: usize = 28;

/// An image's patches through a linear layer, behind a class token.
pub(in super::super) struct Patches {
    /// Height and width of the image's planes.
    pub planes: [usize; 2],
    pub channels: usize,
    /// Height and width of a patch.
    pub side: usize,
    /// Packed, of as many columns as the output has channels.
    pub weights: Vec<f32>,
    /// Zeros, one for each output channel with padding: the layer has no bias.
    pub bias: Vec<f32>,
    /// The values added to each token, their channels padded.
    pub added: Vec<f32>,
    /// One row of tokens.
    pub output: Place,
    /// Rows of the kernel's tile.
    pub tile: usize,
}

impl Patches {
    /// Patches in a row of the image, and rows of patches.
    fn grid(&self) -> [usize; 2] {
        [self.planes[1] / self.side, self.planes[0] / self.side]
    }

    fn chunks_of_image(&self) -> usize {
        let [width, height] = self.grid();
        (width * height).div_ceil(self.block())
    }

    fn block(&self) -> usize {
        (PATCHES / self.tile).max(1) * self.tile
    }

    /// Values of a patch.
    fn inner(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Copies a patch of an image: its rows lie apart in each plane.
    fn gather(&self, image: &[f32], patch: usize, to: &mut [f32]) {
        let &Patches { planes: [height, width], side, .. } = self;
        let [columns, _] = self.grid();
        let first = patch / columns * side * width + patch % columns * side;
        for (row, to) in to.chunks_exact_mut(side).enumerate() {
            let (plane, y) = (row / side, row % side);
            to.copy_from_slice(&image[plane * height * width + first + y * width..][..side]);
        }
    }
}

impl Task for Patches {
    fn chunks(&self, images: usize) -> usize {
        images * self.chunks_of_image()
    }

    fn scratch(&self) -> usize {
        self.block().saturating_mul(pack::stride(self.inner()))
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize) {
        let (image, first) = (chunk / self.chunks_of_image(), chunk % self.chunks_of_image() * self.block());
        let [columns, rows] = self.grid();
        let count = self.block().min(columns * rows - first);
        let (inner, stride) = (self.inner(), pack::stride(self.inner()));
        let len = self.channels * self.planes[0] * self.planes[1];
        let source = &run.input[image * len..][..len];
        let channels = self.output.channels;
        // SAFETY: the output has a row of one token and one for each patch, of which only this chunk writes those from
        // `first + 1` on and, if it is the first, the class token; `added` has as many rows of as many channels. The
        // scratch memory holds a block of patches, `stride` apart, and weights and bias are packed for `inner` rows and
        // `channels` columns. The kernel does not write to the residual.
        unsafe {
            if first == 0 {
                let class_token = run.pixel(&self.output, image, 0, 0);
                class_token.copy_from_nonoverlapping(self.added.as_ptr(), channels);
            }
            for patch in 0..count {
                let to = std::slice::from_raw_parts_mut(scratch.add(patch * stride), inner);
                self.gather(source, first + patch, to);
            }
            let added = self.added.as_ptr().add((first + 1) * channels);
            (run.kernels.gemm)(&Gemm {
                rows: count,
                inner,
                columns: channels,
                input: scratch,
                input_stride: stride,
                weights: self.weights.as_ptr(),
                bias: self.bias.as_ptr(),
                output: Pixels::contiguous(run.pixel(&self.output, image, 0, first + 1), self.output.stride),
                // only read
                residual: Some(Pixels::contiguous(added.cast_mut(), channels)),
                activation: Activation::None,
            });
        }
    }
}
