//! Plans on the CPU, with SIMD kernels and threads.
//!
//! ```
//! use image_feature::engine::{Activation, Operation, Plan, Shape, Weights, cpu};
//!
//! // an edge detector, the mean of its output, and a layer of two numbers
//! let mut plan = Plan::builder("edges", Shape { height: 4, width: 4, channels: 1 });
//! let operation = Operation::Convolution {
//!     side: 3,
//!     before: 1,
//!     stride: 1,
//!     weights: vec![0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
//!     bias: vec![0.0],
//!     activation: Activation::Relu,
//! };
//! let edges = plan.push("edges", operation, plan.input(), Shape { height: 4, width: 4, channels: 1 });
//! let mean = plan.push("mean", Operation::Mean { skip: 0 }, edges, Shape { height: 1, width: 1, channels: 1 });
//! let operation = Operation::Pointwise {
//!     weights: Weights::F32(vec![1.0, -2.0]),
//!     bias: vec![0.0, 0.5],
//!     activation: Activation::None,
//!     gate: None,
//!     residual: None,
//! };
//! plan.push("layer", operation, mean, Shape { height: 1, width: 1, channels: 2 });
//!
//! let executor = cpu::Executor::new(plan.finish()?, cpu::Options::default())?;
//! // dark on the left, light on the right
//! let image = [0.0, 0.0, 1.0, 1.0].repeat(4);
//! assert_eq!(executor.run(&image, 1)?, [0.5, -0.5]);
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! # Unsafe code
//!
//! Kernels work on pointers, without checks in their loops. Their arguments are checked when a program is made:
//! [`Plan::check`] holds the rules for weights, shapes and values, `program.rs` lays the memory out and refuses plans
//! for which there is no kernel, and [`Executor::run`] checks the length of the images. Neither the numbers of weights
//! nor those of images can change which addresses are read and written.
//!
//! Two kinds of functions have no `unsafe` blocks of their own, because one contract holds for the whole body of each:
//! those of the traits in `lanes/`, where the contract is written at the trait, and the compilations of kernels that
//! macros make, which only pass arguments on. Every other block says why it is sound.
#![allow(unsafe_code)]

mod calibrator;
mod kernels;
mod lanes;
mod memory;
mod pack;
mod program;
#[cfg(feature = "gallery")]
pub(crate) mod scan;
mod tasks;
mod team;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use self::calibrator::Calibrator;
use self::kernels::Kernels;
use self::program::{NamedTask, Program};
use self::tasks::{Run, Task};
use self::team::Team;
use super::Plan;
use crate::{Error, Result};

/// The most images whose last layer is computed at once. Its weights are then read once for all of them.
const HEADS: usize = 16;

/// The threads and the instruction set of an [`Executor`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Number of threads, the caller's included; by default as many as the machine can run at once.
    pub threads: Option<usize>,
    /// The instruction set, one of [`instruction_sets`]; by default the best.
    pub instruction_set: Option<&'static str>,
}

/// The instruction sets for which this machine has kernels, best first.
///
/// ```
/// let sets = image_feature::engine::cpu::instruction_sets();
/// assert_eq!(sets.last(), Some(&"scalar"));
/// ```
pub fn instruction_sets() -> Vec<&'static str> {
    Kernels::available().iter().map(|kernels| kernels.name).collect()
}

/// A plan ready to run on the CPU.
///
/// It may be used by several threads. One run at a time is computed, by all threads of the executor.
///
/// ```no_run,ignore-wasm32
/// use image_feature::Model;
/// use image_feature::engine::{Plan, cpu};
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
/// let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
/// let executor = cpu::Executor::new(plan, cpu::Options::default())?;
/// let features = executor.run(&vec![0.0; 2 * 3 * 224 * 224], 2)?;
/// assert_eq!(features.len(), 2 * 512);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Executor {
    /// All layers but the last, one image at a time: their maps are larger than their weights.
    body: Program,
    /// The last layer, where it is computed for many images at once.
    head: Option<Program>,
    /// Values of one input image.
    input: usize,
    dimension: usize,
    kernels: Kernels,
    team: Team,
    /// One run at a time: each already uses every thread.
    memory: Mutex<Memory>,
}

/// Memory that is kept from run to run.
#[derive(Default)]
struct Memory {
    /// The values of an image while all threads work on it.
    arena: Vec<f32>,
    /// Each thread's own memory: for a chunk of a task, or for a whole image.
    scratch: Vec<f32>,
    /// The values of the last layer.
    head: Vec<f32>,
}

/// The time that a task of the program took.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTime {
    /// The layers that the task computes.
    pub name: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
    /// The time from its start to its end.
    pub time: Duration,
}

