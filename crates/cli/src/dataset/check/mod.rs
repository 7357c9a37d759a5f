//! `image-feature check`: is a data set fit for training?

mod audit;

use std::path::PathBuf;

use super::{Compat, DatasetArgs};
use crate::{Outcome, thread_count};
use image_feature::{DeviceRequest, Result};

/// Check a data set of image retrieval
///
/// Reads the lists, decodes every image, and tells everything that is wrong, each with its place and what to do about
/// it. The exit code is 1 where there are errors: training or evaluation would fail, or give numbers that lie.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  image-feature check shop/
  image-feature check shop.zip --html report.html
  image-feature check shop/ --fix shop-mended.zip
  image-feature check shop/ --model PP-ShiTuV2_rec --json > report.json
  image-feature check shop/ --compat paddlex --output output

With --compat, DIR gets what PaddleX's check_dataset leaves: check_dataset_result.json, and in check_dataset/ the \
samples with their label drawn (demo_img/) and histogram.png. The exit code is 1 where PaddleX refuses the data set.")]
pub struct CheckArgs {
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Give PaddleX's verdict to the letter
    #[arg(long, value_enum, value_name = "RELEASE")]
    pub compat: Option<Compat>,
    /// Write the result's files into this folder: report.json and report.html
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Write a copy with the lists mended: a folder, or a file name that ends with .zip
    #[arg(long, value_name = "DIR|ZIP")]
    pub fix: Option<PathBuf>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A model that looks for labels that are likely wrong, for outliers and for copies that look different
    #[arg(long, short, value_name = "PATH|NAME")]
    pub model: Option<PathBuf>,
    /// What computes it: auto, cpu, webgpu, cuda or cuda:N
    #[arg(long, default_value = "auto", requires = "model")]
    pub device: DeviceRequest,
    /// Images of a training batch
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch_size: u16,
    /// Threads for decoding [default: one for each core]
    #[arg(long, value_name = "N", value_parser = thread_count())]
    pub threads: Option<u16>,
    /// Tell nothing but the result
    #[arg(long, short)]
    pub quiet: bool,
}

pub fn run(args: CheckArgs) -> Result<Outcome> {
    match args.compat {
        None => audit::run(args),
        Some(compat) => {
            args.refuse_for_compat()?;
            super::compat::check(&args.dataset.path, compat, args.output.as_deref(), args.json)
        }
    }
}
