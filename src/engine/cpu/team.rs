//! Threads that run a program together.
//!
//! There is no fork and join for each task. Each thread goes through the whole program: it takes chunks of the current
//! task as long as there are any, and goes on when all are done. A thread that starts late, or that the system
//! suspends, delays the others only while it holds a chunk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::tasks::{Run, Task};
use crate::{Error, Result};

/// Number of times that a waiting thread looks before it yields to others.
const SPINS: usize = 2000;

/// The caller's thread and those that help it.
pub(super) struct Team {
    threads: usize,
    #[cfg(not(target_family = "wasm"))]
    pool: Option<rayon::ThreadPool>,
}

/// Progress through a program, shared by those who run it.
struct Progress {
    tasks: Vec<Counters>,
    /// Number of helpers that have joined and not left, plus [`CLOSED`] once none may join.
    helpers: AtomicUsize,
    /// The number of the next helper, and of its scratch memory.
    seats: AtomicUsize,
    /// A chunk panicked; nobody may wait for it.
    failed: AtomicBool,
}

/// Chunks of one task, by number: those taken and those done. Aligned so that the counters of two tasks share no cache
/// line.
#[derive(Default)]
#[repr(align(64))]
struct Counters {
    taken: AtomicUsize,
    done: AtomicUsize,
}

/// Added to [`Progress::helpers`] when a run ends.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The borrows of [`Team::run`] for its helpers, without their lifetimes. They are valid until the run is closed.
#[derive(Clone, Copy)]
struct Job {
    tasks: *const [&'static dyn Task],
    run: *const Run<'static>,
    scratch: *mut f32,
    scratch_len: usize,
}

// SAFETY: tasks may be shared among threads, and so may a `Run`, whose memory tasks share out among their chunks. A
// helper uses the pointers only after it has joined and before it leaves, and `Team::run` does not return, and so does
// not end the borrows behind them, before every helper that has joined has left.
unsafe impl Send for Job {}

impl Team {
    /// A team of this many threads, the caller included, or of fewer if the system does not provide them.
    pub fn new(threads: usize) -> Self {
        #[cfg(not(target_family = "wasm"))]
        {
            let pool = (threads > 1)
                .then(|| {
                    rayon::ThreadPoolBuilder::new()
                        .num_threads(threads - 1)
                        .thread_name(|index| format!("image-feature {}", index + 1))
                        .build()
                        .ok()
                })
                .flatten();
            // rayon limits the number of threads
            Team { threads: 1 + pool.as_ref().map_or(0, rayon::ThreadPool::current_num_threads), pool }
        }
        #[cfg(target_family = "wasm")]
        Team { threads: if cfg!(feature = "threads") { threads } else { 1 } }
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    fn spawn(&self, help: impl FnOnce() + Send + 'static) {
        #[cfg(not(target_family = "wasm"))]
        if let Some(pool) = &self.pool {
            pool.spawn(help);
        }
        // in a browser the workers are rayon's global pool
        #[cfg(all(target_family = "wasm", feature = "threads"))]
        rayon::spawn(help);
        #[cfg(all(target_family = "wasm", not(feature = "threads")))]
        drop(help);
    }

    /// Runs tasks in order.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a thread panicked; the memory then holds anything.
    ///
    /// # Safety
    /// `run.kernels` and `run.memory` are as [`Task::run`] asks for each of the tasks. `scratch` is valid for
    /// `scratch_len` values for each of the team's threads, enough for each of the tasks, and nothing else uses it
    /// meanwhile.
    pub unsafe fn run(&self, tasks: &[&dyn Task], run: &Run, scratch: *mut f32, scratch_len: usize) -> Result<()> {
        let progress = Arc::new(Progress {
            tasks: tasks.iter().map(|_| Counters::default()).collect(),
            helpers: AtomicUsize::new(0),
            seats: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
        });
        #[allow(clippy::unnecessary_cast)] // it forgets a lifetime
        let job = Job {
            tasks: std::ptr::from_ref(tasks) as *const [&'static dyn Task],
            run: std::ptr::from_ref(run).cast(),
            scratch,
            scratch_len,
        };
        for _ in 1..self.threads {
            let progress = progress.clone();
            self.spawn(move || {
                if progress.join() {
                    let seat = progress.seats.fetch_add(1, Ordering::Relaxed);
                    // SAFETY: this helper has joined and not left, so the job's pointers are valid; no other thread has
                    // this seat, which is less than the number of threads, since each call of `spawn` takes one
                    let work = AssertUnwindSafe(|| unsafe { progress.work(job, seat) });
                    // `Failing` has told the others of a panic, and the caller returns an error
                    let _ = catch_unwind(work);
                    progress.helpers.fetch_sub(1, Ordering::Release);
                }
            });
        }
        // waits for the helpers, also where a chunk panics
        let closing = Closing(&progress);
        // SAFETY: the borrows behind the job's pointers are arguments of this function, and seat 0 is this thread's
        unsafe { progress.work(job, 0) };
        drop(closing);
        match progress.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::internal("a thread failed while it computed; please report this")),
        }
    }
}

impl Progress {
    /// Registers a helper, unless the run is closed.
    fn join(&self) -> bool {
        let open = |helpers| (helpers & CLOSED == 0).then_some(helpers + 1);
        self.helpers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, open).is_ok()
    }

