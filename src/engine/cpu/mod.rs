//! A plan, run on the CPU with SIMD kernels and threads.
//!
//! The only room of the crate with `unsafe` in it: kernels work on pointers into one block of memory that the program
//! has laid out. What they are given is checked where the program is made; images and weights cannot change it.
#![allow(unsafe_code)]

mod kernels;
mod lanes;
mod memory;
mod pack;
mod program;
mod tasks;
mod team;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::kernels::Kernels;
use self::program::Program;
use self::tasks::Run;
use self::team::Team;
use super::Plan;
use crate::{Error, Result};

/// Images that go through the network together, at most: enough for the weights to be read once for several images, few
/// enough for the maps to stay small.
const BATCH: usize = 4;

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
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar".as_ref())?;
/// let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
/// let executor = cpu::Executor::new(plan, cpu::Options::default())?;
/// let features = executor.run(&vec![0.0; 2 * 3 * 224 * 224], 2)?;
/// assert_eq!(features.len(), 2 * 512);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Executor {
    program: Program,
    kernels: Kernels,
    team: Team,
    /// One run at a time: each already uses every thread.
    memory: Mutex<Memory>,
}

/// The arena and the threads' own memory, kept from run to run.
#[derive(Default)]
struct Memory {
    arena: Vec<f32>,
    scratch: Vec<f32>,
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
        let program = Program::new(&plan, &kernels, BATCH)?;
        Ok(Executor { program, kernels, team: Team::new(threads), memory: Mutex::default() })
    }

    /// The instruction set whose kernels run.
    pub fn instruction_set(&self) -> &'static str {
        self.kernels.name
    }

    /// Threads that work together.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Length of a feature.
    pub fn dimension(&self) -> usize {
        self.program.dimension
    }

    /// Features of `count` preprocessed images, not yet of length 1: `count` x 3 x height x width values in, `count` x
    /// [`dimension`](Self::dimension) out.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `input` has another length.
    pub fn run(&self, input: &[f32], count: usize) -> Result<Vec<f32>> {
        self.check(input, count)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut features = Vec::with_capacity(count * self.dimension());
        for images in input.chunks(self.program.input * self.program.images) {
            self.batch(&mut memory, images, &mut features);
        }
        Ok(features)
    }

    /// Runs images one task after the other on the calling thread and says how long each task took.
    ///
    /// # Errors
    /// As [`run`](Self::run); at most as many images as go through the network together.
    pub fn profile(&self, input: &[f32], count: usize) -> Result<Vec<TaskTime>> {
        self.check(input, count)?;
        if count > self.program.images {
            return Err(Error::usage(format!("at most {} images can be profiled at once", self.program.images)));
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, scratch) = self.prepare(&mut memory, input);
        Ok(self
            .program
            .tasks
            .iter()
            .map(|named| {
                let start = std::time::Instant::now();
                for chunk in 0..named.task.chunks(run.images) {
                    // SAFETY: as in `batch`, by one thread
                    unsafe { named.task.run(&run, scratch, chunk) };
                }
                TaskTime { name: named.name.clone(), macs: named.macs, time: start.elapsed() }
            })
            .collect())
    }

    fn check(&self, input: &[f32], count: usize) -> Result<()> {
        let each = self.program.input;
        if count == 0 || count.checked_mul(each) != Some(input.len()) {
            return Err(Error::usage(format!(
                "{count} images of {each} values each were announced, {} values were given",
                input.len()
            )));
        }
        Ok(())
    }

    /// What the tasks run on, with memory for so many images.
    fn prepare<'a>(&'a self, memory: &mut Memory, input: &'a [f32]) -> (Run<'a>, *mut f32) {
        let program = &self.program;
        memory.arena.resize(program.memory, 0.0);
        memory.scratch.resize(program.scratch * self.team.threads(), 0.0);
        let images = input.len() / program.input;
        let run = Run { kernels: &self.kernels, memory: memory.arena.as_mut_ptr(), input, images };
        (run, memory.scratch.as_mut_ptr())
    }

    /// Runs at most [`BATCH`] images.
    fn batch(&self, memory: &mut Memory, input: &[f32], features: &mut Vec<f32>) {
        let (run, scratch) = self.prepare(memory, input);
        // SAFETY: the program laid the memory out for its tasks and for as many images as are here at most, the kernels
        // are ones this machine can run, and the scratch memory is as large as the team needs
        unsafe { self.team.run(&self.program.tasks, &run, scratch, self.program.scratch) };
        for image in 0..run.images {
            features.extend_from_slice(&memory.arena[self.program.output.pixel(image, 0, 0)..][..self.dimension()]);
        }
    }
}
