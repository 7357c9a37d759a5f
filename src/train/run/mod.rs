//! A whole run: epochs of batches, evaluations, checkpoints.
//!
//! `start.rs` reads a checkpoint or pretrained weights, `epoch.rs` learns, `output.rs` writes.

mod devices;
mod epoch;
mod event;
mod options;
mod output;
mod rehearsal;
mod start;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use self::epoch::{Told, Unreadable};
pub use self::event::{Begin, Event, Rehearsal, StepDone, Summary};
pub use self::options::RunOptions;
use self::output::{Output, recall_at};
use self::start::Start;
use super::Schedule;
use super::curve::Row;
use super::disk::Room;
use super::earlier;
use super::evaluation::Evaluation;
use super::folder::files;
use super::loader::{Images, Loader, Stretch};
use super::recipe::Recipe;
use super::sampler::Sampler;
use super::samples::{Samples, columns};
use super::team::Team;
use crate::dataset::{Dataset, Subset};
use crate::file_tree::FileTree;
use crate::metrics::Scores;
use crate::model::lcnet_v2::Form;
use crate::weights::checkpoint::Progress;
use crate::{ErrorKind, Result};

/// A run that is checked and ready to start.
pub struct Run<'a> {
    recipe: &'a Recipe,
    options: &'a RunOptions,
    training: TrainingSet,
    schedule: Schedule,
    evaluation: Evaluation,
    team: Team,
    epochs_done: usize,
    room: Room,
    /// The names of the devices.
    device: String,
    /// The path of the data set.
    dataset: String,
    /// Remarks for the user.
    notes: Vec<String>,
}

/// The images to learn from, and the order in which they come.
struct TrainingSet {
    images: Images,
    /// The column of the head for each image.
    columns: Vec<usize>,
    sampler: Sampler,
    /// Threads that read and augment.
    threads: usize,
}

impl TrainingSet {
    fn loader<'s>(&'s self, recipe: &'s Recipe, unreadable: &'s Unreadable) -> Loader<'s> {
        Loader {
            images: &self.images,
            columns: &self.columns,
            model: &recipe.model,
            augmentation: recipe.augmentation,
            seed: recipe.seed,
            threads: self.threads,
            unreadable,
        }
    }
}

impl<'a> Run<'a> {
    /// Reads the lists of a data set and the initial weights, and checks that all fits together. Writes nothing.
    ///
    /// # Errors
    /// - [`Decode`](crate::ErrorKind::Decode): a list is missing or faulty.
    /// - [`Usage`](crate::ErrorKind::Usage): classes and batch size do not fit the data set; the folder holds another run.
    /// - [`Model`](crate::ErrorKind::Model): the weights are those of another network.
    /// - [`Io`](crate::ErrorKind::Io): the disk is too small for the checkpoints.
    /// - [`Device`](crate::ErrorKind::Device): a device cannot be opened.
    pub fn prepare(tree: &Arc<dyn FileTree>, recipe: &'a Recipe, options: &'a RunOptions) -> Result<Self> {
        recipe.check()?;
        let resumed = options.resume.as_deref().map(earlier::stem).transpose()?;
        earlier::check(&options.output, resumed.as_deref(), options.overwrite)?;
        let dataset = Dataset::read(tree.as_ref());
        let [train, gallery, queries] = [Subset::Train, Subset::Gallery, Subset::Query];
        let [train, gallery, queries] = [train, gallery, queries].map(|list| Samples::read(tree, &dataset, list));
        let (train, gallery, queries) = (train?, gallery?, queries?);
        let columns = columns(&train, recipe)?;
        let (devices, device) = devices::open(&options.devices)?;
        let sampler = Sampler::new(recipe.sampling, recipe.batch_size, &columns, recipe.seed, devices.len());
        let schedule = Schedule::new(recipe.learning_rate, recipe.epochs, recipe.warmup_epochs, sampler.batches());
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        // a quarter of the cache is for the evaluation
        let evaluation = Evaluation::new(gallery, queries, &recipe.model.network, options.cache / 4, machine)?;
        let images = training_images(train, recipe, options.cache - options.cache / 4);
        let start = Start::of(recipe, options)?;
        let room = Room::of(recipe, start.epochs_done, &options.output, options.overwrite);
        if !options.ignore_disk {
            room.check(recipe, &options.output)?;
        }
        let mut team = Team::new(recipe, &start.tensors, &devices)?;
        if let Some(velocities) = &start.velocities {
            team.set_velocities(velocities)?;
        }
        let mut notes = dataset.notes().to_vec();
        notes.extend(warmup_note(recipe));
        notes.extend(resumed.and_then(|stem| later_note(&stem, start.epochs_done, &options.output)));
        notes.extend(start.notes);
        let threads = options.threads.unwrap_or(machine.div_ceil(2)).max(1);
        Ok(Run {
            recipe,
            options,
            training: TrainingSet { images, columns, sampler, threads },
            schedule,
            evaluation,
            team,
            epochs_done: start.epochs_done,
            room,
            device,
            dataset: tree.name().to_string(),
            notes,
        })
    }

