//! Everything that a run writes: its folder, log, records and curve, and the events for its caller.

use std::path::{Path, PathBuf};

use super::{Event, Run};
use crate::metrics::Scores;
use crate::train::config::{self, Places};
use crate::train::curve::{self, Row};
use crate::train::earlier;
use crate::train::folder::{Files, Folder};
use crate::train::log::Log;
use crate::train::recipe::Objective;
use crate::train::visual_dl::VisualDl;
use crate::{Error, Result};

/// The table of the epochs.
const CURVE: &str = "train_curve.csv";

/// The files of a run in progress, and its caller.
pub(super) struct Output<'w> {
    folder: Folder,
    /// The folder's absolute path, for messages.
    shown: String,
    pub log: Log,
    pub records: VisualDl,
    /// The epochs so far, those of an earlier run first.
    rows: Vec<Row>,
    watch: &'w mut dyn FnMut(Event),
}

impl<'w> Output<'w> {
    /// Opens the folder, deletes what a new run replaces there, and writes the configuration.
    pub fn open(run: &mut Run, watch: &'w mut dyn FnMut(Event)) -> Result<Self> {
        let options = run.options;
        let folder = Folder::open(&options.output, &run.recipe.model.name)?;
        let resumed = run.epochs_done > 0;
        // once more, now that no other run can begin in the folder
        let from = options.resume.as_deref().map(earlier::stem).transpose()?;
        earlier::check(&options.output, from.as_deref(), options.overwrite)?;
        if options.overwrite || !resumed {
            earlier::delete(folder.path(), options.overwrite)?;
        }
        let log = Log::open(&folder.path().join("train.log"), resumed)?;
        let records = VisualDl::create(folder.path())?;
        let shown = std::path::absolute(folder.path())?.display().to_string();
        let rows = if resumed { earlier_rows(folder.path(), run) } else { Vec::new() };
        let mut output = Output { folder, shown, log, records, rows, watch };
        output.describe(run)?;
        output.folder.begin()?;
        let device = &run.device;
        output.log.line(&format!("train with image-feature {} and device {device}", env!("CARGO_PKG_VERSION")))?;
        for note in std::mem::take(&mut run.notes) {
            output.log.warn(&note)?;
            output.tell(Event::Note(note));
        }
        output.tell(Event::Begin(run.begin()));
        Ok(output)
    }

    /// Writes the configuration into the log and into `config.yaml`.
    fn describe(&mut self, run: &Run) -> Result<()> {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let (resume, pretrained) = (text(&run.options.resume), text(&run.options.pretrained));
        let places = Places {
            dataset: &std::path::absolute(&run.dataset)?.display().to_string(),
            output: &self.shown,
            resume: resume.as_deref(),
            pretrained: pretrained.as_deref(),
            device: run.device.split(' ').next().unwrap_or("cpu"),
        };
        let config = config::yaml(run.recipe, &places);
        config.lines().try_for_each(|line| self.log.line(line))?;
        self.folder.write("config.yaml", config.as_bytes())
    }

    /// Reports an event to the caller.
    pub fn tell(&mut self, event: Event) {
        (self.watch)(event);
    }

    /// The epoch and recall@1 of the best evaluation of the run that this one continues.
    pub fn earlier_best(&self, epochs_done: usize) -> Option<(usize, f64)> {
        if epochs_done == 0 {
            return None;
        }
        let info = std::fs::read(self.folder.path().join("best_model/best_model.info.json")).ok()?;
        let info: serde_json::Value = serde_json::from_slice(&info).ok()?;
        let epoch = info["epoch"].as_u64()? as usize;
        (epoch <= epochs_done).then(|| Some((epoch, info["metric"].as_f64()?)))?
    }

    /// Notes the best checkpoint in the list of results.
    pub fn list_best(&mut self, score: f64) -> Result<()> {
        self.folder.list_best(score)
    }

    /// Notes the checkpoint `epoch_N` in the list of results.
    pub fn list_epoch(&mut self, epoch: usize, score: f64, done: bool) -> Result<()> {
        self.folder.list_epoch(epoch, score, done)
    }

    /// Saves a checkpoint into the folder `prefix`.
    pub fn save(&mut self, prefix: &str, files: &Files) -> Result<()> {
        let shown = &self.shown;
        self.folder.replace(prefix, files)?;
        self.log.line(&format!("Already save model in {shown}/{prefix}/{prefix}"))?;
        let path = self.folder.path().join(prefix);
        if path.join("inference").exists() {
            self.log.line(&format!(
                "Export succeeded! The inference model exported has been saved in \"{shown}/{prefix}/inference/inference\"."
            ))?;
        }
        self.log.line(&format!("Already save model info in {shown}/{prefix}"))?;
        self.tell(Event::Saved(path));
        Ok(())
    }

    /// Adds an epoch to the curve, and writes it.
    pub fn add_row(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        self.folder.write(CURVE, curve::csv(&self.rows).as_bytes())?;
        self.folder.write("train_curve.svg", curve::svg(&self.rows).as_bytes())
    }

    /// Writes the scores as PaddleClas does.
    pub fn log_scores(&mut self, epoch: usize, run: &Run, scores: &Scores) -> Result<()> {
        let dimension = run.recipe.model.dimension();
        for (what, samples) in [("gallery", run.evaluation.gallery()), ("query", run.evaluation.queries())] {
            self.log.line(&format!("Build {what} done, all feat shape: [{}, {dimension}]", samples.len()))?;
        }
        self.log.line("re_ranking=False")?;
        let number = |value: f32| if value.is_nan() { "nan".into() } else { format!("{value:.5}") };
        self.log.line(&format!(
            "[Eval][Epoch {epoch}][Avg]recall1: {}, recall5: {}, mAP: {}",
            number(recall_at(scores, 1)),
            number(recall_at(scores, 5)),
            number(scores.map)
        ))
    }

    /// Notes in the log and tells the caller in which epoch the run stops. Gives the reason back.
    pub fn stopped(&mut self, error: Error, epoch: usize, kept: Option<usize>) -> Error {
        let left = match kept {
            Some(kept) => format!("`latest` has epoch {kept}"),
            None => "no checkpoint was written yet".into(),
        };
        // the caller gets the reason for the stop, even if the disk is full and the log cannot be written
        let _ = self.log.warn(&format!("{error}; {left}"));
        self.tell(Event::Stopped { epoch, kept });
        error
    }
}

/// The epochs of the run that this one continues.
fn earlier_rows(folder: &Path, run: &Run) -> Vec<Row> {
    let names: &[&'static str] = match run.recipe.objective {
        Objective::Linear { .. } => &["CELoss", "TripletAngularMarginLoss", "loss"],
        Objective::Angles(_) => &["CELoss", "loss"],
    };
    let text = std::fs::read_to_string(folder.join(CURVE));
    let mut rows = text.map_or(Vec::new(), |text| curve::parse(&text, names));
    rows.retain(|row: &Row| row.epoch <= run.epochs_done);
    rows
}

/// The recall among the `k` nearest; NaN if it was not computed.
pub(super) fn recall_at(scores: &Scores, k: usize) -> f32 {
    scores.recall.iter().find(|(at, _)| *at == k).map_or(f32::NAN, |(_, value)| *value)
}
