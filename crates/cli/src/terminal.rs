//! Output of the program: results on stdout, messages and progress on stderr.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use image_feature::Result;

/// Time between lines of progress where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Writes results. When the reader has closed the pipe (`| head`), the rest is dropped without an error.
#[derive(Default)]
pub struct Stdout {
    closed: bool,
}

impl Stdout {
    /// Writes a line, or several.
    pub fn line(&mut self, text: &str) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Whether the reader has closed the pipe.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Prints an error on stderr: one line.
pub fn complain(error: &dyn Display) {
    note(&format!("error: {error}"));
}

/// Prints a line on stderr, with control characters escaped.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text)); // a closed stderr cannot be reported
}

/// A text with control characters escaped. Names come from files and archives, and must not move a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
}

/// Shows the progress of long work: a bar on a terminal, else a line every few seconds.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    done: u64,
    started: Instant,
    printed: Instant,
    quiet: bool,
}

impl Progress {
    /// Starts to count images, up to `total` where it is known.
    pub fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let (bar, style) = match total {
                Some(total) => {
                    (ProgressBar::new(total), "{wide_bar} {human_pos}/{human_len} images  {per_sec}  {eta} left")
                }
                None => (ProgressBar::new_spinner(), "{spinner} {human_pos} images  {per_sec}  {elapsed}"),
            };
            bar.set_style(ProgressStyle::with_template(style).expect("the templates are constants"));
            bar
        });
        let now = Instant::now();
        Progress { bar, total, done: 0, started: now, printed: now, quiet }
    }

    /// Starts the measurement of time again.
    pub fn start(&mut self) {
        self.started = Instant::now();
        self.printed = self.started;
        if let Some(bar) = &self.bar {
            bar.reset();
        }
    }

    /// Counts one image.
    pub fn advance(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if !self.quiet && self.printed.elapsed() >= LINE_EVERY {
            self.printed = Instant::now();
            let of = self.total.map_or(String::new(), |total| format!(" of {total}"));
            let speed = self.done as f64 / self.started.elapsed().as_secs_f64();
            note(&format!("{}{of} images, {speed:.1} images/s", self.done));
        }
    }

    /// Calls `write`, which writes to the terminal, while the bar is hidden.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar and gives the time since the start.
    pub fn finish(self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}
