//! Evaluates a network during training: recall and mAP.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::loader::{Images, Stretch};
use super::samples::Samples;
use crate::engine::{Plan, cpu};
use crate::metrics::{Labelled, Options, Scores, evaluate};
use crate::model::Network;
use crate::weights::{Dtype, Model};
use crate::{Error, ErrorKind, Result};

/// Images of one batch.
const BATCH: usize = 16;

/// The gallery and the queries of a data set.
pub(super) struct Evaluation {
    gallery: Images,
    queries: Images,
    threads: usize,
}

impl Evaluation {
    /// Keeps resized images in memory, up to `room` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the gallery is too small for recall@5. PaddleClas would fail after the
    /// first epoch.
    pub fn new(gallery: Samples, queries: Samples, network: &Network, room: u64, threads: usize) -> Result<Self> {
        if gallery.len() < 5 {
            return Err(Error::usage(format!(
                "recall@5 needs a gallery of at least 5 images; gallery.txt has {}",
                gallery.len()
            )));
        }
        // as in PaddleClas's configurations; PaddleX's prediction resizes differently for CLIP
        let stretch = match network {
            Network::LcNetV2(_) | Network::EfficientNetLite(_) => Stretch::Bilinear,
            // a detector is refused by the recipe
            Network::Vit(_) | Network::PicoDet(_) => Stretch::Bicubic,
        };
        let share = room / (gallery.len() + queries.len()) as u64;
        let [gallery, queries] = [gallery, queries].map(|samples| {
            let room = share * samples.len() as u64;
            Images::new(samples, network.input_size(), stretch, room)
        });
        Ok(Evaluation { gallery, queries, threads })
    }

    pub fn gallery(&self) -> &Samples {
        self.gallery.samples()
    }

    pub fn queries(&self) -> &Samples {
        self.queries.samples()
    }

    /// The scores of a model, as PaddleClas computes them; NaN if its features are not finite.
    ///
    /// # Errors
    /// - An image cannot be read. It is not skipped, because the scores of the others would differ.
    /// - [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled): `stop` became `true`.
    pub fn run(&self, model: &Model, stop: &AtomicBool) -> Result<Scores> {
        let plan = Plan::of_model(model, Some(Dtype::F32))?;
        let executor =
            cpu::Executor::new(plan, cpu::Options { threads: Some(self.threads), ..cpu::Options::default() })?;
        let [gallery, queries] =
            [&self.gallery, &self.queries].map(|images| self.features(images, model, &executor, stop));
        let (gallery, queries) = (gallery?, queries?);
        if gallery.iter().chain(&queries).any(|value| !value.is_finite()) {
            return Ok(Scores { recall: vec![(1, f32::NAN), (5, f32::NAN)], map: f32::NAN });
        }
        let labels = [&self.gallery, &self.queries].map(|images| images.samples().labels());
        let report = evaluate(
            &Labelled { features: &queries, labels: &labels[1] },
            &Labelled { features: &gallery, labels: &labels[0] },
            model.description.dimension(),
            &Options { worst: 0, ..Options::default() },
        )?;
        Ok(report.scores)
    }

    /// The features of all images, before they are normalised to length 1. Each thread reads and computes its batches.
    fn features(
        &self,
        images: &Images,
        model: &Model,
        executor: &cpu::Executor,
        stop: &AtomicBool,
    ) -> Result<Vec<f32>> {
        let [height, width] = model.description.input_size();
        let (len, dimension) = (3 * height * width, model.description.dimension());
        let count = images.samples().len();
        let next = AtomicUsize::new(0);
        let features = Mutex::new(vec![0.0; count * dimension]);
        let work = || loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            if start >= count {
                return Ok(());
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Cancelled, "the evaluation was interrupted"));
            }
            let end = count.min(start + BATCH);
            let mut input = vec![0.0; (end - start) * len];
            for (image, values) in (start..end).zip(input.chunks_exact_mut(len)) {
                images.with(image, |pixels| model.description.preprocess.apply_into(pixels, values))?;
            }
            let output = executor.run(&input, end - start)?;
            let mut features = features.lock().unwrap_or_else(PoisonError::into_inner);
            features[start * dimension..end * dimension].copy_from_slice(&output);
        };
        let done: Result<()> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let ended = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked"))));
            ended.collect::<Vec<_>>().into_iter().collect()
        });
        done?;
        Ok(features.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
