//! `image-feature split`: what is for training, what for the gallery, what for queries.

use std::path::PathBuf;

use super::{Compat, require_compat};
use crate::Result;
use crate::cli::Outcome;
use crate::dataset::compat::Percent;

/// Divide a data set's images anew into train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --output divided/
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --in-place")]
pub struct SplitArgs {
    /// The data set: a folder or an archive
    #[arg(value_name = "DATASET")]
    dataset: PathBuf,
    /// Percent of the images for training
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    train: Option<Percent>,
    /// Percent of the images for the gallery
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    gallery: Option<Percent>,
    /// Percent of the images for queries
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    query: Option<Percent>,
    /// Another seed gives another division, the same seed the same one
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Divide as PaddleX does, to the letter
    #[arg(long, value_enum, value_name = "RELEASE")]
    compat: Option<Compat>,
    /// Write the divided data set here: a folder, or a file name that ends with .zip
    #[arg(long, value_name = "DIR|ZIP", required_unless_present = "in_place", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Write the lists into DATASET itself; the first ones are kept as .bak
    #[arg(long)]
    in_place: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: SplitArgs) -> Result<Outcome> {
    let compat = require_compat(args.compat)?;
    let percents = [args.train, args.gallery, args.query];
    super::compat::split(&args.dataset, compat, percents, args.seed, args.output.as_deref(), args.json)
}
