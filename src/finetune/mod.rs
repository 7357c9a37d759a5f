//! Fine-tuning: teaches the last layers of a model a few new classes, from a few dozen images, in seconds.
//!
//! The backbone is frozen, so each image goes through it once. Its output is the pooled vector, which
//! [`Extractor::pooled_async`](crate::Extractor::pooled_async) computes on any device. [`FineTune`] then works on pooled vectors alone,
//! without a device and without Burn, so it runs in a browser, too. The loss is [`ArcMargin`]; [`Neck`] lists the layers
//! that learn.
//!
#![cfg_attr(all(feature = "default-model", feature = "cpu", not(target_family = "wasm")), doc = "```")]
#![cfg_attr(not(all(feature = "default-model", feature = "cpu", not(target_family = "wasm"))), doc = "```ignore")]
//! use image_feature::finetune::{FineTune, Samples, Tuning};
//! use image_feature::{DeviceRequest, Dtype, Extractor, Model, RgbImage};
//!
//! let model = Model::bundled()?; // needs the feature `default-model`
//! let extractor = Extractor::open(&model, DeviceRequest::Cpu)?;
//!
//! // dark and light images; yours come from files, by `decode`
//! let mut samples = Samples::new(extractor.pooled_len());
//! for (label, gray) in [("dark", 40), ("dark", 50), ("light", 200), ("light", 210)] {
//!     let image = RgbImage::new(8, 8, vec![gray; 3 * 8 * 8])?;
//!     samples.add(label, &extractor.pooled_views(&image, 2)?)?;
//! }
//!
//! let tuning = Tuning { epochs: 5, ..Tuning::default() };
//! let tuned = FineTune::new(&model, samples, tuning)?.run(|progress| println!("{:.3}", progress.loss))?;
//! let mine = tuned.neck.put_into(&model, "dark-and-light")?;
//! let file = mine.to_safetensors(Dtype::F16)?; // for `Model::open`
//! assert_eq!(Model::from_bytes("mine.safetensors", &file)?.description.name, "dark-and-light");
//! # Ok::<(), image_feature::Error>(())
//! ```

mod arc_margin;
mod batches;
mod evaluation;
mod learner;
mod matrix;
mod neck;
mod samples;
mod schedule;
mod tuning;
#[cfg(feature = "whitening")]
mod whitening;

use std::ops::Range;

pub use self::arc_margin::{ArcMargin, HeadLoss};
pub(crate) use self::batches::per_class;
pub use self::evaluation::{Evaluation, Query};
use self::learner::{Batch, Layers, Optimizer, Part, kept};
pub use self::neck::Neck;
pub use self::samples::Samples;
pub use self::schedule::Schedule;
pub use self::tuning::Tuning;
pub use crate::model::views;
use crate::random::SplitMix64;
use crate::weights::Model;
use crate::{Error, Result};

/// Fine-tuning in progress.
///
/// [`run`](Self::run) does all of it. Or call [`epoch`](Self::epoch) until it gives `None`: each call does a small part of
/// the work, so that the caller can show the progress, and stop at any time.
///
/// First the layers learn from all images. Then, if [`Tuning::folds`] asks for it, a cross-validation: the layers learn anew
/// without each part of the images, which then serve as queries. Where that brings no gain, the layers stay as they were.
pub struct FineTune {
    samples: Samples,
    tuning: Tuning,
    /// The layers before fine-tuning.
    start: Neck,
    /// The run in progress.
    run: Run,
    /// The images that each run leaves out; the first run takes all.
    left_out: Vec<Vec<usize>>,
    losses: Vec<f64>,
    tuned: Option<Neck>,
    evaluation: Evaluation,
    /// Epochs of all runs so far.
    done: usize,
}

/// The progress of fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Epochs so far, including those of the evaluation.
    pub done: usize,
    /// Epochs in all.
    pub total: usize,
    /// The mean loss of this epoch.
    pub loss: f64,
    /// Whether this epoch is one of the evaluation.
    pub evaluating: bool,
}

