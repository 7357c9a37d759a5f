//! `image-feature train`: weights made from a data set.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::dataset::DatasetArgs;
use super::output_file::delete_unfinished_unless;
use super::terminal::{Stdout, note};
use super::{Outcome, thread_count};
use crate::config::Config;
use image_feature::dataset::{Dataset, Subset};
use image_feature::error::Context;
use image_feature::file_tree::FileTree;
use image_feature::model::{ModelDescription, Network};
use image_feature::train::loss::{ArcMargin, TripletAngularMargin};
use image_feature::train::{Augmentation, Begin, Crops, Event, Objective, Recipe, Run, RunOptions, StepDone, Summary};
use image_feature::{DeviceRequest, Error, Resize, Result};

/// Train a model on a data set's images, as PaddleX does
///
/// DATASET is a folder or archive with train.txt, gallery.txt and query.txt, as `image-feature check` knows it. The recipe is
/// PaddleX's where nothing else is asked for. Checkpoints, logs and curves go to the output folder; `--resume` goes on after
/// a stop with the very weights of a run that was not stopped.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature train products/ --output run/
  image-feature train products/ --output run/ --dry-run
  image-feature train products/ --output run/ --width 0.5 --size 112 --epochs 60 --batch-size 64
  image-feature train products/ --output run/ --resume run/")]
pub struct TrainArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Folder for checkpoints, logs and curves
    #[arg(long, value_name = "DIR", default_value = "output")]
    output: PathBuf,
    /// PaddleX's settings: a YAML file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting in place of the file's, such as Train.batch_size=64
    #[arg(short = 'o', long = "option", value_name = "Section.key=VALUE")]
    options: Vec<String>,
    /// The model to train, by PaddleX's name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Width of the network; 0.5 has half the channels (not for CLIP models)
    #[arg(long, value_name = "FACTOR")]
    width: Option<f64>,
    /// Height and width of the network's input in pixels (not for CLIP models)
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Length of the feature vector (not for CLIP models)
    #[arg(long, value_name = "N")]
    embedding: Option<usize>,
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// The highest learning rate
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Epochs until it is reached
    #[arg(long, value_name = "EPOCHS")]
    warmup: Option<f64>,
    /// L2 decay of the weights
    #[arg(long, value_name = "DECAY")]
    weight_decay: Option<f64>,
    /// How much the triplet loss counts beside cross-entropy (not for CLIP models)
    #[arg(long, value_name = "WEIGHT")]
    triplet_weight: Option<f64>,
    /// Learn the angle to each class, widened by this margin in radians, in place of class scores and triplets
    #[arg(long, value_name = "RADIANS", conflicts_with = "triplet_weight")]
    arc_margin: Option<f64>,
    /// By what the cosines of these angles are multiplied
    #[arg(long, value_name = "SCALE", requires = "arc_margin")]
    arc_scale: Option<f64>,
    /// How images are changed at random; by default as PaddleX does it for the model
    #[arg(long, value_enum, value_name = "CHAIN")]
    augmentation: Option<Chain>,
    /// Classes of the head; by default as many as train.txt has
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Epochs from one evaluation to the next
    #[arg(long, value_name = "EPOCHS")]
    eval_interval: Option<usize>,
    /// Epochs from one epoch_N to the next; `latest` and `best_model` are kept after each
    #[arg(long, value_name = "EPOCHS")]
    save_interval: Option<usize>,
    /// Weights to begin with: a .pdparams or .safetensors of the same network
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// Go on from a checkpoint: the folder of a run, or a .pdparams with its .pdopt and .pdstates
    #[arg(long, value_name = "PATH")]
    resume: Option<PathBuf>,
    /// Another seed gives other weights, the same seed the same ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to compute: cpu, webgpu, cuda or cuda:N; cuda:0,1 has two GPUs share each step, with a batch each
    #[arg(long, value_name = "DEVICE", value_parser = devices)]
    device: Option<Devices>,
    /// Threads that read images and change them
    #[arg(long, value_name = "N", value_parser = thread_count())]
    threads: Option<u16>,
    /// Decoded images kept in memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    cache: u64,
    /// Begin also where the checkpoints seem not to fit on the disk
    #[arg(long)]
    ignore_disk: bool,
    /// Check data, settings, memory and disk, learn from two batches, say how long it will take, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Chains of random changes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Chain {
    /// Mirror, shift and rotate: PaddleX's for PP-ShiTuV2_rec
    Products,
    /// Parts of at least 30 %, mirror, RandAugment, rotate: for small networks that learn from few images
    Crops,
    /// The same, stronger: PaddleX's for the CLIP models
    Clip,
    /// Images as they are
    None,
}

