//! `image-feature convert`: data sets of other forms to lists and images.

use std::path::PathBuf;

use super::split::{Shares, tell_lists};
use super::{Compat, CopyTarget, DatasetArgs, tell_problems};
use crate::Outcome;
use crate::output_file::delete_unfinished_on_interrupt;
use crate::terminal::note;
use image_feature::dataset::{SourceForm, SplitOptions, convert};
use image_feature::error::Context;
use image_feature::file_tree::{images, tell_passed_over};
use image_feature::{Error, Result};

/// Convert a data set to images/ with train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature convert folders/ --from folders --output shop.zip
  image-feature convert labelled/ --from labelme --compat paddlex --output shop.zip
  image-feature convert labelled/ --from labelme --compat paddlex --in-place")]
pub struct ConvertArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// The form of DATASET: labelme, folders (one for each class) or csv (path, label and perhaps split)
    #[arg(long, value_name = "FORM")]
    from: Option<String>,
    /// Convert as PaddleX does, to the letter
    #[arg(long, value_enum, value_name = "RELEASE")]
    compat: Option<Compat>,
    /// Write the converted data set here: a folder, or a file name that ends with .zip
    #[arg(long, value_name = "DIR|ZIP", required_unless_present = "in_place", conflicts_with = "in_place")]
    output: Option<PathBuf>,
    /// Write the lists into DATASET itself, as PaddleX does: existing lists are lost
    #[arg(long, requires = "compat")]
    in_place: bool,
    #[command(flatten)]
    shares: Shares,
    /// Another seed gives another division, the same seed the same one
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: ConvertArgs) -> Result<Outcome> {
    match args.compat {
        None => run_ours(args),
        Some(compat) => {
            super::compat::convert(&args.dataset.path, compat, args.from.as_deref(), args.output.as_deref(), args.json)
        }
    }
}

/// Converts to a copy. Images that the source does not divide are divided 50 : 30 : 20, as in PaddleX.
fn run_ours(args: ConvertArgs) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    let form: SourceForm = args
        .from
        .as_deref()
        .ok_or_else(|| Error::usage("say with --from what form the data set has: labelme, folders or csv"))?
        .parse()?;
    let target = args.output.ok_or_else(|| Error::usage("give --output DIR|ZIP: a converted data set is a copy"))?;
    let tree = args.dataset.open()?;
    let options =
        SplitOptions { percent: args.shares.percent([50.0, 30.0, 20.0])?, seed: args.seed, ..SplitOptions::default() };
    let copy = CopyTarget::open(&target)?;
    let new = convert(tree.as_ref(), form, &options).context(|| args.dataset.name())?;
    copy.write(tree.as_ref(), &new, args.json)?;
    tell_lists(&new, &target, args.json)?;
    if form == SourceForm::Folders {
        let passed_over = images(tree.as_ref()).passed_over;
        if let Some(text) = tell_passed_over(passed_over.len(), &passed_over) {
            note(&format!("note: {text}"));
        }
    }
    Ok(tell_problems(tree.as_ref()))
}
