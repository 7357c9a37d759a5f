//! `image-feature model export`: a model for Paddle and PaddleX.

use std::path::PathBuf;

use crate::open_model;
use crate::output_file::{OutputFile, delete_unfinished_on_interrupt};
use crate::terminal::Stdout;
use image_feature::Result;
use image_feature::error::Context;

/// Write a model as inference.json, inference.pdiparams and inference.yml, which Paddle and PaddleX run
///
/// Parallel branches are fused and the classification head is left out.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// A .pdparams, a .safetensors, the folder of a training run, or any other model
    model: PathBuf,
    /// The folder for the three files
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

pub fn run(args: ExportArgs) -> Result<()> {
    delete_unfinished_on_interrupt();
    let files = open_model(Some(&args.model))?.to_paddle().context(|| args.model.display().to_string())?;
    std::fs::create_dir_all(&args.output).context(|| args.output.display().to_string())?;
    for (name, bytes) in &files {
        OutputFile::write(args.output.join(name), bytes)?;
    }
    Stdout::default().line(&format!("written to {}", args.output.display()))
}