/// The result of fine-tuning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tuned {
    /// The last layers; [`put_into`](Neck::put_into) makes a model with them.
    pub neck: Neck,
    /// Whether `neck` has the layers from before, because the cross-validation found no gain: see [`Evaluation::gained`].
    /// `false` where there was none.
    pub kept_old: bool,
    /// The mean loss of each epoch over all images.
    pub losses: Vec<f64>,
    /// The cross-validation, if [`Tuning::folds`] asked for it and a class has two images or more.
    pub evaluation: Option<Evaluation>,
}

/// Images of each class in a batch, as in PaddleX.
const PER_CLASS: usize = 4;

impl FineTune {
    /// Prepares fine-tuning of a model with these images.
    ///
    /// # Errors
    /// - [`ErrorKind::Usage`](crate::ErrorKind::Usage): there are fewer than two classes, the pooled vectors have another
    ///   length than the model's, or a setting is out of its range.
    /// - [`ErrorKind::Model`](crate::ErrorKind::Model): the model lacks a tensor of its last layers.
    pub fn new(model: &Model, samples: Samples, tuning: Tuning) -> Result<Self> {
        tuning.check()?;
        let start = Neck::of(model)?;
        if samples.width() != start.input {
            return Err(Error::usage(format!(
                "the pooled vectors have {} values; those of {} have {}",
                samples.width(),
                model.description.name,
                start.input
            )));
        }
        if samples.class_count() < 2 {
            return Err(Error::usage(format!(
                "fine-tuning learns what tells classes apart, and needs two or more; here {} images are of {}",
                samples.len(),
                match samples.classes().first() {
                    Some((label, _)) => format!("one, \"{label}\""),
                    None => "none".into(),
                }
            )));
        }
        let mut left_out = vec![Vec::new()];
        left_out.extend(evaluation::folds(&samples, tuning.folds, tuning.seed));
        let run = Run::new(&samples, &start, &left_out[0], &tuning);
        Ok(FineTune {
            samples,
            tuning,
            start,
            run,
            left_out,
            losses: Vec::new(),
            tuned: None,
            evaluation: Evaluation::default(),
            done: 0,
        })
    }

    /// Epochs in all, including those of the evaluation.
    pub fn epochs(&self) -> usize {
        self.tuning.epochs * self.left_out.len()
    }

    /// Learns for one epoch. Gives `None` if all epochs are done.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the loss is not finite, because the learning rate is too high.
    pub fn epoch(&mut self) -> Result<Option<Progress>> {
        if self.done == self.epochs() {
            return Ok(None);
        }
        let run = self.done / self.tuning.epochs;
        let loss = self.run.epoch(&self.samples, &self.tuning)?;
        self.done += 1;
        if run == 0 {
            self.losses.push(loss);
        }
        if self.done.is_multiple_of(self.tuning.epochs) {
            self.end_run(run);
        }
        Ok(Some(Progress { done: self.done, total: self.epochs(), loss, evaluating: run > 0 }))
    }

    /// Takes the layers of a run that has ended, and prepares the next.
    fn end_run(&mut self, run: usize) {
        let neck = &self.run.layers.neck;
        match run {
            0 => self.tuned = Some(neck.clone()),
            _ => self.evaluation.add(&self.samples, &self.left_out[run], [&self.start, neck]),
        }
        if let Some(left_out) = self.left_out.get(run + 1) {
            self.run = Run::new(&self.samples, &self.start, left_out, &self.tuning);
        }
    }

    /// Does all remaining epochs, and reports each to `progress`. Blocks until the end.
    ///
    /// # Errors
    /// Those of [`epoch`](Self::epoch).
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Tuned> {
        while let Some(epoch) = self.epoch()? {
            progress(epoch);
        }
        self.finish()
    }

    /// The result, after the last [`epoch`](Self::epoch).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): not all epochs are done.
    pub fn finish(self) -> Result<Tuned> {
        let ended = self.done == self.epochs();
        match self.tuned {
            Some(neck) if ended => {
                let evaluation = (self.left_out.len() > 1).then_some(self.evaluation);
                let kept_old = evaluation.as_ref().and_then(Evaluation::gained) == Some(false);
                let neck = if kept_old { self.start } else { neck };
                Ok(Tuned { neck, kept_old, losses: self.losses, evaluation })
            }
            _ => Err(Error::usage("fine-tuning has epochs left: call `epoch` until it gives none")),
        }
    }
}

