//! `image-feature finetune`: teaches a model's last layers on a data set's images.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::address::refuse_address;
use crate::dataset::{count, warn_of_damage};
use crate::embed::{Damaged, Decoding, FILE_BYTES};
use crate::output_file::{OutputFile, check_output, delete_unfinished_on_interrupt};
use crate::terminal::{Progress, note};
use crate::{default_threads, open_model, thread_count};
use image_feature::dataset::{Dataset, LabelledImage, Subset};
use image_feature::file_tree::{self, FileTree};
use image_feature::finetune::{FineTune, Neck, Samples, Tuned, Tuning};
use image_feature::weights::Dtype;
use image_feature::{Decoded, DeviceRequest, Error, Extractor, ExtractorOptions, Model, Result};

/// Teach a model's last layers what tells the images of a data set apart, in minutes on a CPU
///
/// The network's other layers stay as they are, so each image goes through them once. Several data sets are learnt from
/// together, each with labels of its own; in a batch all have equally many images. Only train.txt is read.
#[derive(clap::Args)]
pub struct FinetuneArgs {
    /// Folders or archives with images/ and train.txt in them, as `image-feature check` knows them
    #[arg(value_name = "DATASET", required = true)]
    datasets: Vec<PathBuf>,
    /// File to write
    #[arg(long, short, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// Model archive, folder, .pdparams, .pth or .safetensors, or a name as `image-feature model list` shows them [default: the
    /// model that comes with the program]
    #[arg(long, short, value_name = "PATH|NAME")]
    model: Option<PathBuf>,
    /// New name of the model
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Height and width of the network's input in pixels (not for CLIP models)
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=1024))]
    size: Option<u16>,
    /// Keep the first N blocks of the network alone (EfficientNet-Lite without last layers)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    blocks: Option<u16>,
    /// Length of the feature of a network that has no last layers yet
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u16).range(2..))]
    embedding: u16,
    /// How far such a network's new last layers even out the directions in which images differ, from 0, not at all, to 1
    #[arg(long, value_name = "POWER", default_value_t = 0.5)]
    whiten: f64,
    /// Views of each image: itself, its mirror image, then random parts
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    views: u16,
    #[arg(long, value_name = "N", default_value_t = Tuning::default().epochs)]
    epochs: usize,
    /// The highest learning rate
    #[arg(long, value_name = "RATE", default_value_t = Tuning::default().learning_rate)]
    learning_rate: f64,
    /// The pull back to the first weights
    #[arg(long, value_name = "DECAY", default_value_t = Tuning::default().decay)]
    decay: f64,
    /// The margin by which the angle to the own class is widened, in radians
    #[arg(long, value_name = "RADIANS", default_value_t = Tuning::default().angles.margin)]
    margin: f64,
    /// Factor of the cosines of these angles
    #[arg(long, value_name = "SCALE", default_value_t = Tuning::default().angles.scale)]
    scale: f64,
    /// Classes of each data set in a batch, at most; each has 4 images
    #[arg(long, value_name = "N", default_value_t = Tuning::default().classes_per_batch)]
    classes_per_batch: usize,
    /// Another seed gives other weights, the same seed the same ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Type of the file's numbers: f32 or f16; for i8 see `image-feature model convert`
    #[arg(long, default_value = "f32")]
    dtype: Dtype,
    #[command(flatten)]
    decoding: Decoding,
    /// Threads of the network [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    threads: Option<u16>,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
    /// Print nothing but errors and what is left out
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: FinetuneArgs) -> Result<()> {
    check_output(&args.output, args.force)?;
    if args.dtype == Dtype::I8 {
        return Err(Error::usage(
            "--dtype i8 needs a calibration: write f32, then `image-feature model convert FILE --dtype i8 --calibrate IMAGES`",
        ));
    }
    delete_unfinished_on_interrupt();
    let model = start(&args)?;
    let sets = args.datasets.iter().map(|path| TrainingList::read(path)).collect::<Result<Vec<_>>>()?;
    let samples = samples(&sets, &model, &args)?;
    let tuned = learn(model, samples, &args)?;
    OutputFile::write(&args.output, &tuned.to_safetensors(args.dtype)?)?;
    if !args.quiet {
        note(&format!("written to {}", args.output.display()));
    }
    Ok(())
}

/// The model before it learns.
fn start(args: &FinetuneArgs) -> Result<Model> {
    let mut model = open_model(args.model.as_deref())?;
    if let Some(blocks) = args.blocks {
        model = model.shortened(usize::from(blocks))?;
    }
    if let Some(size) = args.size {
        model = model.with_input([usize::from(size); 2])?;
    }
    if let Some(name) = &args.name {
        model.description.name = name.clone();
    }
    Ok(model)
}

