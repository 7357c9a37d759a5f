//! A whole run: epochs of batches, evaluations, checkpoints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::tensor::Device;

use super::Schedule;
use super::config::{self, Places};
use super::curve::{self, Row};
use super::disk::Room;
use super::evaluation::Evaluation;
use super::folder::{Folder, files};
use super::initial::initial;
use super::loader::{Images, Loader, Shared, Stretch};
use super::log::{Averages, Log, duration};
use super::recipe::Recipe;
use super::sampler::Sampler;
use super::samples::{Samples, columns};
use super::team::Team;
use super::visual_dl::VisualDl;
use crate::dataset::{Dataset, Subset};
use crate::device::DeviceRequest;
use crate::error::Context;
use crate::file_tree::FileTree;
use crate::metrics::Scores;
use crate::model::lcnet_v2::Form;
use crate::tensors::Tensors;
use crate::weights::checkpoint::{Progress, read_pdopt, read_pdstates};
use crate::weights::{Model, ModelLoader};
use crate::{Error, ErrorKind, Result};

/// How a run is to be done, apart from what is learnt.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder that the run leaves.
    pub output: PathBuf,
    /// A checkpoint to go on from: its `.pdparams`, or the folder with it, or that of the whole run.
    pub resume: Option<PathBuf>,
    /// Weights to begin with: a `.pdparams` or `.safetensors` of the same network. What does not fit is passed over.
    pub pretrained: Option<PathBuf>,
    /// Where to compute: one device, or several that share each step. Each of them takes a batch of the recipe's size.
    pub devices: Vec<DeviceRequest>,
    /// Threads that read and change images; by default half of what the machine runs at once.
    pub threads: Option<usize>,
    /// Bytes of decoded images that may be kept in memory.
    pub cache: u64,
    /// Begin also where the checkpoints do not fit on the disk, as far as can be told.
    pub ignore_disk: bool,
    /// Set to `true` from another thread, it ends the run before its next batch with
    /// [`Cancelled`](crate::ErrorKind::Cancelled). What was saved remains, and can be resumed.
    pub stop: Arc<AtomicBool>,
}

impl RunOptions {
    /// A run on the CPU that keeps up to 1 GiB of images.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        RunOptions {
            output: output.into(),
            resume: None,
            pretrained: None,
            devices: vec![DeviceRequest::Cpu],
            threads: None,
            cache: 1 << 30,
            ignore_disk: false,
            stop: Arc::default(),
        }
    }
}

/// What happens during a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Data and network are ready.
    Begin(Begin),
    /// Something the user should know.
    Note(String),
    /// A batch has been learnt.
    Step(StepDone),
    /// A model was evaluated.
    Evaluated { epoch: usize, scores: Scores, is_best: bool },
    /// A checkpoint was written into this folder.
    Saved(PathBuf),
    /// The run was asked to stop, and does so in this epoch, which is lost. `kept` is the epoch of the last checkpoint `latest` that
    /// this run has written, if it has.
    Stopped { epoch: usize, kept: Option<usize> },
}

/// What a run is about to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    pub classes: usize,
    /// Images for training, in the gallery, and of queries.
    pub images: [usize; 3],
    pub parameters: usize,
    pub iterations_per_epoch: usize,
    /// Epochs that are done already.
    pub epochs_done: usize,
    /// Bytes that the checkpoints still to come will take at most, beyond those of an earlier run that they replace.
    pub disk_bytes: u64,
    /// Bytes that are free where they go; `None` where the system does not tell.
    pub disk_free: Option<u64>,
    pub device: String,
}

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDone {
    /// From 1.
    pub epoch: usize,
    /// Within the epoch, from 0.
    pub iteration: usize,
    /// The rate of the next step, as Paddle shows it.
    pub learning_rate: f64,
    /// Averages of the epoch so far, the total last.
    pub losses: Vec<(&'static str, f64)>,
    pub images_per_second: f64,
    pub seconds_left: f64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The epoch with the best evaluation, and its recall@1.
    pub best: Option<(usize, f64)>,
    /// The last evaluation.
    pub last: Option<Scores>,
}

/// Everything that a run needs, found and checked before it begins.
pub struct Run<'a> {
    recipe: &'a Recipe,
    options: &'a RunOptions,
    images: Images,
    columns: Vec<usize>,
    sampler: Sampler,
    schedule: Schedule,
    evaluation: Evaluation,
    team: Team,
    epochs_done: usize,
    room: Room,
    threads: usize,
    device: String,
    dataset: String,
    notes: Vec<String>,
}

