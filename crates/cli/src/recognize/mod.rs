//! `image-feature recognize`: finds the things in photos, and says by a gallery what each is. PaddleX's pipeline PP-ShiTuV2.

mod result;

use std::ops::ControlFlow;
use std::path::PathBuf;

use self::result::objects;
pub use self::result::{labelled, name};
use super::embed::{Decoding, Inputs, decode_all, decoding_alone, summary};
use super::gallery::{check_model, open_any};
use super::output_file::delete_unfinished_on_interrupt;
use super::predict::{Predicted, Prediction, Report, SaveFormat, Saver};
use super::terminal::note;
use super::{Outcome, default_threads, open_model, thread_count};
use image_feature::detector::WholeImage;
use image_feature::error::Context;
use image_feature::gallery::Gallery;
use image_feature::recognizer::{RecognizeOptions, Recognizer};
use image_feature::{DeviceRequest, Error, ExtractorOptions, Result};

/// Find the things in photos, and say what each is by a gallery
///
/// PaddleX's pipeline PP-ShiTuV2: a detector finds boxes, what is in each is compared with the gallery, and a box gets its
/// nearest hits. Without a box, the whole photo is compared. Prints each result as PaddleX 3.x does.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature recognize photo.jpg --gallery shop.safetensors --detector PP-ShiTuV2_det --model PP-ShiTuV2_rec
  image-feature recognize photos/ -g output/index -d PP-ShiTuV2_det_infer.tar -m PP-ShiTuV2_rec_infer.tar --any-model --save out

Saved results are as those of `predict` with a detector: <stem>_res.json, and <stem>_res.png with the boxes.")]
pub struct RecognizeArgs {
    /// Photos: files, folders (searched at any depth), quoted patterns ('**/*.jpg'), archives (.zip, .tar, .tar.gz), or - for
    /// one photo on stdin
    #[arg(required = true, value_name = "PHOTO")]
    inputs: Vec<PathBuf>,
    /// The gallery's file, or an index folder of PaddleX
    #[arg(long, short, value_name = "FILE|DIR")]
    gallery: PathBuf,
    /// The detector, such as PP-ShiTuV2_det: archive, folder, .pdparams, .safetensors, or the name of one that PaddleX has
    /// downloaded
    #[arg(long, short, value_name = "PATH|NAME")]
    detector: PathBuf,
    /// The model that made the gallery, as for `gallery search`
    #[arg(long, short, value_name = "PATH|NAME")]
    model: Option<PathBuf>,
    /// Score above which a box counts [default: the detector's own, 0.5 for PP-ShiTuV2_det]
    #[arg(long, value_name = "SCORE", value_parser = parse_det_threshold)]
    det_threshold: Option<DetThreshold>,
    /// The score that the best hit of a box must reach, else the box is unknown; the largest where the metric is l2 or hamming
    /// [default: 0.5; with hamming none]
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = super::gallery::parse_score)]
    rec_threshold: Option<f32>,
    /// Hits of each box, at most
    #[arg(short, value_name = "N", default_value_t = 5)]
    k: usize,
    /// When the whole photo is compared with the gallery, too
    #[arg(long, value_enum, value_name = "WHEN", default_value = "without-boxes")]
    whole: Whole,
    /// Of boxes that share more than this part of their area, keep the one with the best hit [default: keep all]
    #[arg(long, value_name = "PART", value_parser = super::predict::parse_threshold)]
    overlap: Option<f32>,
    /// Save <stem>_res.json and <stem>_res.png into this folder
    #[arg(long, alias = "save-path", value_name = "DIR")]
    save: Option<PathBuf>,
    /// Print one JSON object a line: {"input_path", "boxes"}, of a damaged image with "damaged", or {"input_path", "error",
    /// "kind"}
    #[arg(long)]
    json: bool,
    /// Take this model though another or an unknown one made the gallery, where it is known to give the same vectors
    #[arg(long)]
    any_model: bool,
    /// Keep errors of PaddleX: with metric l2, hits nearer than the threshold are unknown; a whole number as --det-threshold
    /// takes all boxes
    #[arg(long, value_enum, value_name = "RELEASE")]
    compat: Option<Compat>,
    /// Device that makes the features: auto, cpu, webgpu, cuda or cuda:N. The detector runs on the CPU
    #[arg(long, default_value = "auto")]
    device: DeviceRequest,
    #[command(flatten)]
    decoding: Decoding,
    /// Threads for decoding and for the networks on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    threads: Option<u16>,
    /// Print nothing but results and errors
    #[arg(long, short)]
    quiet: bool,
}