/// The images of a data set's train.txt.
struct TrainingList {
    name: String,
    tree: Box<dyn FileTree>,
    /// Entry and label of each image.
    images: Vec<(usize, i64)>,
}

impl TrainingList {
    fn read(path: &Path) -> Result<Self> {
        refuse_address(path)?;
        let (name, tree) = (path.display().to_string(), file_tree::open(path)?);
        warn_of_damage(&name, tree.as_ref());
        let dataset = Dataset::read(tree.as_ref());
        let images = dataset.labelled(Subset::Train)?.into_iter();
        let images = images.map(|LabelledImage { entry, label, .. }| (entry, label)).collect();
        Ok(TrainingList { name, tree, images })
    }
}

/// The pooled vectors of all images. Images that cannot be read are told and left out.
fn samples(sets: &[TrainingList], model: &Model, args: &FinetuneArgs) -> Result<Samples> {
    let threads = args.threads.map_or_else(default_threads, usize::from);
    let options = ExtractorOptions { threads: Some(threads), ..DeviceRequest::Cpu.into() };
    let extractor = Extractor::open(model, options)?;
    let mut samples = Samples::new(extractor.pooled_len());
    let images: usize = sets.iter().map(|set| set.images.len()).sum();
    let mut progress = Progress::new(Some(images as u64), args.quiet);
    let (mut failed, mut damaged) = (0u64, Damaged::default());
    for TrainingList { name: set, tree, images } in sets {
        samples.begin_set();
        for &(entry, label) in images {
            let name = || format!("{set}: {}", tree.entries()[entry].path);
            let read = tree.read(entry, FILE_BYTES).and_then(|bytes| args.decoding.decode(&bytes));
            let pooled = read.and_then(|Decoded { image, damage, .. }| {
                damage.iter().for_each(|damage| damaged.add(&name(), damage));
                extractor.pooled_views(&image, usize::from(args.views))
            });
            progress.advance();
            match pooled {
                Ok(pooled) => samples.add(&label.to_string(), &pooled)?,
                Err(error) => {
                    failed += 1;
                    progress.suspend(|| note(&format!("left out: {}: {error}", name())));
                }
            }
        }
    }
    let took = progress.finish();
    if samples.is_empty() {
        return Err(Error::decode("none of the images can be read, see above"));
    }
    if let Some(told) = damaged.told(images as u64) {
        note(&format!("warning: {told}; only what could be decoded of them is learnt from"));
    }
    if failed > 0 {
        note(&format!("warning: {failed} of {images} images cannot be read and are left out"));
    }
    if !args.quiet {
        let classes = samples.classes().len();
        note(&format!(
            "{} of {} in {}, seen in {:.0} s",
            count(samples.len() as u64, "image"),
            if classes == 1 { "1 class".to_string() } else { format!("{classes} classes") },
            count(sets.len() as u64, "data set"),
            took.as_secs_f64()
        ));
    }
    Ok(samples)
}

/// The model after learning.
fn learn(mut model: Model, samples: Samples, args: &FinetuneArgs) -> Result<Model> {
    let name = model.description.name.clone();
    if !model.description.has_last_layers() {
        let (pooled, embedding) = (samples.first_view_of_each(), usize::from(args.embedding));
        let neck = Neck::whitened(&pooled, model.description.pooled_len(), embedding, args.whiten)?;
        model = neck.put_into(&model, &name)?;
    }
    if args.epochs == 0 {
        return Ok(model);
    }
    let mut angles = Tuning::default().angles;
    (angles.margin, angles.scale) = (args.margin, args.scale);
    let tuning = Tuning {
        epochs: args.epochs,
        learning_rate: args.learning_rate,
        decay: args.decay,
        classes_per_batch: args.classes_per_batch,
        angles,
        seed: args.seed,
        ..Tuning::default()
    };
    let run = FineTune::new(&model, samples, tuning)?;
    let started = Instant::now();
    let Tuned { neck, losses, .. } = run.run(|_| {})?;
    let took = started.elapsed();
    if let (Some(first), Some(last), false) = (losses.first(), losses.last(), args.quiet) {
        note(&format!(
            "{}: loss {first:.3} to {last:.3} in {:.0} s",
            count(losses.len() as u64, "epoch"),
            took.as_secs_f64()
        ));
    }
    neck.put_into(&model, &name)
}
