//! `image-feature gallery export` and `import`: formats of other programs.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{check_output, open, save};
use crate::Outcome;
use crate::address::refuse_address;
use crate::output_file::OutputFile;
use crate::terminal::note;
use image_feature::error::Context;
use image_feature::gallery::{Entry, Metric, Storage, json_lines, npy, paddlex};
use image_feature::{Error, Result};

/// Write a gallery for others
#[derive(clap::Args)]
pub struct ExportArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// A .jsonl file; a .npy file, with the entries in a .jsonl beside it; else a folder for PaddleX's index
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
}

/// Make a gallery of others' vectors
///
/// INPUT is a folder with PaddleX's index (vector.index, id_map.yaml); a .jsonl file, also one of `predict --json`; or a .npy file,
/// with entries in a .jsonl or labels in a .txt (one a line) of the same name beside it.
#[derive(clap::Args)]
pub struct ImportArgs {
    input: PathBuf,
    /// The gallery's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// How vectors are compared [default: what the index says, else cosine]
    #[arg(long)]
    metric: Option<Metric>,
    /// Form of the values that a search reads: f32, f16, i8 or bit
    #[arg(long, default_value_t = Storage::F32)]
    storage: Storage,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
}

fn suffix(path: &Path) -> String {
    path.extension().map_or(String::new(), |extension| extension.to_string_lossy().to_ascii_lowercase())
}

pub fn export(args: &ExportArgs) -> Result<Outcome> {
    let gallery = open(&args.gallery)?;
    match suffix(&args.output).as_str() {
        "jsonl" => {
            let mut file = OutputFile::create(&args.output)?;
            json_lines::write(&gallery, &mut file).context(|| args.output.display().to_string())?;
            file.commit()?;
        }
        "npy" => {
            let entries: Vec<String> = gallery.iter().map(|(entry, _)| json!(entry).to_string() + "\n").collect();
            OutputFile::write(args.output.with_extension("jsonl"), entries.concat().as_bytes())?;
            let mut file = OutputFile::create(&args.output)?;
            npy::write_gallery(&gallery, &mut file).context(|| args.output.display().to_string())?;
            file.commit()?;
        }
        _ => {
            let (vectors, labels) = paddlex::write(&gallery)?;
            std::fs::create_dir_all(&args.output).context(|| args.output.display().to_string())?;
            OutputFile::write(args.output.join(paddlex::LABELS), labels.as_bytes())?;
            OutputFile::write(args.output.join(paddlex::VECTORS), &vectors)?;
        }
    }
    Ok(Outcome::Good)
}

pub fn import(args: &ImportArgs) -> Result<Outcome> {
    refuse_address(&args.input)?;
    check_output(&args.output, args.force)?;
    let read = |path: &Path| std::fs::read(path).context(|| path.display().to_string());
    let metric = args.metric.unwrap_or_default();
    let gallery = if args.input.is_dir() {
        let (vectors, labels) = (read(&args.input.join(paddlex::VECTORS))?, read(&args.input.join(paddlex::LABELS))?);
        let index = paddlex::read(&vectors, &labels, Storage::F32).context(|| args.input.display().to_string())?;
        index.with_metric(args.metric.unwrap_or(index.metric()), args.storage)?
    } else if suffix(&args.input) == "npy" {
        let matrix = npy::read(&read(&args.input)?).context(|| args.input.display().to_string())?;
        matrix.to_gallery(entries_beside(&args.input, matrix.rows())?, metric, args.storage)?
    } else {
        let read = || json_lines::read(&mut BufReader::new(File::open(&args.input)?), metric, args.storage);
        read().context(|| args.input.display().to_string())?
    };
    save(&gallery, &args.output)?;
    note(&format!("{} vectors in {}", gallery.len(), args.output.display()));
    Ok(Outcome::Good)
}

/// The entries of a matrix's rows, from the file beside it; `None` where there is no such file.
fn entries_beside(matrix: &Path, rows: usize) -> Result<Option<Vec<Entry>>> {
    let [entries, labels] = ["jsonl", "txt"].map(|suffix| matrix.with_extension(suffix));
    let (path, found): (&Path, Vec<Entry>) = if entries.is_file() {
        let text = std::fs::read_to_string(&entries).context(|| entries.display().to_string())?;
        let read = text.lines().map(|line| {
            serde_json::from_str(line).map_err(|error| Error::gallery(format!("{}: {error}", entries.display())))
        });
        (&entries, read.collect::<Result<_>>()?)
    } else if labels.is_file() {
        let text = std::fs::read_to_string(&labels).context(|| labels.display().to_string())?;
        let entry = |(row, label): (usize, &str)| Entry::new(row.to_string()).label(label);
        (&labels, text.lines().enumerate().map(entry).collect())
    } else {
        return Ok(None);
    };
    if found.len() != rows {
        return Err(Error::gallery(format!("{}: {} lines for {rows} vectors", path.display(), found.len())));
    }
    Ok(Some(found))
}
