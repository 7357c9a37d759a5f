//! `image-feature gallery`: galleries of images' vectors, kept, searched and exchanged.

mod embedder;
mod exchange;
#[cfg(feature = "postgres")]
mod postgres;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use self::embedder::{Embedder, ModelArgs};
pub use self::exchange::open_any;
use self::exchange::{ExportArgs, ImportArgs};
#[cfg(feature = "postgres")]
use self::postgres::{Conditions, Database, PullArgs, PushArgs, Remote};
use super::Outcome;
use super::address::refuse_address;
use super::contact_sheet::{Picture, contact_sheet};
use super::embed::{DetectorArgs, Embedded, FolderNames, Inputs, Origin, Part, id_of, read_file};
use super::output_file::{OutputFile, check_output, delete_unfinished_on_interrupt};
use super::terminal::{Stdout, complain, note, printable};
use image_feature::dataset::{DecodedText, OldEncoding, decode_text};
use image_feature::error::Context;
use image_feature::gallery::{Entry, Filter, Gallery, Metric, ModelId, Search, Storage, Turn};
use image_feature::{Error, ErrorKind, Result};

/// Maximum bytes of a list of images.
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
    #[cfg(feature = "postgres")]
    Push(PushArgs),
    #[cfg(feature = "postgres")]
    Pull(PullArgs),
}

/// Make a gallery of images
///
/// INPUT is a folder, whose folders become labels; several folders, which become labels; an archive of one; images; or a list, a
/// .txt file with a line `PATH LABEL` for each image, separated by a tab or a blank, paths being relative to the list.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature gallery build photos/ --model PP-ShiTuV2_rec --output photos.safetensors
  image-feature gallery build gallery.txt --model model.safetensors --output shop.safetensors --storage i8
  image-feature gallery build photos/ --detector PP-ShiTuV2_det --detect all --output things.safetensors")]
