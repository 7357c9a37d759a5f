//! `image-feature check`: is a data set fit for training?

use std::path::{Path, PathBuf};

use super::{Compat, Located, report_exception, require_compat};
use crate::cli::Outcome;
use crate::cli::output_file::{OutputFile, delete_unfinished_on_interrupt};
use crate::cli::terminal::{Stdout, note};
use crate::dataset::compat::{PASSED, Sample, Stop, draw, result_json};
use crate::error::Context;
use crate::{Error, Result, RgbImage};

/// Check a data set of image retrieval
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature check shop/ --compat paddlex --output output
  image-feature check shop/ --compat paddlex --json

With --compat, DIR gets what PaddleX's check_dataset leaves: check_dataset_result.json, and in check_dataset/ the \
samples with their label drawn (demo_img/) and histogram.png. The exit code is 1 where PaddleX refuses the data set.")]
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
    let compat = require_compat(args.compat)?;
    delete_unfinished_on_interrupt();
    let located = Located::open(&args.dataset)?;
    let output = args.output.as_deref();
    let verdict = located.find(compat).and_then(|dataset| {
        dataset.check(&mut |sample, image| output.map_or(Ok(()), |output| save_sample(output, sample, image)))
    });
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(Stop::Raised(exception)) => Err(exception),
        Err(Stop::Error(error)) => return Err(error),
    };
    if let Some(output) = output {
        if let Ok(summary) = &verdict {
            save(&output.join("check_dataset"), "histogram.png", &draw::histogram(&summary.counts)?)?;
        }
        save(output, "check_dataset_result.json", result_json(&verdict).as_bytes())?;
    }
    match &verdict {
        Err(exception) => report_exception(exception, args.json),
        Ok(_) => {
            let text = if args.json { result_json(&verdict) } else { PASSED.into() };
            Stdout::default().line(&text)?;
            Ok(Outcome::Good)
        }
    }
}

/// Saves a sample with its label drawn.
fn save_sample(output: &Path, sample: &Sample, image: Option<&RgbImage>) -> Result<()> {
    let name = &sample.name;
    let drawn = image.map(|image| draw::encode(&draw::with_label(image, &sample.label)?, sample.format)).transpose()?;
    match drawn.flatten() {
        Some(file) => save(&output.join("check_dataset").join("demo_img"), name, &file),
        None => {
            note(&format!("{name} is not drawn: its format is not supported"));
            Ok(())
        }
    }
}

/// Writes a file into a folder, which is made where it is not there.
fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(Error::usage(format!("{name}: no name for a file here")));
    }
    std::fs::create_dir_all(folder).context(|| format!("{}: the folder cannot be made", folder.display()))?;
    OutputFile::write(&folder.join(name), bytes)
}