/// A data set in a run.
struct Set {
    /// The rows of the head for its classes.
    classes: Range<usize>,
    /// The images of each class that has some.
    images: Vec<Vec<usize>>,
}

/// One run: the layers learn from some of the images.
struct Run {
    layers: Layers,
    optimizer: Optimizer,
    schedule: Schedule,
    /// The data sets with images.
    sets: Vec<Set>,
    /// Batches of an epoch.
    batches: usize,
    /// Batches so far.
    iteration: usize,
    /// Random numbers for dropout and the choice of images.
    random: SplitMix64,
}

impl Run {
    fn new(samples: &Samples, start: &Neck, left_out: &[usize], tuning: &Tuning) -> Self {
        let images: Vec<usize> = (0..samples.len()).filter(|image| !left_out.contains(image)).collect();
        let labels: Vec<usize> = images.iter().map(|&image| samples.class(image)).collect();
        let mut classes = vec![Vec::new(); samples.class_count()];
        images.iter().zip(&labels).for_each(|(&image, &class)| classes[class].push(image));
        let pooled = samples.first_views(&images);
        let layers = Layers::new(start.clone(), &pooled, &labels, samples.class_count());
        let set = |range: Range<usize>| Set {
            images: classes[range.clone()].iter().filter(|images| !images.is_empty()).cloned().collect(),
            classes: range,
        };
        let mut sets: Vec<_> = samples.sets().into_iter().map(set).collect();
        sets.retain(|set| !set.images.is_empty());
        let batch: usize = sets.iter().map(|set| PER_CLASS * set.images.len().min(tuning.classes_per_batch)).sum();
        let batches = images.len().div_ceil(batch.max(1));
        Run {
            optimizer: Optimizer::new(&layers, &pooled),
            schedule: Schedule::new(tuning.learning_rate, tuning.epochs, tuning.warmup_epochs, batches),
            layers,
            sets,
            batches,
            iteration: 0,
            random: SplitMix64::for_purpose(tuning.seed, "fine-tuning", &[left_out.len() as u64]),
        }
    }

    /// Learns for one epoch, and gives the mean loss.
    fn epoch(&mut self, samples: &Samples, tuning: &Tuning) -> Result<f64> {
        let mut sum = 0.0;
        for _ in 0..self.batches {
            let batch = self.batch(samples, tuning);
            let (loss, gradients) = self.layers.gradients(&batch, tuning.angles);
            if !loss.is_finite() {
                return Err(Error::usage(format!(
                    "the loss is {loss} after {} batches: take a lower learning rate than {}",
                    self.iteration, tuning.learning_rate
                )));
            }
            let rate = self.schedule.at(self.iteration);
            self.optimizer.step(&mut self.layers, &gradients, rate, tuning);
            self.iteration += 1;
            sum += loss;
        }
        Ok(sum / self.batches as f64)
    }

    fn batch(&mut self, samples: &Samples, tuning: &Tuning) -> Batch {
        let (mut images, mut sets) = (Vec::new(), Vec::new());
        for Set { classes, images: of_classes } in &self.sets {
            let start = images.len();
            images.extend(per_class(of_classes, tuning.classes_per_batch, PER_CLASS, &mut self.random));
            sets.push(Part { vectors: start..images.len(), classes: classes.clone() });
        }
        let mut pooled = Vec::new();
        for &image in &images {
            let view = self.random.below(samples.views(image) as u64) as usize;
            pooled.extend_from_slice(samples.view(image, view));
        }
        let labels: Vec<usize> = images.iter().map(|&image| samples.class(image)).collect();
        let neck = &self.layers.neck;
        let kept = kept(images.len() * neck.dimension(), neck.keep, &mut self.random);
        Batch { pooled, labels, sets, kept }
    }
}
