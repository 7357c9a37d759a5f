//! What a run has left in a folder: its checkpoints, also those that a kill left under another name, and its other files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Context;
use crate::weights::checkpoint::read_pdstates;
use crate::{Error, Result};

/// Ending of the name of a folder that will replace a checkpoint.
pub(super) const NEW: &str = ".new";
/// Ending of the name of a checkpoint while it is replaced.
pub(super) const OLD: &str = ".old";

/// Checkpoints besides `epoch_N`.
const NAMED: [&str; 2] = ["latest", "best_model"];
/// The other files of a run, besides `vdlrecords.*.log`.
const FILES: [&str; 5] = ["config.yaml", "train.log", "train_curve.csv", "train_curve.svg", "train_results.json"];

/// The state of a checkpoint's folder, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has its own name.
    InPlace,
    /// It was about to be replaced.
    Displaced,
    /// It was being written.
    Unfinished,
}

/// The checkpoint that a folder of this name holds.
pub(super) fn parse(name: &str) -> Option<(&str, State)> {
    let (prefix, state) = match name.strip_prefix('.') {
        None => (name, State::InPlace),
        Some(hidden) => match hidden.strip_suffix(OLD) {
            Some(prefix) => (prefix, State::Displaced),
            None => (hidden.strip_suffix(NEW)?, State::Unfinished),
        },
    };
    (NAMED.contains(&prefix) || epoch_of(prefix).is_some()).then_some((prefix, state))
}

/// The number of `epoch_N`.
pub(super) fn epoch_of(prefix: &str) -> Option<usize> {
    let number = prefix.strip_prefix("epoch_")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// A checkpoint's folder in the folder of a run.
struct Checkpoint {
    path: PathBuf,
    prefix: String,
    state: State,
}

impl Checkpoint {
    /// All in the folder of a run, which need not exist.
    fn all(run: &Path) -> Vec<Checkpoint> {
        let entries = fs::read_dir(run).into_iter().flatten().flatten();
        let checkpoints = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (prefix, state) = parse(&name)?;
            let path = entry.path();
            path.is_dir().then(|| Checkpoint { path, prefix: prefix.into(), state })
        });
        checkpoints.collect()
    }

    /// All whose files were written to the end.
    fn whole(run: &Path) -> Vec<Checkpoint> {
        let mut all = Self::all(run);
        all.retain(|checkpoint| checkpoint.state != State::Unfinished);
        all
    }

    /// The epoch, if all files that a run needs to go on are there.
    fn epoch(&self) -> Option<usize> {
        let stem = stem_in(&self.path)?;
        let file = |extension: &str| PathBuf::from(format!("{}.{extension}", stem.display()));
        file("pdopt").is_file().then_some(())?;
        Some(read_pdstates(&fs::read(file("pdstates")).ok()?).ok()?.epoch)
    }
}

/// The path of the files in a checkpoint's folder, without extension.
fn stem_in(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_string_lossy();
    let stem = folder.join(parse(&name).map_or(&*name, |(prefix, _)| prefix));
    PathBuf::from(format!("{}.pdparams", stem.display())).is_file().then_some(stem)
}

/// The name that a checkpoint has while it is replaced.
fn displaced(folder: &Path) -> Option<PathBuf> {
    Some(folder.with_file_name(format!(".{}{OLD}", folder.file_name()?.to_string_lossy())))
}

/// The path of a checkpoint's files without extension. `path` is one of the files, their folder, or the folder of a run. Of a run
/// it is the last checkpoint: `latest`, by its own name or the one that a kill during its replacement leaves; where it was not
/// yet written, the one of the latest epoch.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) where the folder has no checkpoint.
pub(super) fn stem(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        // the folder's name, also for `.`
        let path = fs::canonicalize(path).context(|| path.display().to_string())?;
        return stem_in(&path).or_else(|| last_of(&path)).ok_or_else(|| {
            Error::model(format!("{}: no checkpoint in this folder; expected latest/latest.pdparams", path.display()))
        });
    }
    let text = path.to_string_lossy();
    let stem = PathBuf::from(text.strip_suffix(".pdparams").unwrap_or(&text));
    if PathBuf::from(format!("{}.pdparams", stem.display())).is_file() {
        return Ok(stem);
    }
    let folders = [Some(path), path.parent()].into_iter().flatten();
    Ok(folders.filter_map(displaced).find_map(|folder| stem_in(&folder)).unwrap_or(stem))
}

fn last_of(run: &Path) -> Option<PathBuf> {
    let latest = run.join(NAMED[0]);
    stem_in(&latest).or_else(|| stem_in(&displaced(&latest)?)).or_else(|| {
        let others = Checkpoint::whole(run).into_iter();
        let others = others.filter_map(|checkpoint| Some((checkpoint.epoch()?, checkpoint)));
        let (_, last) = others.max_by_key(|(epoch, checkpoint)| (*epoch, epoch_of(&checkpoint.prefix)))?;
        stem_in(&last.path)
    })
}

