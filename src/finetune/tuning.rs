//! The settings of fine-tuning.

use super::ArcMargin;
use crate::{Error, Result};

/// The settings of fine-tuning. [`Tuning::default`] suits a few dozen images.
///
/// ```
/// use image_feature::finetune::Tuning;
///
/// let tuning = Tuning { epochs: 40, seed: 7, ..Tuning::default() };
/// assert_eq!(tuning.folds, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Epochs, 1 to 10 000. In an epoch each image is used once on average.
    pub epochs: usize,
    /// The highest learning rate, above 0 and at most 10. It is relative to the lengths of features and pooled vectors, so
    /// that the same value suits all models.
    pub learning_rate: f64,
    /// Epochs until the highest learning rate. Afterwards it falls along half a cosine.
    pub warmup_epochs: f64,
    /// The optimiser's momentum, from 0 to below 1.
    pub momentum: f64,
    /// The weight decay, towards the initial weights.
    pub decay: f64,
    /// Classes in a batch at most, 2 or more; each has 4 images.
    pub classes_per_batch: usize,
    /// The loss, for all kinds of models.
    pub angles: ArcMargin,
    /// Parts of the images for the cross-validation: 2 to 10, or 0 for none.
    pub folds: usize,
    /// The seed of all random numbers. The same seed, images and settings give the same weights on the same machine.
    pub seed: u64,
}

const MOST_EPOCHS: usize = 10_000;
const MOST_FOLDS: usize = 10;

impl Default for Tuning {
    /// Values for a few dozen images.
    fn default() -> Self {
        Tuning {
            epochs: 60,
            learning_rate: 0.05,
            warmup_epochs: 3.0,
            momentum: 0.9,
            decay: 1e-3,
            classes_per_batch: 16,
            angles: ArcMargin { margin: 0.2, scale: 16.0 },
            folds: 0,
            seed: 0,
        }
    }
}

impl Tuning {
    pub(super) fn check(&self) -> Result<()> {
        let out_of_range =
            |what: &str, value: String, range: &str| Err(Error::usage(format!("{what} must be {range}, got {value}")));
        let Tuning { epochs, learning_rate, warmup_epochs, momentum, decay, classes_per_batch, folds, .. } = *self;
        if !(1..=MOST_EPOCHS).contains(&epochs) {
            return out_of_range("epochs", epochs.to_string(), &format!("a whole number from 1 to {MOST_EPOCHS}"));
        }
        if !(learning_rate > 0.0 && learning_rate <= 10.0) {
            return out_of_range("the learning rate", learning_rate.to_string(), "above 0 and at most 10");
        }
        if !(warmup_epochs.is_finite() && warmup_epochs >= 0.0) {
            return out_of_range("the number of warm-up epochs", warmup_epochs.to_string(), "a number from 0 on");
        }
        if !(0.0..1.0).contains(&momentum) {
            return out_of_range("the momentum", momentum.to_string(), "at least 0 and below 1");
        }
        if !(decay.is_finite() && decay >= 0.0) {
            return out_of_range("the decay", decay.to_string(), "a number from 0 on");
        }
        if classes_per_batch < 2 {
            return out_of_range("the number of classes in a batch", classes_per_batch.to_string(), "2 or more");
        }
        if folds != 0 && !(2..=MOST_FOLDS).contains(&folds) {
            return out_of_range("the number of parts", folds.to_string(), &format!("0, or from 2 to {MOST_FOLDS}"));
        }
        Ok(())
    }
}