pub struct BuildArgs {
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The gallery's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// How vectors are compared: cosine, ip, l2 or hamming
    #[arg(long, default_value_t = Metric::Cosine)]
    metric: Metric,
    /// Form of the values that a search reads: f32, f16, i8 or bit
    #[arg(long, default_value_t = Storage::F32)]
    storage: Storage,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
    /// Which images have the folder that was given in front of their ids, and, directly in it, as label
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    folder_names: FolderNames,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// Add images to a gallery
///
/// Images that are in it already are left out: files by their paths, those in archives by their ids. Where all images of
/// the gallery are in folders, which are their labels, the images directly in one folder get that folder's name, as
/// `gallery build` gives it to those of several.
#[derive(clap::Args)]
pub struct AddArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// As for `gallery build`
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Which images have the folder that was given in front of their ids, and, directly in it, as label
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    folder_names: FolderNames,
    #[command(flatten)]
    detector: DetectorArgs,
    /// Take this model though another or an unknown one made the gallery, where it is known to give the same vectors
    #[arg(long)]
    any_model: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// Take images out of a gallery, all of them or none
#[derive(clap::Args)]
pub struct RemoveArgs {
    /// The gallery's file
    gallery: PathBuf,
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Find the images of a gallery that are nearest to others
#[derive(clap::Args)]
pub struct SearchArgs {
    /// The gallery's file; with --postgres its table, or SCHEMA.TABLE
    gallery: PathBuf,
    /// Images, folders or archives to search with
    #[arg(required = true, value_name = "QUERY")]
    queries: Vec<PathBuf>,
    /// Hits of each query, at most
    #[arg(short, value_name = "N", default_value_t = 5)]
    k: usize,
    /// The least score of a hit; the largest where the metric is l2 or hamming
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = parse_score)]
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
    /// Take this model though another or an unknown one made the gallery, where it is known to give the same vectors
    #[arg(long)]
    any_model: bool,
    #[cfg(feature = "postgres")]
    /// Search a table of this database: postgresql://USER@HOST/DATABASE; the password may be in PGPASSWORD instead
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    #[cfg(feature = "postgres")]
    /// Have the database look at every row, not at its index
    #[arg(long, requires = "postgres")]
    exact: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// Tell what a gallery holds
#[derive(clap::Args)]
pub struct InfoArgs {
    /// The gallery's file
    gallery: PathBuf,
    /// Print it as a JSON object
    #[arg(long)]
    json: bool,
}

fn parse_field(text: &str) -> Result<(String, Value)> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Error::usage(format!("`{text}` is not KEY=VALUE, such as shelf=7")))?;
    Ok((key.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// A score of any metric.
pub fn parse_score(text: &str) -> Result<f32> {
    let score = text.parse().ok().filter(|score: &f32| !score.is_nan());
    score.ok_or_else(|| Error::usage(format!("`{text}` is not a number, such as 0.7")))
}

pub fn run(command: GalleryCommand) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    match command {
        GalleryCommand::Build(args) => build(&args),
        GalleryCommand::Add(args) => add(&args),
        GalleryCommand::Remove(args) => remove(&args),
        GalleryCommand::Search(args) => search(&args),
        GalleryCommand::Info(args) => info(&args),
        GalleryCommand::Export(args) => exchange::export(&args),
        GalleryCommand::Import(args) => exchange::import(&args),
        #[cfg(feature = "postgres")]
        GalleryCommand::Push(args) => postgres::push(&args),
        #[cfg(feature = "postgres")]
        GalleryCommand::Pull(args) => postgres::pull(&args),
    }
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"))
}

/// The images that a gallery knows before it has their features.
#[derive(Default)]
struct Known {
    /// Paths of files.
    paths: HashSet<String>,
    /// Paths of archives' entries: the archive's path, then the entry's.
    inside: HashSet<String>,
    /// Whether each image is in a folder that is its label.
    are_in_folders: bool,
}

impl Known {
    fn of(gallery: &Gallery) -> Self {
        let mut known = Known { are_in_folders: !gallery.is_empty(), ..Known::default() };
        for (entry, _) in gallery.iter() {
            known.paths.extend(path_of(entry).map(String::from));
            known.inside.extend(entry.metadata.get(ENTRY).and_then(Value::as_str).map(String::from));
            let folder = Path::new(&entry.id).parent().and_then(Path::file_name).and_then(OsStr::to_str);
            known.are_in_folders &= folder.is_some() && folder == entry.label.as_deref();
        }
        known
    }
}

/// The images of folders, archives, patterns and files, with the names that the gallery gives them.
fn find(arguments: &[PathBuf], names: FolderNames, known: &Known, quiet: bool) -> Result<Inputs> {
    if names == FolderNames::Auto
        && known.are_in_folders
        && let [folder] = arguments
        && folder.is_dir()
    {
        let inputs = Inputs::find_apart(arguments, FolderNames::Always)?;
        if inputs.are_files_at_depth(2) {
            if !quiet {
                note(&format!(
                    "note: the images in {} get that folder's name, as all in the gallery have; --folder-names never leaves it away",
                    folder.display()
                ));
            }
            return Ok(inputs);
        }
    }
    Inputs::find_apart(arguments, names)
}

/// Calls `take` for each image that the arguments name, and reports images that failed. Images that are `known` are left
/// out before they are read; their number is the second result.
fn each_image(
    (arguments, names): (&[PathBuf], FolderNames),
    embedder: &Embedder,
    known: &Known,
    take: &mut dyn FnMut(Entry, Vec<f32>) -> Result<()>,
) -> Result<(Outcome, usize)> {
    let (mut outcome, mut left_out) = (Outcome::Good, 0);
    let (lists, others): (Vec<&PathBuf>, Vec<&PathBuf>) = arguments.iter().partition(|path| is_list(path));
    let mut parts: Vec<(Inputs, HashMap<String, String>)> = Vec::new();
    for list in lists {
        refuse_address(list)?;
        parts.push(read_list(list)?);
    }
    if !others.is_empty() {
        let others: Vec<PathBuf> = others.into_iter().cloned().collect();
        parts.push((find(&others, names, known, embedder.is_quiet())?, HashMap::new()));
    }
    for (mut inputs, labels) in parts {
        left_out +=
            inputs.leave_out(|origin| path_of(&entry_of(origin, None)).is_some_and(|path| known.paths.contains(path)));
        let skipped = inputs.leave_out_inside(known.inside.clone());
        let ended = embedder.run(inputs, &mut |origin, embedded| {
            let entry = entry_of(&origin, labels.get(&origin.input_path));
            take(of_part(entry, embedded.part), embedded.feature)?;
            Ok(ControlFlow::Continue(()))
        })?;
        left_out += skipped.count();
        if ended != Outcome::Good {
            outcome = ended;
        }
    }
    Ok((outcome, left_out))
}

/// The path of the file that an entry was made of.
fn path_of(entry: &Entry) -> Option<&str> {
    entry.metadata.get("path").and_then(Value::as_str)
}

/// Whether a gallery's vector is the feature of the same image, up to rounding.
fn is_same_vector(gallery: &Gallery, id: &str, feature: &[f32]) -> bool {
    const MOST: f64 = 1e-4;
    let Some(known) = gallery.vector(id).filter(|known| known.len() == feature.len()) else { return false };
    if gallery.metric() == Metric::Hamming {
        return known.iter().zip(feature).all(|(a, b)| (*a > 0.0) == (*b > 0.0));
    }
    // the gallery may have other lengths than the model gives
    let length = |vector: &[f32]| vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let (known_length, feature_length) = (length(&known), length(feature));
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) / known_length - f64::from(*b) / feature_length).powi(2);
    known.iter().zip(feature).map(difference).sum::<f64>().sqrt() < MOST
}

