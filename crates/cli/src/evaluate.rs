//! `image-feature evaluate`: metrics of retrieval of a model on a data set.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::contact_sheet::{Picture, contact_sheet};
use super::dataset::DatasetArgs;
use super::embed::{Embedded, FILE_BYTES, Inputs, Origin};
use super::gallery::{Embedder, ModelArgs};
use super::output_file::{OutputFile, delete_unfinished_on_interrupt};
use super::terminal::{Stdout, note};
use super::{Outcome, open_model};
use image_feature::dataset::{Code, Dataset, LabelledImage, Subset};
use image_feature::error::Context;
use image_feature::file_tree::{FileTree, ProblemCode};
use image_feature::gallery::{Entry, Gallery, Metric, ModelId, Storage};
use image_feature::metrics::{Labelled, Options, Report, evaluate};
use image_feature::{Error, ErrorKind, Model, Orient, Result};

/// Measure how well a model retrieves: recall@k and mAP as PaddleClas computes them
///
/// DATASET is a folder or archive with gallery.txt and query.txt, as `image-feature check` knows it. Features are kept in this
/// user's cache by the model and the images' content: a second run computes none.
#[derive(clap::Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Write evaluate_result.json as PaddleX does, report.json, and worst.html with the worst queries as pictures
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The k of recall@k, separated by commas
    #[arg(long, value_name = "K,…", value_delimiter = ',', default_values_t = [1, 5])]
    recall: Vec<usize>,
    /// Leave a query out of the gallery where it is in both; PaddleClas does not
    #[arg(long)]
    no_self_match: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Compute all features anew, and keep none
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    model: ModelArgs,
}

pub fn run(args: EvaluateArgs) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    let tree: Arc<dyn FileTree> = Arc::from(args.dataset.open()?);
    let dataset = args.dataset.read(tree.as_ref())?;
    if !args.model.quiet {
        tell_encodings(&dataset);
    }
    let (gallery, query) = (dataset.labelled(Subset::Gallery)?, dataset.labelled(Subset::Query)?);
    let report = evaluated(&tree, &gallery, &query, &args)?;
    let json = to_json(&report, &|at| query[at].row.path.clone(), &|at| gallery[at].row.path.clone());
    Stdout::default().line(&if args.json { json.to_string() } else { summary(&report) })?;
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).context(|| folder.display().to_string())?;
        OutputFile::write(folder.join("evaluate_result.json"), report.evaluate_result().as_bytes())?;
        OutputFile::write(folder.join("report.json"), format!("{json:#}\n").as_bytes())?;
        let page = worst_queries(tree.as_ref(), &report, &gallery, &query);
        OutputFile::write(folder.join("worst.html"), page.as_bytes())?;
        if !args.model.quiet {
            note(&format!("written to {}", folder.display()));
        }
    }
    // its metrics are those of the images as they came out of the damaged archive
    let is_damaged = tree.problems().iter().any(|problem| problem.code == ProblemCode::StreamChecksum);
    Ok(if is_damaged { Outcome::Failed(ErrorKind::Decode) } else { Outcome::Good })
}

/// Says where a list was not UTF-8: what is read may not be what was meant.
fn tell_encodings(dataset: &Dataset) {
    for finding in dataset.findings().of(Code::NotUtf8).iter().take(1) {
        let place = finding.list.map_or("", Subset::list);
        note(&format!("note: {place}: {}; `image-feature check --fix` writes UTF-8", finding.reason));
    }
}

