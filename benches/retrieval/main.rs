//! `./build.sh bench retrieval`: recall and mAP of models, beside features that need no training.
//!
//! ```sh
//! cargo bench --bench retrieval --features default-model,train -- DATASET [--classes 0,5,20-30] [[NAME=]MODEL…]
//! ```
//!
//! DATASET has gallery.txt and query.txt. All rows of the table are computed from the same decoded images, with
//! [`image_feature::metrics`]. MODEL is a model file or folder, or `default` or `tiny`, a bundled model. `default` is also measured if no
//! model is given. `NAME=MODEL` sets the name in the table. The same network as the first model's, with random weights, is
//! measured, too.

mod pixels;

use std::error::Error;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use image_feature::dataset::{Dataset, LabelledImage, Subset};
use image_feature::file_tree::{self, FileTree};
use image_feature::metrics::{Labelled, Options, evaluate};
use image_feature::model::{ModelDescription, Network};
use image_feature::weights::DEFAULT_MODEL;
use image_feature::{DecodeLimits, DeviceRequest, Extractor, Model, Preprocess, RgbImage, decode, train};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "usage: retrieval DATASET [--classes 0,5,20-30] [[NAME=]MODEL…]";
/// Files of a data set are read up to this size.
const MOST_BYTES: u64 = 1 << 30;
/// Decoded images in memory at once.
const GROUP: usize = 64;
/// The seed of all random weights.
const SEED: u64 = 0;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // `cargo bench` adds --bench
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(dataset) = words.next() else {
        // `cargo bench` without arguments runs all benchmarks of a package, so this is not an error
        println!("{USAGE}");
        return Ok(());
    };
    let (mut classes, mut models) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--classes" => classes = Some(parse_classes(&words.next().ok_or(USAGE)?)?),
            model => {
                let (name, path) = model.split_once('=').unwrap_or((model, model));
                models.push((name.to_string(), PathBuf::from(path)));
            }
        }
    }
    if models.is_empty() {
        models.push((DEFAULT_MODEL.into(), DEFAULT_MODEL.into()));
    }
    let tree: Arc<dyn FileTree> = Arc::from(file_tree::open(Path::new(&dataset))?);
    let (gallery, queries) = (
        Images::of(&tree, Subset::Gallery, classes.as_deref())?,
        Images::of(&tree, Subset::Query, classes.as_deref())?,
    );
    let mut describers = Vec::new();
    let mut first = None;
    for (name, path) in &models {
        let model = open(path)?;
        describers.push(Describer::of(name, &model)?);
        first.get_or_insert(model.description);
    }
    if let Some(description) = first {
        let network = format!("the network of `{}`, random weights", models[0].0);
        describers.push(Describer::untrained(&network, description)?);
    }
    let full = ModelDescription {
        name: "PP-ShiTuV2_rec".into(),
        network: Network::LcNetV2(Default::default()),
        preprocess: Preprocess::default(),
    };
    describers.push(Describer::untrained("the network of `PP-ShiTuV2_rec`, random weights", full)?);
    describers
        .extend(pixels::METHODS.map(|(name, describe)| Describer { name: name.into(), describe: Box::new(describe) }));

    let (gallery_features, query_features) = (gallery.features(&describers)?, queries.features(&describers)?);
    println!(
        "{} queries, {} images in the gallery{}\n",
        queries.labels.len(),
        gallery.labels.len(),
        if classes.is_some() { ", of the classes asked for" } else { "" }
    );
    println!(
        "| feature | length | recall@1 | recall@5 | mAP | equal error rate | its cosine |\n|---|---|---|---|---|---|---|"
    );
    for (index, describer) in describers.iter().enumerate() {
        let (queries, gallery) = (queries.labelled(&query_features[index]), gallery.labelled(&gallery_features[index]));
        let dimension = gallery.features.len() / gallery.labels.len();
        let report = evaluate(&queries, &gallery, dimension, &Options::default())?;
        let percent = |value: f32| format!("{:.1}", 100.0 * value);
        let scores = report.overall;
        let recall: Vec<String> = scores.recall.iter().map(|(_, value)| percent(*value)).collect();
        let error = report
            .equal_error
            .map_or("- | -".into(), |error| format!("{} | {:.2}", percent(error.rate), error.threshold));
        println!("| {} | {dimension} | {} | {} | {error} |", describer.name, recall.join(" | "), percent(scores.map));
    }
    Ok(())
}

