//! The tasks of a program: the steps of a plan with packed weights, cut in chunks that threads take one after the
//! other.
//!
//! The cut never depends on the number of threads, so results do not either.
//!
//! Tasks are made by `program.rs` alone, of a checked plan. Every [`Place`] in them lies within the arena, for as many
//! images as the program is for. Places that are alive at the same time do not overlap. Weights, biases and factors are
//! packed by `pack.rs` for the channels of the places they belong to. `unsafe` code in this folder relies on that and
//! on the contract of [`Task::run`].

mod attention;
mod concat;
mod convolution;
mod depthwise;
mod gate;
mod mean;
mod normalize;
mod patches;
mod planes;
mod pointwise;
mod separable;
mod upsample;

pub(super) use attention::Attention;
pub(super) use concat::Concat;
pub(super) use convolution::Convolve;
pub(super) use depthwise::{Depth, Layer as DepthwiseLayer};
pub(super) use gate::{Gate, Quantize, Scale};
pub(super) use mean::Mean;
pub(super) use normalize::Normalize;
pub(super) use patches::Patches;
pub(super) use planes::Planes;
pub(super) use pointwise::{Layer as PointwiseLayer, Point, Weights as PackedWeights};
pub(super) use separable::Separable;
pub(super) use upsample::Upsample;

use super::kernels::Kernels;
use super::memory::Place;

/// A step of the program.
pub(super) trait Task: Send + Sync {
    /// The number of chunks of the work on this many images.
    fn chunks(&self, images: usize) -> usize;

    /// Values of scratch memory that each thread needs, or `usize::MAX` where they are too many to count.
    fn scratch(&self) -> usize {
        0
    }

    /// The place that a matrix product reads.
    fn input(&self) -> Option<&Place> {
        None
    }

    /// Computes one chunk.
    ///
    /// # Safety
    /// - `run.kernels` are among [`Kernels::available`].
    /// - `run.memory` is valid for the arena of the task's program, which is for at least `run.images` images. Only
    ///   tasks of this run use it meanwhile.
    /// - `scratch` is valid for [`scratch`](Self::scratch) values, which only this thread uses meanwhile.
    /// - `chunk` is less than [`chunks`](Self::chunks) of `run.images`. Each chunk is run once, and none before all
    ///   chunks of the tasks before it are done.
    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize);
}

/// The memory and the images that a program runs on.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub kernels: &'a Kernels,
    /// The arena.
    pub memory: *mut f32,
    /// Preprocessed images, planes one after the other.
    pub input: &'a [f32],
    pub images: usize,
}

impl Run<'_> {
    /// The address of a pixel of a map.
    ///
    /// # Safety
    /// [`memory`](Self::memory) is valid for the arena that `place` lies in, and the map has such a pixel.
    unsafe fn pixel(&self, place: &Place, image: usize, y: usize, x: usize) -> *mut f32 {
        // SAFETY: the pixel lies within the arena
        unsafe { self.memory.add(place.pixel(image, y, x)) }
    }

    /// The image and the row of a chunk, for tasks whose chunks are the rows of a map. The first row of an image clears the
    /// margins.
    ///
    /// # Safety
    /// As [`clear_margins`](Self::clear_margins).
    unsafe fn begin_row(&self, place: &Place, chunk: usize) -> (usize, usize) {
        let (image, y) = (chunk / place.height, chunk % place.height);
        if y == 0 {
            // SAFETY: as the caller promises
            unsafe { self.clear_margins(place, image) };
        }
        (image, y)
    }

    /// Sets the margins of a map to zero: the memory was another value's before.
    ///
    /// # Safety
    /// As [`pixel`](Self::pixel); nothing else reads or writes the margins meanwhile.
    unsafe fn clear_margins(&self, place: &Place, image: usize) {
        let side = place.margin * place.stride;
        for y in 0..place.height {
            // SAFETY: a row of a place begins and ends with `margin` pixels of `stride` values
            unsafe {
                let row = self.memory.add(place.offset + image * place.image() + y * place.row());
                row.write_bytes(0, side);
                row.add(place.row() - side).write_bytes(0, side);
            }
        }
    }
}
