//! PaddleX's own command line: `image-feature -c CONFIG -o Global.mode=train -o …`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::Value;

use super::official::{OFFICIAL_MODELS, OfficialModel};
use super::output_file::OutputFile;
use super::terminal::note;
use super::train::{TrainArgs, is_address, paddle_device, read_config};
use super::{Cli, Outcome};
use crate::config::Config;
use image_feature::{Error, ErrorKind, Result};

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
    // Python's KeyboardInterrupt passes by what writes the failure down
    if let Err(error) = &done
        && error.kind() != ErrorKind::Cancelled
    {
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
        "train" => {
            tell_what_is_passed_over(config, &TRAIN_KEYS);
            TrainArgs::of_config(config)?.run(config.clone())
        }
        "evaluate" => {
            let weights = text("Evaluate.weight_path")?.unwrap_or("output/best_model/best_model.pdparams").to_string();
            let arguments = ["evaluate", &dataset()?, "--model", &weights, "--output", &output, "--device", &device];
            ours(arguments.map(String::from).into())
        }
        "predict" => {
            tell_what_is_passed_over(config, &PREDICT_KEYS);
            let name = official(text("Global.model")?)?;
            let model = text("Predict.model_dir")?.unwrap_or(name);
            let batch = config.count("Predict.batch_size")?.unwrap_or(1).to_string();
            let arguments =
                ["predict", "--model", model, "--save", &output, "--batch-size", &batch, "--device", &device];
            let arguments = arguments.into_iter().map(String::from).chain(["--".into()]).chain(inputs(config)?);
            ours(arguments.collect())
        }
        "export" => {
            let weights = text("Export.weight_path")?
                .ok_or_else(|| Error::usage("Export.weight_path is missing: set it to a .pdparams"))?;
            if is_address(weights) {
                return Err(Error::usage(format!(
                    "Export.weight_path is {weights}: download it and set Export.weight_path to the file"
                )));
            }
            let arguments = ["model", "export", weights, "--output", &output];
            ours(arguments.map(String::from).into())
        }
        _ => Err(Error::usage(format!(
            "Global.mode is `{mode}`; check_dataset, train, evaluate, export and predict are known"
        ))),
    }
}

/// The model's name, where it is one of PaddleX's.
fn official(name: Option<&str>) -> Result<&str> {
    let known = || OFFICIAL_MODELS.map(|model| model.name).join(", ");
    let name = name.ok_or_else(|| Error::usage(format!("Global.model is missing: set it to one of {}", known())))?;
    OfficialModel::find(name)
        .map(|model| model.name)
        .ok_or_else(|| Error::usage(format!("Global.model is `{name}`; known are {}", known())))
}

/// What `Predict.input` names: one place or a list of them. PaddleX downloads addresses; here the user does.
fn inputs(config: &Config) -> Result<Vec<String>> {
    const KEY: &str = "Predict.input";
    let wrong =
        |value: &Value| Error::usage(format!("{KEY} is `{value}`; expected an image, a folder, or a list of these"));
    let inputs: Vec<String> = match config.get(KEY) {
        None => return Err(Error::usage(format!("{KEY} is missing: set it to an image or a folder of images"))),
        Some(Value::String(input)) => vec![input.clone()],
        Some(list @ Value::Array(items)) if !items.is_empty() => items
            .iter()
            .map(|item| item.as_str().map(String::from).ok_or_else(|| wrong(list)))
            .collect::<Result<_>>()?,
        Some(other) => return Err(wrong(other)),
    };
    match inputs.iter().find(|input| is_address(input)) {
        Some(address) => Err(Error::usage(format!("{KEY} is {address}: download it and set {KEY} to the file"))),
        None => Ok(inputs),
    }
}

/// Settings that change nothing here, with the values that ask for nothing and what is done instead.
type PassedOver = (&'static str, &'static [&'static str], &'static str);

const TRAIN_KEYS: [PassedOver; 5] = [
    ("Train.amp", &["OFF"], "weights and gradients are 32 bits wide"),
    ("Train.basic_config_path", &[], "the recipe is PaddleX's own for the model"),
    ("Train.dist_ips", &[], "one machine is used"),
    ("Train.dy2st", &["false"], "there is no graph to be made of a Python program"),
    ("Train.uniform_output_enabled", &["true"], "the folder is the one that PaddleX leaves by default"),
];
const PREDICT_KEYS: [PassedOver; 1] =
    [("Predict.kernel_option.run_mode", &["paddle"], "Global.device alone says what computes")];

fn tell_what_is_passed_over(config: &Config, keys: &[PassedOver]) {
    for (key, nothing, instead) in keys {
        if let Some(value) = config.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), String::from);
            if !value.is_empty() && !nothing.contains(&value.as_str()) {
                note(&format!("warning: {key} is {value}, which changes nothing: {instead}"));
            }
        }
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
