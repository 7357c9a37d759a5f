//! A plan, run on the CPU with SIMD kernels and threads.
//!
//! The only room of the crate with `unsafe` in it: kernels work on pointers into one block of memory that the program
//! has laid out. What they are given is checked where the program is made; images and weights cannot change it.
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

/// Images whose last layer is computed at once, at most: its weights are read once for all.
const HEADS: usize = 16;

/// How an [`Executor`] works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Threads, the caller's included; by default as many as the machine can run at once.
    pub threads: Option<usize>,
    /// The instruction set, one of [`instruction_sets`]; by default the best.
    pub instruction_set: Option<&'static str>,
}

/// The instruction sets this machine has kernels for, best first.
///
/// ```
/// let sets = image_feature::engine::cpu::instruction_sets();
/// assert_eq!(sets.last(), Some(&"scalar"));
/// ```
pub fn instruction_sets() -> Vec<&'static str> {
    Kernels::available().iter().map(|kernels| kernels.name).collect()
}

/// A network ready to run on the CPU.
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
    /// All but the last layer, one image at a time: its maps are larger than its weights.
    body: Program,
    /// The last layer, for many images at once.
    head: Option<Program>,
    /// Values of one input image.
    input: usize,
    dimension: usize,
    kernels: Kernels,
    team: Team,
    /// One run at a time: each already uses every thread.
    memory: Mutex<Memory>,
}

/// Memory kept from run to run.
#[derive(Default)]
struct Memory {
    /// Where the values of an image lie while all threads work on it.
    arena: Vec<f32>,
    /// The threads' own: for a piece of an image, or for a whole one.
    scratch: Vec<f32>,
    /// Where the values of the last layer lie.
    head: Vec<f32>,
}

/// How long a task of the program took.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTime {
    /// The layers it does.
    pub name: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
    pub time: Duration,
}

impl Executor {
    /// Makes a plan ready to run: packs its weights and lays out its memory.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where this machine lacks the instruction set asked for or no thread is
    /// asked for, [`ErrorKind::Model`](crate::ErrorKind::Model) where the plan has a step for which there is no kernel.
    pub fn new(plan: Plan, options: Options) -> Result<Self> {
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
        let (input, dimension) = (plan.shape(plan.input()).len(), plan.shape(plan.output()).len());
        let (body, head) = plan.split_head();
        let body = Program::new(body, &kernels, 1)?;
        let head = head.map(|head| Program::new(head, &kernels, HEADS)).transpose()?;
        Ok(Executor { body, head, input, dimension, kernels, team: Team::new(threads), memory: Mutex::default() })
    }

    /// The instruction set whose kernels run.
    pub fn instruction_set(&self) -> &'static str {
        self.kernels.name
    }

    /// The instructions that multiply 8-bit numbers: `avx512-vnni`, `neon-dotprod` and so on.
    pub fn byte_instructions(&self) -> &'static str {
        self.kernels.product_i8.name
    }

    /// Threads that work together.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Length of a feature.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Features of `count` preprocessed images, not yet of length 1: `count` x 3 x height x width values in, `count` x
    /// [`dimension`](Self::dimension) out.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length,
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a thread failed.
    pub fn run(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = self.bodies(&mut memory, input, count)?;
        match &self.head {
            Some(head) => self.heads(&mut memory, head, &outputs),
            None => Ok(outputs),
        }
    }

    /// What the last layer is given for `count` preprocessed images: as [`run`](Self::run), without that layer.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the network does not end with a
    /// layer of one pixel.
    pub fn pooled(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        if self.head.is_none() {
            return Err(Error::unsupported("the network's last layer is not apart from the others"));
        }
        self.bodies(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner), input, count)
    }

    /// What all but the last layer gives for images.
    fn bodies(&self, memory: &mut Memory, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.check(input, count)?;
        let mut outputs = vec![0.0; count * self.body.dimension];
        // as many images as keep every thread busy, each on one; the rest on all threads together
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
                    // SAFETY: as in `image_together`, by one thread
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
        grow(&mut memory.scratch, body.scratch * self.threads());
        let run = Run { kernels: &self.kernels, memory: memory.arena.as_mut_ptr(), input, images: 1 };
        // SAFETY: the program laid the memory out for its tasks and one image, the kernels are ones this machine can run,
        // and there is scratch memory for each thread
        unsafe { self.team.run(&body.tasks(), &run, memory.scratch.as_mut_ptr(), body.scratch)? };
        to.copy_from_slice(&memory.arena[body.output.pixel(0, 0, 0)..][..to.len()]);
        Ok(())
    }

    /// Several images through the body, each by one thread.
    fn images_apart(&self, memory: &mut Memory, inputs: &[f32], to: &mut [f32]) -> Result<()> {
        let whole = WholeImages { body: &self.body, input: self.input, outputs: to.as_mut_ptr() };
        let own = self.body.memory + self.body.scratch;
        grow(&mut memory.scratch, own * self.threads());
        let images = inputs.len() / self.input;
        let run = Run { kernels: &self.kernels, memory: std::ptr::null_mut(), input: inputs, images };
        // SAFETY: as above; each thread has memory of its own for a whole image, and each image its own place in `to`
        unsafe { self.team.run(&[&whole as &dyn Task], &run, memory.scratch.as_mut_ptr(), own) }
    }

    /// The last layer of all images.
    fn heads(&self, memory: &mut Memory, head: &Program, inputs: &[f32]) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(inputs.len() / self.body.dimension * self.dimension);
        grow(&mut memory.head, head.memory);
        grow(&mut memory.scratch, head.scratch * self.threads());
        for inputs in inputs.chunks(HEADS * self.body.dimension) {
            let images = inputs.len() / self.body.dimension;
            for (image, input) in inputs.chunks_exact(self.body.dimension).enumerate() {
                memory.head[head.input.pixel(image, 0, 0)..][..input.len()].copy_from_slice(input);
            }
            let run = Run { kernels: &self.kernels, memory: memory.head.as_mut_ptr(), input: &[], images };
            // SAFETY: as above, for at most `HEADS` images
            unsafe { self.team.run(&head.tasks(), &run, memory.scratch.as_mut_ptr(), head.scratch)? };
            for image in 0..images {
                features.extend_from_slice(&memory.head[head.output.pixel(image, 0, 0)..][..self.dimension]);
            }
        }
        Ok(features)
    }
}

/// Makes room without giving any back.
fn grow(memory: &mut Vec<f32>, len: usize) {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
}

/// Images, each of which one thread takes through a whole program in its own memory.
struct WholeImages<'a> {
    body: &'a Program,
    /// Values of one input image.
    input: usize,
    /// As many values for each image as the program gives.
    outputs: *mut f32,
}

// SAFETY: each image is written to a place of its own
unsafe impl Send for WholeImages<'_> {}
unsafe impl Sync for WholeImages<'_> {}

impl Task for WholeImages<'_> {
    fn chunks(&self, images: usize) -> usize {
        images
    }

    unsafe fn run(&self, run: &Run, scratch: *mut f32, image: usize) {
        let Program { output, dimension, .. } = self.body;
        let own = Run { memory: scratch, input: &run.input[image * self.input..][..self.input], images: 1, ..*run };
        unsafe {
            let scratch = scratch.add(self.body.memory);
            for NamedTask { task, .. } in &self.body.tasks {
                for chunk in 0..task.chunks(1) {
                    task.run(&own, scratch, chunk);
                }
            }
            let from = own.memory.add(output.pixel(0, 0, 0));
            self.outputs.add(image * dimension).copy_from_nonoverlapping(from, *dimension);
        }
    }
}
