//! A rehearsal: two batches and an evaluation, without writing.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Rehearsal, Run};
use crate::Result;
use crate::train::loader::Shared;

impl Run<'_> {
    /// Learns from two batches and evaluates, as the run would. Writes nothing. It shows whether the run works, and
    /// estimates its duration.
    ///
    /// # Errors
    /// Those of [`start`](Run::start), except for writing.
    pub fn rehearse(mut self) -> Result<Rehearsal> {
        let first = self.epochs_done + 1;
        let batches: Vec<_> = self.training.sampler.epoch(first).into_iter().take(2).collect();
        let unreadable = Mutex::default();
        let loader = self.training.loader(self.recipe, &unreadable);
        let shared = Shared::default();
        let (mut losses, mut step_seconds) = (Vec::new(), 0.0);
        // two, because the first step also measures and allocates for all later ones
        let batches: Vec<_> =
            std::thread::scope(|scope| loader.start(first, &batches, &shared, scope).collect::<Result<Vec<_>>>())?;
        for (number, batch) in batches.into_iter().enumerate() {
            let started = Instant::now();
            losses = self.team.step(batch, self.schedule.at(number), number as u64)?;
            step_seconds = started.elapsed().as_secs_f64();
        }
        let started = Instant::now();
        let scores = self.evaluation.run(&self.team.model()?, &self.options.stop)?;
        let evaluation = started.elapsed().as_secs_f64() / self.recipe.eval_interval as f64;
        let epochs = (self.recipe.epochs - self.epochs_done) as f64;
        let whole_seconds = epochs * (step_seconds * self.training.sampler.batches() as f64 + evaluation);
        let unreadable = unreadable.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect();
        Ok(Rehearsal { losses, step_seconds, scores, whole_seconds, unreadable })
    }
}
