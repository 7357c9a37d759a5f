//! `image-feature gallery import`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::{open, save};
use super::source::Source;
use crate::address::refuse_address;
use crate::output_file::check_output;
use crate::terminal::note;
use crate::{Outcome, open_model};
use image_feature::error::Context;
use image_feature::gallery::beside::Rows;
use image_feature::gallery::{Gallery, Metric, ModelId, Storage, json_lines, npy, npz, paddlex};
use image_feature::{Error, Result};

/// Make a gallery of others' vectors
///
/// INPUT is a .jsonl file, also one of `predict --json`; a .npy file, with entries in a .jsonl, labels in a .txt (one a line) or the
/// list of `predict --save` in a .csv of the same name beside it; a .npz file with `features`, `ids` and `labels`; an index of FAISS,
/// PaddleX or PaddleClas (vector.index, with id_map.yaml, index_info.yaml or id_map.pkl beside it); a gallery's file; or a folder
/// with one of these.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery import output/index --model PP-ShiTuV2_rec --output shop.safetensors
  image-feature gallery import features.npy --output shop.safetensors --metric ip")]
pub struct ImportArgs {
    input: PathBuf,
    /// The gallery's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The model that made the vectors, if the input does not say it: the gallery remembers it, and `search` and `add` refuse others
    #[arg(long, short, value_name = "PATH|NAME")]
    model: Option<PathBuf>,
    /// How vectors are compared [default: what the input says, else cosine]
    #[arg(long)]
    metric: Option<Metric>,
    /// Form of the values that a search reads: f32, f16, i8 or bit [default: what the input says, else f32]
    #[arg(long)]
    storage: Option<Storage>,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

pub fn import(args: &ImportArgs) -> Result<Outcome> {
    refuse_address(&args.input)?;
    check_output(&args.output, args.force)?;
    let source = Source::find(&args.input)?;
    let tell = |text: String| {
        if !args.quiet {
            note(&text);
        }
    };
    let mut gallery = read(&source, args.metric, args.storage, &tell)?;
    set_model(&mut gallery, args)?;
    save(&gallery, &args.output)?;
    tell(format!("{} vectors in {}", gallery.len(), args.output.display()));
    if gallery.model().is_none() {
        tell("note: the model that made these vectors is not known: `search` and `add` need --any-model; --model here writes it down".into());
    }
    Ok(Outcome::Good)
}

/// The gallery of a file, or of others' vectors in a file or folder.
pub fn open_any(path: &Path, quiet: bool) -> Result<Gallery> {
    refuse_address(path)?;
    match Source::find(path)? {
        Source::Gallery(path) => open(&path),
        source => read(&source, None, None, &|text| {
            if !quiet {
                note(&text);
            }
        }),
    }
}

/// Reads vectors, with another metric or storage than they have where these are asked for.
fn read(
    source: &Source,
    asked_metric: Option<Metric>,
    asked_storage: Option<Storage>,
    tell: &dyn Fn(String),
) -> Result<Gallery> {
    let bytes = |path: &Path| std::fs::read(path).context(|| path.display().to_string());
    let (metric, storage) = (asked_metric.unwrap_or_default(), asked_storage.unwrap_or_default());
    match source {
        Source::Index { vectors, labels } => {
            let index = match labels {
                Some(labels) => {
                    let name = labels.file_name().unwrap_or_default().to_string_lossy();
                    let folder = vectors.parent().unwrap_or(Path::new("")).display().to_string();
                    paddlex::read_named(&bytes(vectors)?, &name, &bytes(labels)?, Storage::F32).context(|| folder)?
                }
                None => {
                    let [yaml, _, pickle] = paddlex::LABEL_FILES;
                    tell(format!(
                        "note: there are no labels: neither {yaml} nor {pickle} lies beside {}",
                        vectors.display()
                    ));
                    paddlex::read_vectors(&bytes(vectors)?, Storage::F32).context(|| vectors.display().to_string())?
                }
            };
            index.with_metric(asked_metric.unwrap_or(index.metric()), storage)
        }
        Source::Gallery(path) => {
            let gallery = open(path)?;
            let metric = asked_metric.unwrap_or(gallery.metric());
            gallery.with_metric(metric, asked_storage.unwrap_or(gallery.storage()))
        }
        Source::Npy { matrix, beside } => {
            let read = npy::read(&bytes(matrix)?).context(|| matrix.display().to_string())?;
            let rows = beside.as_deref().map(|path| rows_of(path, read.rows())).transpose()?;
            let (entries, model) = rows.map_or((None, None), |rows| (Some(rows.entries), rows.model));
            let mut gallery = read.to_gallery(entries, metric, storage).context(|| matrix.display().to_string())?;
            gallery.set_model(model);
            Ok(gallery)
        }
        Source::Npz(path) => npz::read(&bytes(path)?, metric, storage).context(|| path.display().to_string()),
        Source::Lines(path) => {
            let read = || json_lines::read_counting(&mut BufReader::new(File::open(path)?), metric, storage);
            let (gallery, failed) = read().context(|| path.display().to_string())?;
            if failed > 0 {
                tell(format!("note: {failed} lines without a vector were passed over: their images had failed"));
            }
            Ok(gallery)
        }
    }
}

/// The entries of a matrix's rows, from the file beside it.
fn rows_of(path: &Path, rows: usize) -> Result<Rows> {
    let read = || -> Result<Rows> {
        let found = Rows::read(&path.to_string_lossy(), &std::fs::read(path)?)?;
        match found.entries.len() {
            count if count == rows => Ok(found),
            count => Err(Error::gallery(format!("{count} lines for {rows} vectors"))),
        }
    };
    read().context(|| path.display().to_string())
}

/// Writes the model down that the arguments name.
fn set_model(gallery: &mut Gallery, args: &ImportArgs) -> Result<()> {
    let Some(path) = &args.model else { return Ok(()) };
    let model = open_model(Some(path))?;
    let (ours, theirs) = (model.description.dimension(), gallery.dimension());
    let model = ModelId::of(&model);
    if let Some(stated) = gallery.model()
        && !stated.is_same(&model)
    {
        return Err(Error::usage(format!(
            "{}: says that {stated} made its vectors, not {model}; leave --model out",
            args.input.display()
        )));
    }
    if ours != theirs {
        return Err(Error::usage(format!(
            "{}: has vectors of {theirs} values, and {model} makes {ours}; name the model that made them",
            args.input.display()
        )));
    }
    gallery.set_model(Some(model));
    Ok(())
}
