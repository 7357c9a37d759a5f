//! `image-feature predict`: feature vectors of images, or the boxes of a detector.

mod detect;
mod save;

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::embed::{Content, Damaged, Decoding, Embedded, Engine, Inputs, Origin, Remarks, embed_all, preparation};
use super::format::{numpy, python};
use super::output_file::delete_unfinished_on_interrupt;
use super::terminal::{Progress, Stdout, complain, note};
use super::{Outcome, default_threads, open_model, thread_count};
use image_feature::{DeviceRequest, Error, ErrorKind, Result, Roi};
use save::{Prediction, SaveFormat, Saver};

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

fn parse_threshold(text: &str) -> Result<f32> {
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
    let mut report = Report::new(&args, &inputs);
    if inputs.all_failed() {
        let mut told = Ok(());
        inputs.for_each(|item| {
            if let Content::Failed(error) = item.content {
                told = report.add(item.origin, Err(error));
            }
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        told?;
        return report.finish();
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

/// What was computed of an image, and the damage of its file.
struct Predicted {
    prediction: Prediction,
    damage: Option<String>,
}

impl Predicted {
    fn of_feature(Embedded { feature, damage }: Embedded) -> Self {
        Predicted { prediction: Prediction::Feature(feature), damage }
    }
}

/// Prints and saves results as they come, and reports failures at the end.
struct Report {
    json: bool,
    quiet: bool,
    stdout: Stdout,
    progress: Progress,
    saver: Option<Saver>,
    saved_to: Option<PathBuf>,
    embedded: u64,
    damaged: Damaged,
    failures: Vec<(Origin, Error)>,
    remarks: Remarks,
}

impl Report {
    fn new(args: &PredictArgs, inputs: &Inputs) -> Self {
        Report {
            json: args.json,
            quiet: args.quiet,
            stdout: Stdout::default(),
            progress: Progress::new(inputs.count(), args.quiet),
            saver: None,
            saved_to: args.save.clone(),
            embedded: 0,
            damaged: Damaged::default(),
            failures: Vec::new(),
            remarks: inputs.remarks(),
        }
    }

    fn add(&mut self, origin: Origin, result: Result<Predicted>) -> Result<()> {
        match result {
            Ok(Predicted { prediction, damage }) => {
                if let Some(saver) = &mut self.saver {
                    saver.save(&origin, &prediction)?;
                }
                let line = if self.json {
                    save::json_line(&origin.input_path, &prediction, damage.as_deref())
                } else {
                    paddlex_line(&origin.input_path, &prediction)
                };
                self.progress.suspend(|| self.stdout.line(&line))?;
                self.embedded += 1;
                if let Some(damage) = damage {
                    self.damaged.add(&origin.input_path, &damage);
                }
            }
            Err(error) => {
                if self.json {
                    let line = failure_json(&origin.input_path, &error);
                    self.progress.suspend(|| self.stdout.line(&line))?;
                }
                self.failures.push((origin, error));
            }
        }
        self.progress.advance();
        Ok(())
    }

    /// Whether the reader of stdout is gone and nothing is saved.
    fn is_unwanted(&self) -> bool {
        self.stdout.is_closed() && self.saver.is_none()
    }

    fn finish(mut self) -> Result<Outcome> {
        if let Some(saver) = &mut self.saver {
            saver.finish()?;
        }
        let took = self.progress.finish().as_secs_f64();
        if !self.quiet && self.embedded > 0 {
            let saved = self.saved_to.map_or(String::new(), |folder| format!(", saved in {}", folder.display()));
            let replaced = match self.saver.map_or(0, |saver| saver.replaced) {
                0 => String::new(),
                replaced => format!(" ({replaced} files of an earlier run replaced)"),
            };
            let plural = if self.embedded == 1 { "" } else { "s" };
            note(&format!("{} image{plural} in {took:.1} s{saved}{replaced}", self.embedded));
        }
        if let Some(warning) = self.damaged.note(self.embedded) {
            note(&warning);
        }
        if !self.quiet {
            self.remarks.tell();
        }
        let mut worst = None;
        for (origin, error) in &self.failures {
            complain(&format!("{}: {error}", origin.input_path));
            if worst.is_none() || error.kind() == ErrorKind::Internal {
                worst = Some(error.kind());
            }
        }
        let Some(worst) = worst else { return Ok(Outcome::Good) };
        let inputs = self.failures.len() as u64 + self.embedded;
        if inputs > 1 {
            complain(&format!("{} of {inputs} inputs failed, see above", self.failures.len()));
        }
        // every kind but `Internal` is the fault of an input
        Ok(Outcome::Failed(if worst == ErrorKind::Internal { worst } else { ErrorKind::Decode }))
    }
}

/// A result as `res.print()` of PaddleX 3.x prints it.
fn paddlex_line(input_path: &str, prediction: &Prediction) -> String {
    let (key, value) = match prediction {
        Prediction::Feature(feature) => ("feature", numpy::array_repr(feature)),
        Prediction::Boxes(boxes) => ("boxes", boxes.repr()),
    };
    format!("{{'res': {{'input_path': {}, 'page_index': None, '{key}': {value}}}}}", python::string_repr(input_path))
}

fn failure_json(input_path: &str, error: &Error) -> String {
    format!(
        "{{\"input_path\": {}, \"error\": {}, \"kind\": \"{}\"}}",
        save::json_string(input_path),
        save::json_string(&error.to_string()),
        error.kind().as_str()
    )
}
