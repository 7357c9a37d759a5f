//! The plan's steps as the CPU runs them: weights packed, work cut in chunks that threads take one after the other.
//!
//! How work is cut never depends on the number of threads, so neither does any result.

mod attention;
mod convolution;
mod depthwise;
mod gate;
mod mean;
mod normalize;
mod patches;
mod planes;
mod pointwise;
mod separable;

pub(super) use attention::Attention;
pub(super) use convolution::Convolve;
pub(super) use depthwise::{Depth, Layer as DepthwiseLayer};
pub(super) use gate::{Gate, Quantize, Scale};
pub(super) use mean::Mean;
pub(super) use normalize::Normalize;
pub(super) use patches::Patches;
pub(super) use planes::Planes;
pub(super) use pointwise::{Layer as PointwiseLayer, Point, Weights as PackedWeights};
pub(super) use separable::Separable;

use super::kernels::Kernels;
use super::memory::Place;

/// A step of the program.
pub(super) trait Task: Send + Sync {
    /// Into how many pieces the work on so many images is cut.
    fn chunks(&self, images: usize) -> usize;

    /// Values of memory of its own that each thread must bring.
    fn scratch(&self) -> usize {
        0
    }

    /// Where a matrix product reads.
    fn input(&self) -> Option<&Place> {
        None
    }

    /// Does one piece of the work.
    ///
    /// # Safety
    /// `run` must hold memory as the program laid it out, each chunk must be run once, and no task before the tasks it
    /// depends on are done.
    unsafe fn run(&self, run: &Run, scratch: *mut f32, chunk: usize);
}

/// What a program runs on.
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
    /// The place in memory of a pixel of a map.
    unsafe fn pixel(&self, place: &Place, image: usize, y: usize, x: usize) -> *mut f32 {
        unsafe { self.memory.add(place.pixel(image, y, x)) }
    }

    /// Sets the margins of a map to zero: the memory was another value's before.
    unsafe fn clear_margins(&self, place: &Place, image: usize) {
        let side = place.margin * place.stride;
        for y in 0..place.height {
            unsafe {
                let row = self.memory.add(place.offset + image * place.image() + y * place.row());
                row.write_bytes(0, side);
                row.add(place.row() - side).write_bytes(0, side);
            }
        }
    }
}
