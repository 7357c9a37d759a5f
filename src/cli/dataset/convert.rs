//! `image-feature convert`: data sets of other forms to ours.

use std::path::PathBuf;

use super::{Compat, require_compat};
use crate::Result;
use crate::cli::Outcome;

/// Convert a data set to images/ with train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature convert labelled/ --from labelme --compat paddlex --output shop.zip
  image-feature convert labelled/ --from labelme --compat paddlex --in-place")]
pub struct ConvertArgs {
    /// The data set: a folder or an archive
    #[arg(value_name = "DATASET")]
    dataset: PathBuf,
    /// The form it has now: labelme
    #[arg(long, value_name = "FORM")]
    from: Option<String>,
    /// Convert as PaddleX does, to the letter
    #[arg(long, value_enum, value_name = "RELEASE")]
    compat: Option<Compat>,
    /// Write the converted data set here: a folder, or a file name that ends with .zip
    #[arg(long, value_name = "DIR|ZIP", required_unless_present = "in_place", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Write the lists into DATASET itself, as PaddleX does: those that are there are lost
    #[arg(long, requires = "compat")]
    in_place: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: ConvertArgs) -> Result<Outcome> {
    let compat = require_compat(args.compat)?;
    super::compat::convert(&args.dataset, compat, args.from.as_deref(), args.output.as_deref(), args.json)
}
