//! Training: a network's weights made from a data set's images (feature `train`), as PaddleX does it.
//!
//! [`train`] does a whole run. A [`Recipe`] says how; a [`Learner`] is the network on a device, which learns from one [`Batch`] after another; the losses
//! are in [`loss`], the learning rate is a [`Schedule`], and [`Momentum`] moves the weights.

mod augment;
mod config;
mod curve;
mod disk;
mod evaluation;
mod folder;
mod initial;
mod loader;
mod log;
pub mod loss;
mod network;
mod optimizer;
mod recipe;
mod run;
mod sampler;
mod samples;
mod team;
mod visual_dl;

pub use crate::finetune::Schedule;
pub use augment::{Augmentation, Crops, Products};
pub use initial::untrained;
pub use network::{Batch, Learner, Losses};
pub use optimizer::{Momentum, Rule};
pub use recipe::{Objective, Recipe, Sampling};
pub use run::{Begin, Event, Rehearsal, Run, RunOptions, StepDone, Summary, train};
