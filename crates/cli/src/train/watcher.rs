//! Progress of a run on stderr.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::note;
use image_feature::train::{Begin, Event, Recipe, StepDone};

/// Shows the progress of a run: a bar on a terminal, else a line for each epoch.
pub(super) struct Watcher {
    bar: Option<ProgressBar>,
    quiet: bool,
    iterations: usize,
    epochs: usize,
    done_before: usize,
    last: Option<StepDone>,
}

impl Watcher {
    pub fn new(recipe: &Recipe, begin: Begin, quiet: bool) -> Self {
        let total = recipe.epochs * begin.iterations_per_epoch;
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total as u64);
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}");
            bar.set_style(style.expect("the template is a constant"));
            bar
        });
        let done_before = begin.epochs_done * begin.iterations_per_epoch;
        Watcher { bar, quiet, iterations: begin.iterations_per_epoch, epochs: recipe.epochs, done_before, last: None }
    }

    fn tell(&self, text: &str) {
        if !self.quiet {
            self.always_tell(text);
        }
    }

    fn always_tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    pub fn take(&mut self, event: Event) {
        match event {
            // also where it is to be quiet: what is trained is not what was asked for
            Event::Replaced(text) => self.always_tell(&format!("note: {text}")),
            Event::Note(text) => self.tell(&format!("note: {text}")),
            Event::Step(step) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(
                        ((step.epoch - 1) * self.iterations + step.iteration + 1).max(self.done_before) as u64
                    );
                    bar.set_message(state(&step, self.epochs));
                }
                self.last = Some(step);
            }
            Event::Evaluated { scores, is_best, .. } => {
                let recall: Vec<String> =
                    scores.recall.iter().map(|(k, value)| format!("recall@{k} {value:.5}")).collect();
                let step = self.last.as_ref().map_or(String::new(), |step| state(step, self.epochs));
                let best = if is_best { "  best so far" } else { "" };
                self.tell(&format!("{step}  {}  mAP {:.5}{best}", recall.join("  "), scores.map));
            }
            _ => {}
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn state(step: &StepDone, epochs: usize) -> String {
    let loss = step.losses.last().map_or(f64::NAN, |(_, loss)| *loss);
    format!(
        "epoch {}/{epochs}  loss {loss:.4}  lr {:.5}  {:.0} images/s  {} left",
        step.epoch,
        step.learning_rate,
        step.images_per_second,
        hours(step.seconds_left)
    )
}

pub(super) fn hours(seconds: f64) -> String {
    match seconds {
        _ if seconds < 90.0 => format!("{seconds:.0} s"),
        _ if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
