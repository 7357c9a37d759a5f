//! Workers of the page as threads of the engine.
//!
//! They share one WebAssembly memory. JavaScript starts them, because only it can; each calls [`serve_as_thread`] and
//! stays there. [`start_threads`] then makes rayon's global pool of them. All of it happens inside a worker: the page's
//! own thread must not wait on memory.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wasm_bindgen::prelude::*;

use crate::values::to_js;
use image_feature::Error;

/// Threads that rayon asked for and no worker took yet.
static ASKED_FOR: Mutex<VecDeque<ThreadBuilder>> = Mutex::new(VecDeque::new());
static ASKED: Condvar = Condvar::new();

/// Makes this worker one of the pool's threads. Does not return before the worker is ended.
#[wasm_bindgen(js_name = serveAsThread)]
pub fn serve_as_thread() {
    let mut asked_for = ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = loop {
        match asked_for.pop_front() {
            Some(thread) => break thread,
            None => asked_for = ASKED.wait(asked_for).unwrap_or_else(PoisonError::into_inner),
        }
    };
    drop(asked_for);
    thread.run();
}

/// Makes rayon's global pool of `helpers` workers, each of which has called `serveAsThread` or is about to, and waits
/// until all have begun. Fails where there is such a pool already.
#[wasm_bindgen(js_name = startThreads)]
pub fn start_threads(helpers: usize) -> Result<(), JsValue> {
    if helpers == 0 {
        return Err(to_js(Error::usage(
            "a pool has at least one helper; without any there is the build for one thread",
        )));
    }
    ThreadPoolBuilder::new()
        .num_threads(helpers)
        .spawn_handler(|thread| {
            ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner).push_back(thread);
            ASKED.notify_one();
            Ok(())
        })
        .build_global()
        .map_err(|error| to_js(Error::internal(format!("the threads could not be started: {error}"))))
}
