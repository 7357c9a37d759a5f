//! What `predict` and `recognize` tell: results as they come, and failures at the end.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::save::{self, Prediction, Saver};
use crate::Outcome;
use crate::embed::{Content, Damaged, Embedded, Inputs, Origin, Remarks};
use crate::format::{numpy, python};
use crate::terminal::{Progress, Stdout, complain, note};
use image_feature::{Error, ErrorKind, Result};

/// What was computed of an image, and the damage of its file.
pub struct Predicted {
    pub prediction: Prediction,
    pub damage: Option<String>,
}

impl Predicted {
    /// The feature of an image.
    pub fn of_feature(Embedded { feature, damage, .. }: Embedded) -> Self {
        Predicted { prediction: Prediction::Feature(feature), damage }
    }
}

/// Prints and saves results as they come, and reports failures at the end.
pub struct Report {
    json: bool,
    quiet: bool,
    stdout: Stdout,
    pub progress: Progress,
    pub saver: Option<Saver>,
    saved_to: Option<PathBuf>,
    embedded: u64,
    damaged: Damaged,
    failures: Vec<(Origin, Error)>,
    remarks: Remarks,
}

impl Report {
    /// A report that has nothing to tell yet. The folder of `save` is made when there is a saver.
    pub fn new(inputs: &Inputs, save: Option<&Path>, json: bool, quiet: bool) -> Self {
        Report {
            json,
            quiet,
            stdout: Stdout::default(),
            progress: Progress::new(inputs.count(), quiet),
            saver: None,
            saved_to: save.map(Path::to_path_buf),
            embedded: 0,
            damaged: Damaged::default(),
            failures: Vec::new(),
            remarks: inputs.remarks(),
        }
    }

    /// Prints and saves a result, or keeps the reason why there is none.
    pub fn add(&mut self, origin: Origin, result: Result<Predicted>) -> Result<()> {
        match result {
            Ok(Predicted { prediction, damage }) => {
                if let Some(saver) = &mut self.saver {
                    saver.save(&origin, &prediction)?;
                }
                let line = if self.json {
                    save::json_line(&origin.input_path, &prediction, damage.as_deref())
                } else {
                    paddlex_line(&origin.input_path, &prediction)
                };
                self.progress.suspend(|| self.stdout.line(&line))?;
                self.embedded += 1;
                if let Some(damage) = damage {
                    self.damaged.add(&origin.input_path, &damage);
                }
            }
            Err(error) => {
                if self.json {
                    let line = failure_json(&origin.input_path, &error);
                    self.progress.suspend(|| self.stdout.line(&line))?;
                }
                self.failures.push((origin, error));
            }
        }
        self.progress.advance();
        Ok(())
    }

    /// Reports inputs of which none can be read, before a model is loaded.
    pub fn all_failed(mut self, inputs: Inputs) -> Result<Outcome> {
        let mut told = Ok(());
        inputs.for_each(|item| {
            if let Content::Failed(error) = item.content {
                told = self.add(item.origin, Err(error));
            }
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        told?;
        self.finish()
    }

    /// Tells something about an image at once.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            self.progress.suspend(|| note(text));
        }
    }

    /// Whether the reader of stdout is gone and nothing is saved.
    pub fn is_unwanted(&self) -> bool {
        self.stdout.is_closed() && self.saver.is_none()
    }

    /// Tells what is to be told at the end.
    pub fn finish(mut self) -> Result<Outcome> {
        if let Some(saver) = &mut self.saver {
            saver.finish()?;
        }
        let took = self.progress.finish().as_secs_f64();
        if !self.quiet && self.embedded > 0 {
            let saved = self.saved_to.map_or(String::new(), |folder| format!(", saved in {}", folder.display()));
            let replaced = match self.saver.map_or(0, |saver| saver.replaced) {
                0 => String::new(),
                replaced => format!(" ({replaced} files of an earlier run replaced)"),
            };
            let plural = if self.embedded == 1 { "" } else { "s" };
            note(&format!("{} image{plural} in {took:.1} s{saved}{replaced}", self.embedded));
        }
        if let Some(warning) = self.damaged.note(self.embedded) {
            note(&warning);
        }
        if !self.quiet {
            self.remarks.tell();
        }
        let mut worst = None;
        for (origin, error) in &self.failures {
            complain(&format!("{}: {error}", origin.input_path));
            if worst.is_none() || error.kind() == ErrorKind::Internal {
                worst = Some(error.kind());
            }
        }
        let Some(worst) = worst else { return Ok(Outcome::Good) };
        let inputs = self.failures.len() as u64 + self.embedded;
        if inputs > 1 {
            complain(&format!("{} of {inputs} inputs failed, see above", self.failures.len()));
        }
        // every kind but `Internal` is the fault of an input
        Ok(Outcome::Failed(if worst == ErrorKind::Internal { worst } else { ErrorKind::Decode }))
    }
}

/// A result as `res.print()` of PaddleX 3.x prints it.
pub fn paddlex_line(input_path: &str, prediction: &Prediction) -> String {
    match prediction {
        Prediction::Feature(feature) => format!(
            "{{'res': {{'input_path': {}, 'page_index': None, 'feature': {}}}}}",
            python::string_repr(input_path),
            numpy::array_repr(feature)
        ),
        Prediction::Objects(objects) => format!("{{'res': {}}}", objects.value(input_path).repr()),
    }
}

fn failure_json(input_path: &str, error: &Error) -> String {
    format!(
        "{{\"input_path\": {}, \"error\": {}, \"kind\": \"{}\"}}",
        save::json_string(input_path),
        save::json_string(&error.to_string()),
        error.kind().as_str()
    )
}
