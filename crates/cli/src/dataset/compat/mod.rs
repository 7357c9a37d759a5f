//! The commands with `--compat`: PaddleX's verdicts, messages and files.

mod output;

use std::path::Path;

use super::{Compat, tell_problems};
use crate::Outcome;
use crate::address::refuse_address;
use crate::output_file::{OutputFile, delete_unfinished_on_interrupt};
use crate::terminal::{Stdout, complain, note};
use image_feature::dataset::compat::{
    CONVERTED, Change, DIVIDED, Disk, Exception, Flavor, PASSED, Percent, Place, Sample, ShiTuRec, Stop, draw,
    result_json,
};
use image_feature::error::Context;
use image_feature::file_tree::{self, FileTree, Memory};
use image_feature::{Error, ErrorKind, Result, RgbImage};
use output::Target;

impl Compat {
    fn flavor(self) -> Flavor {
        match self {
            Compat::Paddlex => Flavor::Paddlex3,
            Compat::PaddlexBeta => Flavor::Beta,
        }
    }
}

/// A data set as the user named it.
struct Located {
    tree: Box<dyn FileTree>,
    given: String,
    absolute: String,
    is_folder: bool,
}

impl Located {
    /// Opens a data set. A missing one counts as empty, as in PaddleX.
    fn open(path: &Path) -> Result<Self> {
        refuse_address(path)?;
        let tree = if path.exists() {
            file_tree::open(path)?
        } else {
            Box::new(Memory::new::<String>(path.to_string_lossy(), []))
        };
        let absolute = std::path::absolute(path)?;
        let text = |path: &Path| {
            let text = path.to_string_lossy();
            if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
        };
        Ok(Located { tree, given: text(path), absolute: text(&absolute), is_folder: path.is_dir() })
    }

    /// The data set in the files. Lists of a folder may name files outside of it; lists of an archive may not.
    fn find(&self, compat: Compat) -> Result<ShiTuRec<'_>, Stop> {
        let beyond = self.is_folder.then_some(&Disk as _);
        let place = Place { given: &self.given, absolute: &self.absolute, beyond };
        ShiTuRec::find(&*self.tree, place, compat.flavor())
    }
}

/// Checks a data set, and writes PaddleX's files to `output`.
pub fn check(dataset: &Path, compat: Compat, output: Option<&Path>, json: bool) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    let located = Located::open(dataset)?;
    let verdict = located.find(compat).and_then(|dataset| {
        dataset.check(&mut |sample, image| output.map_or(Ok(()), |output| save_sample(output, sample, image)))
    });
    let verdict = Stop::raised(verdict)?.flatten();
    if let Some(output) = output {
        if let Ok(summary) = &verdict {
            save(&output.join("check_dataset"), "histogram.png", &draw::histogram(&summary.counts)?)?;
        }
        save(output, "check_dataset_result.json", result_json(&verdict).as_bytes())?;
    }
    match &verdict {
        Err(exception) => report_exception(exception, json),
        Ok(_) => {
            let text = if json { result_json(&verdict) } else { PASSED.into() };
            Stdout::default().line(&text)?;
            Ok(Outcome::Good)
        }
    }
}

/// How a command tells its result.
#[derive(Clone, Copy)]
pub struct How {
    /// As JSON.
    pub json: bool,
    /// Without progress.
    pub quiet: bool,
}

/// Converts a data set to `output`, or in place where there is no `output`.
pub fn convert(dataset: &Path, compat: Compat, from: Option<&str>, output: Option<&Path>, how: How) -> Result<Outcome> {
    // PaddleX accepts this spelling only
    let from = from.map(|from| if from.eq_ignore_ascii_case("labelme") { "LabelMe" } else { from });
    change(dataset, compat, output, how, CONVERTED, |dataset| dataset.convert(from))
}

/// Divides a data set to `output`, or in place where there is no `output`.
pub fn split(
    dataset: &Path,
    compat: Compat,
    percents: [Option<Percent>; 3],
    seed: u64,
    output: Option<&Path>,
    how: How,
) -> Result<Outcome> {
    change(dataset, compat, output, how, DIVIDED, |dataset| dataset.split(percents, seed))
}

fn change(
    dataset: &Path,
    compat: Compat,
    output: Option<&Path>,
    How { json, quiet }: How,
    message: &str,
    step: impl FnOnce(&mut ShiTuRec<'_>) -> Result<(), Stop>,
) -> Result<Outcome> {
    delete_unfinished_on_interrupt();
    let located = Located::open(dataset)?;
    let target = Target::new(dataset, &located, output)?;
    let changed = located.find(compat).and_then(|mut dataset| {
        step(&mut dataset)?;
        Ok(dataset.changes())
    });
    match Stop::raised(changed)? {
        Ok(changes) => {
            target.apply(&*located.tree, &changes, quiet || json)?;
            Stdout::default().line(&if json { lists_json(&changes) } else { message.into() })?;
            // a copy has all files; what cannot be read is missing in it
            Ok(if output.is_some() { tell_problems(&*located.tree) } else { Outcome::Good })
        }
        Err(exception) => report_exception(&exception, json),
    }
}

/// The number of images of each list, as JSON.
fn lists_json(changes: &[Change]) -> String {
    let rows = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    let lists = changes.iter().filter_map(|change| match change {
        Change::Write { path, bytes } => Some((path.clone(), serde_json::Value::from(rows(bytes)))),
        Change::Rename { .. } => None,
    });
    let lists: serde_json::Map<String, serde_json::Value> = lists.collect();
    serde_json::json!({ "done_flag": true, "lists": lists }).to_string()
}

/// Reports PaddleX's exception as Python prints it, and as PaddleX's result file with `json`.
fn report_exception(exception: &Exception, json: bool) -> Result<Outcome> {
    if json {
        Stdout::default().line(&result_json(&Err(exception.clone())))?;
    }
    let class = exception.class;
    let mut lines = exception.message.split('\n');
    match lines.next() {
        Some("") | None => complain(&class),
        Some(first) => complain(&format!("{class}: {first}")),
    }
    lines.for_each(note);
    if class == "AssertionError" && exception.message.is_empty() {
        note("DATASET must be there and have exactly one `images` in it, at any depth");
    }
    Ok(Outcome::Failed(ErrorKind::Decode))
}

/// Saves a sample with its label drawn.
fn save_sample(output: &Path, sample: &Sample, image: Option<&RgbImage>) -> Result<()> {
    let name = &sample.name;
    let drawn = image.map(|image| draw::encode(&draw::with_label(image, &sample.label)?, sample.format)).transpose()?;
    match drawn.flatten() {
        Some(file) => save(&output.join("check_dataset").join("demo_img"), name, &file),
        None => {
            note(&format!("{name} is not drawn: its format is not supported"));
            Ok(())
        }
    }
}

/// Writes a file to a folder, which is created if it does not exist.
fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(Error::usage(format!("{name}: no name for a file here")));
    }
    std::fs::create_dir_all(folder).context(|| format!("{}: the folder cannot be made", folder.display()))?;
    OutputFile::write(folder.join(name), bytes)
}
