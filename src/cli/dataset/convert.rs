//! `image-feature convert`: data sets of other forms to ours.

use std::path::PathBuf;

use super::output::{Target, report_lists};
use super::{Compat, Located, report_exception, require_compat};
use crate::Result;
use crate::cli::Outcome;
use crate::cli::output_file::delete_unfinished_on_interrupt;
use crate::dataset::compat::{CONVERTED, Stop};

/// Convert a data set to images/ with train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature convert labelled/ --from labelme --compat paddlex --output shop.zip
  image-feature convert labelled/ --from labelme --compat paddlex --in-place")]
pub struct ConvertArgs {
    /// The data set: a folder
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
    delete_unfinished_on_interrupt();
    let located = Located::open(&args.dataset)?;
    let target = Target::new(&args.dataset, &located, args.output.as_deref())?;
    // PaddleX's name for it, which it wants in this spelling
    let from = args.from.as_deref().map(|from| if from.eq_ignore_ascii_case("labelme") { "LabelMe" } else { from });
    let converted = located.find(compat).and_then(|mut dataset| {
        dataset.convert(from)?;
        Ok(dataset.changes())
    });
    match converted {
        Ok(changes) => {
            target.apply(&*located.tree, &changes)?;
            report_lists(CONVERTED, &changes, args.json)
        }
        Err(Stop::Raised(exception)) => report_exception(&exception, args.json),
        Err(Stop::Error(error)) => Err(error),
    }
}
