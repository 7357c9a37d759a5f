//! `image-feature check`, `convert` and `split`: data sets.

pub mod check;
mod compat;
pub mod convert;
pub mod split;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Outcome;
use super::address::refuse_address;
use super::output_file::OutputFile;
use super::terminal::{Progress, complain, note};
use image_feature::dataset::{Dataset, FolderTarget, ImageFacts, NewDataset, ZipTarget, survey};
use image_feature::file_tree::{
    self, FileTree, NameDecoder, Problem, ProblemCode, ProblemEffect, is_hidden, is_other_name,
};
use image_feature::{DecodeLimits, ErrorKind, Result};

/// The data set of a command.
#[derive(clap::Args)]
pub(super) struct DatasetArgs {
    /// A folder or archive with images/, train.txt, gallery.txt and query.txt in it, at any depth
    #[arg(value_name = "DATASET")]
    path: PathBuf,
    /// The encoding of lists, and of names in an archive, that are not UTF-8: gbk, big5, shift_jis, euc-kr, windows-1251,
    /// ibm866, … [default: guessed from them]
    #[arg(long, value_name = "NAME")]
    name_encoding: Option<String>,
}

impl DatasetArgs {
    pub fn open(&self) -> Result<Box<dyn FileTree>> {
        self.open_at(&self.path)
    }

    /// Opens another path than the data set's, with its options.
    fn open_at(&self, path: &Path) -> Result<Box<dyn FileTree>> {
        refuse_address(path)?;
        let decoder = file_tree::name_decoder(self.name_encoding.as_deref())?;
        let tree = file_tree::open_with(path, &file_tree::ArchiveOptions { decode_names: Some(&*decoder) })?;
        warn_of_damage(&self.name(), tree.as_ref());
        Ok(tree)
    }

    /// The decoder of lists that are not UTF-8, where the user says their encoding.
    pub fn decoder(&self) -> Result<Option<Box<NameDecoder>>> {
        self.name_encoding.as_deref().map(|label| file_tree::name_decoder(Some(label))).transpose()
    }

    /// Reads the lists.
    pub fn read(&self, tree: &dyn FileTree) -> Result<Dataset> {
        Ok(Dataset::read_with(tree, self.decoder()?.as_deref()))
    }

    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Warns of an archive whose files seem whole while any of them may be damaged.
pub(super) fn warn_of_damage(name: &str, tree: &dyn FileTree) {
    for problem in tree.problems().iter().filter(|problem| problem.code == ProblemCode::StreamChecksum) {
        note(&format!("warning: {name}: {problem}"));
    }
}

/// The release of PaddleX that a command behaves like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
    /// PaddleX 3.0-beta
    PaddlexBeta,
}

/// `1 image`, `2 images`.
pub(super) fn count(number: u64, name: &str) -> String {
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

/// The place of a tree's entry among the images of a data set.
fn place_of(dataset: &Dataset, index: usize) -> usize {
    dataset.images().binary_search(&index).expect("only images of the data set are looked at")
}

/// Decodes every image of a data set and shows the progress.
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

/// Maximum complaints about files of a data set that were left out.
const MOST_LEFT_OUT: usize = 20;

/// Tells which files of a tree were left out because they cannot be read, and what else is odd in it. Called after all
/// files were read.
fn tell_problems(tree: &dyn FileTree) -> Outcome {
    let (mut left_out, mut odd) = (Vec::new(), BTreeMap::<ProblemCode, (usize, Problem)>::new());
    for problem in tree.problems() {
        let is_needless = problem.entry.as_deref().is_some_and(|path| is_hidden(path) || is_other_name(path));
        match problem.code.effect() {
            ProblemEffect::Harmless => odd.entry(problem.code).or_insert((0, problem)).0 += 1,
            _ if is_needless => {}
            _ => left_out.push(problem),
        }
    }
    for (count, example) in odd.into_values() {
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        note(&format!("note: {}: {example}{more}", tree.name()));
    }
    for problem in left_out.iter().take(MOST_LEFT_OUT) {
        complain(&format!("{}: {problem}", tree.name()));
    }
    if left_out.len() > MOST_LEFT_OUT {
        complain(&format!("{}: {} more files are left out", tree.name(), left_out.len() - MOST_LEFT_OUT));
    }
    if left_out.is_empty() { Outcome::Good } else { Outcome::Failed(ErrorKind::Decode) }
}

/// The target of a copy of a data set: a folder, or a `.zip`. It is opened before the work, so that errors appear at once.
enum CopyTarget {
    Folder(FolderTarget),
    Zip(Box<OutputFile>),
}

impl CopyTarget {
    fn open(target: &Path) -> Result<CopyTarget> {
        if target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            Ok(CopyTarget::Zip(Box::new(OutputFile::create(target)?)))
        } else {
            Ok(CopyTarget::Folder(FolderTarget::new(target)?))
        }
    }

    fn write(self, tree: &dyn FileTree, new: &NewDataset, quiet: bool) -> Result<()> {
        let mut progress = Progress::new(Some(new.images.len() as u64), quiet);
        let mut step = || {
            progress.advance();
            ControlFlow::Continue(())
        };
        match self {
            CopyTarget::Folder(mut folder) => new.write(tree, &mut folder, &mut step)?,
            CopyTarget::Zip(file) => {
                let mut zip = ZipTarget::new(*file);
                new.write(tree, &mut zip, &mut step)?;
                zip.finish()?.commit()?;
            }
        }
        progress.finish();
        Ok(())
    }
}
