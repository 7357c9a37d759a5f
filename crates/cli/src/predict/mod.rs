//! `image-feature predict`: feature vectors of images, or the boxes of a detector.

mod detect;
mod objects;
mod report;
mod save;

use std::ops::ControlFlow;
use std::path::PathBuf;

pub use self::objects::{Objects, box_sides};
#[cfg(test)]
pub use self::report::paddlex_line;
pub use self::report::{Predicted, Report};
pub use self::save::{Prediction, SaveFormat, Saver};
use super::embed::{Decoding, Engine, Inputs, embed_all, preparation};
use super::output_file::delete_unfinished_on_interrupt;
use super::terminal::note;
use super::{Outcome, default_threads, open_model, thread_count};
use image_feature::{DeviceRequest, Error, Result, Roi};

/// Turn images into feature vectors, or find the things in them
///
/// A detector such as PP-ShiTuV2_det finds boxes; all other models give feature vectors. Prints each result as PaddleX 3.x does. Images that cannot be read are listed at the end; the others are done.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature predict photo.jpg --model PP-ShiTuV2_rec_infer.tar
  image-feature predict photos/ more.zip 'scans/**/*.tif' --model PP-ShiTuV2_rec --save output
  image-feature predict photos/ --model model.safetensors --save output --format npy --quiet
  curl -s https://example.com/a.jpg | image-feature predict - --model model.safetensors --json
  image-feature predict photos/ --model PP-ShiTuV2_det_infer.tar --threshold 0.4 --save output

Saved results: an image named itself goes to DIR/<stem>_res.json; below a folder, pattern or archive its folders \
are kept: DIR/<folders>/<stem>_res.json. If two images of one run would share a file, the second is named after its \
whole file name (x.jpg_res.json), further ones get a number. Files of earlier runs are replaced, and their number \
is reported. Of a detector, the image with its boxes is saved beside it, as <stem>_res.png.")]
pub struct PredictArgs {
    /// Images: files, folders (searched at any depth), quoted patterns ('**/*.jpg'), archives (.zip, .tar, .tar.gz),
    /// or - for one image on stdin
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Model archive, folder, .pdparams or .safetensors, or a name: an official one that PaddleX has downloaded, or `default`,
    /// the small model that comes with the program and is taken where none is given
    #[arg(long, short, value_name = "PATH|NAME")]
    model: Option<PathBuf>,
    /// Device that computes: auto, cpu, webgpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceRequest,
    /// Images that go through the network together
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    batch_size: u16,
    /// Save results into this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Form of saved results
    #[arg(long, value_enum, requires = "save", default_value = "json")]
    format: SaveFormat,
    /// Score above which a detector's boxes count [default: the model's own, 0.5 for PP-ShiTuV2_det]
    #[arg(long, value_name = "SCORE", value_parser = parse_threshold)]
    threshold: Option<f32>,
    /// Take only this rectangle of each image, in pixels
    #[arg(long, value_name = "X,Y,W,H", value_parser = parse_roi)]
    roi: Option<Roi>,
    #[command(flatten)]
    decoding: Decoding,
    /// Threads for decoding and for the network on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    threads: Option<u16>,
    /// Print one JSON object a line: {"input_path", "page_index", "feature"}, of a damaged image with "damaged", or
    /// {"input_path", "error", "kind"}
    #[arg(long)]
    json: bool,
    /// Print nothing but results and errors
    #[arg(long, short)]
    quiet: bool,
}

/// A score from 0 to 1.
pub fn parse_threshold(text: &str) -> Result<f32> {
    match text.trim().parse() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err(Error::usage(format!("`{text}` is not a number from 0 to 1"))),
    }
}

fn parse_roi(text: &str) -> Result<Roi> {
    let wrong = || Error::usage(format!("`{text}` is not X,Y,WIDTH,HEIGHT in whole pixels, such as 10,20,300,200"));
    let numbers: Vec<usize> =
        text.split(',').map(|number| number.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match numbers[..] {
        [x, y, width, height] if width > 0 && height > 0 => Ok(Roi { x, y, width, height }),
        _ => Err(wrong()),
    }
}

pub fn run(args: PredictArgs) -> Result<Outcome> {
    let threads = args.threads.map_or_else(default_threads, usize::from);
    delete_unfinished_on_interrupt();
    let inputs = Inputs::find(&args.inputs)?;
    let mut report = Report::new(&inputs, args.save.as_deref(), args.json, args.quiet);
    if inputs.all_failed() {
        return report.all_failed(inputs);
    }
    let model = open_model(args.model.as_deref())?;
    if model.description.is_detector() {
        return detect::run(&args, inputs, &model, threads, report);
    }
    if args.threshold.is_some() {
        return Err(Error::usage(format!(
            "--threshold is for detectors; {} gives feature vectors",
            model.description.name
        )));
    }
    let engine = Engine::open(&model, args.device, threads)?;
    if !args.quiet {
        note(&engine.summary);
    }
    if let Some(folder) = &args.save {
        report.saver = Some(Saver::create(folder, args.format, engine.dimension)?);
    }
    let batch_size = usize::from(args.batch_size);
    let preparation = preparation(&model, args.roi, args.decoding, threads, batch_size);
    drop(model);
    report.progress.start();
    embed_all(inputs, &preparation, &engine, batch_size, &mut |origin, result| {
        report.add(origin, result.map(Predicted::of_feature))?;
        Ok(if report.is_unwanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    report.finish()
}
