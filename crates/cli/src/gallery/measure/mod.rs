//! What a gallery's own vectors tell: the threshold for what is unknown, and groups of near vectors.

mod calibrate;
mod groups;

use std::ops::ControlFlow;

pub use self::calibrate::{CalibrateArgs, calibrate};
pub use self::groups::{GroupsArgs, groups};
use crate::terminal::Progress;

/// Calls `work` with a function that shows the progress of work on `count` vectors.
fn with_progress<T>(count: usize, quiet: bool, work: impl FnOnce(&mut dyn FnMut(f32) -> ControlFlow<()>) -> T) -> T {
    let mut progress = Progress::new(Some(count as u64), quiet);
    let mut shown = 0;
    let answer = work(&mut |share| {
        let done = (f64::from(share) * count as f64) as u64;
        (shown..done).for_each(|_| progress.advance());
        shown = shown.max(done);
        ControlFlow::Continue(())
    });
    progress.finish();
    answer
}
