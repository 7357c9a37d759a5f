//! `image-feature split`: what is for training, what for the gallery, what for queries.

use std::path::PathBuf;

use super::output::{Target, report_lists};
use super::{Compat, Located, report_exception, require_compat};
use crate::Result;
use crate::cli::Outcome;
use crate::cli::output_file::delete_unfinished_on_interrupt;
use crate::dataset::compat::{DIVIDED, Percent, Stop};

/// Divide a data set's images anew into train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --output divided/
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --in-place")]
pub struct SplitArgs {
    /// The data set: a folder
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
    delete_unfinished_on_interrupt();
    let located = Located::open(&args.dataset)?;
    let target = Target::new(&args.dataset, &located, args.output.as_deref())?;
    let divided = located.find(compat).and_then(|mut dataset| {
        dataset.split([args.train, args.gallery, args.query], args.seed)?;
        Ok(dataset.changes())
    });
    match divided {
        Ok(changes) => {
            target.apply(&*located.tree, &changes)?;
            report_lists(DIVIDED, &changes, args.json)
        }
        Err(Stop::Raised(exception)) => report_exception(&exception, args.json),
        Err(Stop::Error(error)) => Err(error),
    }
}
