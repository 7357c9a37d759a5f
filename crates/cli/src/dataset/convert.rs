//! `image-feature convert`: data sets of other forms to lists and images.

use std::path::{Path, PathBuf};

use super::split::{Shares, tell_lists};
use super::{Compat, CopyTarget, DatasetArgs, tell_problems};
use crate::Outcome;
use crate::output_file::delete_unfinished_on_interrupt;
use crate::terminal::note;
use image_feature::dataset::{
    ConvertOptions, Converted, CsvColumns, Divisions, SourceForm, SplitOptions, convert_with,
};
use image_feature::error::Context;
use image_feature::{Error, Result};

/// Convert a data set to images/ with train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature convert folders/ --from folders --output shop.zip
  image-feature convert labels.csv --from csv --path-column file --label-column species --output shop/
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
    source: SourceArgs,
    #[command(flatten)]
    shares: Shares,
    /// Another seed gives another division, the same seed the same one
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing but the result
    #[arg(long, short)]
    quiet: bool,
}

/// The meaning of what is in the source.
#[derive(clap::Args)]
struct SourceArgs {
    /// Whether folders named train, val, test, gallery, query are divisions: yes, no (classes), or auto: yes where all are
    /// named so, an error where only some are
    #[arg(long, value_name = "YES|NO|AUTO", default_value = "auto", value_parser = parse_divisions, conflicts_with = "compat")]
    divisions: Divisions,
    /// The column of a CSV file with the paths: its name, or its number from 1 [default: by its name and content]
    #[arg(long, value_name = "COLUMN", conflicts_with = "compat")]
    path_column: Option<String>,
    /// The column with the labels [default: label, class, category, class_name, class_id, target, id, whichever comes first]
    #[arg(long, value_name = "COLUMN", conflicts_with = "compat")]
    label_column: Option<String>,
    /// The column that says train, val, test, gallery or query [default: split, subset, set, list, …]
    #[arg(long, value_name = "COLUMN", conflicts_with = "compat")]
    list_column: Option<String>,
    /// Leave out faulty rows and annotations, and tell them; without it they are an error
    #[arg(long, conflicts_with = "compat")]
    skip_faulty: bool,
}

fn parse_divisions(text: &str) -> Result<Divisions> {
    text.parse()
}

pub fn run(args: ConvertArgs) -> Result<Outcome> {
    match args.compat {
        None => run_ours(args),
        Some(compat) => {
            let how = super::compat::How { json: args.json, quiet: args.quiet };
            super::compat::convert(&args.dataset.path, compat, args.from.as_deref(), args.output.as_deref(), how)
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
    let (folder, table) = table_of(&args.dataset.path, form);
    let tree = args.dataset.open_at(folder)?;
    let split =
        SplitOptions { percent: args.shares.percent([50.0, 30.0, 20.0])?, seed: args.seed, ..SplitOptions::default() };
    let SourceArgs { divisions, path_column, label_column, list_column, skip_faulty } = args.source;
    let columns = CsvColumns { path: path_column, label: label_column, list: list_column };
    let options = ConvertOptions { split, divisions, columns, table, skip_faulty };
    let copy = CopyTarget::open(&target)?;
    let decoder = args.dataset.decoder()?;
    let new = convert_with(tree.as_ref(), form, &options, decoder.as_deref());
    let Converted { dataset: new, notes, .. } = new.map_err(told_line_by_line).context(|| args.dataset.name())?;
    if !args.quiet {
        notes.iter().for_each(|text| note(text));
    }
    copy.write(tree.as_ref(), &new, args.json || args.quiet)?;
    tell_lists(&new, &target, Some(&notes), args.json)?;
    Ok(tell_problems(tree.as_ref()))
}

/// The folder of a CSV file that is given itself, and the file's name in it.
fn table_of(path: &Path, form: SourceForm) -> (&Path, Option<String>) {
    let name = path.file_name().filter(|_| form == SourceForm::Csv && path.is_file());
    let is_table = path
        .extension()
        .is_some_and(|extension| ["csv", "tsv", "txt"].iter().any(|table| extension.eq_ignore_ascii_case(table)));
    match name.and_then(|name| name.to_str()).filter(|_| is_table) {
        Some(name) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            (folder.unwrap_or(Path::new(".")), Some(name.into()))
        }
        None => (path, None),
    }
}

/// Prints the faults that an error lists below its first line, and returns it with that line alone.
fn told_line_by_line(error: Error) -> Error {
    let text = error.to_string();
    match text.split_once('\n') {
        Some((head, faults)) => {
            faults.lines().for_each(|fault| note(&format!("  {fault}")));
            Error::new(
                error.kind(),
                format!("{} (see above); --skip-faulty leaves them out", head.trim_end_matches(':')),
            )
        }
        None => error,
    }
}