/// Epochs after this one whose checkpoints are in the folder of a run, in order.
pub(super) fn later_epochs(run: &Path, epoch: usize) -> Vec<usize> {
    let all = Checkpoint::whole(run);
    let mut later: Vec<usize> = all.iter().filter_map(|checkpoint| epoch_of(&checkpoint.prefix)).collect();
    later.retain(|other| *other > epoch);
    later.sort_unstable();
    later.dedup();
    later
}

/// Whether a checkpoint, by the path of its files, lies in the folder of a run.
pub(super) fn is_of(stem: &Path, run: &Path) -> bool {
    let Ok(run) = fs::canonicalize(run) else { return false };
    let folders = stem.ancestors().skip(1).take(2);
    folders.filter_map(|folder| fs::canonicalize(folder).ok()).any(|folder| folder == run)
}

/// Refuses a folder with the checkpoints of a run that would be lost: of another than the one that goes on from `resumed`, unless
/// it is to be overwritten.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage), with what to do.
pub(super) fn check(output: &Path, resumed: Option<&Path>, overwrite: bool) -> Result<()> {
    let shown = output.display();
    let mut found: Vec<String> = Checkpoint::whole(output).into_iter().map(|checkpoint| checkpoint.prefix).collect();
    found.sort_by_key(|prefix| (epoch_of(prefix), prefix.clone()));
    found.dedup();
    let Some(first) = found.first() else { return Ok(()) };
    if let Some(resumed) = resumed.filter(|stem| is_of(stem, output)) {
        return match overwrite {
            false => Ok(()),
            true => Err(Error::usage(format!(
                "{shown}: --overwrite would delete {}, from which this run is to go on; leave it out, or give another --output",
                resumed.display()
            ))),
        };
    }
    if overwrite {
        return check_files(output);
    }
    let others = found.len() - 1;
    let more = if others == 0 { String::new() } else { format!(" and {others} more checkpoints") };
    Err(Error::usage(format!(
        "{shown}: holds a run already ({first}{more}): go on with it (--resume {shown}), keep it and give another folder \
         (--output), or delete it (--overwrite). With PaddleX's settings: Train.resume_path, Global.output, Train.overwrite"
    )))
}

/// Refuses to delete files that no run has written.
fn check_files(run: &Path) -> Result<()> {
    for checkpoint in Checkpoint::whole(run) {
        let foreign = walkdir::WalkDir::new(&checkpoint.path).min_depth(1).into_iter().flatten().find(|entry| {
            let below = entry.path().strip_prefix(&checkpoint.path).unwrap_or(entry.path());
            !entry.file_type().is_dir() && !is_written(&checkpoint.prefix, &below.to_string_lossy())
        });
        if let Some(foreign) = foreign {
            return Err(Error::usage(format!(
                "{}: is no file of a run, and --overwrite would delete it; move it elsewhere",
                foreign.path().display()
            )));
        }
    }
    Ok(())
}

/// Whether a run writes such a file into a checkpoint's folder.
fn is_written(prefix: &str, below: &str) -> bool {
    let below = below.replace('\\', "/");
    ["inference/inference.", "best_model/model."].iter().any(|start| below.starts_with(start))
        || below.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.') && !rest.contains('/'))
}

