//! `image-feature model convert`: any model file to safetensors.

use std::path::PathBuf;

use super::calibrate::calibrate;
use crate::open_model;
use crate::output_file::{OutputFile, check_output, delete_unfinished_on_interrupt};
use crate::terminal::{Stdout, note};
use image_feature::weights::Dtype;
use image_feature::{Error, Result};

/// Write a model as one safetensors file
#[derive(clap::Args)]
pub struct ConvertArgs {
    /// Model archive, folder, .pdparams or .safetensors, or a name as `image-feature model list` shows them
    #[arg(value_name = "PATH|NAME")]
    model: PathBuf,
    /// File to write
    #[arg(long, short, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// Type of the numbers: f32; f16 for half the size; i8 for about a quarter, also computed in 8 bits on the CPU
    #[arg(long, default_value = "f32")]
    dtype: Dtype,
    /// Images to measure the model's activations on, which i8 needs unless the model has been calibrated before: files,
    /// folders, patterns, archives; fifty photos like those the model will see are good, and more do no harm
    #[arg(long, value_name = "IMAGES", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    /// New name of the model
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Replace the file if it is there already
    #[arg(long)]
    force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing but the result and what is left out
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: ConvertArgs) -> Result<()> {
    let output = args.output.display();
    if args.output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("safetensors")) {
        return Err(Error::usage(format!(
            "--output {output}: the only format written is safetensors; name the file so"
        )));
    }
    check_output(&args.output, args.force)?;
    if !args.calibrate.is_empty() && args.dtype != Dtype::I8 {
        return Err(Error::usage("--calibrate is for files of type i8: add `--dtype i8`"));
    }
    delete_unfinished_on_interrupt();
    let mut model = open_model(Some(&args.model))?;
    if !args.calibrate.is_empty() {
        model.calibration = Some(calibrate(&model, &args.calibrate, args.quiet)?);
    }
    if let Some(name) = args.name {
        model.description.name = name;
    }
    let bytes = model.to_safetensors(args.dtype)?;
    OutputFile::write(&args.output, &bytes)?;
    if args.json {
        let written = serde_json::json!({ "output": args.output.to_string_lossy(), "bytes": bytes.len() });
        return Stdout::default().line(&written.to_string());
    }
    if !args.quiet {
        note(&format!("{output}: {} bytes written", bytes.len()));
    }
    Ok(())
}