impl<'a> Run<'a> {
    /// Reads the lists of a data set, the weights to begin with, and checks that all fits together. Nothing is written.
    ///
    /// # Errors
    /// What would fail later: lists that are missing or faulty, classes and batch sizes that do not fit
    /// ([`Usage`](crate::ErrorKind::Usage)), weights of another network ([`Model`](crate::ErrorKind::Model)), too little room on
    /// the disk ([`Io`](crate::ErrorKind::Io)), a device that cannot be opened.
    pub fn prepare(tree: &Arc<dyn FileTree>, recipe: &'a Recipe, options: &'a RunOptions) -> Result<Self> {
        recipe.check()?;
        let dataset = Dataset::read(tree.as_ref());
        let [train, gallery, queries] = [Subset::Train, Subset::Gallery, Subset::Query];
        let [train, gallery, queries] = [train, gallery, queries].map(|list| Samples::read(tree, &dataset, list));
        let (train, gallery, queries) = (train?, gallery?, queries?);
        let columns = columns(&train, recipe)?;
        let (devices, name) = open_devices(&options.devices)?;
        let sampler = Sampler::new(recipe.sampling, recipe.batch_size, &columns, recipe.seed, devices.len());
        let schedule = Schedule::new(recipe.learning_rate, recipe.epochs, recipe.warmup_epochs, sampler.batches());
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let size = recipe.model.input_size();
        let evaluation = Evaluation::new(gallery, queries, &recipe.model.network, options.cache / 4, machine)?;
        let first = recipe.augmentation.first_size(size);
        let stretch = if first.is_some() { Stretch::Bilinear } else { Stretch::No };
        let images = Images::new(train, first.unwrap_or(size), stretch, options.cache - options.cache / 4);
        let mut notes = dataset.notes().to_vec();
        if recipe.warmup_epochs > recipe.epochs as f64 {
            notes.push(format!(
                "warm-up takes all {} epochs: {} were asked for; the learning rate only rises",
                recipe.epochs, recipe.warmup_epochs
            ));
        }
        let mut tensors = initial(&recipe.model.network, recipe.classes, recipe.seed);
        let mut epochs_done = 0;
        let mut velocities = None;
        if let Some(path) = &options.resume {
            let kept = Kept::read(path, recipe)?;
            if kept.progress.epoch >= recipe.epochs {
                return Err(Error::usage(format!(
                    "{}: its {} epochs are done; ask for more than {} to go on",
                    path.display(),
                    kept.progress.epoch,
                    recipe.epochs
                )));
            }
            epochs_done = kept.progress.epoch;
            tensors = kept.model.tensors;
            velocities = Some(kept.velocities);
        } else if let Some(path) = &options.pretrained {
            notes.extend(take_over(path, recipe, &mut tensors)?);
        }
        let room = Room::of(recipe, epochs_done, &options.output);
        if !options.ignore_disk {
            room.check(recipe, &options.output)?;
        }
        let mut team = Team::new(recipe, &tensors, &devices)?;
        if let Some(velocities) = velocities {
            team.set_velocities(&velocities)?;
        }
        Ok(Run {
            recipe,
            options,
            images,
            columns,
            sampler,
            schedule,
            evaluation,
            team,
            epochs_done,
            room,
            threads: options.threads.unwrap_or(machine.div_ceil(2)).max(1),
            device: name,
            dataset: tree.name().to_string(),
            notes,
        })
    }

    /// What the run is about to do.
    pub fn begin(&self) -> Begin {
        let parameters: usize = self
            .recipe
            .model
            .network
            .parameters(Form::Training, Some(self.recipe.classes))
            .iter()
            .map(|parameter| parameter.len())
            .sum();
        let mut labels = self.columns.clone();
        labels.sort_unstable();
        labels.dedup();
        Begin {
            classes: labels.len(),
            images: [self.columns.len(), self.evaluation.gallery().len(), self.evaluation.queries().len()],
            parameters,
            iterations_per_epoch: self.sampler.batches(),
            epochs_done: self.epochs_done,
            disk_bytes: self.room.needed,
            disk_free: self.room.free,
            device: self.device.clone(),
        }
    }

