//! Learns from every batch of one epoch.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::output::Output;
use super::{Event, Run, RunOptions, StepDone};
use crate::train::Schedule;
use crate::train::loader::Shared;
use crate::train::log::{Averages, duration};
use crate::train::network::Losses;
use crate::train::recipe::Recipe;
use crate::{Error, ErrorKind, Result};

/// Images that cannot be read, with the reason.
pub(super) type Unreadable = Mutex<HashMap<usize, String>>;

/// Batches at the start of an epoch that wait for their first images, and do not count for the speed.
const SLOW_BATCHES: usize = 5;

impl Run<'_> {
    /// Learns from every batch of an epoch. Gives the averages of the losses, and images per second.
    pub(super) fn learn_epoch(
        &mut self,
        epoch: usize,
        unreadable: &Unreadable,
        output: &mut Output,
    ) -> Result<(Averages, f64)> {
        let Run { recipe, options, training, schedule, team, .. } = self;
        let batches = training.sampler.epoch(epoch);
        let loader = training.loader(recipe, unreadable);
        let shared = Shared::default();
        let mut progress = Progress::new(recipe, options, schedule, epoch, training.sampler.batches());
        let began = Instant::now();
        std::thread::scope(|scope| {
            let mut incoming = loader.start(epoch, &batches, &shared, scope);
            for iteration in 0..progress.count {
                progress.check_stop(iteration)?;
                let started = Instant::now();
                let Some(batch) = incoming.next() else { break };
                let batch = batch?;
                let waited = started.elapsed().as_secs_f64();
                let size = batch.labels.len();
                let step = progress.step(iteration);
                let losses = team.step(batch, schedule.at(step), step as u64)?;
                progress.add(iteration, size, &losses)?;
                progress.costs_after(iteration).add(started.elapsed().as_secs_f64(), waited, size);
                progress.report(iteration, output)?;
                progress.report_unreadable(unreadable, output)?;
            }
            Ok::<_, Error>(())
        })?;
        Ok((progress.averages, progress.images as f64 / began.elapsed().as_secs_f64()))
    }
}

/// How far an epoch is.
struct Progress<'r> {
    recipe: &'r Recipe,
    options: &'r RunOptions,
    schedule: &'r Schedule,
    epoch: usize,
    /// Batches of an epoch.
    count: usize,
    averages: Averages,
    costs: Costs,
    images: usize,
    /// Images that cannot be read, as far as reported.
    reported: usize,
}

impl<'r> Progress<'r> {
    fn new(recipe: &'r Recipe, options: &'r RunOptions, schedule: &'r Schedule, epoch: usize, count: usize) -> Self {
        let (averages, costs) = (Averages::default(), Costs::default());
        Progress { recipe, options, schedule, epoch, count, averages, costs, images: 0, reported: 0 }
    }

    /// The number of a step, counted from the start of the run.
    fn step(&self, iteration: usize) -> usize {
        (self.epoch - 1) * self.count + iteration
    }

    fn check_stop(&self, iteration: usize) -> Result<()> {
        if !self.options.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Progress { epoch, count, .. } = self;
        let message = format!("interrupted in epoch {epoch}, after {iteration} of {count} batches");
        Err(Error::new(ErrorKind::Cancelled, message))
    }

    /// Adds a batch to the averages.
    fn add(&mut self, iteration: usize, size: usize, losses: &Losses) -> Result<()> {
        if losses.iter().any(|(_, loss)| !loss.is_finite()) {
            return Err(Error::usage(format!(
                "training has diverged in epoch {}, iteration {iteration}: the loss is not finite. Earlier checkpoints \
                 remain; start again with a lower learning rate or a longer warm-up",
                self.epoch
            )));
        }
        self.averages.add(losses, size);
        self.images += size;
        Ok(())
    }

    /// The costs to which this batch is added.
    fn costs_after(&mut self, iteration: usize) -> &mut Costs {
        if iteration == SLOW_BATCHES {
            self.costs = Costs::default();
        }
        &mut self.costs
    }

    /// Reports a batch to the caller and, at the recipe's interval, to the log and the records.
    fn report(&self, iteration: usize, output: &mut Output) -> Result<()> {
        let left = (self.recipe.epochs - self.epoch + 1) * self.count - iteration;
        let done = StepDone {
            epoch: self.epoch,
            iteration,
            learning_rate: self.schedule.at(self.step(iteration) + 1),
            losses: self.averages.values(),
            images_per_second: self.costs.images_per_second(),
            seconds_left: left as f64 * self.costs.batch(),
        };
        if iteration.is_multiple_of(self.recipe.log_interval) {
            self.log(&done, output)?;
        }
        output.tell(Event::Step(done));
        Ok(())
    }

    /// Writes the line that PaddleClas writes, and a record.
    fn log(&self, done: &StepDone, output: &mut Output) -> Result<()> {
        let StepDone { epoch, iteration, learning_rate, .. } = done;
        output.log.line(&format!(
            "[Train][Epoch {epoch}/{}][Iter: {iteration}/{}]lr({}): {learning_rate:.8}, {}, batch_cost: {:.5}s, \
             reader_cost: {:.5}, ips: {:.5} samples/s, eta: {}",
            self.recipe.epochs,
            self.count,
            self.schedule.name(),
            self.averages.text(),
            self.costs.batch(),
            self.costs.reader(),
            done.images_per_second,
            duration(done.seconds_left),
        ))?;
        let losses = done.losses.iter().map(|(name, loss)| (format!("train_{name}"), *loss));
        let rate = (format!("lr({})", self.schedule.name()), *learning_rate);
        let numbers: Vec<_> = std::iter::once(rate).chain(losses).collect();
        let numbers = numbers.iter().map(|(name, value)| (name.as_str(), *value));
        output.records.scalars(self.step(*iteration) + 1, numbers)
    }

    /// Reports images that cannot be read, as soon as there are more of them.
    fn report_unreadable(&mut self, unreadable: &Unreadable, output: &mut Output) -> Result<()> {
        let unreadable = unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.len() > self.reported {
            self.reported = unreadable.len();
            for note in unreadable.values() {
                output.log.warn(&format!("an image is replaced by another of its class: {note}"))?;
            }
            output.tell(Event::Replaced(format!(
                "{} images cannot be read and are replaced by others of their class; train.log names them",
                self.reported
            )));
        }
        Ok(())
    }
}

/// Time that batches took, in seconds.
#[derive(Default)]
struct Costs {
    seconds: f64,
    /// The part of it that was spent waiting for images.
    waited: f64,
    batches: f64,
    images: f64,
}

impl Costs {
    fn add(&mut self, seconds: f64, waited: f64, images: usize) {
        self.seconds += seconds;
        self.waited += waited;
        self.batches += 1.0;
        self.images += images as f64;
    }

    /// Seconds of a batch.
    fn batch(&self) -> f64 {
        self.seconds / self.batches
    }

    /// Seconds that a batch waits for its images.
    fn reader(&self) -> f64 {
        self.waited / self.batches
    }

    fn images_per_second(&self) -> f64 {
        self.images / self.seconds
    }
}