/// The metadata of an image that was inside an archive: the archive's absolute path, then the entry's.
const ENTRY: &str = "archive_entry";

/// The metadata of a thing that a detector found: left, top, right and bottom of its box in the image, in pixels.
const BOX: &str = "box";

/// The entry of an image: its path as id, the list's label or else the folder's name, and its absolute path as metadata.
fn entry_of(origin: &Origin, label: Option<&String>) -> Entry {
    let folder = origin.relative.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let entry = Entry { label: label.cloned().or(folder), ..Entry::new(id_of(&origin.relative)) };
    match std::path::absolute(&origin.input_path) {
        Ok(path) if path.is_file() => entry.metadata("path", path.to_string_lossy()),
        Ok(path) if path.ancestors().any(Path::is_file) => entry.metadata(ENTRY, path.to_string_lossy()),
        _ => entry,
    }
}

/// The entry of a part of an image: its box as metadata and, where several parts are taken, its number in the id.
fn of_part(entry: Entry, part: Option<Part>) -> Entry {
    let Some(Part { number, coordinate }) = part else { return entry };
    let id = number.map_or_else(|| entry.id.clone(), |number| format!("{}#{number}", entry.id));
    Entry { id, ..entry }.metadata(BOX, coordinate.map(f64::from).to_vec())
}

/// Refuses a model of vectors of `ours` values that did not make the gallery, or whose gallery does not know who made it.
pub fn check_model(gallery: &Gallery, model: &ModelId, ours: usize, any_model: bool) -> Result<()> {
    if !any_model && let Err(error) = gallery.check_model(model) {
        let advice = match gallery.model() {
            Some(_) => "name that model, or say --any-model if you know that both give the same",
            None => {
                "`gallery import FILE --model MODEL --output NEW` writes it down, or say --any-model if you know that this one made them"
            }
        };
        return Err(Error::usage(format!("{error}; {advice}")));
    }
    let theirs = gallery.dimension();
    if ours != theirs {
        return Err(Error::usage(format!(
            "the model makes vectors of {ours} values, the gallery's have {theirs}; name the model that made it"
        )));
    }
    Ok(())
}

/// Opens the file of a gallery.
fn open(path: &Path) -> Result<Gallery> {
    refuse_address(path)?;
    Gallery::open(path)
}

/// Saves a gallery when no other process changes the file.
fn save(gallery: &Gallery, path: &Path) -> Result<()> {
    let _turn = Turn::take(path)?;
    gallery.save(path)
}

