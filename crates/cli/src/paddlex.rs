//! PaddleX's command line: `image-feature -c CONFIG -o Global.mode=train -o …`.

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

/// The arguments of PaddleX's `main.py`.
#[derive(Parser)]
#[command(name = "image-feature")]
struct PaddlexArgs {
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[arg(short = 'o', long = "override", value_name = "Section.key=VALUE")]
    options: Vec<String>,
}

/// Whether these are arguments as PaddleX has them, not those of a command of this program.
pub fn is_meant(arguments: &[OsString]) -> bool {
    let first = arguments.get(1).and_then(|argument| argument.to_str()).unwrap_or_default();
    let is_short = |flag: &str| first.starts_with(flag) && !first.starts_with("--");
    is_short("-c") || is_short("-o") || first == "--config" || first.starts_with("--config=") || first == "--override"
}

/// Does the work of PaddleX's arguments. `command` runs a command of this program.
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
    // PaddleX writes no failure file after a KeyboardInterrupt
    if let Err(error) = &done
        && error.kind() != ErrorKind::Cancelled
    {
        leave_failure(&mode, &output, error);
    }
    Ok(done?)
}

/// The reason why the arguments could not be followed.
pub enum Stop {
    /// PaddleX does not know the arguments.
    Usage(clap::Error),
    /// The work failed.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// Runs a command of this program for each step of a PaddleX mode.
struct Runner<'a> {
    config: &'a Config,
    output: String,
    device: String,
    command: &'a dyn Fn(Cli) -> Result<Outcome>,
}

fn run_mode(mode: &str, config: &Config, output: &Path, command: &dyn Fn(Cli) -> Result<Outcome>) -> Result<Outcome> {
    let device = match config.text("Global.device")? {
        None => "auto".to_string(),
        Some(device) => paddle_device(device)?.to_string(),
    };
    let runner = Runner { config, output: output.display().to_string(), device, command };
    match mode {
        "check_dataset" => runner.check_dataset(),
        "train" => {
            warn_of_ignored(config, &TRAIN_KEYS);
            TrainArgs::of_config(config)?.run(config.clone())
        }
        "evaluate" => runner.evaluate(),
        "predict" => runner.predict(),
        "export" => runner.export(),
        _ => Err(Error::usage(format!(
            "Global.mode is `{mode}`; check_dataset, train, evaluate, export and predict are known"
        ))),
    }
}

impl Runner<'_> {
    fn run(&self, arguments: Vec<String>) -> Result<Outcome> {
        let arguments = std::iter::once("image-feature".to_string()).chain(arguments);
        let cli = Cli::try_parse_from(arguments).map_err(|error| Error::usage(error.to_string()))?;
        (self.command)(cli)
    }

    fn dataset(&self) -> Result<String> {
        let dataset = self.config.text("Global.dataset_dir")?.map(str::to_string);
        dataset.ok_or_else(|| Error::usage("Global.dataset_dir is missing: set it to the folder of the data set"))
    }

    fn check_dataset(&self) -> Result<Outcome> {
        let Runner { config, output, .. } = self;
        let dataset = self.dataset()?;
        let compat = ["--compat", "paddlex"].map(String::from);
        if config.flag("CheckDataset.convert.enable")? {
            let form = config.text("CheckDataset.convert.src_dataset_type")?;
            let form = form.map(|form| vec!["--from".to_string(), form.into()]).unwrap_or_default();
            let arguments = [vec!["convert".into(), dataset.clone(), "--in-place".into()], compat.to_vec(), form];
            stop_unless_good(self.run(arguments.concat())?)?;
        }
        if config.flag("CheckDataset.split.enable")? {
            let mut arguments = vec!["split".into(), dataset.clone(), "--in-place".into()];
            arguments.extend(compat.clone());
            for list in ["train", "gallery", "query"] {
                if let Some(percent) = config.get(&format!("CheckDataset.split.{list}_percent")) {
                    arguments.extend([format!("--{list}"), percent.to_string()]);
                }
            }
            stop_unless_good(self.run(arguments)?)?;
        }
        let mut arguments = vec!["check".into(), dataset, "--output".into(), output.clone()];
        arguments.extend(compat);
        self.run(arguments)
    }

    fn evaluate(&self) -> Result<Outcome> {
        let weights = self.config.text("Evaluate.weight_path")?.unwrap_or("output/best_model/best_model.pdparams");
        let dataset = self.dataset()?;
        let arguments = ["evaluate", &dataset, "--model", weights, "--output", &self.output, "--device", &self.device];
        self.run(arguments.map(String::from).into())
    }

    fn predict(&self) -> Result<Outcome> {
        let Runner { config, output, .. } = self;
        warn_of_ignored(config, &PREDICT_KEYS);
        let name = official(config.text("Global.model")?)?;
        let model = config.text("Predict.model_dir")?.unwrap_or(name);
        let batch = config.count("Predict.batch_size")?.unwrap_or(1).to_string();
        let arguments =
            ["predict", "--model", model, "--save", output, "--batch-size", &batch, "--device", &self.device];
        let arguments = arguments.into_iter().map(String::from).chain(["--".into()]).chain(inputs(config)?);
        self.run(arguments.collect())
    }

    fn export(&self) -> Result<Outcome> {
        let weights = self.config.text("Export.weight_path")?;
        let weights = weights.ok_or_else(|| Error::usage("Export.weight_path is missing: set it to a .pdparams"))?;
        if is_address(weights) {
            return Err(Error::usage(format!(
                "Export.weight_path is {weights}: download it and set Export.weight_path to the file"
            )));
        }
        let arguments = ["model", "export", weights, "--output", &self.output];
        self.run(arguments.map(String::from).into())
    }
}

