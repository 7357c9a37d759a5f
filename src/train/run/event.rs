//! The events and results that a run reports.

use std::path::PathBuf;

use crate::metrics::Scores;

/// An event during a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Data and network are ready.
    Begin(Begin),
    /// A remark for the user.
    Note(String),
    /// Images cannot be read, and others of their class are trained on instead: how many, in words.
    Replaced(String),
    /// One batch is done.
    Step(StepDone),
    /// A model was evaluated.
    Evaluated {
        /// The epoch, from 1.
        epoch: usize,
        /// Recall and mAP.
        scores: Scores,
        /// Whether this is the best evaluation so far.
        is_best: bool,
    },
    /// A checkpoint was written into this folder.
    Saved(PathBuf),
    /// The run was asked to stop and stops in this epoch, which is lost.
    Stopped {
        /// The epoch that is lost, from 1.
        epoch: usize,
        /// The epoch of the checkpoint `latest`, if this run has written one.
        kept: Option<usize>,
    },
}

/// The size of a run, known before it starts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Begin {
    /// Classes of the training images.
    pub classes: usize,
    /// Images for training, in the gallery, and of queries.
    pub images: [usize; 3],
    /// Numbers in the network and its head.
    pub parameters: usize,
    /// Batches of an epoch.
    pub iterations_per_epoch: usize,
    /// Epochs that an earlier run has done.
    pub epochs_done: usize,
    /// Bytes of the checkpoints to come at most, less those of an earlier run that they replace.
    pub disk_bytes: u64,
    /// Free bytes where the checkpoints go; `None` if the system does not say.
    pub disk_free: Option<u64>,
    /// The names of the devices.
    pub device: String,
}

/// One batch that is done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepDone {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The batch within the epoch, from 0.
    pub iteration: usize,
    /// The learning rate of the next step, which is the one that Paddle shows.
    pub learning_rate: f64,
    /// Averages of the epoch so far by name, the total last.
    pub losses: Vec<(&'static str, f64)>,
    /// Speed of the last batches.
    pub images_per_second: f64,
    /// Estimate for the rest of the run, without evaluations.
    pub seconds_left: f64,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The epoch with the best evaluation, and its recall@1.
    pub best: Option<(usize, f64)>,
    /// The last evaluation.
    pub last: Option<Scores>,
}

/// The outcome of a rehearsal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// Losses of the last batch by name, the total last.
    pub losses: Vec<(&'static str, f32)>,
    /// Duration of one batch.
    pub step_seconds: f64,
    /// Scores of the network after two batches.
    pub scores: Scores,
    /// Estimate for the whole run, without saving.
    pub whole_seconds: f64,
    /// Images of the batches that cannot be read, with the reason.
    pub unreadable: Vec<String>,
}