impl Executor {
    /// Makes a plan ready to run: packs its weights and lays out its memory.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where this machine lacks the instruction set asked for or no
    /// thread is asked for, [`ErrorKind::Model`](crate::ErrorKind::Model) where the plan has a step for which there is
    /// no kernel, is too large for memory, or does not pass [`Plan::check`].
    pub fn new(plan: Plan, options: Options) -> Result<Self> {
        plan.check()?;
        let mut available = Kernels::available();
        let kernels = match options.instruction_set {
            None => available.swap_remove(0),
            Some(name) => {
                let known = instruction_sets().join(", ");
                let found = available.into_iter().find(|kernels| kernels.name == name);
                found.ok_or_else(|| Error::usage(format!("no kernels for `{name}` here; there are {known}")))?
            }
        };
        let threads = match options.threads {
            Some(0) => return Err(Error::usage("at least one thread is needed")),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let (input, dimension) = (plan.shape(plan.input()).len(), plan.output_len());
        let (body, head) = plan.split_head();
        let body = Program::new(body, &kernels, 1)?;
        let head = head.map(|head| Program::new(head, &kernels, HEADS)).transpose()?;
        Ok(Executor { body, head, input, dimension, kernels, team: Team::new(threads), memory: Mutex::default() })
    }

    /// The instruction set whose kernels run.
    pub fn instruction_set(&self) -> &'static str {
        self.kernels.name
    }

    /// The instructions that multiply 8-bit numbers: `avx512-vnni`, `neon-dotprod` and others.
    pub fn byte_instructions(&self) -> &'static str {
        self.kernels.product_i8.name
    }

    /// Number of threads that work together.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Numbers that a run gives for an image: the length of a feature, or of all maps together.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Features of `count` preprocessed images, not yet of length 1: `count` x channels x height x width values in,
    /// `count` x [`dimension`](Self::dimension) out.
    ///
    /// Of a plan of maps ([`Plan::with_maps`]), each image's maps one after the other: each pixel after pixel, row by
    /// row, with all channels of a pixel together.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the features or the threads' memory are larger than memory
    /// can be, [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a thread failed.
    pub fn run(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = self.bodies(&mut memory, input, count)?;
        match &self.head {
            Some(head) => self.heads(&mut memory, head, &outputs),
            None => Ok(outputs),
        }
    }

    /// The input of the last layer for `count` preprocessed images, each of as many values as that layer has input
    /// channels. Of a network that ends with its pooled vector, the features.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn pooled(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.bodies(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner), input, count)
    }

    /// The output of all layers but the last for images.
    fn bodies(&self, memory: &mut Memory, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.check(input, count)?;
        let mut outputs = vec![0.0; product(count, self.body.dimension)?];
        // as many images as keep all threads busy, each image on one thread; then the rest, each on all threads
        // together
        let apart = if self.threads() > 1 { count - count % self.threads() } else { 0 };
        let (images, rest) = input.split_at(apart * self.input);
        let (to, rest_to) = outputs.split_at_mut(apart * self.body.dimension);
        if apart > 0 {
            self.images_apart(memory, images, to)?;
        }
        for (image, to) in rest.chunks_exact(self.input).zip(rest_to.chunks_exact_mut(self.body.dimension)) {
            self.image_together(memory, image, to)?;
        }
        Ok(outputs)
    }

    /// Runs one image, task after task, on the calling thread and says how long each task took by the clock `now`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&self, input: &[f32], mut now: impl FnMut() -> Duration) -> Result<Vec<TaskTime>> {
        self.check(input, 1)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { arena, scratch, head } = &mut *memory;
        let mut times = Vec::new();
        for (program, arena) in [(Some(&self.body), arena), (self.head.as_ref(), head)] {
            let Some(program) = program else { continue };
            grow(arena, program.memory);
            grow(scratch, program.scratch);
            let run = Run { kernels: &self.kernels, memory: arena.as_mut_ptr(), input, images: 1 };
            for NamedTask { task, name, macs } in &program.tasks {
                let start = now();
                for chunk in 0..task.chunks(1) {
                    // SAFETY: the kernels are available, the memory was grown for the program's arena and one thread's
                    // scratch memory, and this thread runs all chunks in order
                    unsafe { task.run(&run, scratch.as_mut_ptr(), chunk) };
                }
                times.push(TaskTime { name: name.clone(), macs: *macs, time: now().saturating_sub(start) });
            }
        }
        Ok(times)
    }

    fn check(&self, input: &[f32], count: usize) -> Result<()> {
        let each = self.input;
        if count == 0 || count.checked_mul(each) != Some(input.len()) {
            return Err(Error::usage(format!(
                "{count} images of {each} values each were announced, {} values were given",
                input.len()
            )));
        }
        Ok(())
    }

    /// One image through the body, by all threads.
    fn image_together(&self, memory: &mut Memory, input: &[f32], to: &mut [f32]) -> Result<()> {
        let body = &self.body;
        grow(&mut memory.arena, body.memory);
        grow(&mut memory.scratch, product(body.scratch, self.threads())?);
        let run = Run { kernels: &self.kernels, memory: memory.arena.as_mut_ptr(), input, images: 1 };
        // SAFETY: the kernels are available, the arena was grown for the program and one image, and the scratch memory
        // for each thread; both are borrowed for this run alone
        unsafe { self.team.run(&body.tasks(), &run, memory.scratch.as_mut_ptr(), body.scratch)? };
        body.copy_outputs(&memory.arena, 0, to);
        Ok(())
    }

    /// Several images through the body, each by one thread.
    fn images_apart(&self, memory: &mut Memory, inputs: &[f32], to: &mut [f32]) -> Result<()> {
        let whole = WholeImages { body: &self.body, input: self.input, outputs: to.as_mut_ptr() };
        let own = whole.scratch();
        grow(&mut memory.scratch, product(own, self.threads())?);
        let images = inputs.len() / self.input;
        let run = Run { kernels: &self.kernels, memory: std::ptr::null_mut(), input: inputs, images };
        // SAFETY: the kernels are available; the task uses no arena but each thread's own memory, which was grown for
        // an arena and the scratch memory; `to` has a feature for each image and is borrowed for this run alone
        unsafe { self.team.run(&[&whole as &dyn Task], &run, memory.scratch.as_mut_ptr(), own) }
    }

    /// The last layer of all images.
    fn heads(&self, memory: &mut Memory, head: &Program, inputs: &[f32]) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(product(inputs.len() / self.body.dimension, self.dimension)?);
        grow(&mut memory.head, head.memory);
        grow(&mut memory.scratch, product(head.scratch, self.threads())?);
        for inputs in inputs.chunks(HEADS * self.body.dimension) {
            let images = inputs.len() / self.body.dimension;
            for (image, input) in inputs.chunks_exact(self.body.dimension).enumerate() {
                memory.head[head.input.pixel(image, 0, 0)..][..input.len()].copy_from_slice(input);
            }
            let run = Run { kernels: &self.kernels, memory: memory.head.as_mut_ptr(), input: &[], images };
            // SAFETY: as in `image_together`, for at most `HEADS` images, for which the program was made
            unsafe { self.team.run(&head.tasks(), &run, memory.scratch.as_mut_ptr(), head.scratch)? };
            for image in 0..images {
                let start = features.len();
                features.resize(start + self.dimension, 0.0);
                head.copy_outputs(&memory.head, image, &mut features[start..]);
            }
        }
        Ok(features)
    }
}

