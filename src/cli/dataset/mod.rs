//! `image-feature check`, `convert` and `split`: data sets.

pub mod check;
mod compat;
pub mod convert;
pub mod split;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;

use super::output_file::OutputFile;
use super::terminal::Progress;
use crate::dataset::{Dataset, FolderTarget, ImageFacts, NewDataset, ZipTarget, survey};
use crate::file_tree::FileTree;
use crate::{DecodeLimits, Result};

/// Whose behaviour a command reproduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
    /// PaddleX 3.0-beta
    PaddlexBeta,
}

/// As many as the machine runs at once.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// `1 image`, `2 images`.
fn count(number: u64, name: &str) -> String {
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

/// The place of a tree's entry among the images of a data set.
fn place_of(dataset: &Dataset, index: usize) -> usize {
    dataset.images().binary_search(&index).expect("only images of the data set are looked at")
}

/// Decodes every image of a data set and tells how far it is.
fn look_at_images(tree: &dyn FileTree, dataset: &Dataset, threads: usize, quiet: bool) -> Vec<Option<ImageFacts>> {
    let mut facts = vec![None; dataset.images().len()];
    let mut progress = Progress::new(Some(dataset.images().len() as u64), quiet);
    let _ = survey(
        tree,
        dataset.images(),
        threads,
        &DecodeLimits::default(),
        |_, _| (),
        |index, found, ()| {
            progress.advance();
            facts[place_of(dataset, index)] = Some(found);
            ControlFlow::Continue(())
        },
    );
    progress.finish();
    facts
}

/// Writes a data set into a new folder, or a zip where the name says so.
fn create_target(tree: &dyn FileTree, new: &NewDataset, target: &Path, quiet: bool) -> Result<()> {
    let mut progress = Progress::new(Some(new.images.len() as u64), quiet);
    let mut step = || {
        progress.advance();
        ControlFlow::Continue(())
    };
    if target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
        let mut zip = ZipTarget::new(OutputFile::create(target)?);
        new.write(tree, &mut zip, &mut step)?;
        zip.finish()?.commit()?;
    } else {
        new.write(tree, &mut FolderTarget::new(target)?, &mut step)?;
    }
    progress.finish();
    Ok(())
}
