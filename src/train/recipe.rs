//! The recipe: network, losses, sampling, schedule.

use super::augment::{Augmentation, Crops};
use super::loss::{ArcMargin, TripletAngularMargin};
use crate::model::{ModelDescription, Network};
use crate::{Error, Result};

/// The settings that decide the weights, together with the images. [`Recipe::new`] has PaddleX's values.
///
/// ```
/// use image_feature::train::Recipe;
///
/// let recipe = Recipe { epochs: 40, ..Recipe::published("PP-ShiTuV2_rec", 159)? };
/// assert_eq!((recipe.batch_size, recipe.learning_rate), (128, 0.01));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Name, network with its width and input size, and preprocessing.
    pub model: ModelDescription,
    /// Columns of the head: at least as many as there are classes.
    pub classes: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Images of one batch on one device.
    pub batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Epochs until it is reached.
    pub warmup_epochs: f64,
    /// The optimiser's momentum, from 0 to below 1.
    pub momentum: f64,
    /// L2 decay of parameters.
    pub weight_decay: f64,
    /// The losses.
    pub objective: Objective,
    /// The choice of images for a batch.
    pub sampling: Sampling,
    /// Random changes of the images.
    pub augmentation: Augmentation,
    /// Epochs from one evaluation to the next.
    pub eval_interval: usize,
    /// Epochs from one checkpoint `epoch_N` to the next.
    pub save_interval: usize,
    /// Iterations from one line of the log to the next.
    pub log_interval: usize,
    /// The seed of all random numbers. The same seed, data and recipe on the same machine give the same weights.
    pub seed: u64,
}

/// The losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// Cross-entropy of a linear head, and a loss on the features.
    Linear {
        /// Label smoothing of the cross-entropy.
        smoothing: f64,
        /// The loss on the features.
        triplet: TripletAngularMargin,
    },
    /// Cross-entropy of the angles between features and classes.
    Angles(ArcMargin),
}

/// The choice of images for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Classes drawn in proportion to their sizes, and this many images of each: PaddleClas's `PKSampler`. The classes get
    /// new numbers, from 0.
    PerClass(usize),
    /// Each image once an epoch, in random order. Labels must be 0 to `classes` - 1.
    Shuffled,
}

impl Recipe {
    /// PaddleX's recipe for a network.
    pub fn new(model: ModelDescription, classes: usize) -> Self {
        let common = Recipe {
            classes,
            epochs: 20,
            batch_size: 128,
            learning_rate: 0.01,
            warmup_epochs: 5.0,
            momentum: 0.9,
            weight_decay: 1e-5,
            objective: Objective::Linear { smoothing: 0.1, triplet: TripletAngularMargin::default() },
            sampling: Sampling::PerClass(4),
            augmentation: Augmentation::products(model.input_size()),
            eval_interval: 1,
            save_interval: 1,
            log_interval: 1,
            seed: 0,
            model,
        };
        match &common.model.network {
            // a detector is refused by `check`
            Network::LcNetV2(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => common,
            Network::Vit(_) => Recipe {
                batch_size: 32,
                learning_rate: 0.001,
                weight_decay: 2e-5,
                objective: Objective::Angles(ArcMargin::default()),
                sampling: Sampling::Shuffled,
                augmentation: Augmentation::Crops(Crops::clip()),
                ..common
            },
        }
    }

    /// PaddleX's recipe for one of its models, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): PaddleX has no model of this name.
    pub fn published(name: &str, classes: usize) -> Result<Self> {
        Ok(Recipe::new(crate::weights::published_description(name)?, classes))
    }

    /// Checks the values, and that they fit together.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): a value is out of its range. The message names it.
    pub fn check(&self) -> Result<()> {
        let at_least_one = [
            ("classes", self.classes),
            ("epochs", self.epochs),
            ("batch size", self.batch_size),
            ("evaluation interval", self.eval_interval),
            ("save interval", self.save_interval),
            ("log interval", self.log_interval),
        ];
        if let Some((what, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(Error::usage(format!("the {what} is 0; at least 1 is needed")));
        }
        let positive =
            |what: &str, value: f64, zero: bool| match value.is_finite() && (value > 0.0 || zero && value == 0.0) {
                true => Ok(()),
                false => Err(Error::usage(format!("the {what} is {value}; a positive number is needed"))),
            };
        positive("learning rate", self.learning_rate, false)?;
        positive("number of warm-up epochs", self.warmup_epochs, true)?;
        positive("weight decay", self.weight_decay, true)?;
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::usage(format!("the momentum is {}; it must be at least 0 and below 1", self.momentum)));
        }
        match self.objective {
            Objective::Linear { triplet, .. } => positive("weight of the triplet loss", triplet.weight, true)?,
            Objective::Angles(ArcMargin { margin, scale }) => {
                positive("scale of the angles", scale, false)?;
                positive("margin of the angles", margin, true)?;
            }
        }
        self.model.expect_features()?;
        crate::weights::check_input(self.model.input_size())?;
        if let Sampling::PerClass(each) = self.sampling
            && (each == 0 || !self.batch_size.is_multiple_of(each))
        {
            return Err(Error::usage(format!(
                "PKSampler configs error, sample_per_id({each}) must be a divisor of batch_size({})",
                self.batch_size
            )));
        }
        match (&self.model.network, self.objective) {
            (Network::LcNetV2(_) | Network::EfficientNetLite(_), _) | (Network::Vit(_), Objective::Angles(_)) => Ok(()),
            _ => Err(Error::usage("a vision transformer is trained with angles, not with a linear head")),
        }
    }
}
