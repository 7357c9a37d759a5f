//! The number of threads of a command.

use std::num::NonZeroUsize;

use clap::builder::RangedI64ValueParser;

/// The number of threads that the machine runs at once.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The parser of `--threads N`. It has a limit, because the system ends a program that starts thousands of threads.
pub fn thread_count() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=512)
}