    /// Learns from one batch and evaluates, as the run would, without writing anything: whether it works, what it costs, and
    /// how long it takes.
    ///
    /// # Errors
    /// Those of the run.
    pub fn rehearse(mut self) -> Result<Rehearsal> {
        let batches: Vec<_> = self.sampler.epoch(self.epochs_done + 1).into_iter().take(2).collect();
        let unreadable = Mutex::default();
        let loader = self.loader(&unreadable);
        let shared = Shared::default();
        let (mut losses, mut seconds) = (Vec::new(), 0.0);
        // the first step also measures and allocates what later ones do not
        let batches: Vec<_> = std::thread::scope(|scope| {
            loader.start(self.epochs_done + 1, &batches, &shared, scope).collect::<Result<Vec<_>>>()
        })?;
        for (number, batch) in batches.into_iter().enumerate() {
            let started = Instant::now();
            losses = self.team.step(batch, self.schedule.at(number), number as u64)?;
            seconds = started.elapsed().as_secs_f64();
        }
        let started = Instant::now();
        let scores = self.evaluation.run(&self.team.model()?, &self.options.stop)?;
        let evaluation = started.elapsed().as_secs_f64();
        let epochs = (self.recipe.epochs - self.epochs_done) as f64;
        let whole = epochs * (seconds * self.sampler.batches() as f64 + evaluation / self.recipe.eval_interval as f64);
        let unreadable = unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Rehearsal {
            losses,
            step_seconds: seconds,
            scores,
            whole_seconds: whole,
            unreadable: unreadable.into_values().collect(),
        })
    }

    fn loader<'s>(&'s self, unreadable: &'s Mutex<HashMap<usize, String>>) -> Loader<'s> {
        Loader {
            images: &self.images,
            columns: &self.columns,
            model: &self.recipe.model,
            augmentation: self.recipe.augmentation,
            seed: self.recipe.seed,
            threads: self.threads,
            unreadable,
        }
    }

    /// Does it, telling `watch` what happens, and leaves the folder that PaddleX leaves.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) where a file cannot be written; [`Usage`](crate::ErrorKind::Usage) where training
    /// diverges; [`Cancelled`](crate::ErrorKind::Cancelled) where [`RunOptions::stop`] says so; where images for the evaluation
    /// cannot be read. Checkpoints written before remain.
    pub fn start(mut self, watch: &mut dyn FnMut(Event)) -> Result<Summary> {
        let recipe = self.recipe;
        let mut folder = Folder::open(&self.options.output, &recipe.model.name)?;
        let resumed = self.epochs_done > 0;
        let mut log = Log::open(&folder.path().join("train.log"), resumed)?;
        let mut records = VisualDl::create(folder.path())?;
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let (resume, pretrained) = (shown(&self.options.resume), shown(&self.options.pretrained));
        let absolute = std::path::absolute(folder.path())?.display().to_string();
        let dataset = std::path::absolute(&self.dataset)?.display().to_string();
        let config = config::yaml(
            recipe,
            &Places {
                dataset: &dataset,
                output: &absolute,
                resume: resume.as_deref(),
                pretrained: pretrained.as_deref(),
                device: self.device.split(' ').next().unwrap_or("cpu"),
            },
        );
        config.lines().try_for_each(|line| log.line(line))?;
        folder.write("config.yaml", config.as_bytes())?;
        folder.begin()?;
        let begin = self.begin();
        log.line(&format!("train with image-feature {} and device {}", env!("CARGO_PKG_VERSION"), self.device))?;
        for note in std::mem::take(&mut self.notes) {
            log.warn(&note)?;
            watch(Event::Note(note));
        }
        watch(Event::Begin(begin));

        let names: Vec<&'static str> = match recipe.objective {
            super::Objective::Linear { .. } => vec!["CELoss", "TripletAngularMarginLoss", "loss"],
            super::Objective::Angles(_) => vec!["CELoss", "loss"],
        };
        let mut rows = match resumed {
            false => Vec::new(),
            true => std::fs::read_to_string(folder.path().join(CURVE))
                .map_or(Vec::new(), |text| curve::parse(&text, &names)),
        };
        rows.retain(|row: &Row| row.epoch <= self.epochs_done);
        let mut summary = Summary { best: self.best_so_far(&folder), last: None };
        if let Some((_, score)) = summary.best {
            folder.list_best(score)?;
        }
        let unreadable = Mutex::new(HashMap::new());
        let mut metric = 0.0;
        let mut kept = None;
        for epoch in self.epochs_done + 1..=recipe.epochs {
            let (losses, speed) = match self.epoch(epoch, &unreadable, &mut log, &mut records, watch) {
                Err(error) if error.kind() == ErrorKind::Cancelled => {
                    return Err(stopped(error, epoch, kept, &mut log, watch));
                }
                learnt => learnt?,
            };
            log.line(&format!("[Train][Epoch {epoch}/{}][Avg]{}", recipe.epochs, losses.text()))?;
            let iterations = epoch * self.sampler.batches();
            let mut row = Row {
                epoch,
                learning_rate: self.schedule.at(iterations - 1),
                losses: losses.values(),
                scores: None,
                images_per_second: speed,
            };
            let mut save = |prefix: &str, metric: f64, folder: &Folder, log: &mut Log| {
                let progress = Progress { epoch, metric };
                folder.replace(prefix, &files(&self.team, &self.schedule, iterations, prefix, progress)?)?;
                log.line(&format!("Already save model in {absolute}/{prefix}/{prefix}"))?;
                if folder.path().join(prefix).join("inference").exists() {
                    log.line(&format!(
                        "Export succeeded! The inference model exported has been saved in \"{absolute}/{prefix}/inference/inference\"."
                    ))?;
                }
                log.line(&format!("Already save model info in {absolute}/{prefix}"))?;
                watch(Event::Saved(folder.path().join(prefix)));
                Ok::<_, Error>(())
            };
            let mut evaluated = None;
            if epoch.is_multiple_of(recipe.eval_interval) {
                let scores = match self.evaluate(epoch, &mut log) {
                    Err(error) if error.kind() == ErrorKind::Cancelled => {
                        return Err(stopped(error, epoch, kept, &mut log, watch));
                    }
                    scores => scores?,
                };
                metric = f64::from(recall_at(&scores, 1));
                row.scores = Some([metric, f64::from(recall_at(&scores, 5)), f64::from(scores.map)]);
                // equally good is better: it has seen more. Not a number never is.
                let is_best = metric >= summary.best.map_or(0.0, |(_, best)| best);
                if is_best {
                    summary.best = Some((epoch, metric));
                }
                log.line(&format!(
                    "[Eval][Epoch {epoch}][best metric: {:?}]",
                    summary.best.map_or(0.0, |(_, best)| best)
                ))?;
                records.scalars(epoch, [("eval_acc", metric)])?;
                if is_best {
                    save("best_model", metric, &folder, &mut log)?;
                    folder.list_best(metric)?;
                }
                evaluated = Some(Event::Evaluated { epoch, scores: scores.clone(), is_best });
                summary.last = Some(scores);
            }
            if epoch.is_multiple_of(recipe.save_interval) {
                save(&format!("epoch_{epoch}"), metric, &folder, &mut log)?;
                folder.list_epoch(epoch, metric, epoch == recipe.epochs)?;
            }
            save("latest", metric, &folder, &mut log)?;
            kept = Some(epoch);
            if let Some(evaluated) = evaluated {
                watch(evaluated);
            }
            rows.push(row);
            folder.write(CURVE, curve::csv(&rows).as_bytes())?;
            folder.write("train_curve.svg", curve::svg(&rows).as_bytes())?;
        }
        Ok(summary)
    }

    /// The best evaluation of the run that this one goes on with.
    fn best_so_far(&self, folder: &Folder) -> Option<(usize, f64)> {
        if self.epochs_done == 0 {
            return None;
        }
        let info = std::fs::read(folder.path().join("best_model/best_model.info.json")).ok()?;
        let info: serde_json::Value = serde_json::from_slice(&info).ok()?;
        let epoch = info["epoch"].as_u64()? as usize;
        (epoch <= self.epochs_done).then(|| Some((epoch, info["metric"].as_f64()?)))?
    }

    /// One epoch: its averages, and images per second.
    fn epoch(
        &mut self,
        epoch: usize,
        unreadable: &Mutex<HashMap<usize, String>>,
        log: &mut Log,
        records: &mut VisualDl,
        watch: &mut dyn FnMut(Event),
    ) -> Result<(Averages, f64)> {
        let Run { recipe, images, columns, sampler, schedule, team, threads, options, .. } = self;
        let stop = options.stop.as_ref();
        let count = sampler.batches();
        let batches = sampler.epoch(epoch);
        let loader = Loader {
            images,
            columns,
            model: &recipe.model,
            augmentation: recipe.augmentation,
            seed: recipe.seed,
            threads: *threads,
            unreadable,
        };
        let shared = Shared::default();
        let mut averages = Averages::default();
        let mut told = 0;
        let began = Instant::now();
        let mut seen = 0;
        std::thread::scope(|scope| {
            let mut incoming = loader.start(epoch, &batches, &shared, scope);
            let mut costs = Costs::default();
            for iteration in 0..count {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::new(
                        ErrorKind::Cancelled,
                        format!("interrupted in epoch {epoch}, after {iteration} of {count} batches"),
                    ));
                }
                let started = Instant::now();
                let Some(batch) = incoming.next() else { break };
                let batch = batch?;
                let waited = started.elapsed().as_secs_f64();
                let size = batch.labels.len();
                let step = (epoch - 1) * count + iteration;
                let losses = team.step(batch, schedule.at(step), step as u64)?;
                if losses.iter().any(|(_, loss)| !loss.is_finite()) {
                    return Err(Error::usage(format!(
                        "training has diverged in epoch {epoch}, iteration {iteration}: the loss is no number. The \
                         checkpoints before remain; begin again with a lower learning rate or a longer warm-up"
                    )));
                }
                averages.add(&losses, size);
                seen += size;
                // the first batches of an epoch wait for their images
                if iteration == 5 {
                    costs = Costs::default();
                }
                costs.add(started.elapsed().as_secs_f64(), waited, size);
                let left = ((recipe.epochs - epoch + 1) * count - iteration) as f64 * costs.batch();
                let done = StepDone {
                    epoch,
                    iteration,
                    learning_rate: schedule.at(step + 1),
                    losses: averages.values(),
                    images_per_second: costs.images_per_second(),
                    seconds_left: left,
                };
                if iteration % recipe.log_interval == 0 {
                    log.line(&format!(
                        "[Train][Epoch {epoch}/{}][Iter: {iteration}/{count}]lr({}): {:.8}, {}, batch_cost: {:.5}s, \
                         reader_cost: {:.5}, ips: {:.5} samples/s, eta: {}",
                        recipe.epochs,
                        schedule.name(),
                        done.learning_rate,
                        averages.text(),
                        costs.batch(),
                        costs.reader(),
                        done.images_per_second,
                        duration(left),
                    ))?;
                    let losses = done.losses.iter().map(|(name, loss)| (format!("train_{name}"), *loss));
                    let rate = (format!("lr({})", schedule.name()), done.learning_rate);
                    let numbers: Vec<_> = std::iter::once(rate).chain(losses).collect();
                    records.scalars(step + 1, numbers.iter().map(|(name, value)| (name.as_str(), *value)))?;
                }
                watch(Event::Step(done));
                let unreadable = unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                if unreadable.len() > told {
                    told = unreadable.len();
                    for note in unreadable.values() {
                        log.warn(&format!("an image is replaced by another of its class: {note}"))?;
                    }
                    watch(Event::Note(format!(
                        "{told} images cannot be read and are replaced by others of their class; train.log names them"
                    )));
                }
            }
            Ok(())
        })?;
        Ok((averages, seen as f64 / began.elapsed().as_secs_f64()))
    }

    fn evaluate(&self, epoch: usize, log: &mut Log) -> Result<Scores> {
        let scores = self.evaluation.run(&self.team.model()?, &self.options.stop)?;
        let dimension = self.recipe.model.dimension();
        for (what, samples) in [("gallery", self.evaluation.gallery()), ("query", self.evaluation.queries())] {
            log.line(&format!("Build {what} done, all feat shape: [{}, {dimension}]", samples.len()))?;
        }
        log.line("re_ranking=False")?;
        let number = |value: f32| if value.is_nan() { "nan".into() } else { format!("{value:.5}") };
        log.line(&format!(
            "[Eval][Epoch {epoch}][Avg]recall1: {}, recall5: {}, mAP: {}",
            number(recall_at(&scores, 1)),
            number(recall_at(&scores, 5)),
            number(scores.map)
        ))?;
        Ok(scores)
    }
}

