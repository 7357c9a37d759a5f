//! `image-feature check`, `convert` and `split`: data sets.

pub mod check;
pub mod convert;
mod output;
pub mod split;

use std::path::Path;

use super::Outcome;
use super::terminal::{Stdout, complain, note};
use crate::dataset::compat::{Disk, Exception, Flavor, Place, ShiTuRec, Stop, result_json};
use crate::file_tree::{FileTree, Folder, Memory};
use crate::{Error, ErrorKind, Result};

/// Whose behaviour a command reproduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
    /// PaddleX 3.0-beta
    PaddlexBeta,
}

impl Compat {
    fn flavor(self) -> Flavor {
        match self {
            Compat::Paddlex => Flavor::Paddlex3,
            Compat::PaddlexBeta => Flavor::Beta,
        }
    }
}

/// The release to follow; without one the command has no mode to run in yet.
fn require_compat(compat: Option<Compat>) -> Result<Compat> {
    compat.ok_or_else(|| Error::usage("give --compat paddlex: this command has no other mode yet"))
}

/// A data set as the user named it.
struct Located {
    tree: Box<dyn FileTree>,
    given: String,
    absolute: String,
    is_folder: bool,
}

impl Located {
    /// Opens a data set. One that is not there is empty, as PaddleX sees it.
    fn open(path: &Path) -> Result<Self> {
        let is_folder = path.is_dir();
        let tree: Box<dyn FileTree> = if is_folder {
            Box::new(Folder::open(path)?)
        } else if path.exists() {
            let message = "not a folder: give the folder of the data set";
            return Err(Error::unsupported(message).context(path.display().to_string()));
        } else {
            Box::new(Memory::new::<String>(path.to_string_lossy(), []))
        };
        let absolute = std::path::absolute(path)?;
        let text = |path: &Path| {
            let text = path.to_string_lossy();
            if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
        };
        Ok(Located { tree, given: text(path), absolute: text(&absolute), is_folder })
    }

    fn find(&self, compat: Compat) -> Result<ShiTuRec<'_>, Stop> {
        let beyond = self.is_folder.then_some(&Disk as _);
        let place = Place { given: &self.given, absolute: &self.absolute, beyond };
        ShiTuRec::find(&*self.tree, place, compat.flavor())
    }
}

/// Says that PaddleX refuses the data set, as Python says it, or in the form of its result file.
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
