//! The folder of a run: checkpoints, which are replaced atomically, and `train_results.json`, their list.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Schedule;
use super::earlier::{NEW, OLD, State, parse};
use super::team::Team;
use crate::error::Context;
use crate::output_file::OutputFile;
use crate::weights::Dtype;
use crate::weights::checkpoint::{Progress, Rate, pdopt, pdparams, pdstates};
use crate::{Error, Result};

/// Numbered checkpoints in the list of results.
const LISTED: usize = 5;

/// The folder of a run.
pub(super) struct Folder {
    path: PathBuf,
    model: String,
    /// The checkpoints `epoch_N`: epoch and score, newest last.
    saved: Vec<(usize, f64)>,
    /// The best score.
    best: Option<f64>,
    /// Keeps other runs out while it is open.
    #[expect(dead_code, reason = "it is held, not read")]
    lock: Option<File>,
}

/// The files of a checkpoint in memory: name and content.
pub(super) type Files = Vec<(String, Vec<u8>)>;

impl Folder {
    /// Opens or creates the folder. Repairs a checkpoint that was interrupted during its replacement.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) while another run writes the folder,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be made or repaired.
    pub fn open(path: &Path, model: &str) -> Result<Self> {
        fs::create_dir_all(path).context(|| format!("{}: the folder cannot be made", path.display()))?;
        let lock = lock(path)?;
        let folder = Folder { path: path.to_path_buf(), model: model.into(), saved: Vec::new(), best: None, lock };
        folder.recover()?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes half-written checkpoints, and renames an old one back if the new one is not complete.
    fn recover(&self) -> Result<()> {
        let in_folder = || self.path.display().to_string();
        for entry in fs::read_dir(&self.path).context(in_folder)? {
            let entry = entry.context(in_folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((prefix, state)) = parse(&name).filter(|_| entry.path().is_dir()) else { continue };
            let target = self.path.join(prefix);
            match state {
                State::InPlace => Ok(()),
                State::Displaced if !target.exists() => fs::rename(entry.path(), target),
                State::Displaced | State::Unfinished => fs::remove_dir_all(entry.path()),
            }
            .context(in_folder)?;
        }
        Ok(())
    }

    /// Replaces the folder `prefix` by one with these files. At every moment the old or the new files are complete on the
    /// disk. If the machine stops in between, [`open`](Self::open) repairs the folder.
    pub fn replace(&self, prefix: &str, files: &Files) -> Result<()> {
        let target = self.path.join(prefix);
        let shown = || target.display().to_string();
        let [new, old] = [NEW, OLD].map(|end| self.path.join(format!(".{prefix}{end}")));
        for left in [&new, &old] {
            if left.exists() {
                fs::remove_dir_all(left).context(shown)?;
            }
        }
        for (name, bytes) in files {
            let path = new.join(name);
            let write = || {
                fs::create_dir_all(path.parent().unwrap_or(&new))?;
                let mut file = File::create(&path)?;
                file.write_all(bytes)?;
                file.sync_all()
            };
            write().context(shown)?;
        }
        walkdir::WalkDir::new(&new)
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_dir())
            .for_each(|entry| flush(entry.path()));
        if target.exists() {
            fs::rename(&target, &old).context(shown)?;
        }
        fs::rename(&new, &target).context(shown)?;
        if old.exists() {
            fs::remove_dir_all(&old).context(shown)?;
        }
        flush(&self.path);
        Ok(())
    }

    /// Writes a file atomically.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = OutputFile::create(self.path.join(name))?;
        file.write_all(bytes).context(|| name.into())?;
        file.commit()
    }

    /// Removes the list of an earlier run.
    pub fn begin(&self) -> Result<()> {
        let path = self.path.join(RESULTS);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(|| path.display().to_string())
            }
            _ => Ok(()),
        }
    }

    /// Adds a checkpoint `epoch_N` to the list, and writes it.
    pub fn list_epoch(&mut self, epoch: usize, score: f64, done: bool) -> Result<()> {
        self.saved.retain(|(other, _)| *other != epoch);
        self.saved.push((epoch, score));
        self.write_list(done)
    }

    /// Sets the best checkpoint in the list, and writes it.
    pub fn list_best(&mut self, score: f64) -> Result<()> {
        self.best = Some(score);
        self.write_list(false)
    }

    fn write_list(&self, done: bool) -> Result<()> {
        let entry = |prefix: &str, score: f64| -> Value {
            let mut entry = Map::new();
            entry.insert("score".into(), json!(score));
            for extension in ["pdparams", "pdopt", "pdstates"] {
                entry.insert(extension.into(), format!("{prefix}/{prefix}.{extension}").into());
            }
            for (key, file) in [
                ("inference_config", "inference.yml"),
                ("pdmodel", "inference.json"),
                ("pdiparams", "inference.pdiparams"),
            ] {
                if self.path.join(prefix).join("inference").join(file).exists() {
                    entry.insert(key.into(), format!("{prefix}/inference/{file}").into());
                }
            }
            Value::Object(entry)
        };
        let mut models = Map::new();
        let newest: Vec<_> = self.saved.iter().rev().collect();
        for place in 0..LISTED {
            let saved = newest.get(place).map(|(epoch, score)| entry(&format!("epoch_{epoch}"), *score));
            models.insert(format!("last_{}", place + 1), saved.unwrap_or_else(|| json!({})));
        }
        models.insert("best".into(), self.best.map_or_else(|| json!({}), |score| entry("best_model", score)));
        let list = json!({
            "model_name": self.model, "label_dict": "", "train_log": "train.log", "visualdl_log": "",
            "config": "config.yaml", "models": models, "done_flag": done,
        });
        self.write(RESULTS, list.to_string().as_bytes())
    }
}

