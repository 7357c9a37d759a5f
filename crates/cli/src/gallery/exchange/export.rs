//! `image-feature gallery export`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::open;
use super::suffix;
use crate::Outcome;
use crate::output_file::{OutputFile, check_output};
use image_feature::error::Context;
use image_feature::gallery::{Turn, json_lines, npy, paddlex};
use image_feature::{Error, Result};

/// Write a gallery for others
///
/// All formats name the model that made the vectors, if the gallery knows it.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// A .jsonl file; a .npy file, with the entries in a .jsonl beside it; else a folder for PaddleX's index
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// Replace files if they are there already
    #[arg(long)]
    force: bool,
}

pub fn export(args: &ExportArgs) -> Result<Outcome> {
    let gallery = open(&args.gallery)?;
    let output = &args.output;
    match suffix(output).as_str() {
        "jsonl" => {
            check_output(output, args.force)?;
            write(output, |file| json_lines::write(&gallery, file))?;
        }
        "npy" => {
            let entries = output.with_extension("jsonl");
            check_output(output, args.force)?;
            let _turn = Turn::take(output)?; // of two exports at a time, both files are from one
            check_output(&entries, args.force)?;
            write(&entries, |file| json_lines::write_entries(&gallery, file))?;
            write(output, |file| npy::write_gallery(&gallery, file))?;
        }
        _ => {
            let (vectors, labels) = paddlex::write(&gallery)?;
            refuse_other_labels(output)?;
            std::fs::create_dir_all(output).context(|| output.display().to_string())?;
            let files = [paddlex::LABELS, paddlex::VECTORS].map(|name| output.join(name));
            let _turn = Turn::take(&files[1])?; // as above
            files.iter().try_for_each(|file| check_output(file, args.force))?;
            OutputFile::write(&files[0], labels.as_bytes())?;
            OutputFile::write(&files[1], &vectors)?;
        }
    }
    Ok(Outcome::Good)
}

fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    write(&mut file).context(|| path.display().to_string())?;
    file.commit()
}

/// Refuses a folder that has labels of another program: they would no longer belong to the vectors.
fn refuse_other_labels(folder: &Path) -> Result<()> {
    let mut others = paddlex::LABEL_FILES.iter().filter(|name| **name != paddlex::LABELS);
    match others.find(|name| folder.join(name).exists()) {
        Some(name) => Err(Error::usage(format!(
            "{}: has a {name}, which belongs to another index; name another folder",
            folder.display()
        ))),
        None => Ok(()),
    }
}