/// The release of PaddleX whose errors are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Whole {
    /// Where there is no box
    WithoutBoxes,
    /// Always, after the boxes
    Always,
    /// Never
    Never,
}

impl From<Whole> for WholeImage {
    fn from(whole: Whole) -> Self {
        match whole {
            Whole::WithoutBoxes => WholeImage::WithoutBoxes,
            Whole::Always => WholeImage::Always,
            Whole::Never => WholeImage::Never,
        }
    }
}

/// A threshold, and whether Python reads it as a whole number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct DetThreshold {
    score: f32,
    is_whole_number: bool,
}

fn parse_det_threshold(text: &str) -> Result<DetThreshold> {
    let score = super::predict::parse_threshold(text)?;
    Ok(DetThreshold { score, is_whole_number: text.trim().parse::<i64>().is_ok() })
}

impl RecognizeArgs {
    fn options(&self) -> RecognizeOptions {
        let as_paddlex = self.compat.is_some();
        let det_threshold = self.det_threshold.map(|threshold| match threshold.is_whole_number && as_paddlex {
            true => f32::NEG_INFINITY,
            false => threshold.score,
        });
        RecognizeOptions {
            det_threshold,
            rec_threshold: self.rec_threshold,
            k: self.k,
            whole: self.whole.into(),
            overlap: self.overlap,
            as_paddlex,
        }
    }
}

pub fn run(args: RecognizeArgs) -> Result<Outcome> {
    if args.k == 0 {
        return Err(Error::usage("-k 0 finds nothing; give the number of hits that a box may have"));
    }
    delete_unfinished_on_interrupt();
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let inputs = Inputs::find(&args.inputs)?;
    let mut report = Report::new(&inputs, args.save.as_deref(), args.json, args.quiet);
    if inputs.all_failed() {
        return report.all_failed(inputs);
    }
    let mut gallery = open_any(&args.gallery, args.quiet)?;
    let recognizer = open(&args, &mut gallery, threads)?;
    if let Some(folder) = &args.save {
        report.saver = Some(Saver::create(folder, SaveFormat::Json, 0)?);
    }
    let options = args.options();
    report.progress.start();
    decode_all(inputs, &decoding_alone(args.decoding, threads), &mut |origin, image| {
        let predicted = image.and_then(|(image, damage)| {
            let found = recognizer.recognize(&image, &gallery, &options)?;
            if !found.too_small.is_empty() {
                report.remark(&too_small(&origin.input_path, found.too_small.len()));
            }
            Ok(Predicted { prediction: Prediction::Objects(objects(&found, image)), damage })
        });
        report.add(origin, predicted)?;
        Ok(if report.is_unwanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    report.finish()
}

fn too_small(input_path: &str, count: usize) -> String {
    let boxes = if count == 1 { "1 box is" } else { &format!("{count} boxes are") };
    format!("note: {input_path}: {boxes} left out, less than one pixel wide or high")
}

/// Opens the models, and refuses a gallery that they do not fit.
fn open(args: &RecognizeArgs, gallery: &mut Gallery, threads: usize) -> Result<Recognizer> {
    let (detector, model) = (open_model(Some(&args.detector))?, open_model(args.model.as_deref())?);
    let options = ExtractorOptions { threads: Some(threads), ..args.device.into() };
    let recognizer = Recognizer::open(&detector, &model, options)?;
    let dimension = recognizer.extractor().info().dimension;
    check_model(gallery, recognizer.model(), dimension, args.any_model)
        .context(|| args.gallery.display().to_string())?;
    if args.any_model {
        gallery.set_model(None);
    }
    if !args.quiet {
        note(&format!("boxes by {}; {}", detector.description.name, summary(recognizer.extractor().info())));
    }
    Ok(recognizer)
}
