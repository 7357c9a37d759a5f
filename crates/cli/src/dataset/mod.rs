//! `image-feature check`, `convert` and `split`: data sets.

pub mod check;
mod compat;
pub mod convert;
pub mod split;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::output_file::OutputFile;
use super::terminal::Progress;
use image_feature::dataset::{Dataset, FolderTarget, ImageFacts, NewDataset, ZipTarget, survey};
use image_feature::file_tree::{self, FileTree, NameDecoder};
use image_feature::{DecodeLimits, Result};

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
        let decoder = file_tree::name_decoder(self.name_encoding.as_deref())?;
        file_tree::open_with(path, &file_tree::ArchiveOptions { decode_names: Some(&*decoder) })
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

/// The release of PaddleX that a command behaves like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compat {
    /// PaddleX 3.0 and later
    Paddlex,
    /// PaddleX 3.0-beta
    PaddlexBeta,
}

/// `1 image`, `2 images`.
fn count(number: u64, name: &str) -> String {
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

/// The target of a copy of a data set: a folder, or a `.zip`. It is opened before the work, so that errors appear at once.
enum CopyTarget {
    Folder(FolderTarget),
    Zip(OutputFile),
}

impl CopyTarget {
    fn open(target: &Path) -> Result<CopyTarget> {
        if target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            Ok(CopyTarget::Zip(OutputFile::create(target)?))
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
                let mut zip = ZipTarget::new(file);
                new.write(tree, &mut zip, &mut step)?;
                zip.finish()?.commit()?;
            }
        }
        progress.finish();
        Ok(())
    }
}
