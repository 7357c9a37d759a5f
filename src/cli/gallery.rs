//! `image-feature gallery`: vectors of images, kept, searched and exchanged.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::contact_sheet::{Picture, contact_sheet};
use super::output_file::{OutputFile, delete_unfinished_on_interrupt};
use super::predict::engine::Engine;
use super::predict::inputs::{Inputs, Origin};
use super::predict::{embed_all, preparation};
use super::terminal::{Progress, Stdout, complain, note};
use super::{Outcome, default_threads, open_model, thread_count};
use crate::error::Context;
use crate::gallery::{Entry, Filter, Gallery, Metric, Search, Storage, json_lines, npy, paddlex};
use crate::{DeviceRequest, Error, ErrorKind, Result};

/// Bytes of a list of images.
const LIST_BYTES: u64 = 256 << 20;

/// Keep images' vectors, and search them
#[derive(clap::Subcommand)]
pub enum GalleryCommand {
    Build(BuildArgs),
    Add(AddArgs),
    Remove(RemoveArgs),
    Search(SearchArgs),
    Info(InfoArgs),
    Export(ExportArgs),
    Import(ImportArgs),
}

/// What turns images into vectors.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Model archive, folder, .pdparams or .safetensors, or an official name that PaddleX has downloaded
    #[arg(long, short, value_name = "PATH|NAME")]
    pub model: Option<PathBuf>,
    /// What computes: auto, cpu, webgpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: DeviceRequest,
    /// Images that go through the network together
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub batch_size: u16,
    /// Threads for decoding and for the network on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    pub threads: Option<u16>,
    /// Tell nothing but results and errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Make a gallery of images
///
/// INPUT is a folder, whose folders become labels; an archive of one; images; or a list, a .txt file with a line `PATH LABEL` for
/// each image, paths being relative to the list.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery build photos/ --model PP-ShiTuV2_rec --output photos.safetensors
  image-feature gallery build gallery.txt --model model.safetensors --output shop.safetensors --storage i8")]
pub struct BuildArgs {
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The gallery's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// How vectors are compared: cosine, ip, l2 or hamming
    #[arg(long, default_value_t = Metric::Cosine)]
    metric: Metric,
    /// What a search reads: f32, f16, i8 or bit
    #[arg(long, default_value_t = Storage::F32)]
    storage: Storage,
    #[command(flatten)]
    model: ModelArgs,
}