/// The images of a list and their labels by path.
fn read_list(list: &Path) -> Result<(Inputs, HashMap<String, String>)> {
    let read = || -> Result<(Inputs, HashMap<String, String>)> {
        if std::fs::metadata(list)?.len() > LIST_BYTES {
            return Err(Error::limit(format!("more than {LIST_BYTES} bytes, which no list of images has")));
        }
        let root = list.parent().unwrap_or(Path::new(""));
        let exists = |line: &str| {
            line.trim().rsplit_once([' ', '\t']).is_some_and(|(path, _)| root.join(path.trim_end()).exists())
        };
        let old = OldEncoding { makes_sense: Some(&exists), ..OldEncoding::default() };
        let DecodedText { text, encoding, .. } = decode_text(&std::fs::read(list)?, old)?;
        if let Some(encoding) = encoding {
            note(&format!("note: {} is read as {encoding}", list.display()));
        }
        let (mut files, mut labels) = (Vec::new(), HashMap::new());
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let (path, label) = path_and_label(line, &|path| root.join(path).is_file()).ok_or_else(|| {
                Error::usage(format!("line {}: `PATH LABEL` is expected, not `{}`", number + 1, line.escape_debug()))
            })?;
            let file = root.join(path);
            let origin = Origin { input_path: file.to_string_lossy().into_owned(), relative: path.into() };
            labels.insert(origin.input_path.clone(), label.to_string());
            files.push((origin, file));
        }
        Ok((Inputs::of_files(files), labels))
    };
    read().context(|| list.display().to_string())
}

/// The parts of a line of a list. A tab separates them, as in PaddleClas's lists, or else the last blank, as in PaddleX's. Where
/// there is no file of the path before that blank, an earlier blank with a file before it separates them: the label has blanks.
fn path_and_label<'l>(line: &'l str, is_file: &dyn Fn(&str) -> bool) -> Option<(&'l str, &'l str)> {
    let parts = |(path, label): (&'l str, &'l str)| (path.trim_end(), label.trim_start());
    if let Some(split) = line.split_once('\t') {
        return Some(parts(split));
    }
    let last = line.rsplit_once(' ').map(parts)?;
    let splits = line.rmatch_indices(' ').map(|(at, _)| parts((&line[..at], &line[at + 1..])));
    let mut splits = splits.filter(|(path, label)| !path.is_empty() && !label.is_empty());
    splits.find(|(path, _)| is_file(path)).or(Some(last))
}

fn build(args: &BuildArgs) -> Result<Outcome> {
    // refuses metric and storage before a model is read
    Gallery::new(1, args.metric, args.storage)?;
    check_output(&args.output, args.force)?;
    let embedder = Embedder::open(&args.model)?.with_detector(&args.detector)?;
    let mut gallery = Gallery::new(embedder.dimension(), args.metric, args.storage)?;
    gallery.set_model(Some(embedder.model.clone()));
    let take = &mut |entry, feature: Vec<f32>| gallery.add(entry, &feature);
    let (outcome, _) = each_image((&args.inputs, args.folder_names), &embedder, &Known::default(), take)?;
    if gallery.is_empty() {
        return Err(Error::decode("there is no image of which a vector could be made; no gallery is written"));
    }
    save(&gallery, &args.output)?;
    if !args.model.quiet {
        let images = if gallery.len() == 1 { "image" } else { "images" };
        note(&format!("{} {images} in {}", gallery.len(), args.output.display()));
    }
    Ok(outcome)
}

fn add(args: &AddArgs) -> Result<Outcome> {
    let known = open(&args.gallery)?;
    let embedder = Embedder::open(&args.model)?.with_detector(&args.detector)?;
    embedder.check(&known, args.any_model).context(|| args.gallery.display().to_string())?;
    let mut new = Vec::new();
    let mut again = 0;
    let inputs = (args.inputs.as_slice(), args.folder_names);
    let (mut outcome, left_out) = each_image(inputs, &embedder, &Known::of(&known), &mut |entry, feature| {
        match known.get(&entry.id) {
            None => new.push((entry, feature)),
            // the same image from another place, or from an archive
            Some(_) if is_same_vector(&known, &entry.id, &feature) => again += 1,
            Some(_) => {
                return Err(Error::usage("the gallery has this id already; remove it first, or rename the image"));
            }
        }
        Ok(())
    })?;
    if left_out + again > 0 && !args.model.quiet {
        note(&format!("{} images are in the gallery already", left_out + again));
    }
    drop(known);
    if new.is_empty() {
        return Ok(outcome);
    }
    // read again, because another process may have added to the file
    let (added, count) = Gallery::change(&args.gallery, |gallery| {
        embedder.check(gallery, args.any_model)?;
        let before = gallery.len();
        for (entry, feature) in new {
            if let Err(error) = gallery.add(entry, &feature) {
                complain(&error);
                outcome = Outcome::Failed(ErrorKind::Decode);
            }
        }
        Ok((gallery.len() - before, gallery.len()))
    })?;
    if !args.model.quiet {
        note(&format!("{added} images added, {count} in all"));
    }
    Ok(outcome)
}