/// Says in the log and to `watch` where a run stops, and gives the reason back.
fn stopped(error: Error, epoch: usize, kept: Option<usize>, log: &mut Log, watch: &mut dyn FnMut(Event)) -> Error {
    let left = match kept {
        Some(kept) => format!("`latest` has epoch {kept}"),
        None => "no checkpoint was written yet".into(),
    };
    // whoever stops a run because the disk is full is told all the same
    let _ = log.warn(&format!("{error}; {left}"));
    watch(Event::Stopped { epoch, kept });
    error
}

/// The course of a run as numbers.
const CURVE: &str = "train_curve.csv";

fn recall_at(scores: &Scores, k: usize) -> f32 {
    scores.recall.iter().find(|(at, _)| *at == k).map_or(f32::NAN, |(_, value)| *value)
}

/// What a rehearsal found.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsal {
    /// Of the last batch.
    pub losses: Vec<(&'static str, f32)>,
    pub step_seconds: f64,
    /// Of a network that has learnt from two batches.
    pub scores: Scores,
    /// How long the run will take, without saving.
    pub whole_seconds: f64,
    /// Images of the batch that cannot be read.
    pub unreadable: Vec<String>,
}

/// What batches took.
#[derive(Default)]
struct Costs {
    seconds: f64,
    waited: f64,
    batches: f64,
    images: f64,
}