/// Add images to a gallery
#[derive(clap::Args)]
pub struct AddArgs {
    gallery: PathBuf,
    /// As for `gallery build`
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Take images out of a gallery, all of them or none
#[derive(clap::Args)]
pub struct RemoveArgs {
    gallery: PathBuf,
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Find the images of a gallery that are nearest to others
#[derive(clap::Args)]
pub struct SearchArgs {
    gallery: PathBuf,
    /// Images, folders or archives to search with
    #[arg(required = true, value_name = "QUERY")]
    queries: Vec<PathBuf>,
    /// Hits of each query, at most
    #[arg(short, value_name = "N", default_value_t = 5)]
    k: usize,
    /// The least score of a hit; the largest where the metric is l2 or hamming
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Only images with this label; may be given more than once
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only images whose metadata has this value: KEY=VALUE, VALUE being JSON or a text
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = parse_field)]
    fields: Vec<(String, Value)>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Write a page with the queries and their hits as pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Tell what a gallery holds
#[derive(clap::Args)]
pub struct InfoArgs {
    gallery: PathBuf,
    /// Print it as a JSON object
    #[arg(long)]
    json: bool,
}

/// Write a gallery for others
#[derive(clap::Args)]
pub struct ExportArgs {
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
    /// What a search reads: f32, f16, i8 or bit
    #[arg(long, default_value_t = Storage::F32)]
    storage: Storage,
}

fn parse_field(text: &str) -> Result<(String, Value)> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Error::usage(format!("`{text}` is not KEY=VALUE, such as shelf=7")))?;
    Ok((key.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

pub fn run(command: GalleryCommand) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    match command {
        GalleryCommand::Build(args) => build(&args),
        GalleryCommand::Add(args) => add(&args),
        GalleryCommand::Remove(args) => remove(&args),
        GalleryCommand::Search(args) => search(&args),
        GalleryCommand::Info(args) => info(&args),
        GalleryCommand::Export(args) => export(&args),
        GalleryCommand::Import(args) => import(&args),
    }
}

/// Features as they come: calls `take` for each, and tells which images failed. Gives whether none did.
pub fn embed(
    inputs: Inputs,
    args: &ModelArgs,
    take: &mut dyn FnMut(Origin, Vec<f32>) -> Result<()>,
) -> Result<Outcome> {
    let model = open_model(args.model.as_deref())?;
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let engine = Engine::open(&model, args.device, threads)?;
    if !args.quiet {
        note(&engine.summary);
    }
    let batch_size = usize::from(args.batch_size);
    let preparation = preparation(&model, None, threads, batch_size);
    drop(model);
    let mut progress = Progress::new(inputs.count(), args.quiet);
    let mut failed = false;
    embed_all(inputs, &preparation, &engine, batch_size, &mut |origin, result| {
        progress.advance();
        let name = origin.input_path.clone();
        if let Err(error) = result.and_then(|feature| take(origin, feature)) {
            failed = true;
            progress.suspend(|| complain(&error.context(name)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    progress.finish();
    Ok(if failed { Outcome::Failed(ErrorKind::Decode) } else { Outcome::Good })
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"))
}

/// Adds images to a gallery, which is made with the first of them where there is none yet.
fn add_images(
    gallery: &mut Option<Gallery>,
    new: impl Fn(usize) -> Result<Gallery>,
    arguments: &[PathBuf],
    model: &ModelArgs,
) -> Result<Outcome> {
    let mut outcome = Outcome::Good;
    let (lists, others): (Vec<&PathBuf>, Vec<&PathBuf>) = arguments.iter().partition(|path| is_list(path));
    let mut parts: Vec<(Inputs, HashMap<String, String>)> = Vec::new();
    for list in lists {
        parts.push(read_list(list)?);
    }
    if !others.is_empty() {
        let others: Vec<PathBuf> = others.into_iter().cloned().collect();
        parts.push((Inputs::find(&others)?, HashMap::new()));
    }
    for (inputs, labels) in parts {
        let ended = embed(inputs, model, &mut |origin, feature| {
            let id = origin.relative.to_string_lossy().replace('\\', "/");
            let folder = origin.relative.parent().and_then(Path::file_name).map(|name| name.to_string_lossy());
            let mut entry = Entry::new(id);
            entry.label = labels.get(&origin.input_path).cloned().or(folder.map(Into::into));
            if let Ok(path) = std::path::absolute(&origin.input_path)
                && path.is_file()
            {
                entry = entry.metadata("path", path.to_string_lossy());
            }
            if gallery.is_none() {
                *gallery = Some(new(feature.len())?);
            }
            gallery.as_mut().map_or(Ok(()), |gallery| gallery.add(entry, &feature))
        })?;
        if ended != Outcome::Good {
            outcome = ended;
        }
    }
    Ok(outcome)
}

/// The images of a list and their labels by path.
fn read_list(list: &Path) -> Result<(Inputs, HashMap<String, String>)> {
    let read = || -> Result<(Inputs, HashMap<String, String>)> {
        if std::fs::metadata(list)?.len() > LIST_BYTES {
            return Err(Error::limit(format!("more than {LIST_BYTES} bytes, which no list of images has")));
        }
        let text = std::fs::read_to_string(list)?;
        let root = list.parent().unwrap_or(Path::new(""));
        let (mut files, mut labels) = (Vec::new(), HashMap::new());
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let (path, label) = line.rsplit_once([' ', '\t']).ok_or_else(|| {
                Error::usage(format!("line {}: `PATH LABEL` is expected, not `{}`", number + 1, line.escape_debug()))
            })?;
            let path = path.trim_end();
            let file = root.join(path);
            let origin = Origin { input_path: file.to_string_lossy().into_owned(), relative: path.into() };
            labels.insert(origin.input_path.clone(), label.to_string());
            files.push((origin, file));
        }
        Ok((Inputs::of_files(files), labels))
    };
    read().context(|| list.display().to_string())
}

fn build(args: &BuildArgs) -> Result<Outcome> {
    let mut gallery = None;
    let new = |dimension| Gallery::new(dimension, args.metric, args.storage);
    // what cannot be is said before any image is read
    new(1)?;
    let outcome = add_images(&mut gallery, new, &args.inputs, &args.model)?;
    let Some(gallery) = gallery else {
        return Err(Error::decode("there is no image of which a vector could be made; no gallery is written"));
    };
    gallery.save(&args.output)?;
    if !args.model.quiet {
        note(&format!("{} images in {}", gallery.len(), args.output.display()));
    }
    Ok(outcome)
}

fn add(args: &AddArgs) -> Result<Outcome> {
    let mut gallery = Some(Gallery::open(&args.gallery)?);
    let before = gallery.as_ref().map_or(0, Gallery::len);
    let outcome =
        add_images(&mut gallery, |_| Err(Error::internal("the gallery is there")), &args.inputs, &args.model)?;
    let Some(gallery) = gallery else { return Ok(outcome) };
    if gallery.len() > before {
        gallery.save(&args.gallery)?;
    }
    if !args.model.quiet {
        note(&format!("{} images added, {} in all", gallery.len() - before, gallery.len()));
    }
    Ok(outcome)
}

fn remove(args: &RemoveArgs) -> Result<Outcome> {
    let mut gallery = Gallery::open(&args.gallery)?;
    for id in &args.ids {
        gallery.remove(id)?;
    }
    gallery.save(&args.gallery)?;
    Ok(Outcome::Good)
}

fn search(args: &SearchArgs) -> Result<Outcome> {
    let gallery = Gallery::open(&args.gallery)?;
    let filter = args.label.iter().fold(Filter::new(), |filter, label| filter.label(label));
    let filter = args.fields.iter().fold(filter, |filter, (key, value)| filter.field(key, value.clone()));
    let accept = |entry: &Entry| filter.matches(entry);
    let search =
        Search { k: args.k, threshold: args.threshold, filter: if filter.is_empty() { None } else { Some(&accept) } };
    let mut stdout = Stdout::default();
    let mut rows = Vec::new();
    let table = std::io::stdout().is_terminal();
    let outcome = embed(Inputs::find(&args.queries)?, &args.model, &mut |origin, feature| {
        let hits = gallery.search(&feature, search)?;
        if args.json {
            let found: Vec<Value> = hits
                .iter()
                .map(|hit| json!({ "id": hit.entry.id, "label": hit.entry.label, "score": hit.score, "metadata": hit.entry.metadata }))
                .collect();
            stdout.line(&json!({ "query": origin.input_path, "hits": found }).to_string())?;
        } else if table {
            stdout.line(&printable(&origin.input_path))?;
            let width = hits.iter().map(|hit| label(hit.entry).chars().count()).max().unwrap_or(0);
            for hit in &hits {
                let label = printable(label(hit.entry));
                stdout.line(&format!("  {:9.5}  {label:width$}  {}", hit.score, printable(&hit.entry.id)))?;
            }
        } else {
            for hit in &hits {
                let fields = [&origin.input_path, label(hit.entry), &hit.entry.id].map(printable);
                stdout.line(&format!("{}\t{}\t{}\t{}", fields[0], hit.score, fields[1], fields[2]))?;
            }
        }
        if args.html.is_some() {
            let picture = |caption: String, path: Option<&str>| Picture {
                caption,
                image: path.and_then(|path| std::fs::read(path).ok()),
                right: None,
            };
            let hits = hits.iter().map(|hit| {
                let caption = format!("{:.4} {} {}", hit.score, label(hit.entry), hit.entry.id);
                picture(caption, hit.entry.metadata.get("path").and_then(Value::as_str))
            });
            rows.push((picture(origin.input_path.clone(), Some(&origin.input_path)), hits.collect()));
        }
        Ok(())
    })?;
    if let Some(path) = &args.html {
        OutputFile::write(path, contact_sheet("Queries and what is nearest to them", &rows).as_bytes())?;
    }
    Ok(outcome)
}

fn label(entry: &Entry) -> &str {
    entry.label.as_deref().unwrap_or("")
}

/// A text that moves no cursor.
fn printable(text: impl AsRef<str>) -> String {
    text.as_ref().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn info(args: &InfoArgs) -> Result<Outcome> {
    let gallery = Gallery::open(&args.gallery)?;
    let mut labels: HashMap<&str, usize> = HashMap::new();
    for (entry, _) in gallery.iter() {
        *labels.entry(label(entry)).or_default() += 1;
    }
    let unlabelled = labels.remove("").unwrap_or(0);
    let (count, dimension) = (gallery.len(), gallery.dimension());
    let (metric, storage) = (gallery.metric().to_string(), gallery.storage().to_string());
    let line = if args.json {
        json!({
            "count": count, "dimension": dimension, "metric": metric, "storage": storage, "labels": labels.len(),
            "unlabelled": unlabelled,
        })
        .to_string()
    } else {
        format!(
            "vectors    {count} of {dimension} values\nmetric     {metric}\nstorage    {storage}\nlabels     {}, {unlabelled} vectors without one",
            labels.len()
        )
    };
    Stdout::default().line(&line)?;
    Ok(Outcome::Good)
}

fn suffix(path: &Path) -> String {
    path.extension().map_or(String::new(), |extension| extension.to_string_lossy().to_ascii_lowercase())
}

fn export(args: &ExportArgs) -> Result<Outcome> {
    let gallery = Gallery::open(&args.gallery)?;
    match suffix(&args.output).as_str() {
        "jsonl" => {
            let mut file = OutputFile::create(&args.output)?;
            for line in json_lines::lines(&gallery) {
                writeln!(file, "{line}").context(|| args.output.display().to_string())?;
            }
            file.commit()?;
        }
        "npy" => {
            let values = gallery.iter().flat_map(|(_, vector)| vector.into_owned()).collect();
            let matrix = npy::Matrix { columns: gallery.dimension(), values };
            let entries: Vec<String> = gallery.iter().map(|(entry, _)| json!(entry).to_string() + "\n").collect();
            OutputFile::write(&args.output.with_extension("jsonl"), entries.concat().as_bytes())?;
            OutputFile::write(&args.output, &npy::write(&matrix))?;
        }
        _ => {
            let (vectors, labels) = paddlex::write(&gallery)?;
            std::fs::create_dir_all(&args.output).context(|| args.output.display().to_string())?;
            OutputFile::write(&args.output.join(paddlex::LABELS), labels.as_bytes())?;
            OutputFile::write(&args.output.join(paddlex::VECTORS), &vectors)?;
        }
    }
    Ok(Outcome::Good)
}

fn import(args: &ImportArgs) -> Result<Outcome> {
    let read = |path: &Path| std::fs::read(path).context(|| path.display().to_string());
    let metric = args.metric.unwrap_or_default();
    let gallery = if args.input.is_dir() {
        let (vectors, labels) = (read(&args.input.join(paddlex::VECTORS))?, read(&args.input.join(paddlex::LABELS))?);
        let index = paddlex::read(&vectors, &labels, Storage::F32).context(|| args.input.display().to_string())?;
        let mut gallery = Gallery::new(index.dimension(), args.metric.unwrap_or(index.metric()), args.storage)?;
        for (entry, vector) in index.iter() {
            gallery.add(entry.clone(), &vector)?;
        }
        Some(gallery)
    } else if suffix(&args.input) == "npy" {
        let matrix = npy::read(&read(&args.input)?).context(|| args.input.display().to_string())?;
        let rows = matrix.values.len().checked_div(matrix.columns).unwrap_or(0);
        let mut gallery = Gallery::new(matrix.columns, metric, args.storage)?;
        gallery.extend(entries_beside(&args.input, rows)?, &matrix.values)?;
        Some(gallery)
    } else {
        let file = File::open(&args.input).context(|| args.input.display().to_string())?;
        let mut gallery: Option<Gallery> = None;
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let add = || -> Result<()> {
                let line = line?;
                let Some((entry, vector)) = (if line.trim().is_empty() { None } else { json_lines::read_line(&line)? })
                else {
                    return Ok(());
                };
                if gallery.is_none() {
                    gallery = Some(Gallery::new(vector.len(), metric, args.storage)?);
                }
                gallery.as_mut().map_or(Ok(()), |gallery| gallery.add(entry, &vector))
            };
            add().context(|| format!("{}: line {}", args.input.display(), number + 1))?;
        }
        gallery
    };
    let gallery = gallery.ok_or_else(|| Error::gallery(format!("{}: no vectors", args.input.display())))?;
    gallery.save(&args.output)?;
    note(&format!("{} vectors in {}", gallery.len(), args.output.display()));
    Ok(Outcome::Good)
}

/// The entries of a matrix's rows: from the file beside it, or by their numbers.
fn entries_beside(matrix: &Path, rows: usize) -> Result<Vec<Entry>> {
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
        (matrix, (0..rows).map(|row| Entry::new(row.to_string())).collect())
    };
    if found.len() != rows {
        return Err(Error::gallery(format!("{}: {} lines for {rows} vectors", path.display(), found.len())));
    }
    Ok(found)
}