/// A number of values, times a number of threads or images.
///
/// # Errors
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) where the product cannot be counted.
fn product(values: usize, times: usize) -> Result<usize> {
    let product = values.checked_mul(times);
    product.ok_or_else(|| Error::limit(format!("{times} times {values} values are larger than memory can be")))
}

/// Makes memory at least `len` values long.
fn grow(memory: &mut Vec<f32>, len: usize) {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
}

/// The task of computing whole images, each by one thread in its own memory.
struct WholeImages<'a> {
    body: &'a Program,
    /// Values of one input image.
    input: usize,
    /// For each image as many values as the program gives.
    outputs: *mut f32,
}

// SAFETY: `outputs` points into a slice that `images_apart` holds for the whole run
unsafe impl Send for WholeImages<'_> {}
// SAFETY: through a shared reference each chunk writes only the output of its own image
unsafe impl Sync for WholeImages<'_> {}

impl Task for WholeImages<'_> {
    fn chunks(&self, images: usize) -> usize {
        images
    }

    /// An arena, and the scratch memory of the program's tasks behind it. Neither is more than a quarter of
    /// `isize::MAX`.
    fn scratch(&self) -> usize {
        self.body.memory + self.body.scratch
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, image: usize) {
        let Program { memory, dimension, .. } = *self.body;
        let own = Run { memory: scratch, input: &run.input[image * self.input..][..self.input], images: 1, ..*run };
        // SAFETY: `scratch` is valid for an arena, which is this thread's own, and for the tasks' scratch memory behind
        // it. This thread runs all chunks in order. The arena was grown with zeros, so all its values may be read.
        // `outputs` has `dimension` values for each image, and this chunk alone writes those of its own.
        unsafe {
            let scratch = scratch.add(self.body.memory);
            for NamedTask { task, .. } in &self.body.tasks {
                for chunk in 0..task.chunks(1) {
                    task.run(&own, scratch, chunk);
                }
            }
            let to = std::slice::from_raw_parts_mut(self.outputs.add(image * dimension), dimension);
            self.body.copy_outputs(std::slice::from_raw_parts(own.memory, memory), 0, to);
        }
    }
}
