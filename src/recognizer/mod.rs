//! The three parts of PP-ShiTuV2 together: finds the things in an image, and says what each is by a gallery.
//!
//! It is `create_pipeline("PP-ShiTuV2")` of PaddleX: the [`Detector`] finds boxes, the [`Extractor`] makes a feature of what
//! is in each, and the [`Gallery`] has the nearest vectors. Without a box, the whole image is recognised. Thresholds are
//! PaddleX's.
//!
//! ```no_run
//! use image_feature::gallery::Gallery;
//! use image_feature::recognizer::{RecognizeOptions, Recognizer};
//! use image_feature::{DeviceRequest, Model, RgbImage};
//!
//! let (detector, model) = (Model::open("PP-ShiTuV2_det_infer.tar")?, Model::open("PP-ShiTuV2_rec_infer.tar")?);
//! let recognizer = Recognizer::open(&detector, &model, DeviceRequest::Auto)?;
//! let gallery = Gallery::open("shop.safetensors")?;
//! let photo = RgbImage::open("photo.jpg")?;
//! for thing in recognizer.recognize(&photo, &gallery, &RecognizeOptions::default())?.things {
//!     let name = thing.hits.first().and_then(|hit| hit.entry.label.as_deref());
//!     println!("{:?}: {}", thing.region.coordinate(), name.unwrap_or("unknown"));
//! }
//! # Ok::<(), image_feature::Error>(())
//! ```

mod overlap;

pub use self::overlap::best_of_overlapping;
use crate::detector::{Detection, Detector, Region, Regions, WholeImage};
use crate::extractor::{Extractor, ExtractorOptions};
use crate::gallery::{Gallery, Hit, Metric, ModelId, Search};
use crate::image::RgbImage;
use crate::weights::Model;
use crate::{Error, Result};

/// Parts of an image that go through the network together.
const BATCH: usize = 8;
/// The score that the nearest hit must reach in PaddleX's pipeline.
const REC_THRESHOLD: f32 = 0.5;

/// The options of [`Recognizer::recognize`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecognizeOptions {
    /// The score above which a box counts; `None`: the detector's own, 0.5 for PP-ShiTuV2_det.
    pub det_threshold: Option<f32>,
    /// The score that the nearest hit of a box must reach; with L2 and Hamming the largest that it may have. `None`: 0.5, and
    /// with Hamming any.
    pub rec_threshold: Option<f32>,
    /// Maximum number of hits of a box.
    pub k: usize,
    /// When the whole image is recognised, too.
    pub whole: WholeImage,
    /// Of boxes that overlap by more than this, only the one whose nearest hit is the best stays: the shared area, divided by
    /// the area of both together. `None`: all stay, as in PaddleX's pipeline.
    pub overlap: Option<f32>,
    /// Whether errors of PaddleX are wanted: with L2 it rejects hits that are nearer than the threshold.
    pub as_paddlex: bool,
}

impl Default for RecognizeOptions {
    /// PaddleX's settings, without its errors.
    fn default() -> Self {
        RecognizeOptions {
            det_threshold: None,
            rec_threshold: None,
            k: 5,
            whole: WholeImage::default(),
            overlap: None,
            as_paddlex: false,
        }
    }
}

impl RecognizeOptions {
    /// The nearest vectors of a gallery by these options; none where the nearest does not reach the threshold.
    ///
    /// # Errors
    /// As [`Gallery::search`].
    pub fn hits<'g>(&self, feature: &[f32], gallery: &'g Gallery) -> Result<Vec<Hit<'g>>> {
        let default = (gallery.metric() != Metric::Hamming).then_some(REC_THRESHOLD);
        let threshold = self.rec_threshold.or(default);
        let search = Search { k: self.k, threshold, filter: None };
        if !(self.as_paddlex && gallery.metric() == Metric::L2) {
            return gallery.recognize(feature, search);
        }
        let hits = gallery.search(feature, Search { threshold: None, ..search })?;
        let rejects = |hit: &Hit| threshold.is_some_and(|threshold| hit.score < threshold);
        Ok(if hits.first().is_some_and(rejects) { Vec::new() } else { hits })
    }
}

/// A part of an image, and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognized<'g> {
    /// The part.
    pub region: Region,
    /// The nearest entries of the gallery, nearest first. There are none where the nearest does not reach the threshold.
    pub hits: Vec<Hit<'g>>,
}

/// What was found in an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recognition<'g> {
    /// In the detector's order: the highest score first, and the whole image last.
    pub things: Vec<Recognized<'g>>,
    /// Boxes that are left out, because they lie within one column or row of pixels.
    pub too_small: Vec<Detection>,
}

/// A detector and a model of features. Both are ready to run.
pub struct Recognizer {
    detector: Detector,
    extractor: Extractor,
    model: ModelId,
}

impl Recognizer {
    /// Puts the models on their devices. The detector runs on the CPU.
    ///
    /// # Errors
    /// As [`Detector::open`] and [`Extractor::open`].
    pub fn open(detector: &Model, model: &Model, options: impl Into<ExtractorOptions>) -> Result<Self> {
        let options = options.into();
        let detector = Detector::open(detector, options.threads)?;
        Ok(Recognizer { detector, extractor: Extractor::open(model, options)?, model: ModelId::of(model) })
    }

    /// The detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// What makes the features.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// The model of the features, which a gallery remembers.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// Finds the things in an image, and what each is.
    ///
    /// # Errors
    /// As [`features`](Self::features); [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is known that another model
    /// made the gallery, and as [`Gallery::search`].
    pub fn recognize<'g>(
        &self,
        image: &RgbImage,
        gallery: &'g Gallery,
        options: &RecognizeOptions,
    ) -> Result<Recognition<'g>> {
        if gallery.model().is_some_and(|made_by| !made_by.is_same(&self.model)) {
            gallery.check_model(&self.model)?;
        }
        let (regions, features) = self.features(image, options.det_threshold, options.whole)?;
        let mut things = Vec::new();
        for (region, feature) in regions.found.into_iter().zip(&features) {
            things.push(Recognized { region, hits: options.hits(feature, gallery)? });
        }
        if let Some(most) = options.overlap {
            best_of_overlapping(&mut things, gallery.metric(), most);
        }
        Ok(Recognition { things, too_small: regions.too_small })
    }

    /// The parts of an image, and the feature of each part that can be cut out: what a gallery of things is made of.
    ///
    /// # Errors
    /// As [`Detector::detect`] and [`Extractor::embed_batch`].
    pub fn features(
        &self,
        image: &RgbImage,
        threshold: Option<f32>,
        whole: WholeImage,
    ) -> Result<(Regions, Vec<Vec<f32>>)> {
        let regions = self.detector.regions(image, threshold, whole)?;
        let mut features = Vec::with_capacity(regions.found.len());
        for batch in regions.found.chunks(BATCH) {
            let parts: Vec<RgbImage> = batch.iter().map(|region| image.crop(region.roi)).collect::<Result<_>>()?;
            features.extend(self.extractor.embed_batch(&parts)?);
        }
        if features.len() != regions.found.len() {
            return Err(Error::internal(format!("{} features of {} parts", features.len(), regions.found.len())));
        }
        Ok((regions, features))
    }
}