/// Keeps other runs out of a folder, where the system has locks on folders.
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::Error(_)) => Ok(None),
        Err(TryLockError::WouldBlock) => Err(Error::usage(format!(
            "{}: another run is writing into this folder; wait for its end, or give another --output",
            path.display()
        ))),
    }
}

/// Flushes a folder to the disk, where the system can.
fn flush(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// The list of checkpoints.
const RESULTS: &str = "train_results.json";

/// The files of the checkpoint `prefix`.
pub(super) fn files(
    team: &Team,
    schedule: &Schedule,
    iterations: usize,
    prefix: &str,
    progress: Progress,
) -> Result<Files> {
    let model = team.model()?;
    if let Some((name, _)) =
        model.tensors.iter().find(|(_, tensor)| tensor.values.iter().any(|value| !value.is_finite()))
    {
        return Err(Error::usage(format!(
            "training has diverged: `{name}` is no longer finite. It is not saved; start again with a lower \
             learning rate or a longer warm-up"
        )));
    }
    let rate = Rate { steps: iterations, warm_up: schedule.warm_up(), rate: schedule.at(iterations) };
    let weights = pdparams(&model);
    let info = json!({ "metric": progress.metric, "epoch": progress.epoch });
    let mut files = vec![
        (format!("{prefix}.pdopt"), pdopt(&model, &team.velocities()?, rate)),
        (format!("{prefix}.pdstates"), pdstates(progress)),
        (format!("{prefix}.info.json"), info.to_string().into_bytes()),
        (format!("{prefix}.safetensors"), model.to_safetensors(Dtype::F32)?),
    ];
    files.extend(model.to_paddle()?.into_iter().map(|(name, bytes)| (format!("inference/{name}"), bytes)));
    if prefix == "best_model" {
        files.push(("best_model/model.pdparams".into(), weights.clone()));
    }
    files.push((format!("{prefix}.pdparams"), weights));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(path: &Path) -> String {
        fs::read_to_string(path.join("latest/a")).unwrap()
    }

    /// A stop at any step of a replacement leaves the old files or the new ones.
    #[test]
    fn a_stopped_replacement_leaves_a_whole_checkpoint() {
        let files = |text: &str| vec![("a".to_string(), text.into()), ("b/c".to_string(), text.into())];
        let fresh = || {
            let out = temp_dir::TempDir::new().unwrap();
            let folder = Folder::open(out.path(), "m").unwrap();
            folder.replace("latest", &files("old")).unwrap();
            (out, folder)
        };
        let stopped = |prepare: fn(&Path)| {
            let (out, folder) = fresh();
            prepare(out.path());
            drop(folder);
            let folder = Folder::open(out.path(), "m").unwrap();
            let found = content(out.path());
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing else is left");
            folder.replace("latest", &files("newer")).unwrap();
            assert_eq!(content(out.path()), "newer");
            found
        };
        let half = |out: &Path| {
            fs::create_dir(out.join(".latest.new")).unwrap();
            fs::write(out.join(".latest.new/a"), "ne").unwrap();
        };
        assert_eq!(stopped(half), "old");
        assert_eq!(stopped(|out| fs::rename(out.join("latest"), out.join(".latest.old")).unwrap()), "old");
        assert_eq!(
            stopped(|out| {
                fs::rename(out.join("latest"), out.join(".latest.old")).unwrap();
                fs::create_dir(out.join("latest")).unwrap();
                fs::write(out.join("latest/a"), "new").unwrap();
            }),
            "new"
        );
    }

    #[cfg(unix)]
    #[test]
    fn one_run_at_a_time() {
        let out = temp_dir::TempDir::new().unwrap();
        let first = Folder::open(out.path(), "m").unwrap();
        let second = Folder::open(out.path(), "m").err().unwrap().to_string();
        assert!(second.contains("another run is writing into this folder"), "{second}");
        drop(first);
        Folder::open(out.path(), "m").unwrap();
    }

    /// Folders of others, whose names only look alike, stay.
    #[test]
    fn a_repair_touches_checkpoints_only() {
        let out = temp_dir::TempDir::new().unwrap();
        let names = [".git.old", ".notes.new", ".epoch_x.new", "latest.old"];
        names.iter().for_each(|name| fs::create_dir(out.path().join(name)).unwrap());
        fs::write(out.path().join(".latest.new"), "a file").unwrap();
        fs::create_dir(out.path().join(".epoch_7.new")).unwrap();
        Folder::open(out.path(), "m").unwrap();
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), names.len() + 1);
    }

    #[test]
    fn the_list_has_the_newest_five() {
        let out = temp_dir::TempDir::new().unwrap();
        let mut folder = Folder::open(out.path(), "m").unwrap();
        folder.list_best(1.0).unwrap();
        for epoch in 1..=7 {
            folder.list_epoch(epoch, 0.5, epoch == 7).unwrap();
        }
        let list: Value = serde_json::from_slice(&fs::read(out.path().join(RESULTS)).unwrap()).unwrap();
        assert_eq!(list["done_flag"], true);
        assert_eq!(list["models"]["last_1"]["pdparams"], "epoch_7/epoch_7.pdparams");
        assert_eq!(list["models"]["last_5"]["pdopt"], "epoch_3/epoch_3.pdopt");
        assert_eq!(list["models"]["best"]["score"], 1.0);
    }
}
