//! How many threads a command takes.

use std::num::NonZeroUsize;

use clap::builder::RangedI64ValueParser;

/// As many as the machine runs at once.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// For `--threads N`. A system that is asked for threads by the thousand ends the program rather than refuse.
pub fn thread_count() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=512)
}
