//! The recipe: command line, settings and PaddleX's defaults.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::args::TrainArgs;
use crate::config::Config;
use image_feature::dataset::{Dataset, Subset};
use image_feature::file_tree::FileTree;
use image_feature::model::{ModelDescription, Network};
use image_feature::train::loss::{ArcMargin, TripletAngularMargin};
use image_feature::train::{Objective, Recipe};
use image_feature::{Error, Resize, Result};

/// The recipe: each value is from the command line, else from the settings, else PaddleX's.
pub(super) fn recipe(args: &TrainArgs, config: &Config, tree: &dyn FileTree) -> Result<Recipe> {
    let name = match &args.model {
        Some(name) => name,
        None => config.text("Global.model")?.unwrap_or("PP-ShiTuV2_rec"),
    };
    let classes = match args.classes.or(config.count("Train.num_classes")?) {
        Some(classes) => classes,
        None => {
            let dataset = Dataset::read(tree);
            let rows = dataset.rows().iter().filter(|row| row.list == Subset::Train);
            let labels: BTreeSet<i64> = rows.filter_map(|row| row.label).collect();
            labels.len().max(1)
        }
    };
    let published = Recipe::published(name, classes)?;
    let model = resized(published.model.clone(), args)?;
    let base = Recipe::new(model, classes);
    let input = base.model.input_size();
    let objective = objective(args, base.objective)?;
    Ok(Recipe {
        objective,
        weight_decay: args.weight_decay.unwrap_or(base.weight_decay),
        augmentation: args.augmentation.map_or(base.augmentation, |chain| chain.of(input)),
        epochs: args.epochs.or(config.count("Train.epochs_iters")?).unwrap_or(base.epochs),
        batch_size: args.batch_size.or(config.count("Train.batch_size")?).unwrap_or(base.batch_size),
        learning_rate: args.learning_rate.or(config.number("Train.learning_rate")?).unwrap_or(base.learning_rate),
        warmup_epochs: args.warmup.or(config.number("Train.warmup_steps")?).unwrap_or(base.warmup_epochs),
        eval_interval: args.eval_interval.or(config.count("Train.eval_interval")?).unwrap_or(base.eval_interval),
        save_interval: args.save_interval.or(config.count("Train.save_interval")?).unwrap_or(base.save_interval),
        log_interval: config.count("Train.log_interval")?.unwrap_or(base.log_interval),
        seed: args.seed,
        ..base
    })
}

/// The training objective that the arguments ask for.
fn objective(args: &TrainArgs, usual: Objective) -> Result<Objective> {
    if let Some(margin) = args.arc_margin {
        let scale = args.arc_scale.unwrap_or(ArcMargin::default().scale);
        return Ok(Objective::Angles(ArcMargin { margin, scale }));
    }
    match (usual, args.triplet_weight) {
        (usual, None) => Ok(usual),
        (Objective::Linear { smoothing, triplet }, Some(weight)) => {
            Ok(Objective::Linear { smoothing, triplet: TripletAngularMargin { weight, ..triplet } })
        }
        (Objective::Angles(_), Some(_)) => {
            Err(Error::usage("--triplet-weight: CLIP models are trained without a triplet loss"))
        }
    }
}

/// The model with the sizes that the arguments ask for.
fn resized(model: ModelDescription, args: &TrainArgs) -> Result<ModelDescription> {
    if args.width.is_none() && args.size.is_none() && args.embedding.is_none() {
        return Ok(model);
    }
    let Network::LcNetV2(mut config) = model.network else {
        return Err(Error::usage("--width, --size and --embedding are for PP-ShiTuV2_rec: CLIP models have one size"));
    };
    config.scale = args.width.unwrap_or(config.scale);
    if !(config.scale > 0.0 && config.scale <= 4.0) {
        return Err(Error::usage(format!("--width {}: expected a factor above 0 and up to 4", config.scale)));
    }
    config.input = args.size.map_or(config.input, |side| [side; 2]);
    config.embedding = args.embedding.unwrap_or(config.embedding);
    if !(1..=4096).contains(&config.embedding) {
        return Err(Error::usage(format!("--embedding {}: expected 1 to 4096", config.embedding)));
    }
    let name = if config.scale == 1.0 { model.name } else { format!("{}_x{}", model.name, config.scale) };
    let [height, width] = config.input;
    let mut preprocess = model.preprocess;
    preprocess.resize = Resize::Stretch { width, height };
    Ok(ModelDescription { name, network: Network::LcNetV2(config), preprocess })
}

pub(super) fn path(config: &Config, key: &str) -> Result<Option<PathBuf>> {
    Ok(config.text(key)?.filter(|text| !text.is_empty()).map(PathBuf::from))
}

/// Whether a text is a web address, from which PaddleX would download.
pub fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The file of pretrained weights in the settings. PaddleX downloads addresses; this program refuses them.
pub(super) fn pretrained(config: &Config) -> Result<Option<PathBuf>> {
    const KEY: &str = "Train.pretrain_weight_path";
    match config.text(KEY)? {
        Some(address) if is_address(address) || address == "default" => Err(Error::usage(format!(
            "{KEY} is {address}: download it and set {KEY} to the file, or to nothing (`{KEY}=`) to begin at random"
        ))),
        _ => path(config, KEY),
    }
}