impl Costs {
    fn add(&mut self, seconds: f64, waited: f64, images: usize) {
        self.seconds += seconds;
        self.waited += waited;
        self.batches += 1.0;
        self.images += images as f64;
    }

    fn batch(&self) -> f64 {
        self.seconds / self.batches
    }

    fn reader(&self) -> f64 {
        self.waited / self.batches
    }

    fn images_per_second(&self) -> f64 {
        self.images / self.seconds
    }
}

/// The devices, and what they are called together.
fn open_devices(requests: &[DeviceRequest]) -> Result<(Vec<Device>, String)> {
    let named: Vec<_> = requests.iter().filter(|request| matches!(request, DeviceRequest::Cuda(_))).collect();
    if let Some(twice) = named.iter().enumerate().find_map(|(place, one)| named[..place].contains(one).then_some(one)) {
        return Err(Error::usage(format!("{twice} is named twice")));
    }
    if requests.is_empty() {
        return Err(Error::usage("no device is named"));
    }
    let opened = requests.iter().map(|&request| open_device(request)).collect::<Result<Vec<_>>>()?;
    let (devices, names): (Vec<Device>, Vec<String>) = opened.into_iter().unzip();
    Ok((devices, names.join(" + ")))
}

fn open_device(request: DeviceRequest) -> Result<(Device, String)> {
    match request {
        DeviceRequest::Auto | DeviceRequest::Cpu => Ok((Device::flex(), "cpu".into())),
        named => {
            let opened = pollster::block_on(crate::device::OpenDevice::open(named))?;
            let adapter = opened.adapter.map_or(String::new(), |adapter| format!(" ({adapter})"));
            Ok((opened.device, format!("{}{adapter}", opened.kind)))
        }
    }
}

