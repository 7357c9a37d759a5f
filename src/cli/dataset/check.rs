//! `image-feature check`: is a data set fit for training?

use std::path::PathBuf;

use super::{Compat, require_compat};
use crate::Result;
use crate::cli::Outcome;

/// Check a data set of image retrieval
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature check shop/ --compat paddlex --output output
  image-feature check shop.zip --compat paddlex --json

With --compat, DIR gets what PaddleX's check_dataset leaves: check_dataset_result.json, and in check_dataset/ the \
samples with their label drawn (demo_img/) and histogram.png. The exit code is 1 where PaddleX refuses the data set.")]
pub struct CheckArgs {
    /// The data set: a folder or archive with images/, train.txt, gallery.txt and query.txt in it, at any depth
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
    let compat = require_compat(args.compat)?;
    super::compat::check(&args.dataset, compat, args.output.as_deref(), args.json)
}
