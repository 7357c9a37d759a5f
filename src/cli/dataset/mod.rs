//! `image-feature check`, `convert` and `split`: data sets.

pub mod check;
mod compat;
pub mod convert;
pub mod split;

use crate::{Error, Result};

/// Whose behaviour a command reproduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
    /// PaddleX 3.0-beta
    PaddlexBeta,
}

/// The release to follow; without one the command has no mode to run in yet.
fn require_compat(compat: Option<Compat>) -> Result<Compat> {
    compat.ok_or_else(|| Error::usage("give --compat paddlex: this command has no other mode yet"))
}