/// The metrics of the images' features.
fn evaluated(
    tree: &Arc<dyn FileTree>,
    gallery: &[LabelledImage],
    query: &[LabelledImage],
    args: &EvaluateArgs,
) -> Result<Report> {
    let features = features(tree, gallery.iter().chain(query).map(|image| image.entry), args)?;
    let dimension = features.values().next().map_or(0, Vec::len);
    let parts = |images: &[LabelledImage]| -> (Vec<f32>, Vec<i64>) {
        let values = images.iter().flat_map(|image| features[&image.entry].iter().copied()).collect();
        (values, images.iter().map(|image| image.label).collect())
    };
    let ((gallery_features, gallery_labels), (query_features, query_labels)) = (parts(gallery), parts(query));
    let places: HashMap<usize, usize> = gallery.iter().enumerate().map(|(place, image)| (image.entry, place)).collect();
    let itself = query.iter().map(|image| places.get(&image.entry).copied());
    let options = Options {
        recall_at: args.recall.clone(),
        itself: if args.no_self_match { itself.collect() } else { Vec::new() },
        ..Options::default()
    };
    evaluate(
        &Labelled { features: &query_features, labels: &query_labels },
        &Labelled { features: &gallery_features, labels: &gallery_labels },
        dimension,
        &options,
    )
}

/// An HTML page with the worst queries and the images nearest to them.
fn worst_queries(tree: &dyn FileTree, report: &Report, gallery: &[LabelledImage], query: &[LabelledImage]) -> String {
    let picture = |LabelledImage { row, entry, label, .. }: LabelledImage, caption: String, right| {
        let image = tree.read(entry, FILE_BYTES).ok();
        Picture::new(format!("{caption} {label} {}", row.path), image.as_deref(), right)
    };
    let rows = report.worst.iter().map(|worst| {
        let asked = query[worst.query];
        let hit = |&(at, score): &(usize, f32)| {
            picture(gallery[at], format!("{score:.3}"), Some(gallery[at].label == asked.label))
        };
        let hits = worst.nearest.iter().map(hit).collect();
        (picture(asked, format!("AP {:.3}", worst.average_precision), None), hits)
    });
    contact_sheet("Worst queries", &rows.collect::<Vec<_>>())
}

fn summary(report: &Report) -> String {
    let line = |name: &str, value: f32, overall: f32| format!("{name:<10} {value:.5}   {overall:.5}");
    let mut lines = vec![format!(
        "{} queries, {} images in the gallery, {} queries without a match there\n           PaddleClas  all queries with a match",
        report.queries, report.images, report.without_match
    )];
    for ((k, value), (_, overall)) in report.scores.recall.iter().zip(&report.overall.recall) {
        lines.push(line(&format!("recall@{k}"), *value, *overall));
    }
    lines.push(line("mAP", report.scores.map, report.overall.map));
    if let Some(error) = report.equal_error {
        lines.push(format!("equal error rate {:.4}, at a cosine of {:.3}", error.rate, error.threshold));
    }
    for confusion in report.confusions.iter().take(5) {
        lines.push(format!("{} taken for {}: {} queries", confusion.label, confusion.taken_for, confusion.count));
    }
    lines.join("\n")
}

fn to_json(report: &Report, query: &dyn Fn(usize) -> String, image: &dyn Fn(usize) -> String) -> serde_json::Value {
    let scores = |scores: &image_feature::metrics::Scores| {
        let recall: serde_json::Map<_, _> =
            scores.recall.iter().map(|(k, value)| (format!("recall{k}"), json!(value))).collect();
        json!({ "recall": recall, "mAP": scores.map })
    };
    let classes = report.classes.iter().map(|class| {
        json!({
            "label": class.label, "queries": class.queries, "images": class.images, "recall1": class.recall_at_1,
            "mAP": class.map,
        })
    });
    let worst = report.worst.iter().map(|worst| {
        let nearest = worst.nearest.iter().map(|&(at, score)| json!({ "image": image(at), "score": score }));
        json!({
            "query": query(worst.query), "average_precision": worst.average_precision, "first": worst.first,
            "nearest": nearest.collect::<Vec<_>>(),
        })
    });
    let confusions = report.confusions.iter().map(
        |confusion| json!({ "label": confusion.label, "taken_for": confusion.taken_for, "count": confusion.count }),
    );
    json!({
        "scores": scores(&report.scores), "overall": scores(&report.overall), "queries": report.queries,
        "equal_error": report.equal_error.map(|error| json!({ "rate": error.rate, "threshold": error.threshold })),
        "images": report.images, "without_match": report.without_match, "classes": classes.collect::<Vec<_>>(),
        "worst": worst.collect::<Vec<_>>(), "confusions": confusions.collect::<Vec<_>>(),
    })
}

