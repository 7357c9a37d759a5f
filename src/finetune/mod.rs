//! Fine-tuning: a model's last layers learn to tell apart a few classes of the user's own, from a few dozen images, in seconds.
//!
//! The backbone stays as it is, so each image goes through it once: what is left of it is the pooled vector that
//! [`Extractor::pooled`](crate::Extractor::pooled) gives, from any device. All else is done here, free of any device and of Burn, and so
//! the same in a browser. The loss is [`ArcMargin`]; [`Neck`] says which layers learn.
//!
#![cfg_attr(all(feature = "cpu", not(target_family = "wasm")), doc = "```no_run")]
#![cfg_attr(not(all(feature = "cpu", not(target_family = "wasm"))), doc = "```ignore")]
//! use image_feature::finetune::{FineTune, Samples, Tuning};
//! use image_feature::{DecodeLimits, DeviceRequest, Dtype, Extractor, Model, decode};
//!
//! let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
//! let extractor = Extractor::open(&model, DeviceRequest::Auto)?;
//! let mut samples = Samples::new(extractor.pooled_len());
//! for (label, path) in [("tea", "1.jpg"), ("tea", "2.jpg"), ("coffee", "3.jpg"), ("coffee", "4.jpg")] {
//!     let image = decode(&std::fs::read(path)?, &DecodeLimits::default())?;
//!     samples.add(label, &extractor.pooled_views(&image, 4)?)?;
//! }
//! let tuned = FineTune::new(&model, samples, Tuning::default())?.run(|progress| println!("{:.3}", progress.loss))?;
//! let mine = tuned.neck.put_into(&model, "tea-and-coffee")?;
//! std::fs::write("mine.safetensors", mine.to_safetensors(Dtype::F16)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
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

pub use self::arc_margin::{ArcMargin, HeadLoss};
pub(crate) use self::batches::per_class;
pub use self::evaluation::{Evaluation, Query};
use self::learner::{Batch, Layers, Optimizer, kept};
pub use self::neck::Neck;
pub use self::samples::Samples;
pub use self::schedule::Schedule;
pub use self::tuning::Tuning;
pub use crate::model::views;
use crate::random::SplitMix64;
use crate::weights::Model;
use crate::{Error, Result};

/// Fine-tuning under way: each call of [`epoch`](Self::epoch) does a small part of the work, so that who calls can show how it goes, and
/// stop it, by not calling again.
///
/// First the last layers learn from all images. Then, where [`Tuning::folds`] asks for it, they do so anew for each part of the
/// images without that part, to find out how well images are found that were not learnt from.
pub struct FineTune {
    samples: Samples,
    tuning: Tuning,
    start: Neck,
    run: Run,
    /// Which images were left out in each run, that of all images first.
    left_out: Vec<Vec<usize>>,
    losses: Vec<f64>,
    tuned: Option<Neck>,
    evaluation: Evaluation,
    done: usize,
}

/// How far fine-tuning is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epochs done, those of the evaluation included.
    pub done: usize,
    /// Epochs in all.
    pub total: usize,
    /// The mean loss of this epoch's batches.
    pub loss: f64,
    /// Whether images are left out, to find out how well they are found afterwards.
    pub evaluating: bool,
}

/// What fine-tuning gives.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The last layers: [`put_into`](Neck::put_into) makes a model of them.
    pub neck: Neck,
    /// The mean loss of each epoch over all images.
    pub losses: Vec<f64>,
    /// How well images are found, before and after, where [`Tuning::folds`] asked for it and a class has two images or more.
    pub evaluation: Option<Evaluation>,
}

/// Images of each class in a batch, as PaddleX has it.
const PER_CLASS: usize = 4;

impl FineTune {
    /// Prepares to learn from these images.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there are fewer than two classes, the pooled vectors are of another model,
    /// or a setting is out of its range; [`ErrorKind::Model`](crate::ErrorKind::Model) where the model lacks its last layers.
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

    /// Epochs in all, those of the evaluation included.
    pub fn epochs(&self) -> usize {
        self.tuning.epochs * self.left_out.len()
    }

    /// Learns for one epoch; nothing is left to do where that gives `None`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the loss is not finite any more: the learning rate is too high.
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

    /// Takes what a run has learnt, and begins the next.
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

    /// Does all that is left to do.
    ///
    /// # Errors
    /// As [`epoch`](Self::epoch).
    pub fn run(mut self, mut progress: impl FnMut(Progress)) -> Result<Tuned> {
        while let Some(epoch) = self.epoch()? {
            progress(epoch);
        }
        self.finish()
    }

    /// What was learnt.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) before the last [`epoch`](Self::epoch).
    pub fn finish(self) -> Result<Tuned> {
        let ended = self.done == self.epochs();
        match self.tuned {
            Some(neck) if ended => Ok(Tuned {
                neck,
                losses: self.losses,
                evaluation: (self.left_out.len() > 1).then_some(self.evaluation),
            }),
            _ => Err(Error::usage("fine-tuning is not at its end yet")),
        }
    }
}

/// The last layers, learning from some of the images.
struct Run {
    layers: Layers,
    optimizer: Optimizer,
    schedule: Schedule,
    /// The images of each class that has any.
    classes: Vec<Vec<usize>>,
    /// Batches in an epoch.
    batches: usize,
    /// Batches done.
    iteration: usize,
    /// Of dropout and the choice of images.
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
        classes.retain(|images| !images.is_empty());
        let batch = PER_CLASS * classes.len().min(tuning.classes_per_batch);
        let batches = images.len().div_ceil(batch);
        Run {
            optimizer: Optimizer::new(&layers, &pooled),
            schedule: Schedule::new(tuning.learning_rate, tuning.epochs, tuning.warmup_epochs, batches),
            layers,
            classes,
            batches,
            iteration: 0,
            random: SplitMix64::for_purpose(tuning.seed, "fine-tuning", &[left_out.len() as u64]),
        }
    }

    /// The mean loss of an epoch's batches.
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
        let images = per_class(&self.classes, tuning.classes_per_batch, PER_CLASS, &mut self.random);
        let mut pooled = Vec::new();
        for &image in &images {
            let view = self.random.below(samples.views(image) as u64) as usize;
            pooled.extend_from_slice(samples.view(image, view));
        }
        let labels: Vec<usize> = images.iter().map(|&image| samples.class(image)).collect();
        let kept = kept(images.len() * self.layers.neck.dimension(), &mut self.random);
        Batch { pooled, labels, kept }
    }
}
