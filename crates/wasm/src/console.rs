//! Warnings of the libraries below on the browser's console.
//!
//! A shader that WebGPU refuses is reported nowhere else: the runtime logs it and goes on without it.

use log::{Level, LevelFilter, Log, Metadata, Record};
use web_sys::console;

struct Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = format!("{}: {}", record.target(), record.args()).into();
        if record.level() == Level::Error { console::error_1(&text) } else { console::warn_1(&text) }
    }

    fn flush(&self) {}
}

/// Sends warnings and errors to the console. Leaves a logger that is already there in place.
pub fn install() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