/// The feature of each entry, from the cache or computed.
fn features(
    tree: &Arc<dyn FileTree>,
    entries: impl Iterator<Item = usize>,
    args: &EvaluateArgs,
) -> Result<HashMap<usize, Vec<f32>>> {
    let mut entries: Vec<usize> = entries.collect();
    entries.sort_unstable();
    entries.dedup();
    let model = open_model(args.model.model.as_deref())?;
    let mut cache = if args.no_cache { None } else { Cache::open(&model, args.model.decoding.orient()) };
    let (mut features, mut hashes, mut missing) = (HashMap::new(), HashMap::new(), Vec::new());
    for &entry in &entries {
        if let Some(cache) = &cache {
            let hash = blake3::hash(&tree.read(entry, FILE_BYTES)?).to_hex().to_string();
            if let Some(feature) = cache.features.as_ref().and_then(|features| features.vector(&hash)) {
                features.insert(entry, feature.into_owned());
            }
            hashes.insert(entry, hash);
        }
        if !features.contains_key(&entry) {
            missing.push(entry);
        }
    }
    if missing.is_empty() {
        return Ok(features);
    }
    let by_path: HashMap<&str, usize> =
        missing.iter().map(|&entry| (tree.entries()[entry].path.as_str(), entry)).collect();
    let origins = missing.iter().map(|&entry| {
        let path = &tree.entries()[entry].path;
        (Origin { input_path: path.clone(), relative: path.into() }, entry)
    });
    let embedder = Embedder::of(model, &args.model)?;
    let outcome =
        embedder.run(Inputs::of_entries(tree, origins), &mut |origin, Embedded { feature, damage, .. }| {
            let entry = by_path[origin.input_path.as_str()];
            // a damaged image is told of at each run
            if let Some(cache) = cache.as_mut().filter(|_| damage.is_none()) {
                cache.keep(&hashes[&entry], &feature)?;
            }
            features.insert(entry, feature);
            Ok(ControlFlow::Continue(()))
        })?;
    if let Some(Err(error)) = cache.map(|cache| cache.save()) {
        note(&format!("note: the features are not kept for the next time: {error}"));
    }
    match outcome {
        Outcome::Good => Ok(features),
        // metrics of the other images alone would be wrong
        Outcome::Failed(kind) => Err(Error::new(kind, "images of the data set cannot be read, see above")),
    }
}

/// Features of earlier runs, by the hash of the image's bytes. Each model has a file, which is a gallery.
struct Cache {
    path: PathBuf,
    features: Option<Gallery>,
}

impl Cache {
    /// Opens the cache of a model; `None` where there is no folder for it.
    fn open(model: &Model, orient: Orient) -> Option<Self> {
        let home = std::env::var_os("XDG_CACHE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
        // another version of the program may compute other features of the same model, and turned images have others
        let turned = if orient == Orient::default() { String::new() } else { format!("-{orient}") };
        let name = format!("{}-{}{turned}.safetensors", env!("CARGO_PKG_VERSION"), ModelId::of(model).hash);
        let path = home.join("image-feature/features").join(name);
        let features = if path.exists() {
            Gallery::open(&path).map_err(|error| note(&format!("note: the features kept are not used: {error}"))).ok()
        } else {
            None
        };
        Some(Cache { path, features })
    }

    fn keep(&mut self, hash: &str, feature: &[f32]) -> Result<()> {
        if self.features.is_none() {
            self.features = Some(Gallery::new(feature.len(), Metric::InnerProduct, Storage::F32)?);
        }
        match &mut self.features {
            // an image may occur twice, under different names
            Some(features) if features.get(hash).is_none() => features.add(Entry::new(hash), feature),
            _ => Ok(()),
        }
    }

    fn save(&self) -> Result<()> {
        let Some(features) = &self.features else { return Ok(()) };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).context(|| folder.display().to_string())?;
        }
        features.save(&self.path)
    }
}
