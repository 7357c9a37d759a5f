//! What the program says, and where: results on stdout, the rest on stderr.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use image_feature::Result;

/// How often progress is told where there is no terminal to draw a bar on.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Writes results. When the reader is gone (`| head`), the rest is dropped without complaint.
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

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Prints an error on stderr: one line.
pub fn complain(error: &dyn Display) {
    note(&format!("error: {error}"));
}

/// Prints a line on stderr. Names come from files and archives: what would move a terminal's cursor is escaped.
pub fn note(text: &str) {
    let line: String = text
        .chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            escaped.into_iter().flatten().chain((!c.is_control()).then_some(c))
        })
        .collect();
    let _ = writeln!(std::io::stderr(), "{line}"); // stderr is closed: nowhere left to say so
}

/// Tells how far a long work is: a bar on a terminal, else a line every few seconds.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    done: u64,
    started: Instant,
    told: Instant,
    quiet: bool,
}

impl Progress {
    /// Starts counting images up to `total`, where that is known.
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
        Progress { bar, total, done: 0, started: now, told: now, quiet }
    }

    /// Begins to measure time, where something else came first.
    pub fn start(&mut self) {
        self.started = Instant::now();
        self.told = self.started;
        if let Some(bar) = &self.bar {
            bar.reset();
        }
    }

    /// One more is done.
    pub fn advance(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if !self.quiet && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let of = self.total.map_or(String::new(), |total| format!(" of {total}"));
            let speed = self.done as f64 / self.started.elapsed().as_secs_f64();
            note(&format!("{}{of} images, {speed:.1} images/s", self.done));
        }
    }

    /// Does what writes to the terminal, with the bar out of the way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away, and says how long it took.
    pub fn finish(self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed()
    }
}