/// The model's name, checked to be one of PaddleX's.
fn official(name: Option<&str>) -> Result<&str> {
    let known = || OFFICIAL_MODELS.map(|model| model.name).join(", ");
    let name = name.ok_or_else(|| Error::usage(format!("Global.model is missing: set it to one of {}", known())))?;
    OfficialModel::find(name)
        .map(|model| model.name)
        .ok_or_else(|| Error::usage(format!("Global.model is `{name}`; known are {}", known())))
}

/// The paths in `Predict.input`: one path or a list. PaddleX downloads addresses; this program refuses them.
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

/// A setting that is ignored: its key, the values that need no warning, and the behaviour instead.
type Ignored = (&'static str, &'static [&'static str], &'static str);

const TRAIN_KEYS: [Ignored; 5] = [
    ("Train.amp", &["OFF"], "weights and gradients are 32 bits wide"),
    ("Train.basic_config_path", &[], "the recipe is PaddleX's own for the model"),
    ("Train.dist_ips", &[], "one machine is used"),
    ("Train.dy2st", &["false"], "there is no graph to be made of a Python program"),
    ("Train.uniform_output_enabled", &["true"], "the folder is the one that PaddleX leaves by default"),
];
const PREDICT_KEYS: [Ignored; 1] =
    [("Predict.kernel_option.run_mode", &["paddle"], "Global.device alone says what computes")];

/// Warns of settings that are ignored.
fn warn_of_ignored(config: &Config, keys: &[Ignored]) {
    for (key, nothing, instead) in keys {
        if let Some(value) = config.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), String::from);
            if !value.is_empty() && !nothing.contains(&value.as_str()) {
                note(&format!("warning: {key} is {value}, which changes nothing: {instead}"));
            }
        }
    }
}

/// Ends the work after a step that failed and has reported it.
fn stop_unless_good(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Good => Ok(()),
        Outcome::Failed(kind) => Err(Error::new(kind, "the data set could not be prepared, see above")),
    }
}

/// Writes `<mode>_result.json` as PaddleX does after a failure. `check_dataset` has written its own.
fn leave_failure(mode: &str, output: &Path, error: &Error) {
    let class = match error.kind() {
        ErrorKind::Io => "FileNotFoundError",
        ErrorKind::Usage => "AssertionError",
        _ => "Exception",
    };
    let name = if mode.is_empty() { "unknown" } else { mode };
    let result = serde_json::json!({
        "done_flag": false, "err_type": format!("<class '{class}'>"), "err_msg": error.to_string(),
    });
    let path = output.join(format!("{name}_result.json"));
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let written = std::fs::create_dir_all(output).map_err(Error::from);
    if let Err(error) =
        written.and_then(|()| if plain { OutputFile::write(&path, format!("{result:#}").as_bytes()) } else { Ok(()) })
    {
        note(&format!("note: {}: {error}", path.display()));
    }
}
