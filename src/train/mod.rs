//! Training: a network's weights made from a data set's images (feature `train`), as PaddleX does it.
//!
//! A [`Recipe`] says how; a [`Learner`] is the network on a device, which learns from one [`Batch`] after another; the losses
//! are in [`loss`], the learning rate is a [`Schedule`], and [`Momentum`] moves the weights.

mod augment;
mod initial;
mod loader;
pub mod loss;
mod network;
mod optimizer;
mod recipe;
mod sampler;
mod samples;
mod schedule;

pub use augment::{Augmentation, Products};
pub use network::{Batch, Learner, Losses};
pub use optimizer::{Momentum, Rule};
pub use recipe::{Objective, Recipe, Sampling};
pub use schedule::Schedule;
