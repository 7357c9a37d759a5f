//! The arguments of `train`.

use std::path::PathBuf;

use super::devices::{Devices, devices, paddle_devices};
use super::recipe::path;
use crate::config::Config;
use crate::dataset::DatasetArgs;
use crate::{Outcome, thread_count};
use image_feature::train::{Augmentation, Crops};
use image_feature::{Error, Result};

/// Train a model on a data set's images, as PaddleX does
///
/// DATASET is a folder or archive with train.txt, gallery.txt and query.txt, as `image-feature check` knows it. The recipe is
/// PaddleX's where nothing else is asked for. Checkpoints, logs and curves go to the output folder; a run that is stopped and
/// continued with `--resume` ends with the same weights as one that was not stopped.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature train products/ --output run/
  image-feature train products/ --output run/ --dry-run
  image-feature train products/ --output run/ --width 0.5 --size 112 --epochs 60 --batch-size 64
  image-feature train products/ --output run/ --resume run/")]
pub struct TrainArgs {
    #[command(flatten)]
    pub(super) dataset: DatasetArgs,
    /// Folder for checkpoints, logs and curves
    #[arg(long, value_name = "DIR", default_value = "output")]
    pub(super) output: PathBuf,
    /// PaddleX's settings: a YAML file
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// A setting in place of the file's, such as Train.batch_size=64
    #[arg(short = 'o', long = "option", value_name = "Section.key=VALUE")]
    pub(super) options: Vec<String>,
    /// The model to train, by PaddleX's name
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Width of the network; 0.5 has half the channels (not for CLIP models)
    #[arg(long, value_name = "FACTOR")]
    pub(super) width: Option<f64>,
    /// Height and width of the network's input in pixels (not for CLIP models)
    #[arg(long, value_name = "PIXELS")]
    pub(super) size: Option<usize>,
    /// Length of the feature vector (not for CLIP models)
    #[arg(long, value_name = "N")]
    pub(super) embedding: Option<usize>,
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    #[arg(long, value_name = "N")]
    pub(super) batch_size: Option<usize>,
    /// The highest learning rate
    #[arg(long, value_name = "RATE")]
    pub(super) learning_rate: Option<f64>,
    /// Epochs until it is reached
    #[arg(long, value_name = "EPOCHS")]
    pub(super) warmup: Option<f64>,
    /// L2 decay of the weights
    #[arg(long, value_name = "DECAY")]
    pub(super) weight_decay: Option<f64>,
    /// Weight of the triplet loss beside cross-entropy (not for CLIP models)
    #[arg(long, value_name = "WEIGHT")]
    pub(super) triplet_weight: Option<f64>,
    /// Learn the angle to each class, widened by this margin in radians, in place of class scores and triplets
    #[arg(long, value_name = "RADIANS", conflicts_with = "triplet_weight")]
    pub(super) arc_margin: Option<f64>,
    /// Factor of the cosines of these angles
    #[arg(long, value_name = "SCALE", requires = "arc_margin")]
    pub(super) arc_scale: Option<f64>,
    /// Random changes of images; by default PaddleX's for the model
    #[arg(long, value_enum, value_name = "CHAIN")]
    pub(super) augmentation: Option<Chain>,
    /// Classes of the head; by default as many as train.txt has
    #[arg(long, value_name = "N")]
    pub(super) classes: Option<usize>,
    /// Epochs from one evaluation to the next
    #[arg(long, value_name = "EPOCHS")]
    pub(super) eval_interval: Option<usize>,
    /// Epochs from one epoch_N to the next; `latest` and `best_model` are kept after each
    #[arg(long, value_name = "EPOCHS")]
    pub(super) save_interval: Option<usize>,
    /// Delete the run that the output folder holds, and begin anew; without it such a folder is refused
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Weights to begin with: a .pdparams or .safetensors of the same network
    #[arg(long, value_name = "FILE")]
    pub(super) pretrained: Option<PathBuf>,
    /// Go on from a checkpoint: the folder of a run, or a .pdparams with its .pdopt and .pdstates
    #[arg(long, value_name = "PATH")]
    pub(super) resume: Option<PathBuf>,
    /// Another seed gives other weights, the same seed the same ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Device that computes: cpu, webgpu, cuda or cuda:N; cuda:0,1 has two GPUs share each step, with a batch each
    #[arg(long, value_name = "DEVICE", value_parser = devices)]
    pub(super) device: Option<Devices>,
    /// Threads that read images and change them
    #[arg(long, value_name = "N", value_parser = thread_count())]
    pub(super) threads: Option<u16>,
    /// Decoded images kept in memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(super) cache: u64,
    /// Begin also where the checkpoints seem not to fit on the disk
    #[arg(long)]
    pub(super) ignore_disk: bool,
    /// Check data, settings, memory and disk, learn from two batches, say how long it will take, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Show no progress; notes about images and settings are shown
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Chains of random changes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Chain {
    /// Mirror, shift and rotate: PaddleX's for PP-ShiTuV2_rec
    Products,
    /// Parts of at least 30 %, mirror, RandAugment, rotate: for small networks that learn from few images
    Crops,
    /// The same, stronger: PaddleX's for the CLIP models
    Clip,
    /// Images as they are
    None,
}

impl Chain {
    pub fn of(self, input: [usize; 2]) -> Augmentation {
        match self {
            Chain::Products => Augmentation::products(input),
            Chain::Crops => Augmentation::Crops(Crops::mild(input)),
            Chain::Clip => Augmentation::Crops(Crops::clip()),
            Chain::None => Augmentation::None,
        }
    }
}

impl TrainArgs {
    /// The arguments of PaddleX's `Global.mode=train`.
    pub fn of_config(config: &Config) -> Result<Self> {
        #[derive(clap::Parser)]
        struct Plain {
            #[command(flatten)]
            args: TrainArgs,
        }
        let needed = || Error::usage("Global.dataset_dir is missing: set it to the folder with train.txt");
        let dataset = config.text("Global.dataset_dir")?.ok_or_else(needed)?;
        let parsed = <Plain as clap::Parser>::try_parse_from(["train", "--", dataset]);
        let mut args = parsed.map_err(|error| Error::internal(error.to_string()))?.args;
        args.output = path(config, "Global.output")?.unwrap_or(args.output);
        args.device = match config.text("Global.device")? {
            None => None,
            Some(device) => Some(paddle_devices(device)?),
        };
        Ok(args)
    }

    /// Trains with these settings.
    pub fn run(self, config: Config) -> Result<Outcome> {
        super::run_with(self, config)
    }
}