/// A checkpoint to go on from.
struct Kept {
    model: Model,
    velocities: Tensors,
    progress: Progress,
}

impl Kept {
    fn read(path: &Path, recipe: &Recipe) -> Result<Self> {
        let stem = stem(path)?;
        let read = |extension: &str| {
            let path = PathBuf::from(format!("{}.{extension}", stem.display()));
            std::fs::read(&path).context(|| path.display().to_string())
        };
        let (pdparams, pdopt, pdstates) = (read("pdparams")?, read("pdopt")?, read("pdstates")?);
        let in_file = |extension: &str| format!("{}.{extension}", stem.display());
        let mut model = ModelLoader::new().with_head().from_bytes(&in_file("pdparams"), &pdparams)?;
        if model.classes != Some(recipe.classes) {
            return Err(Error::model(format!(
                "{}: it has {} classes, but {} are asked for",
                in_file("pdparams"),
                model.classes.unwrap_or(0),
                recipe.classes
            )));
        }
        // its files hold weights only: the rest is the recipe's
        model.description = recipe.model.clone();
        let network = &recipe.model.network;
        if let Some(other) = network
            .parameters(model.form, model.classes)
            .into_iter()
            .find(|parameter| model.tensors.get(&parameter.name).is_some_and(|tensor| tensor.shape != parameter.shape))
        {
            return Err(Error::model(format!(
                "{}: `{}` is of another network than {}; ask for the one that the run was begun with, by --model, --width and \
                 --embedding: its config.yaml says which",
                in_file("pdparams"),
                other.name,
                recipe.model.name
            )));
        }
        let velocities = read_pdopt(&pdopt, &pdparams, &model).context(|| in_file("pdopt"))?;
        let progress = read_pdstates(&pdstates).context(|| in_file("pdstates"))?;
        Ok(Kept { model, velocities, progress })
    }
}

