//! PaddleX's own command line: `image-feature -c CONFIG -o Global.mode=train -o …`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::output_file::OutputFile;
use super::terminal::note;
use super::train::{TrainArgs, paddle_device, read_config};
use super::{Cli, Outcome};
use crate::config::Config;
use crate::{Error, ErrorKind, Result};

/// PaddleX's `main.py`.
#[derive(Parser)]
#[command(name = "image-feature")]
struct PaddlexArgs {
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[arg(short = 'o', long = "override", value_name = "Section.key=VALUE")]
    options: Vec<String>,
}

/// Whether these are PaddleX's arguments, and not those of one of our commands.
pub fn is_meant(arguments: &[OsString]) -> bool {
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or_default();
    let is_short = |flag: &str| first.starts_with(flag) && !first.starts_with("--");
    is_short("-c") || is_short("-o") || first == "--config" || first.starts_with("--config=") || first == "--override"
}

/// Does what PaddleX's arguments ask for. `command` runs one of ours.
pub fn run(arguments: &[OsString], command: &dyn Fn(Cli) -> Result<Outcome>) -> Result<Outcome, Stop> {
    let args = PaddlexArgs::try_parse_from(arguments).map_err(Stop::Usage)?;
    let mut config = read_config(&args.config)?;
    for option in &args.options {
        if let Some(warning) = config.set(option)? {
            note(&format!("warning: {warning}"));
        }
    }
    let mode = config.text("Global.mode")?.unwrap_or("").to_string();
    let output = PathBuf::from(config.text("Global.output")?.unwrap_or("output"));
    let done = run_mode(&mode, &config, &output, command);
    if let Err(error) = &done {
        leave_failure(&mode, &output, error);
    }
    Ok(done?)
}

/// What ends before anything is done.
pub enum Stop {
    /// The arguments are none that PaddleX knows.
    Usage(clap::Error),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

fn run_mode(mode: &str, config: &Config, output: &Path, command: &dyn Fn(Cli) -> Result<Outcome>) -> Result<Outcome> {
    let ours = |arguments: Vec<String>| {
        let arguments = std::iter::once("image-feature".to_string()).chain(arguments);
        let cli = Cli::try_parse_from(arguments).map_err(|error| Error::usage(error.to_string()))?;
        command(cli)
    };
    let output = output.display().to_string();
    let text = |key: &str| config.text(key);
    let dataset = || {
        let dataset = text("Global.dataset_dir")?.map(str::to_string);
        dataset.ok_or_else(|| Error::usage("Global.dataset_dir is missing: set it to the folder of the data set"))
    };
    let device = match text("Global.device")? {
        None => "auto".to_string(),
        Some(device) => paddle_device(device)?.to_string(),
    };
    match mode {
        "check_dataset" => {
            let dataset = dataset()?;
            let compat = ["--compat", "paddlex"].map(String::from);
            if config.flag("CheckDataset.convert.enable")? {
                let form = text("CheckDataset.convert.src_dataset_type")?;
                let form = form.map(|form| vec!["--from".to_string(), form.into()]).unwrap_or_default();
                let arguments = [vec!["convert".into(), dataset.clone(), "--in-place".into()], compat.to_vec(), form];
                stop_unless_good(ours(arguments.concat())?)?;
            }
            if config.flag("CheckDataset.split.enable")? {
                let mut arguments = vec!["split".into(), dataset.clone(), "--in-place".into()];
                arguments.extend(compat.clone());
                for list in ["train", "gallery", "query"] {
                    if let Some(percent) = config.get(&format!("CheckDataset.split.{list}_percent")) {
                        arguments.extend([format!("--{list}"), percent.to_string()]);
                    }
                }
                stop_unless_good(ours(arguments)?)?;
            }
            let mut arguments = vec!["check".into(), dataset, "--output".into(), output];
            arguments.extend(compat);
            ours(arguments)
        }
        "train" => TrainArgs::of_config(config)?.run(config.clone()),
        "evaluate" => {
            let weights = text("Evaluate.weight_path")?.unwrap_or("output/best_model/best_model.pdparams").to_string();
            let arguments = ["evaluate", &dataset()?, "--model", &weights, "--output", &output, "--device", &device];
            ours(arguments.map(String::from).into())
        }
        "predict" => {
            let model = text("Predict.model_dir")?.unwrap_or("PP-ShiTuV2_rec");
            let input =
                text("Predict.input")?.ok_or_else(|| Error::usage("Predict.input is missing: set it to an image"))?;
            let batch = config.count("Predict.batch_size")?.unwrap_or(1).to_string();
            let arguments =
                ["predict", input, "--model", model, "--save", &output, "--batch-size", &batch, "--device", &device];
            ours(arguments.map(String::from).into())
        }
        "export" => {
            let weights = text("Export.weight_path")?
                .ok_or_else(|| Error::usage("Export.weight_path is missing: set it to a .pdparams"))?;
            let arguments = ["model", "export", weights, "--output", &output];
            ours(arguments.map(String::from).into())
        }
        _ => Err(Error::usage(format!(
            "Global.mode is `{mode}`; check_dataset, train, evaluate, export and predict are known"
        ))),
    }
}

/// A step that failed has said why; the next ones need it.
fn stop_unless_good(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Good => Ok(()),
        Outcome::Failed(kind) => Err(Error::new(kind, "the data set could not be prepared, see above")),
    }
}

/// `<mode>_result.json`, as PaddleX leaves it where something failed. `check_dataset` has written its own.
fn leave_failure(mode: &str, output: &Path, error: &Error) {
    let class = match error.kind() {
        ErrorKind::Io => "FileNotFoundError",
        ErrorKind::Usage => "AssertionError",
        ErrorKind::Cancelled => "KeyboardInterrupt",
        _ => "Exception",
    };
    let name = if mode.is_empty() { "unknown" } else { mode };
    let result = serde_json::json!({ "done_flag": false, "err_type": format!("<class '{class}'>"), "err_msg": error.to_string() });
    let path = output.join(format!("{name}_result.json"));
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let written = std::fs::create_dir_all(output).map_err(Error::from);
    if let Err(error) =
        written.and_then(|()| if plain { OutputFile::write(&path, format!("{result:#}").as_bytes()) } else { Ok(()) })
    {
        note(&format!("note: {}: {error}", path.display()));
    }
}