fn open(path: &Path) -> Result<Model> {
    Ok(match path.to_str().and_then(Model::of_name) {
        Some(bundled) => bundled?,
        None => Model::open(path)?,
    })
}

/// Class numbers and ranges of them, separated by commas.
fn parse_classes(text: &str) -> Result<Vec<RangeInclusive<i64>>> {
    let classes = text.split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            text.trim()
                .parse::<u32>()
                .map_err(|_| format!("--classes: `{part}` is no class number, and no range such as 20-30"))
        };
        let range = i64::from(number(first)?)..=i64::from(number(last)?);
        if range.is_empty() { Err(format!("--classes: `{part}` ends before it begins").into()) } else { Ok(range) }
    });
    classes.collect()
}

type Describe = dyn Fn(&RgbImage) -> Result<Vec<f32>>;

/// A method that makes features of images, with its name.
struct Describer {
    name: String,
    describe: Box<Describe>,
}

impl Describer {
    fn of(name: &str, model: &Model) -> Result<Self> {
        let extractor = Extractor::open(model, DeviceRequest::Cpu)?;
        let name = format!("`{name}`, {}", extractor.info().dtype);
        Ok(Describer { name, describe: Box::new(move |image| Ok(extractor.embed(image)?)) })
    }

    fn untrained(name: &str, description: ModelDescription) -> Result<Self> {
        Self::of(name, &train::untrained(description, SEED)?)
            .map(|describer| Describer { name: name.into(), ..describer })
    }
}

/// The images of a list, and their classes.
struct Images {
    tree: Arc<dyn FileTree>,
    entries: Vec<usize>,
    labels: Vec<i64>,
}

impl Images {
    /// The images of these classes, or all.
    fn of(tree: &Arc<dyn FileTree>, list: Subset, classes: Option<&[RangeInclusive<i64>]>) -> Result<Self> {
        let dataset = Dataset::read(tree.as_ref());
        let (mut entries, mut labels) = (Vec::new(), Vec::new());
        for LabelledImage { entry, label, .. } in dataset.labelled(list)? {
            if classes.is_none_or(|classes| classes.iter().any(|range| range.contains(&label))) {
                entries.push(entry);
                labels.push(label);
            }
        }
        if entries.is_empty() {
            return Err(format!("{}: no images of the classes asked for", list.list()).into());
        }
        Ok(Images { tree: tree.clone(), entries, labels })
    }

    /// The features of all images by each describer. Each image is decoded once.
    fn features(&self, describers: &[Describer]) -> Result<Vec<Vec<f32>>> {
        let mut features = vec![Vec::new(); describers.len()];
        for group in self.entries.chunks(GROUP) {
            let images: Vec<RgbImage> = group.par_iter().map(|&entry| self.decode(entry)).collect::<Result<_>>()?;
            for (features, describer) in features.iter_mut().zip(describers) {
                for image in &images {
                    features.extend((describer.describe)(image)?);
                }
            }
        }
        Ok(features)
    }

    fn decode(&self, entry: usize) -> Result<RgbImage> {
        let path = &self.tree.entries()[entry].path;
        let image = self.tree.read(entry, MOST_BYTES).and_then(|bytes| decode(&bytes, &DecodeLimits::default()));
        image.map_err(|error| format!("{path}: {error}").into())
    }

    fn labelled<'a>(&'a self, features: &'a [f32]) -> Labelled<'a> {
        Labelled { features, labels: &self.labels }
    }
}
