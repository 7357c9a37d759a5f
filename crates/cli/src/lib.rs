//! The program `image-feature`: its commands, their output and exit codes.
//!
//! Results go to stdout, everything else to stderr. The exit code is 0 for success, 1 where the input is at fault (missing,
//! damaged or unsuitable files), 2 for wrong usage, 3 for an error of the program or the device, 130 after Ctrl-C.
//!
//! [`main`] is the whole program as a function. The crate's binary calls it, and so does `python -m image_feature`.
//!
//! ```
//! use std::ffi::OsString;
//!
//! assert_eq!(image_feature_cli::main(["image-feature", "model", "list"].map(OsString::from)), 0);
//! assert_eq!(image_feature_cli::main(["image-feature", "unknown"].map(OsString::from)), 2);
//! ```

mod address;
#[cfg(feature = "train")]
mod config;
mod contact_sheet;
mod dataset;
mod embed;
mod evaluate;
mod finetune;
mod format;
mod gallery;
mod model;
mod official;
mod output_file;
#[cfg(feature = "train")]
mod paddlex;
mod predict;
mod recognize;
mod serve;
mod terminal;
mod threads;
#[cfg(feature = "train")]
mod train;

use std::cell::RefCell;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Parser, Subcommand};

use image_feature::{Error, ErrorKind, Model, Result};
use terminal::complain;
use threads::{default_threads, thread_count};

const INPUT_AT_FAULT: u8 = 1;
const WRONG_USAGE: u8 = 2;
const OUR_FAULT: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Image feature vectors and private visual search.
#[derive(Parser)]
#[command(name = "image-feature", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Predict(predict::PredictArgs),
    Recognize(recognize::RecognizeArgs),
    Check(dataset::check::CheckArgs),
    Convert(dataset::convert::ConvertArgs),
    Split(dataset::split::SplitArgs),
    Evaluate(evaluate::EvaluateArgs),
    Finetune(Box<finetune::FinetuneArgs>),
    #[command(subcommand)]
    Gallery(gallery::GalleryCommand),
    #[command(subcommand)]
    Model(model::ModelCommand),
    Serve(serve::ServeArgs),
    #[cfg(feature = "train")]
    Train(Box<train::TrainArgs>),
}

/// The outcome of a command that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    /// Some inputs failed, and were reported. The kind is that of the worst failure.
    Failed(ErrorKind),
}

/// Runs the program on arguments, of which the first is the program's name, and gives back the exit code.
///
/// It is meant for a process of its own: it may set a variable of the environment, a handler of signals and a hook for panics, and
/// Ctrl-C ends the process. With the feature `webgpu` it must be called before other threads start.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    silence_device_select();
    keep_panic_messages();
    #[cfg(feature = "train")]
    if paddlex::is_meant(&arguments) {
        return end(|| match paddlex::run(&arguments, &command) {
            Ok(outcome) => Ok(outcome),
            Err(paddlex::Stop::Error(error)) => Err(error),
            Err(paddlex::Stop::Usage(error)) => error.exit(),
        });
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // a failure to print cannot be reported
            return if error.use_stderr() { WRONG_USAGE } else { 0 };
        }
    };
    end(|| command(cli))
}

/// Mesa's layer that chooses a GPU asks the display server, and prints four errors where there is none. Nothing is lost without it: the
/// user's GPU is chosen by `--device`.
#[cfg(all(target_os = "linux", feature = "webgpu"))]
#[expect(unsafe_code, reason = "the environment is changed")]
fn silence_device_select() {
    let is_unset = |name: &str| std::env::var_os(name).is_none();
    if is_unset("XDG_RUNTIME_DIR") && is_unset("NODEVICE_SELECT") {
        // SAFETY: no other thread runs yet that could read the environment.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

#[cfg(not(all(target_os = "linux", feature = "webgpu")))]
fn silence_device_select() {}

/// Runs a command.
fn command(cli: Cli) -> Result<Outcome> {
    match cli.command {
        Command::Predict(args) => predict::run(args),
        Command::Recognize(args) => recognize::run(args),
        Command::Check(args) => dataset::check::run(args),
        Command::Convert(args) => dataset::convert::run(args),
        Command::Split(args) => dataset::split::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Finetune(args) => finetune::run(*args).map(|()| Outcome::Good),
        Command::Gallery(command) => gallery::run(command),
        Command::Model(command) => model::run(command),
        Command::Serve(args) => serve::run(args),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(*args),
    }
}

/// Runs to the end, reports errors, and gives the exit code.
fn end(run: impl FnOnce() -> Result<Outcome>) -> u8 {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(Outcome::Good)) => 0,
        Ok(Ok(Outcome::Failed(kind))) => exit_code(kind),
        Ok(Err(error)) => {
            complain(&error);
            exit_code(error.kind())
        }
        Err(_) => {
            let what = take_panic_message();
            complain(&format!(
                "this is a bug in image-feature, please report it: {what} (RUST_BACKTRACE=1 shows where)"
            ));
            OUR_FAULT
        }
    }
}

fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Decode
        | ErrorKind::Unsupported
        | ErrorKind::Limit
        | ErrorKind::Model
        | ErrorKind::Gallery
        | ErrorKind::Io => INPUT_AT_FAULT,
        ErrorKind::Usage => WRONG_USAGE,
        ErrorKind::Cancelled => INTERRUPTED,
        // `Device`, `Internal`, and kinds that are added later
        _ => OUR_FAULT,
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic for the code that catches it, instead of printing it over several lines.
fn keep_panic_messages() {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), |place| format!(" at {place}"));
        let message = panic.payload_as_str().unwrap_or("panic");
        PANIC.with_borrow_mut(|kept| *kept = Some(format!("{message}{place}")));
    }));
}

/// The message of the panic that was caught last on this thread.
fn take_panic_message() -> String {
    PANIC.with_borrow_mut(Option::take).unwrap_or_else(|| "a thread panicked".into())
}

/// Reads the model of `--model`: a path or a name; by default the larger one of those that come with the program.
fn open_model(model: Option<&std::path::Path>) -> Result<Model, Error> {
    match model {
        None => Model::bundled(),
        Some(model) => match model.to_str().and_then(Model::of_name) {
            Some(bundled) => bundled,
            None => Model::open(&official::locate(model)?),
        },
    }
}
