//! `image-feature split`: division of images into training, gallery and queries.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Compat, CopyTarget, DatasetArgs, count, look_at_images};
use crate::output_file::{OutputFile, delete_unfinished_on_interrupt};
use crate::terminal::{Stdout, note};
use crate::{Outcome, default_threads};
use image_feature::dataset::compat::Percent;
use image_feature::dataset::{Dataset, NewDataset, SplitBy, SplitOptions, Subset, split};
use image_feature::error::Context;
use image_feature::{Error, Result};

/// Divide a data set's images anew into train.txt, gallery.txt and query.txt
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature split shop/ --train 70 --gallery 20 --query 10 --by class --output divided/
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --output divided/
  image-feature split shop/ --train 70 --gallery 20 --query 10 --compat paddlex --in-place")]
pub struct SplitArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    shares: Shares,
    /// Another seed gives another division, the same seed the same one
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Divide the images of each class, or the classes, so that queries are of classes not trained on
    #[arg(long, value_enum, default_value = "image")]
    by: By,
    /// Let classes have queries and no image in the gallery
    #[arg(long)]
    allow_absent: bool,
    /// Don't open the images: copies of one picture may end up in several lists
    #[arg(long)]
    ignore_copies: bool,
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
    /// Print nothing but the result
    #[arg(long, short)]
    quiet: bool,
}

/// Percentages of the three lists.
#[derive(clap::Args)]
pub struct Shares {
    /// Percent of the images for training
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub train: Option<Percent>,
    /// Percent of the images for the gallery
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub gallery: Option<Percent>,
    /// Percent of the images for queries
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub query: Option<Percent>,
}

impl Shares {
    /// The three percentages; `usual` where none is given.
    pub fn percent(&self, usual: [f64; 3]) -> Result<[f64; 3]> {
        let given = [("--train", self.train), ("--gallery", self.gallery), ("--query", self.query)];
        if given.iter().all(|(_, value)| value.is_none()) {
            return Ok(usual);
        }
        let mut percent = [0.0; 3];
        for (place, (name, value)) in given.into_iter().enumerate() {
            let value = value.ok_or_else(|| Error::usage(format!("give {name}, too: the three make 100")))?;
            percent[place] = value.value();
        }
        Ok(percent)
    }
}

/// The unit of division.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    /// The images of each class
    Image,
    /// The classes
    Class,
}

pub fn run(args: SplitArgs) -> Result<Outcome> {
    match args.compat {
        None => run_ours(args),
        Some(compat) => {
            let Shares { train, gallery, query } = args.shares;
            let percents = [train, gallery, query];
            let how = super::compat::How { json: args.json, quiet: args.quiet };
            super::compat::split(&args.dataset.path, compat, percents, args.seed, args.output.as_deref(), how)
        }
    }
}

/// Divides into a copy, or writes the lists in place and keeps the old ones.
fn run_ours(args: SplitArgs) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    if args.in_place && !args.dataset.path.is_dir() {
        return Err(Error::usage("--in-place needs a folder: give --output DIR|ZIP for an archive"));
    }
    let tree = args.dataset.open()?;
    let dataset = args.dataset.read(tree.as_ref())?;
    for text in dataset.notes().iter().filter(|_| !args.quiet) {
        note(&format!("note: {text}"));
    }
    let options = SplitOptions {
        percent: args.shares.percent(SplitOptions::default().percent)?,
        seed: args.seed,
        by: match args.by {
            By::Image => SplitBy::Image,
            By::Class => SplitBy::Class,
        },
        allow_absent: args.allow_absent,
        ..SplitOptions::default()
    };
    let name = || args.dataset.name();
    let copy = args.output.as_deref().map(CopyTarget::open).transpose()?;
    let quiet = args.quiet || args.json;
    // reports errors of the lists before the images are opened
    let mut new = split(&dataset, &[], &options).context(name)?;
    if !args.ignore_copies {
        let facts = look_at_images(tree.as_ref(), &dataset, default_threads(), quiet);
        new = split(&dataset, &facts, &options).context(name)?;
    }
    match args.output.as_deref().zip(copy) {
        Some((target, copy)) => {
            copy.write(tree.as_ref(), &new, quiet)?;
            tell_lists(&new, target, None, args.json)?;
        }
        None => {
            let new = split_in_place(&dataset, new);
            let root = args.dataset.path.join(dataset.root());
            replace_lists(&root, &new).context(|| root.display().to_string())?;
            tell_lists(&new, &root, None, args.json)?;
        }
    }
    Ok(Outcome::Good)
}

/// The lists with the images' present paths.
fn split_in_place(dataset: &Dataset, new: NewDataset) -> NewDataset {
    let old = |index: usize| dataset.paths()[super::place_of(dataset, index)].clone();
    let names: HashMap<String, String> = new.images.iter().map(|(index, name)| (name.clone(), old(*index))).collect();
    let is_list = |file: &str| Subset::ALL.iter().any(|list| list.list() == file);
    // the files that name the classes stay as they are
    let files = new.files.into_iter().filter(|(file, _)| is_list(file)).map(|(file, text)| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let rows = text.lines().filter_map(|row| row.rsplit_once(' '));
        let rows: String = rows.map(|(name, label)| format!("{} {label}\n", names[name])).collect();
        (file, rows.into_bytes())
    });
    NewDataset { files: files.collect(), images: Vec::new() }
}

/// Replaces lists and keeps the old ones as `.bak`. An existing `.bak` stays, as in PaddleX. All new lists are written
/// before the first is replaced.
fn replace_lists(root: &Path, new: &NewDataset) -> Result<()> {
    let mut written = Vec::new();
    for list in Subset::ALL {
        let text = new.files.iter().find(|(name, _)| name == list.list()).map(|(_, text)| text);
        let file = text.map(|text| -> Result<OutputFile> {
            let mut file = OutputFile::create(root.join(list.list()))?;
            file.write_all(text)?;
            file.flush()?;
            Ok(file)
        });
        written.push((list, file.transpose()?));
    }
    for (list, file) in written {
        let (path, kept) = (root.join(list.list()), root.join(format!("{}.bak", list.list())));
        if path.exists() && !kept.exists() {
            std::fs::rename(&path, &kept)?;
        }
        match file {
            Some(file) => file.commit()?,
            None if path.exists() => std::fs::remove_file(&path)?,
            None => {}
        }
    }
    Ok(())
}

/// Prints the number of images of each list; as JSON with the notes of a conversion.
pub fn tell_lists(new: &NewDataset, target: &Path, notes: Option<&[String]>, as_json: bool) -> Result<()> {
    let rows = |list: Subset| {
        let text = new.files.iter().find(|(name, _)| name == list.list()).map(|(_, text)| text.as_slice());
        text.unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count()
    };
    let [train, gallery, query] = Subset::ALL.map(rows);
    let text = if as_json {
        let mut json =
            json!({ "output": target.display().to_string(), "train": train, "gallery": gallery, "query": query });
        if let Some(notes) = notes {
            json["notes"] = json!(notes);
        }
        json.to_string()
    } else {
        let queries = if query == 1 { "query" } else { "queries" };
        let train = count(train as u64, "image");
        format!("{}: {train} for training, {gallery} in the gallery, {query} {queries}", target.display())
    };
    Stdout::default().line(&text)
}
