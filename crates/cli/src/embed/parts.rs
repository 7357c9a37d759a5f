//! Features of the things in images, which a detector finds.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{Decoding, Embedded, Engine, Inputs, Origin, decode_all, decoding_alone};
use crate::open_model;
use image_feature::detector::{Detector, Region, WholeImage};
use image_feature::{Preprocess, Result, RgbImage};

/// The arguments that choose a detector.
#[derive(clap::Args)]
pub struct DetectorArgs {
    /// Take what this detector finds in each photo in place of the whole photo; of a photo in which it finds nothing, the
    /// whole. Archive, folder, .pdparams, .safetensors, or the name of one that PaddleX has downloaded
    #[arg(long, value_name = "PATH|NAME")]
    detector: Option<PathBuf>,
    /// The things of each photo that are taken
    #[arg(long, value_enum, value_name = "WHICH", default_value = "main", requires = "detector")]
    detect: Which,
    /// Score above which a box counts [default: the detector's own, 0.5 for PP-ShiTuV2_det]
    #[arg(long, value_name = "SCORE", value_parser = crate::predict::parse_threshold, requires = "detector")]
    det_threshold: Option<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// The one with the highest score
    Main,
    /// All; their ids are the photo's with #1, #2, … behind
    All,
}

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Its number from 1, where all things of an image are taken.
    pub number: Option<usize>,
    /// Left, top, right and bottom, in pixels.
    pub coordinate: [f32; 4],
}

/// A detector, and which of the things that it finds are taken.
pub struct Parts {
    detector: Detector,
    which: Which,
    threshold: Option<f32>,
    threads: usize,
}

/// What computes the features of parts.
#[derive(Clone, Copy)]
pub struct PartEngine<'e> {
    pub engine: &'e Engine,
    pub preprocess: &'e Preprocess,
    pub batch_size: usize,
}

/// A function that takes the features of each image, or the reason why it has none. It breaks where no more are wanted.
type TakeFeatures<'t> = &'t mut dyn FnMut(Origin, Result<Vec<Embedded>>) -> Result<ControlFlow<()>>;

impl Parts {
    /// The detector of the arguments, where there is one.
    pub fn open(args: &DetectorArgs, threads: usize) -> Result<Option<Self>> {
        let Some(path) = &args.detector else { return Ok(None) };
        let detector = Detector::open(&open_model(Some(path))?, Some(threads))?;
        Ok(Some(Parts { detector, which: args.detect, threshold: args.det_threshold, threads }))
    }

    /// The detector's name.
    pub fn name(&self) -> &str {
        &self.detector.description().name
    }

    /// Decodes inputs on other threads, and computes the features of their parts on this one, in order.
    pub fn embed_all(&self, inputs: Inputs, decoding: Decoding, engine: PartEngine, take: TakeFeatures) -> Result<()> {
        decode_all(inputs, &decoding_alone(decoding, self.threads), &mut |origin, image| {
            let embedded = image.and_then(|(image, damage)| self.embed(&image, damage, engine));
            take(origin, embedded)
        })
    }

    fn embed(&self, image: &RgbImage, damage: Option<String>, engine: PartEngine) -> Result<Vec<Embedded>> {
        let mut regions = self.detector.regions(image, self.threshold, WholeImage::WithoutBoxes)?.found;
        if self.which == Which::Main {
            regions.truncate(1);
        }
        let mut embedded = Vec::with_capacity(regions.len());
        let mut number = 0;
        for batch in regions.chunks(engine.batch_size) {
            let inputs: Vec<Vec<f32>> =
                batch.iter().map(|region| engine.preprocess.apply(&image.crop(region.roi)?)).collect::<Result<_>>()?;
            for (region, feature) in batch.iter().zip(engine.engine.features(&inputs)?) {
                number += 1;
                embedded.push(Embedded { feature: feature?, part: self.part(region, number), damage: damage.clone() });
            }
        }
        Ok(embedded)
    }

    fn part(&self, region: &Region, number: usize) -> Option<Part> {
        region.detection.as_ref()?;
        Some(Part { number: (self.which == Which::All).then_some(number), coordinate: region.coordinate() })
    }
}
