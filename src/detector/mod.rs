//! The detector: finds the things that a picture is about, and gives a box around each.
//!
//! It is PP-ShiTuV2's first part: what lies in a box is cut out, and goes to an [`Extractor`](crate::Extractor) next.
//! Boxes, scores and thresholds are PaddleX's.
//!
//! ```no_run,ignore-wasm32
//! use image_feature::{Model, RgbImage, detector::Detector};
//!
//! let model = Model::open("PP-ShiTuV2_det_infer.tar")?;
//! let detector = Detector::open(&model, None)?;
//! let photo = RgbImage::open("photo.jpg")?;
//! for found in detector.detect(&photo, None)? {
//!     let [left, top, right, bottom] = found.coordinate;
//!     println!("{} {:.2}: {left} to {right}, {top} to {bottom}", found.label, found.score);
//! }
//! # Ok::<(), image_feature::Error>(())
//! ```

mod decode;
mod nms;
mod region;

#[cfg(all(feature = "gallery", not(target_arch = "wasm32")))]
pub(crate) use self::nms::overlap;
pub use self::nms::suppress;
pub use self::region::{Region, Regions, WholeImage};
use crate::engine::{Plan, cpu};
use crate::image::{RgbImage, Roi};
use crate::model::picodet::PicoDetConfig;
use crate::model::{ModelDescription, Network};
use crate::weights::{Dtype, Model};
use crate::{Error, Result};

/// One thing that was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The number of its class.
    pub class: usize,
    /// The name of its class.
    pub label: String,
    /// How sure the detector is, from 0 to 1.
    pub score: f32,
    /// Its box: left, top, right, bottom, in pixels from the image's top left corner. They are no whole numbers.
    pub coordinate: [f32; 4],
}

impl Detection {
    /// The pixels of the box: its sides without their fractions, as PaddleX cuts it out. `None` where the box lies within
    /// one column or row of pixels, or not within an image of `width` x `height` pixels.
    ///
    /// ```
    /// use image_feature::Roi;
    /// use image_feature::detector::Detection;
    ///
    /// let found =
    ///     Detection { class: 0, label: "mainbody".into(), score: 0.9, coordinate: [1.9, 2.0, 5.2, 3.5] };
    /// assert_eq!(found.roi(10, 10), Some(Roi { x: 1, y: 2, width: 4, height: 1 }));
    /// ```
    pub fn roi(&self, width: usize, height: usize) -> Option<Roi> {
        let side = |value: f32, most: usize| (value.max(0.0) as usize).min(most);
        let [left, top, right, bottom] = self.coordinate;
        let (x, y) = (side(left, width), side(top, height));
        let (right, bottom) = (side(right, width), side(bottom, height));
        (right > x && bottom > y).then(|| Roi { x, y, width: right - x, height: bottom - y })
    }
}

/// Finds the things that a picture is about. It runs on the CPU.
pub struct Detector {
    executor: cpu::Executor,
    description: ModelDescription,
    config: PicoDetConfig,
}

impl Detector {
    /// Makes a detector ready to run on `threads` threads, by default as many as the machine runs at once.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a model of features, and for 0 threads;
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the weights do not fit the network.
    pub fn open(model: &Model, threads: Option<usize>) -> Result<Self> {
        let Network::PicoDet(config) = &model.description.network else {
            return Err(Error::usage(format!(
                "{} gives feature vectors and finds no objects; give a detector such as PP-ShiTuV2_det here",
                model.description.name
            )));
        };
        let plan = Plan::of_model(model, Some(Dtype::F32))?;
        let executor = cpu::Executor::new(plan, cpu::Options { threads, ..cpu::Options::default() })?;
        Ok(Detector { executor, description: model.description.clone(), config: config.clone() })
    }

    /// The model's name, its network and its preprocessing.
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// The score above which a box counts, unless another is asked for.
    pub fn threshold(&self) -> f32 {
        self.config.threshold
    }

    /// Number of threads that work together.
    pub fn threads(&self) -> usize {
        self.executor.threads()
    }

    /// The instruction set whose kernels run.
    pub fn instruction_set(&self) -> &'static str {
        self.executor.instruction_set()
    }

    /// The things in an image with a score above `threshold`, by default [`threshold`](Self::threshold). The highest score
    /// of a class comes first. Boxes end at the image's edges.
    ///
    /// A threshold below the network's own ([`Nms::score`](crate::model::picodet::Nms::score)) finds no more.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a threshold that is not a number;
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the network gives values that are not finite;
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a thread failed.
    pub fn detect(&self, image: &RgbImage, threshold: Option<f32>) -> Result<Vec<Detection>> {
        let threshold = threshold.unwrap_or(self.config.threshold);
        if threshold.is_nan() {
            return Err(Error::usage("the threshold is not a number"));
        }
        let (width, height) = (image.width() as f32, image.height() as f32);
        let mut found = self.rows(image)?;
        found.retain(|found| found.score > threshold);
        for found in &mut found {
            let [left, top, right, bottom] = found.coordinate;
            found.coordinate = [left.max(0.0), top.max(0.0), right.min(width), bottom.min(height)];
        }
        found.retain(|found| found.coordinate[2] > found.coordinate[0] && found.coordinate[3] > found.coordinate[1]);
        Ok(found)
    }

    /// All boxes that the network's own graph gives: those of [`detect`](Self::detect) without its threshold, and beyond the
    /// image's edges, too.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    pub fn rows(&self, image: &RgbImage) -> Result<Vec<Detection>> {
        let input = self.description.network_input(image)?;
        let maps = self.executor.run(&input, 1)?;
        if !maps.iter().all(|value| value.is_finite()) {
            return Err(Error::model(format!(
                "{} gives values that are not finite; are its weights damaged?",
                self.description.name
            )));
        }
        let [height, width] = self.config.input;
        // as PaddleX: the quotients in double precision, then rounded
        let factor = |to: usize, from: usize| (to as f64 / from as f64) as f32;
        let scale = [factor(width, image.width()), factor(height, image.height())];
        let candidates = decode::boxes(&self.config, &maps, scale);
        let kept = nms::choose(&self.config.nms, candidates);
        Ok(kept.into_iter().map(|(class, kept)| self.detection(class, kept)).collect())
    }

    fn detection(&self, class: usize, kept: decode::Candidate) -> Detection {
        let decode::Candidate { score, coordinate } = kept;
        Detection { class, label: self.config.labels[class].clone(), score, coordinate }
    }
}