/// Deletes what a run has written into a folder: its checkpoints if these are to be deleted, and its other files.
pub(super) fn delete(run: &Path, with_checkpoints: bool) -> Result<()> {
    let shown = || run.display().to_string();
    for entry in fs::read_dir(run).context(shown)? {
        let entry = entry.context(shown)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && with_checkpoints && parse(&name).is_some() {
            fs::remove_dir_all(&path).context(|| path.display().to_string())?;
        } else if !is_folder && (is_file(&name) || with_checkpoints && parse(&name).is_some() && path.is_dir()) {
            // of a link, only the link
            fs::remove_file(&path).context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn is_file(name: &str) -> bool {
    let number = name.strip_prefix("vdlrecords.").and_then(|rest| rest.strip_suffix(".log"));
    FILES.contains(&name) || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::checkpoint::{Progress, pdstates};

    /// Makes a checkpoint's folder, whose files have this prefix.
    fn save(run: &Path, folder: &str, prefix: &str, epoch: usize) {
        let folder = run.join(folder);
        fs::create_dir_all(folder.join("inference")).unwrap();
        for extension in ["pdparams", "pdopt", "safetensors", "info.json"] {
            fs::write(folder.join(format!("{prefix}.{extension}")), epoch.to_string()).unwrap();
        }
        fs::write(folder.join("inference/inference.yml"), "").unwrap();
        fs::write(folder.join(format!("{prefix}.pdstates")), pdstates(Progress { epoch, metric: 0.5 })).unwrap();
    }

    /// The epoch of the checkpoint that is found, by the content of its file.
    fn found(path: &Path) -> String {
        let stem = stem(path).unwrap();
        fs::read_to_string(format!("{}.pdparams", stem.display())).unwrap()
    }

    #[test]
    fn the_last_whole_checkpoint_is_found_in_every_state() {
        let out = temp_dir::TempDir::new().unwrap();
        let run = out.path();
        let none = stem(run).unwrap_err().to_string();
        assert!(none.contains("expected latest/latest.pdparams"), "{none}");
        // killed while the first checkpoint is written
        fs::create_dir(run.join(".best_model.new")).unwrap();
        fs::write(run.join(".best_model.new/best_model.pdparams"), "half").unwrap();
        assert!(stem(run).is_err());
        save(run, "best_model", "best_model", 1);
        assert_eq!(found(run), "1", "the best of the first epoch is whole");
        save(run, "epoch_2", "epoch_2", 2);
        assert_eq!(found(run), "2", "`latest` was not yet written");
        save(run, ".best_model.old", "best_model", 3);
        assert_eq!(found(run), "3");
        // an epoch whose files are not all there
        fs::create_dir(run.join("epoch_9")).unwrap();
        fs::write(run.join("epoch_9/epoch_9.pdparams"), "9").unwrap();
        assert_eq!(found(run), "3");
        // killed between two renames
        save(run, ".latest.old", "latest", 2);
        save(run, ".latest.new", "latest", 3);
        for named in ["", "latest", "latest/latest", "latest/latest.pdparams", ".latest.old"] {
            assert_eq!(found(&run.join(named)), "2", "{named}");
        }
        save(run, "latest", "latest", 3);
        for named in ["", "latest", "latest/latest", "latest/latest.pdparams"] {
            assert_eq!(found(&run.join(named)), "3", "{named}");
        }
        assert_eq!(found(&run.join("epoch_2")), "2");
        assert!(is_of(&stem(run).unwrap(), run) && !is_of(&stem(run).unwrap(), &run.join("latest/inference")));
        assert_eq!((later_epochs(run, 1), later_epochs(run, 9)), (vec![2, 9], vec![]));
    }

    #[test]
    fn a_run_is_not_trained_over_by_accident() {
        let out = temp_dir::TempDir::new().unwrap();
        let run = out.path();
        let refused = |resumed: Option<&Path>, overwrite: bool| check(run, resumed, overwrite).unwrap_err().to_string();
        check(&run.join("absent"), None, false).unwrap();
        // what other modes of PaddleX write, and a run that had saved nothing
        for name in ["check_dataset_result.json", "train_result.json", "train.log", "config.yaml"] {
            fs::write(run.join(name), "").unwrap();
        }
        fs::create_dir_all(run.join(".latest.new")).unwrap();
        fs::create_dir_all(run.join("check_dataset")).unwrap();
        check(run, None, false).unwrap();

        save(run, ".latest.old", "latest", 4);
        assert!(refused(None, false).contains("holds a run already (latest): go on"), "{}", refused(None, false));
        save(run, "epoch_4", "epoch_4", 4);
        let error = refused(None, false);
        for part in ["and 1 more", "--resume", "--output", "--overwrite", "Train.overwrite"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        check(run, None, true).unwrap();
        let own = stem(run).unwrap();
        check(run, Some(&own), false).unwrap();
        assert!(refused(Some(&own), true).contains("--overwrite would delete"));
        let other = temp_dir::TempDir::new().unwrap();
        save(other.path(), "latest", "latest", 1);
        let others = stem(other.path()).unwrap();
        assert!(refused(Some(&others), false).contains("holds a run already"));
        check(run, Some(&others), true).unwrap();
        fs::write(run.join("epoch_4/notes.txt"), "mine").unwrap();
        assert!(refused(None, true).contains("notes.txt: is no file of a run"));
    }

    #[test]
    fn only_what_a_run_has_written_is_deleted() {
        let out = temp_dir::TempDir::new().unwrap();
        let run = out.path();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let fill = || {
            ["latest", "best_model", "epoch_3"].iter().for_each(|prefix| save(run, prefix, prefix, 3));
            save(run, ".epoch_2.old", "epoch_2", 2);
            let others = ["notes.txt", "check_dataset_result.json", "vdlrecords.mine.log", "vdlrecords.17.log"];
            FILES.iter().chain(&others).for_each(|name| fs::write(run.join(name), "").unwrap());
            ["epoch_x", ".git.old", "mine"].iter().for_each(|name| fs::create_dir_all(run.join(name)).unwrap());
        };
        fill();
        delete(run, false).unwrap();
        let kept = [".git.old", "check_dataset_result.json", "epoch_x", "mine", "notes.txt", "vdlrecords.mine.log"];
        let checkpoints = [".epoch_2.old", "best_model", "epoch_3", "latest"];
        let mut all: Vec<&str> = kept.iter().chain(&checkpoints).copied().collect();
        all.sort_unstable();
        assert_eq!(names(), all);
        fill();
        delete(run, true).unwrap();
        assert_eq!(names(), kept);
    }
}