impl Chain {
    fn of(self, input: [usize; 2]) -> Augmentation {
        match self {
            Chain::Products => Augmentation::products(input),
            Chain::Crops => Augmentation::Crops(Crops::mild(input)),
            Chain::Clip => Augmentation::Crops(Crops::clip()),
            Chain::None => Augmentation::None,
        }
    }
}

pub fn run(args: TrainArgs) -> Result<Outcome> {
    let config = match &args.config {
        None => Config::parse(b"{}")?,
        Some(path) => read_config(path)?,
    };
    run_with(args, config)
}

/// Reads a file of settings.
pub fn read_config(path: &std::path::Path) -> Result<Config> {
    let bytes = std::fs::read(path).context(|| path.display().to_string())?;
    Config::parse(&bytes).context(|| path.display().to_string())
}

/// Keeps the memory that a step has freed for the next one. Else a third of the time goes into taking it from the system and
/// giving it back: glibc maps each large tensor anew.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library is told by a call")]
fn keep_freed_memory() {
    // SAFETY: these only set numbers inside the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 256 << 20);
        // arenas of other threads are too small for tensors
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

fn run_with(args: TrainArgs, mut config: Config) -> Result<Outcome> {
    keep_freed_memory();
    let (stop, running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    stop_on_interrupt(stop.clone(), running.clone());
    for option in &args.options {
        if let Some(warning) = config.set(option)? {
            note(&format!("warning: {warning}"));
        }
    }
    let tree: Arc<dyn FileTree> = Arc::from(args.dataset.open()?);
    let recipe = recipe(&args, &config, tree.as_ref())?;
    let options = RunOptions {
        resume: args.resume.clone().or(path(&config, "Train.resume_path")?),
        pretrained: args.pretrained.clone().or(pretrained(&config)?),
        devices: args.device.clone().map_or(vec![DeviceRequest::Cpu], |devices| devices.0),
        threads: args.threads.map(usize::from),
        cache: args.cache.saturating_mul(1 << 20),
        ignore_disk: args.ignore_disk,
        stop,
        ..RunOptions::new(&args.output)
    };
    let run = Run::prepare(&tree, &recipe, &options)?;
    if !args.quiet {
        note(&introduction(&recipe, &run.begin()));
    }
    if args.dry_run {
        return rehearse(run);
    }
    let mut watcher = Watcher::new(&recipe, run.begin(), args.quiet);
    running.store(true, Ordering::Relaxed);
    let mut kept = None;
    let summary = run.start(&mut |event| {
        if let Event::Stopped { kept: epoch, .. } = event {
            kept = Some(epoch);
        }
        watcher.take(event);
    });
    watcher.finish();
    if let Some(kept) = kept {
        let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let command = go_on_command(&arguments, kept.map(|_| args.output.as_path()));
        note(&match kept {
            Some(epoch) => format!("{} has epoch {epoch}. To go on:", args.output.join("latest").display()),
            None => "nothing of this run is saved yet. To begin again:".into(),
        });
        note(&format!("  {command}"));
    }
    let summary = summary?;
    Stdout::default().line(&outcome(&summary, &args.output))?;
    Ok(Outcome::Good)
}

/// The first Ctrl-C asks a run to end after its batch; the second, and any while nothing runs, ends the program.
fn stop_on_interrupt(stop: Arc<AtomicBool>, running: Arc<AtomicBool>) {
    delete_unfinished_unless(move || {
        let stops = running.load(Ordering::Relaxed) && !stop.swap(true, Ordering::Relaxed);
        if stops {
            note("stopping after this batch; once more to stop at once");
        }
        stops
    });
}

/// The command that goes on with a run that was begun with these arguments and has left a checkpoint in `output`.
fn go_on_command(arguments: &[String], output: Option<&std::path::Path>) -> String {
    let mut words = arguments.to_vec();
    if let Some(output) = output {
        if words.get(1).is_some_and(|command| command == "train") {
            while let Some(place) = words.iter().position(|word| word == "--resume" || word.starts_with("--resume=")) {
                let both = words[place] == "--resume" && place + 1 < words.len();
                words.drain(place..=place + usize::from(both));
            }
            words.splice(2..2, ["--resume".into(), output.display().to_string()]);
        } else {
            // with the dot no name is taken for a number or for None
            let output = std::path::Path::new(".").join(output);
            words.extend(["-o".into(), format!("Train.resume_path={}", output.display())]);
        }
    }
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    match word {
        _ if !word.is_empty() && word.chars().all(plain) => word.into(),
        _ if cfg!(windows) => format!("\"{word}\""),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The recipe: what is asked for on the command line, else in the settings, else PaddleX's.
fn recipe(args: &TrainArgs, config: &Config, tree: &dyn FileTree) -> Result<Recipe> {
    let name = match &args.model {
        Some(name) => name,
        None => config.text("Global.model")?.unwrap_or("PP-ShiTuV2_rec"),
    };
    let classes = match args.classes.or(config.count("Train.num_classes")?) {
        Some(classes) => classes,
        None => {
            let dataset = Dataset::read(tree);
            let rows = dataset.rows().iter().filter(|row| row.list == Subset::Train);
            let labels: std::collections::BTreeSet<i64> = rows.filter_map(|row| row.label).collect();
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

/// What is made small, as asked for.
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

/// The model with the sizes asked for.
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

fn path(config: &Config, key: &str) -> Result<Option<PathBuf>> {
    Ok(config.text(key)?.filter(|text| !text.is_empty()).map(PathBuf::from))
}

/// Whether this is an address on the network, from which PaddleX downloads.
pub fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The weights that the settings name. PaddleX downloads them; here the user does.
fn pretrained(config: &Config) -> Result<Option<PathBuf>> {
    const KEY: &str = "Train.pretrain_weight_path";
    match config.text(KEY)? {
        Some(address) if is_address(address) || address == "default" => Err(Error::usage(format!(
            "{KEY} is {address}: download it and set {KEY} to the file, or to nothing (`{KEY}=`) to begin at random"
        ))),
        _ => path(config, KEY),
    }
}

fn introduction(recipe: &Recipe, begin: &Begin) -> String {
    let [train, gallery, query] = begin.images;
    let [height, width] = recipe.model.input_size();
    format!(
        "{}: {:.2} million parameters, {width}x{height} pixels, on {}; {train} images of {} classes, evaluated with {query} \
         queries in a gallery of {gallery}; epochs {} to {} of {} batches; up to {:.0} MB of checkpoints{}",
        recipe.model.name,
        begin.parameters as f64 / 1e6,
        begin.device,
        begin.classes,
        begin.epochs_done + 1,
        recipe.epochs,
        begin.iterations_per_epoch,
        begin.disk_bytes as f64 / 1e6,
        begin.disk_free.map_or(String::new(), |free| format!(", {:.0} MB are free", free as f64 / 1e6)),
    )
}

fn rehearse(run: Run) -> Result<Outcome> {
    let rehearsal = run.rehearse()?;
    let losses = rehearsal.losses.iter().map(|(name, value)| format!("{name} {value:.4}"));
    let mut stdout = Stdout::default();
    stdout.line(&format!(
        "a batch takes {:.2} s: {}",
        rehearsal.step_seconds,
        losses.collect::<Vec<_>>().join(", ")
    ))?;
    for unreadable in &rehearsal.unreadable {
        note(&format!("cannot be read: {unreadable}"));
    }
    stdout.line(&format!("the whole run will take about {}", hours(rehearsal.whole_seconds)))?;
    Ok(Outcome::Good)
}

fn hours(seconds: f64) -> String {
    match seconds {
        _ if seconds < 90.0 => format!("{seconds:.0} s"),
        _ if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

fn outcome(summary: &Summary, output: &std::path::Path) -> String {
    match summary.best {
        Some((epoch, score)) => {
            format!("best: recall@1 {score:.5} after epoch {epoch}, in {}", output.join("best_model").display())
        }
        None => format!("never evaluated; the last weights are in {}", output.join("latest").display()),
    }
}

/// Tells what happens: a bar on a terminal, else a line for each epoch.
struct Watcher {
    bar: Option<ProgressBar>,
    quiet: bool,
    iterations: usize,
    epochs: usize,
    done_before: usize,
    last: Option<StepDone>,
}

impl Watcher {
    fn new(recipe: &Recipe, begin: Begin, quiet: bool) -> Self {
        use std::io::IsTerminal;
        let total = recipe.epochs * begin.iterations_per_epoch;
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total as u64);
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}");
            bar.set_style(style.expect("the template is a constant"));
            bar
        });
        let done_before = begin.epochs_done * begin.iterations_per_epoch;
        Watcher { bar, quiet, iterations: begin.iterations_per_epoch, epochs: recipe.epochs, done_before, last: None }
    }

    fn tell(&self, text: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Note(text) => self.tell(&format!("note: {text}")),
            Event::Step(step) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(
                        ((step.epoch - 1) * self.iterations + step.iteration + 1).max(self.done_before) as u64
                    );
                    bar.set_message(state(&step, self.epochs));
                }
                self.last = Some(step);
            }
            Event::Evaluated { scores, is_best, .. } => {
                let recall: Vec<String> =
                    scores.recall.iter().map(|(k, value)| format!("recall@{k} {value:.5}")).collect();
                let step = self.last.as_ref().map_or(String::new(), |step| state(step, self.epochs));
                let best = if is_best { "  best so far" } else { "" };
                self.tell(&format!("{step}  {}  mAP {:.5}{best}", recall.join("  "), scores.map));
            }
            _ => {}
        }
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn state(step: &StepDone, epochs: usize) -> String {
    let loss = step.losses.last().map_or(f64::NAN, |(_, loss)| *loss);
    format!(
        "epoch {}/{epochs}  loss {loss:.4}  lr {:.5}  {:.0} images/s  {} left",
        step.epoch,
        step.learning_rate,
        step.images_per_second,
        hours(step.seconds_left)
    )
}

impl TrainArgs {
    /// The arguments of PaddleX's `Global.mode=train`.
    pub fn of_config(config: &Config) -> Result<Self> {
        #[derive(clap::Parser)]
        struct Plain {
            #[command(flatten)]
            args: TrainArgs,
        }
        let needed = || Error::usage("Global.dataset_dir is missing: set it to the folder with train.txt");
        let dataset = config.text("Global.dataset_dir")?.ok_or_else(needed)?;
        let parsed = <Plain as clap::Parser>::try_parse_from(["train", "--", dataset]);
        let mut args = parsed.map_err(|error| Error::internal(error.to_string()))?.args;
        args.output = path(config, "Global.output")?.unwrap_or(args.output);
        args.device = match config.text("Global.device")? {
            None => None,
            Some(device) => Some(paddle_devices(device)?),
        };
        Ok(args)
    }

    /// Does it with settings that were read elsewhere.
    pub fn run(self, config: Config) -> Result<Outcome> {
        run_with(self, config)
    }
}

/// Devices that share the steps of a run; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Devices(Vec<DeviceRequest>);

/// For `--device`: one of our names, or several GPUs as `cuda:0,1` or, as PaddleX says it, `gpu:0,1`.
fn devices(text: &str) -> Result<Devices> {
    match text.strip_prefix("cuda:").or_else(|| text.strip_prefix("gpu:")) {
        Some(places) => gpus(places).ok_or_else(|| Error::usage(format!("`{text}`: expected numbers, as in cuda:0,1"))),
        None => Ok(Devices(vec![text.parse()?])),
    }
}

/// Devices as PaddleX calls them: `cpu`, `gpu`, `gpu:0`, `gpu:0,1`.
pub fn paddle_devices(text: &str) -> Result<Devices> {
    let (kind, places) = text.split_once(':').unwrap_or((text, "0"));
    match kind {
        "cpu" => Ok(Devices(vec![DeviceRequest::Cpu])),
        "gpu" => gpus(places)
            .ok_or_else(|| Error::usage(format!("Global.device is `{text}`; expected gpu:0, gpu:0,1 or cpu"))),
        _ => Err(Error::usage(format!("Global.device is `{text}`; cpu and gpu:N are known"))),
    }
}

/// The device for what one does alone: PaddleX takes the first.
pub fn paddle_device(text: &str) -> Result<DeviceRequest> {
    let Devices(devices) = paddle_devices(text)?;
    devices.first().copied().ok_or_else(|| Error::usage(format!("Global.device is `{text}`; no device is named")))
}

fn gpus(places: &str) -> Option<Devices> {
    let indices = places.split(',').map(|place| Some(DeviceRequest::Cuda(place.trim().parse().ok()?)));
    indices.collect::<Option<_>>().map(Devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_in_two_ways() {
        let gpus = |indices: &[usize]| Devices(indices.iter().map(|&index| DeviceRequest::Cuda(index)).collect());
        assert_eq!(devices("cuda:0,1").unwrap(), gpus(&[0, 1]));
        assert_eq!(devices("gpu:2").unwrap(), gpus(&[2]));
        assert_eq!(devices("cpu").unwrap(), Devices(vec![DeviceRequest::Cpu]));
        assert_eq!(paddle_devices("gpu:0,1,2,3").unwrap(), gpus(&[0, 1, 2, 3]));
        assert_eq!(paddle_devices("gpu").unwrap(), gpus(&[0]));
        assert_eq!(paddle_device("gpu:1, 0").unwrap(), DeviceRequest::Cuda(1));
        for wrong in ["cuda:", "cuda:0,", "cuda:0,x", "gpu:a", "tpu"] {
            assert!(devices(wrong).is_err() && paddle_devices(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_that_goes_on_is_one_for_a_shell() {
        let command = |words: &[&str], output: Option<&str>| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            go_on_command(&words, output.map(std::path::Path::new))
        };
        assert_eq!(
            command(&["if", "train", "a b", "--resume", "old", "--resume=older", "--epochs", "9"], Some("it's")),
            "if train --resume 'it'\\''s' 'a b' --epochs 9"
        );
        assert_eq!(command(&["if", "train", "--", "--odd"], Some("out")), "if train --resume out -- --odd");
        assert_eq!(command(&["if", "train", "shop", "--resume", "old"], None), "if train shop --resume old");
        let paddlex = ["if", "-c", "config.yaml", "-o", "Global.mode=train"];
        assert_eq!(command(&paddlex, Some("out")), "if -c config.yaml -o Global.mode=train -o Train.resume_path=./out");
    }
}