    /// Goes through all tasks.
    ///
    /// # Safety
    /// The pointers of `job` are valid as [`Team::run`] asks, and no other thread has this seat, which is less than the
    /// number of threads.
    unsafe fn work(&self, job: Job, seat: usize) {
        let failing = Failing(&self.failed);
        // SAFETY: the caller says that the pointers are valid, and the seat has scratch memory of its own. The counter
        // gives each chunk to one thread, and a thread goes on to the next task when all chunks are done.
        unsafe {
            let (tasks, run) = (&*job.tasks, &*job.run);
            let scratch = job.scratch.add(seat * job.scratch_len);
            for (task, counters) in tasks.iter().zip(&self.tasks) {
                let chunks = task.chunks(run.images);
                loop {
                    let chunk = counters.taken.fetch_add(1, Ordering::Relaxed);
                    if chunk >= chunks {
                        break;
                    }
                    task.run(run, scratch, chunk);
                    counters.done.fetch_add(1, Ordering::Release);
                }
                if !wait(|| counters.done.load(Ordering::Acquire) >= chunks, &self.failed) {
                    break;
                }
            }
        }
        std::mem::forget(failing);
    }
}

/// Waits until `ready`, or until a chunk has failed: then the result is false.
fn wait(ready: impl Fn() -> bool, failed: &AtomicBool) -> bool {
    let mut looks = 0;
    while !ready() {
        if failed.load(Ordering::Relaxed) {
            return false;
        }
        looks += 1;
        if looks % SPINS == 0 { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
    true
}

/// Dropped only by a panic: tells the other threads.
struct Failing<'a>(&'a AtomicBool);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Closes the run to helpers, and waits until those that have joined have left.
struct Closing<'a>(&'a Progress);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.helpers.fetch_or(CLOSED, Ordering::AcqRel);
        let never = AtomicBool::new(false);
        wait(|| self.0.helpers.load(Ordering::Acquire) == CLOSED, &never);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::kernels::Kernels;

    /// Adds one to each of its places, slowly enough for every thread to get some.
    struct Count<'a> {
        places: &'a [AtomicUsize],
        before: usize,
        panics: bool,
    }

    impl Task for Count<'_> {
        fn chunks(&self, images: usize) -> usize {
            images * self.places.len()
        }

        unsafe fn run(&self, _: &Run, _: *mut f32, chunk: usize) {
            std::thread::sleep(std::time::Duration::from_micros(200));
            assert!(!self.panics || chunk != 3, "as the test wants it");
            let count = self.places[chunk].fetch_add(1, Ordering::Relaxed);
            assert_eq!(count, self.before, "a task began before the one before it was done");
        }
    }

    fn run(threads: usize, places: &[AtomicUsize], panics_at: Option<usize>) -> Result<()> {
        let tasks: Vec<_> = (0..5).map(|before| Count { places, before, panics: panics_at == Some(before) }).collect();
        let tasks: Vec<&dyn Task> = tasks.iter().map(|task| task as &dyn Task).collect();
        let kernels = Kernels::available().remove(0);
        let run = Run { kernels: &kernels, memory: std::ptr::null_mut(), input: &[], images: 1 };
        // SAFETY: the kernels are available, and the tasks use no memory
        unsafe { Team::new(threads).run(&tasks, &run, std::ptr::dangling_mut(), 0) }
    }

    #[test]
    fn every_piece_is_done_once_and_in_order() {
        for threads in [1, 2, 5] {
            let places: Vec<_> = (0..20).map(|_| AtomicUsize::new(0)).collect();
            run(threads, &places, None).unwrap();
            assert!(places.iter().all(|place| place.load(Ordering::Relaxed) == 5));
        }
    }

    #[test]
    fn a_panic_ends_the_run_and_nobody_waits() {
        for threads in [1, 2, 5] {
            for _ in 0..5 {
                let places: Vec<_> = (0..20).map(|_| AtomicUsize::new(0)).collect();
                // by a helper: an error; by the caller: a panic that goes on
                let ended = catch_unwind(AssertUnwindSafe(|| run(threads, &places, Some(2))));
                assert!(ended.is_err() || ended.is_ok_and(|result| result.is_err()));
            }
        }
    }
}