fn remove(args: &RemoveArgs) -> Result<Outcome> {
    refuse_address(&args.gallery)?;
    Gallery::change(&args.gallery, |gallery| {
        let removed = args.ids.iter().try_for_each(|id| gallery.remove(id).map(|_| ()));
        removed.context(|| args.gallery.display().to_string())
    })?;
    Ok(Outcome::Good)
}

/// The vectors that are searched.
enum Searched {
    File(Box<Gallery>),
    #[cfg(feature = "postgres")]
    Table(Box<Remote>),
}

impl Searched {
    fn open(args: &SearchArgs) -> Result<Self> {
        #[cfg(feature = "postgres")]
        if let Some(url) = &args.postgres {
            let (database, table) = (Database::connect(url)?, args.gallery.to_string_lossy());
            let (labels, fields) = (args.label.clone(), args.fields.clone());
            let conditions = Conditions { k: args.k, labels, fields, exact: args.exact };
            let remote = Remote::open(database, &table, conditions)?;
            return Ok(Searched::Table(Box::new(remote)));
        }
        Ok(Searched::File(Box::new(open(&args.gallery)?)))
    }

    /// The gallery, or an empty one that is like the table.
    fn gallery(&self) -> &Gallery {
        match self {
            Searched::File(gallery) => gallery,
            #[cfg(feature = "postgres")]
            Searched::Table(table) => &table.gallery,
        }
    }
}

fn search(args: &SearchArgs) -> Result<Outcome> {
    let SearchArgs { k, threshold, .. } = *args;
    let searched = Searched::open(args)?;
    if let Some(page) = &args.html {
        check_output(page, true)?;
    }
    let filter = args.label.iter().fold(Filter::new(), |filter, label| filter.label(label));
    let filter = args.fields.iter().fold(filter, |filter, (key, value)| filter.field(key, value.clone()));
    let accept = |entry: &Entry| filter.matches(entry);
    let search = Search { k, threshold, filter: if filter.is_empty() { None } else { Some(&accept) } };
    let embedder = Embedder::open(&args.model)?;
    embedder.check(searched.gallery(), args.any_model).context(|| args.gallery.display().to_string())?;
    let form = match args.json {
        true => Form::Json,
        false if std::io::stdout().is_terminal() => Form::Table,
        false => Form::Fields,
    };
    let mut shown = Shown::new(form, args.html.as_ref().map(|_| Vec::new()));
    let outcome =
        embedder.run(Inputs::find(&args.queries)?, &mut |origin, Embedded { feature, .. }| match &searched {
            Searched::File(gallery) => {
                let hits = gallery.search(&feature, search)?;
                shown.add(&origin, &hits.iter().map(|hit| (hit.entry, hit.score)).collect::<Vec<_>>())
            }
            #[cfg(feature = "postgres")]
            Searched::Table(table) => {
                let hits = table.search(&feature, search)?;
                shown.add(&origin, &hits.iter().map(|(entry, score)| (entry, *score)).collect::<Vec<_>>())
            }
        })?;
    shown.finish(args.html.as_deref())?;
    Ok(outcome)
}

/// The form of hits on stdout.
#[derive(Clone, Copy)]
enum Form {
    /// An object a query.
    Json,
    /// For people, on a terminal.
    Table,
    /// Fields separated by tabs, for programs.
    Fields,
}

/// Prints the hits of one query after the other, and keeps pictures for a page.
struct Shown {
    form: Form,
    stdout: Stdout,
    /// The rows of the page; `None` where no page is wanted.
    rows: Option<Vec<(Picture, Vec<Picture>)>>,
}

impl Shown {
    fn new(form: Form, rows: Option<Vec<(Picture, Vec<Picture>)>>) -> Self {
        Shown { form, stdout: Stdout::default(), rows }
    }

