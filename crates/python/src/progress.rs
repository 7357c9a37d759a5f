//! The progress of long work, and Ctrl-C.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Time between two looks at Python's signals.
const EVERY: Duration = Duration::from_millis(100);

/// Tells Python of the progress, and keeps the exception that ends the work.
pub struct Progress {
    /// Gets the steps done and their number; `None`: nobody wants to know.
    callback: Option<Py<PyAny>>,
    total: usize,
    done: usize,
    told: Option<Instant>,
    raised: Option<PyErr>,
}

impl Progress {
    pub fn new(callback: Option<Py<PyAny>>, total: usize) -> Self {
        Progress { callback, total, done: 0, told: None, raised: None }
    }

    /// Counts a step. Breaks where Python raised an exception, Ctrl-C among them.
    pub fn advance(&mut self) -> ControlFlow<()> {
        self.done += 1;
        if self.done < self.total && self.told.is_some_and(|told| told.elapsed() < EVERY) {
            return ControlFlow::Continue(());
        }
        self.told = Some(Instant::now());
        let told = Python::attach(|py| {
            py.check_signals()?;
            self.callback.as_ref().map_or(Ok(()), |callback| callback.call1(py, (self.done, self.total)).map(drop))
        });
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.raised = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The exception that ended the work.
    pub fn ended(self) -> PyResult<()> {
        self.raised.map_or(Ok(()), Err)
    }
}
