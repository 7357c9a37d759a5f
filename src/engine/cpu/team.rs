//! Threads that run a program together.
//!
//! There is no fork and join for each step: each thread walks through the whole program, takes pieces of the current
//! task as long as there are any, and goes on when all are done. Whoever is late, or is put aside by the system, holds
//! up nobody unless it has a piece in its hands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::tasks::{Run, Task};
use crate::{Error, Result};

/// Times a waiting thread looks before it lets others run.
const SPINS: usize = 2000;

/// The threads that may help.
pub(super) struct Team {
    threads: usize,
    #[cfg(not(target_family = "wasm"))]
    pool: Option<rayon::ThreadPool>,
}

/// Progress through a program, shared by those who run it.
struct Progress {
    tasks: Vec<Counters>,
    /// Helpers at work, and [`CLOSED`] once none may join.
    helpers: AtomicUsize,
    /// The place of the next helper's scratch memory.
    seats: AtomicUsize,
    /// A piece of work panicked; nobody may wait for it.
    failed: AtomicBool,
}

/// Pieces of one task. Aligned so that threads do not fight for the cache line of two counters.
#[derive(Default)]
#[repr(align(64))]
struct Counters {
    taken: AtomicUsize,
    done: AtomicUsize,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

/// What a helper needs: alive only as long as the one who asked has not closed the doors.
#[derive(Clone, Copy)]
struct Job {
    tasks: *const [&'static dyn Task],
    run: *const Run<'static>,
    scratch: *mut f32,
    scratch_len: usize,
}

// SAFETY: a helper reads through these pointers only between `join` and `leave`, and `Team::run` does not return, and
// so does not end the borrows behind them, before every helper that joined has left.
unsafe impl Send for Job {}

impl Team {
    /// A team of so many threads, the caller included. Where threads cannot be had there is only the caller.
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
            Team { threads: if pool.is_some() { threads } else { 1 }, pool }
        }
        #[cfg(target_family = "wasm")]
        Team { threads: if cfg!(feature = "threads") { threads } else { 1 } }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    fn spawn(&self, help: impl FnOnce() + Send + 'static) {
        #[cfg(not(target_family = "wasm"))]
        if let Some(pool) = &self.pool {
            pool.spawn(help);
        }
        // in a browser the page's pool of workers is rayon's global one
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
    /// What `run` points to must be laid out for these tasks, and `scratch` valid for `scratch_len` values for each of the
    /// team's threads.
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
                    // SAFETY: this helper has joined and not left
                    let work = AssertUnwindSafe(|| unsafe { progress.work(job, seat) });
                    // a panic has been told to the others, and is told to the caller by them
                    let _ = catch_unwind(work);
                    progress.helpers.fetch_sub(1, Ordering::Release);
                }
            });
        }
        // closes the doors and waits for those inside, also where a piece of work panics
        let closing = Closing(&progress);
        unsafe { progress.work(job, 0) };
        drop(closing);
        match progress.failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::internal("a thread failed while it computed; please report this")),
        }
    }
}

impl Progress {
    /// Whether a helper may come in.
    fn join(&self) -> bool {
        let open = |helpers| (helpers & CLOSED == 0).then_some(helpers + 1);
        self.helpers.fetch_update(Ordering::AcqRel, Ordering::Relaxed, open).is_ok()
    }

    /// Works through all tasks.
    ///
    /// # Safety
    /// What `job` points to must be alive.
    unsafe fn work(&self, job: Job, seat: usize) {
        let failing = Failing(&self.failed);
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

/// Waits until `ready`; false where that will not happen any more.
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

/// Dropped only by a panic: tells the others.
struct Failing<'a>(&'a AtomicBool);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets no more helpers in, and waits until those who came have left.
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
        // SAFETY: the tasks use no memory
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