    fn print(&mut self, origin: &Origin, hits: &[(&Entry, f32)]) -> Result<()> {
        match self.form {
            Form::Json => {
                let hit = |(entry, score): &(&Entry, f32)| json!({ "id": entry.id, "label": entry.label, "score": score, "metadata": entry.metadata });
                let found: Vec<Value> = hits.iter().map(hit).collect();
                self.stdout.line(&json!({ "query": origin.input_path, "hits": found }).to_string())
            }
            Form::Table => {
                self.stdout.line(&printable(&origin.input_path))?;
                let width = hits.iter().map(|(entry, _)| label(entry).chars().count()).max().unwrap_or(0);
                hits.iter().try_for_each(|(entry, score)| {
                    let (label, id) = (printable(label(entry)), printable(&entry.id));
                    self.stdout.line(&format!("  {score:9.5}  {label:width$}  {id}"))
                })
            }
            Form::Fields => hits.iter().try_for_each(|(entry, score)| {
                let [query, label, id] = [&origin.input_path, label(entry), &entry.id].map(printable);
                self.stdout.line(&format!("{query}\t{score}\t{label}\t{id}"))
            }),
        }
    }

    /// Shows a query's hits. Breaks where the reader of stdout is gone and no page is wanted.
    fn add(&mut self, origin: &Origin, hits: &[(&Entry, f32)]) -> Result<ControlFlow<()>> {
        self.print(origin, hits)?;
        if let Some(rows) = &mut self.rows {
            let picture = |caption: String, path: Option<&str>| {
                let image = path.and_then(|path| read_file(Path::new(path)).ok());
                Picture::new(caption, image.as_deref(), None)
            };
            let hits = hits
                .iter()
                .map(|(entry, score)| picture(format!("{score:.4} {} {}", label(entry), entry.id), path_of(entry)));
            rows.push((picture(origin.input_path.clone(), Some(&origin.input_path)), hits.collect()));
        }
        let done = self.stdout.is_closed() && self.rows.is_none();
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Writes the page, where one is wanted.
    fn finish(self, page: Option<&Path>) -> Result<()> {
        let (Some(path), Some(rows)) = (page, &self.rows) else { return Ok(()) };
        OutputFile::write(path, contact_sheet("Queries and what is nearest to them", rows).as_bytes())
    }
}

fn label(entry: &Entry) -> &str {
    entry.label.as_deref().unwrap_or("")
}

fn info(args: &InfoArgs) -> Result<Outcome> {
    let gallery = open(&args.gallery)?;
    let mut labels = gallery.labels();
    let unlabelled: usize = [None, Some("")].iter().filter_map(|none| labels.remove(none)).sum();
    let (count, dimension) = (gallery.len(), gallery.dimension());
    let (metric, storage) = (gallery.metric().to_string(), gallery.storage().to_string());
    let line = if args.json {
        json!({
            "count": count, "dimension": dimension, "metric": metric, "storage": storage, "labels": labels.len(),
            "unlabelled": unlabelled,
            "model": gallery.model().map(|ModelId { name, hash }| json!({ "name": name, "hash": hash })),
        })
        .to_string()
    } else {
        let model = gallery.model().map_or("unknown".into(), |model| printable(&model.to_string()));
        format!(
            "vectors    {count} of {dimension} values\nmetric     {metric}\nstorage    {storage}\nlabels     {}, {unlabelled} vectors without one\nmodel      {model}",
            labels.len()
        )
    };
    Stdout::default().line(&line)?;
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_lists_are_split_at_the_tab_or_where_a_file_ends() {
        let split = |line| path_and_label(line, &|path| ["a.jpg", "b c.jpg", "b c.jpg d"].contains(&path));
        for (line, parts) in [
            ("a.jpg\tgreen tea", ("a.jpg", "green tea")),
            ("x y.jpg \t tea", ("x y.jpg", "tea")),
            ("a.jpg green tea", ("a.jpg", "green tea")),
            ("a.jpg  5", ("a.jpg", "5")),
            // the longest path that is a file
            ("b c.jpg d e", ("b c.jpg d", "e")),
            ("b c.jpg 5", ("b c.jpg", "5")),
            // no file: the last blank
            ("gone 1.jpg green tea", ("gone 1.jpg green", "tea")),
        ] {
            assert_eq!(split(line), Some(parts), "{line}");
        }
        assert_eq!(split("a.jpg"), None);
    }
}