    /// The size of the run: classes, images, parameters, disk.
    pub fn begin(&self) -> Begin {
        let network = &self.recipe.model.network;
        let parameters = network.parameters(Form::Training, Some(self.recipe.classes));
        let TrainingSet { columns, sampler, .. } = &self.training;
        let mut labels = columns.clone();
        labels.sort_unstable();
        labels.dedup();
        Begin {
            classes: labels.len(),
            images: [columns.len(), self.evaluation.gallery().len(), self.evaluation.queries().len()],
            parameters: parameters.iter().map(|parameter| parameter.len()).sum(),
            iterations_per_epoch: sampler.batches(),
            epochs_done: self.epochs_done,
            disk_bytes: self.room.needed,
            disk_free: self.room.free,
            device: self.device.clone(),
        }
    }

    /// Does the run, and writes the folder that PaddleX writes. Reports each event to `watch`.
    ///
    /// # Errors
    /// Checkpoints written before the error remain.
    ///
    /// - [`Io`](crate::ErrorKind::Io): a file cannot be written.
    /// - [`Usage`](crate::ErrorKind::Usage): training diverges; another run writes the folder.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled): [`RunOptions::stop`] became `true`.
    /// - [`Decode`](crate::ErrorKind::Decode), [`Limit`](crate::ErrorKind::Limit): an image for the evaluation cannot be
    ///   read.
    pub fn start(mut self, watch: &mut dyn FnMut(Event)) -> Result<Summary> {
        let mut output = Output::open(&mut self, watch)?;
        let mut course = Course::new(output.earlier_best(self.epochs_done));
        if let Some((_, score)) = course.summary.best {
            output.list_best(score)?;
        }
        for epoch in self.epochs_done + 1..=self.recipe.epochs {
            match self.epoch(epoch, &mut course, &mut output) {
                Err(error) if error.kind() == ErrorKind::Cancelled => {
                    return Err(output.stopped(error, epoch, course.kept));
                }
                done => done?,
            }
            course.kept = Some(epoch);
        }
        Ok(course.summary)
    }

    /// One epoch: learns, evaluates, saves.
    fn epoch(&mut self, epoch: usize, course: &mut Course, output: &mut Output) -> Result<()> {
        let recipe = self.recipe;
        let (losses, images_per_second) = self.learn_epoch(epoch, &course.unreadable, &mut course.told, output)?;
        output.log.line(&format!("[Train][Epoch {epoch}/{}][Avg]{}", recipe.epochs, losses.text()))?;
        let learning_rate = self.schedule.at(self.iterations(epoch) - 1);
        let mut row = Row { epoch, learning_rate, losses: losses.values(), scores: None, images_per_second };
        let mut evaluated = None;
        if epoch.is_multiple_of(recipe.eval_interval) {
            let (scores, is_best) = self.evaluate(epoch, course, output)?;
            row.scores = Some([course.metric, f64::from(recall_at(&scores, 5)), f64::from(scores.map)]);
            evaluated = Some(Event::Evaluated { epoch, scores, is_best });
        }
        if epoch.is_multiple_of(recipe.save_interval) {
            self.save(&format!("epoch_{epoch}"), epoch, course.metric, output)?;
            output.list_epoch(epoch, course.metric, epoch == recipe.epochs)?;
        }
        self.save("latest", epoch, course.metric, output)?;
        if let Some(evaluated) = evaluated {
            output.tell(evaluated);
        }
        output.add_row(row)
    }