/// A checkpoint's path without extension: from that of one of its files, its folder, or the run's folder.
fn stem(path: &Path) -> Result<PathBuf> {
    let in_folder = |folder: &Path| {
        let name = folder.file_name()?;
        let stem = folder.join(name);
        PathBuf::from(format!("{}.pdparams", stem.display())).is_file().then_some(stem)
    };
    if path.is_dir() {
        // a name to look for, also where the folder is given as `.`
        let path = std::fs::canonicalize(path).context(|| path.display().to_string())?;
        return in_folder(&path).or_else(|| in_folder(&path.join("latest"))).ok_or_else(|| {
            Error::model(format!("{}: no checkpoint in this folder; expected latest/latest.pdparams", path.display()))
        });
    }
    let text = path.to_string_lossy();
    Ok(PathBuf::from(text.strip_suffix(".pdparams").unwrap_or(&text)))
}

/// Puts the weights of a file in the place of random ones, and says which it could not.
fn take_over(path: &Path, recipe: &Recipe, tensors: &mut Tensors) -> Result<Vec<String>> {
    let loader = ModelLoader::new().with_head();
    let given = path.to_path_buf();
    let with_extension = PathBuf::from(format!("{}.pdparams", path.display()));
    let path = if !given.exists() && with_extension.exists() { with_extension } else { given };
    let model = loader.open(&path)?;
    let shown = path.display();
    if model.form != recipe.model.network.training_form() {
        return Err(Error::model(format!(
            "{shown}: an exported model, whose branches are fused for good; give the .pdparams of its training"
        )));
    }
    let names: Vec<String> = tensors.iter().map(|(name, _)| name.to_string()).collect();
    let (mut taken, mut left) = (0, Vec::new());
    for name in names {
        match model.tensors.get(&name) {
            Some(tensor) if tensors.get(&name).is_some_and(|own| own.shape == tensor.shape) => {
                tensors.insert(name, tensor.clone());
                taken += 1;
            }
            _ => left.push(name),
        }
    }
    if taken == 0 {
        return Err(Error::model(format!("{shown}: none of its tensors fits {}", recipe.model.name)));
    }
    Ok(match left.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "{shown}: {} of {} tensors have another shape or are missing, such as `{first}`; they begin at random",
            left.len(),
            left.len() + taken
        )],
    })
}

/// Trains a network on a data set: [`Run::prepare`], then [`Run::start`].
///
/// ```no_run
/// use std::sync::Arc;
///
/// use image_feature::file_tree;
/// use image_feature::train::{Recipe, RunOptions, train};
///
/// let recipe = Recipe { epochs: 40, ..Recipe::published("PP-ShiTuV2_rec", 159)? };
/// let summary = train(&Arc::from(file_tree::open("products")?), &recipe, &RunOptions::new("output"), &mut |_| {})?;
/// println!("best: {:?}", summary.best);
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// As these.
pub fn train(
    tree: &Arc<dyn FileTree>,
    recipe: &Recipe,
    options: &RunOptions,
    watch: &mut dyn FnMut(Event),
) -> Result<Summary> {
    Run::prepare(tree, recipe, options)?.start(watch)
}
