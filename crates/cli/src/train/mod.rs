//! `image-feature train`: trains a model on a data set.

mod args;
mod devices;
mod memory;
mod recipe;
mod resume;
mod watcher;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use self::args::TrainArgs;
pub use self::devices::paddle_device;
use self::memory::keep_freed_memory;
pub use self::recipe::is_address;
use self::recipe::{path, pretrained, recipe};
use self::resume::go_on_command;
use self::watcher::{Watcher, hours};
use super::Outcome;
use super::output_file::delete_unfinished_unless;
use super::terminal::{Stdout, note};
use crate::config::Config;
use image_feature::error::Context;
use image_feature::file_tree::FileTree;
use image_feature::train::{Begin, Event, Recipe, Run, RunOptions, Summary};
use image_feature::{DeviceRequest, Result};

pub fn run(args: TrainArgs) -> Result<Outcome> {
    let config = match &args.config {
        None => Config::parse(b"{}")?,
        Some(path) => read_config(path)?,
    };
    run_with(args, config)
}

/// Reads a file of settings.
pub fn read_config(path: &Path) -> Result<Config> {
    let bytes = std::fs::read(path).context(|| path.display().to_string())?;
    Config::parse(&bytes).context(|| path.display().to_string())
}

fn run_with(args: TrainArgs, mut config: Config) -> Result<Outcome> {
    keep_freed_memory();
    let (stop, running) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    stop_on_interrupt(stop.clone(), running.clone());
    for option in &args.options {
        if let Some(warning) = config.set(option)? {
            note(&format!("warning: {warning}"));
        }
    }
    let tree: Arc<dyn FileTree> = Arc::from(args.dataset.open()?);
    let recipe = recipe(&args, &config, tree.as_ref())?;
    let overwrites = config.flag("Train.overwrite")?;
    let options = RunOptions {
        overwrite: args.overwrite || overwrites,
        resume: args.resume.clone().or(path(&config, "Train.resume_path")?),
        pretrained: args.pretrained.clone().or(pretrained(&config)?),
        devices: args.device.clone().map_or(vec![DeviceRequest::Cpu], |devices| devices.0),
        threads: args.threads.map(usize::from),
        cache: args.cache.saturating_mul(1 << 20),
        ignore_disk: args.ignore_disk,
        stop,
        ..RunOptions::new(&args.output)
    };
    let run = Run::prepare(&tree, &recipe, &options)?;
    if !args.quiet {
        note(&introduction(&recipe, &run.begin()));
    }
    if args.dry_run {
        return rehearse(run);
    }
    let mut watcher = Watcher::new(&recipe, run.begin(), args.quiet);
    running.store(true, Ordering::Relaxed);
    let mut kept = None;
    let summary = run.start(&mut |event| {
        if let Event::Stopped { kept: epoch, .. } = event {
            kept = Some(epoch);
        }
        watcher.take(event);
    });
    watcher.finish();
    if let Some(kept) = kept {
        let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let command = go_on_command(&arguments, kept.map(|_| args.output.as_path()), overwrites);
        note(&match kept {
            Some(epoch) => format!("{} has epoch {epoch}. To go on:", args.output.join("latest").display()),
            None => "nothing of this run is saved yet. To begin again:".into(),
        });
        note(&format!("  {command}"));
    }
    let summary = summary?;
    Stdout::default().line(&outcome(&summary, &args.output))?;
    Ok(Outcome::Good)
}

/// The first Ctrl-C ends a run after its batch. A second one, and one while nothing runs, ends the program.
fn stop_on_interrupt(stop: Arc<AtomicBool>, running: Arc<AtomicBool>) {
    delete_unfinished_unless(move || {
        let stops = running.load(Ordering::Relaxed) && !stop.swap(true, Ordering::Relaxed);
        if stops {
            note("stopping after this batch; once more to stop at once");
        }
        stops
    });
}

fn introduction(recipe: &Recipe, begin: &Begin) -> String {
    let [train, gallery, query] = begin.images;
    let [height, width] = recipe.model.input_size();
    format!(
        "{}: {:.2} million parameters, {width}x{height} pixels, on {}; {train} images of {} classes, evaluated with {query} \
         queries in a gallery of {gallery}; epochs {} to {} of {} batches; up to {:.0} MB of checkpoints{}",
        recipe.model.name,
        begin.parameters as f64 / 1e6,
        begin.device,
        begin.classes,
        begin.epochs_done + 1,
        recipe.epochs,
        begin.iterations_per_epoch,
        begin.disk_bytes as f64 / 1e6,
        begin.disk_free.map_or(String::new(), |free| format!(", {:.0} MB are free", free as f64 / 1e6)),
    )
}

fn rehearse(run: Run) -> Result<Outcome> {
    let rehearsal = run.rehearse()?;
    let losses = rehearsal.losses.iter().map(|(name, value)| format!("{name} {value:.4}"));
    let mut stdout = Stdout::default();
    stdout.line(&format!(
        "a batch takes {:.2} s: {}",
        rehearsal.step_seconds,
        losses.collect::<Vec<_>>().join(", ")
    ))?;
    for unreadable in &rehearsal.unreadable {
        note(&format!("cannot be read: {unreadable}"));
    }
    stdout.line(&format!("the whole run will take about {}", hours(rehearsal.whole_seconds)))?;
    Ok(Outcome::Good)
}

fn outcome(summary: &Summary, output: &Path) -> String {
    match summary.best {
        Some((epoch, score)) => {
            format!("best: recall@1 {score:.5} after epoch {epoch}, in {}", output.join("best_model").display())
        }
        None => format!("never evaluated; the last weights are in {}", output.join("latest").display()),
    }
}