    /// Evaluates, and saves the model if it is the best so far, which is the second value.
    fn evaluate(&self, epoch: usize, course: &mut Course, output: &mut Output) -> Result<(Scores, bool)> {
        let scores = self.evaluation.run(&self.team.model()?, &self.options.stop)?;
        output.log_scores(epoch, self, &scores)?;
        course.metric = f64::from(recall_at(&scores, 1));
        // of two equal scores the later one is the best: its model has seen more; NaN is never the best
        let is_best = course.metric >= course.best_score();
        if is_best {
            course.summary.best = Some((epoch, course.metric));
        }
        output.log.line(&format!("[Eval][Epoch {epoch}][best metric: {:?}]", course.best_score()))?;
        output.records.scalars(epoch, [("eval_acc", course.metric)])?;
        if is_best {
            self.save("best_model", epoch, course.metric, output)?;
            output.list_best(course.metric)?;
        }
        course.summary.last = Some(scores.clone());
        Ok((scores, is_best))
    }

    fn save(&self, prefix: &str, epoch: usize, metric: f64, output: &mut Output) -> Result<()> {
        let progress = Progress { epoch, metric };
        output.save(prefix, &files(&self.team, &self.schedule, self.iterations(epoch), prefix, progress)?)
    }

    /// Iterations of the whole run up to the end of an epoch.
    fn iterations(&self, epoch: usize) -> usize {
        epoch * self.training.sampler.batches()
    }
}

/// The state of a run from one epoch to the next.
struct Course {
    summary: Summary,
    /// recall@1 of the last evaluation.
    metric: f64,
    /// The last epoch with a checkpoint.
    kept: Option<usize>,
    unreadable: Unreadable,
    told: Told,
}

impl Course {
    fn new(best: Option<(usize, f64)>) -> Self {
        let unreadable = Mutex::new(HashMap::new());
        Course { summary: Summary { best, last: None }, metric: 0.0, kept: None, unreadable, told: Told::default() }
    }

    fn best_score(&self) -> f64 {
        self.summary.best.map_or(0.0, |(_, score)| score)
    }
}

/// The images for training, kept in memory up to `room` bytes if the augmentation begins with a resize.
fn training_images(samples: Samples, recipe: &Recipe, room: u64) -> Images {
    let size = recipe.model.input_size();
    let first = recipe.augmentation.first_size(size);
    let stretch = if first.is_some() { Stretch::Bilinear } else { Stretch::No };
    Images::new(samples, first.unwrap_or(size), stretch, room)
}

/// A note about checkpoints of the epochs that are done again.
fn later_note(resumed: &Path, epochs_done: usize, output: &Path) -> Option<String> {
    let later = if earlier::is_of(resumed, output) { earlier::later_epochs(output, epochs_done) } else { Vec::new() };
    let (first, last) = (later.first()?, later.last()?);
    Some(format!(
        "{}: goes on after epoch {epochs_done}; checkpoints of later epochs are there (epoch_{first} to epoch_{last}), and are \
         replaced when this run reaches them",
        output.display()
    ))
}

fn warmup_note(recipe: &Recipe) -> Option<String> {
    (recipe.warmup_epochs > recipe.epochs as f64).then(|| {
        format!(
            "warm-up takes all {} epochs: {} were asked for; the learning rate only rises",
            recipe.epochs, recipe.warmup_epochs
        )
    })
}

/// Trains a network on a data set: [`Run::prepare`], then [`Run::start`]. Returns when the run has ended.
///
/// `tree` has `train.txt`, `gallery.txt` and `query.txt`; see [`file_tree::open`](crate::file_tree::open).
///
/// # Errors
/// Those of [`Run::prepare`] and [`Run::start`].
pub fn train(
    tree: &Arc<dyn FileTree>,
    recipe: &Recipe,
    options: &RunOptions,
    watch: &mut dyn FnMut(Event),
) -> Result<Summary> {
    Run::prepare(tree, recipe, options)?.start(watch)
}
