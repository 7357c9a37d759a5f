//! The target of a changed data set: its own folder, or a copy in a folder or zip archive.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Located;
use crate::output_file::OutputFile;
use crate::terminal::Progress;
use image_feature::dataset::compat::Change;
use image_feature::dataset::{FolderTarget, Target as _, ZipTarget};
use image_feature::error::Context;
use image_feature::file_tree::{EntryKind, FileTree};
use image_feature::{Error, Result};

/// Maximum bytes of a file that is copied.
const FILE_LIMIT: u64 = 1 << 31;

/// The target of a changed data set.
pub enum Target {
    /// The data set's own folder.
    InPlace(PathBuf),
    /// A copy in a folder that has files already.
    Folder(PathBuf),
    /// A copy in a new or empty folder.
    NewFolder(PathBuf),
    /// A copy in a zip archive.
    Zip(PathBuf),
}

impl Target {
    /// The target that `--output` names; without it the data set's folder.
    pub fn new(dataset: &Path, located: &Located, output: Option<&Path>) -> Result<Self> {
        let Some(output) = output else {
            if located.tree.entries().is_empty() || located.is_folder {
                return Ok(Target::InPlace(dataset.into()));
            }
            return Err(Error::usage(format!(
                "{}: only folders can be changed in place; give --output",
                dataset.display()
            )));
        };
        let [here, there] = [dataset, output].map(|path| path.canonicalize().ok());
        if here.is_some() && here == there {
            return Err(Error::usage(format!("{}: is the data set itself; give --in-place", output.display())));
        }
        let is_zip = output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        let has_files = || output.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        Ok(match output.into() {
            output if is_zip => Target::Zip(output),
            output if has_files() => Target::Folder(output),
            output => Target::NewFolder(output),
        })
    }

    /// Writes the changes, and for a copy all other files.
    pub fn apply(&self, tree: &dyn FileTree, changes: &[Change], quiet: bool) -> Result<()> {
        let folders = || tree.entries().iter().filter(|entry| entry.kind == EntryKind::Folder);
        match self {
            Target::InPlace(folder) => changes.iter().try_for_each(|change| match change {
                Change::Rename { from, to } => std::fs::rename(folder.join(from), folder.join(to))
                    .context(|| folder.join(from).display().to_string()),
                Change::Write { path, bytes } => OutputFile::write(folder.join(path), bytes),
            }),
            Target::Folder(folder) => {
                for entry in folders() {
                    create_folder(&folder.join(&entry.path))?;
                }
                copy(tree, changes, quiet, &mut |path, bytes| OutputFile::write(folder.join(path), bytes))
            }
            Target::NewFolder(folder) => {
                let mut target = FolderTarget::new(folder)?;
                folders().try_for_each(|entry| target.folder(&entry.path))?;
                copy(tree, changes, quiet, &mut |path, bytes| target.write(path, bytes))?;
                target.complete()
            }
            Target::Zip(path) => {
                let mut zip = ZipTarget::new(OutputFile::create(path)?);
                let at_path = || path.display().to_string();
                for entry in folders() {
                    zip.folder(&entry.path).context(at_path)?;
                }
                copy(tree, changes, quiet, &mut |name, bytes| zip.write(name, bytes).context(at_path))?;
                zip.finish().context(at_path)?.commit()
            }
        }
    }
}

fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).context(|| format!("{}: the folder cannot be made", folder.display()))
}

/// Gives all files of a tree to `write`, with the changes made.
fn copy(
    tree: &dyn FileTree,
    changes: &[Change],
    quiet: bool,
    write: &mut dyn FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut renamed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut written: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Rename { from, to } => _ = renamed.insert(from, to),
            Change::Write { path, bytes } => _ = written.insert(path, bytes),
        }
    }
    let entries = tree.entries();
    let name = |index: usize| {
        let path = entries[index].path.as_str();
        renamed.get(path).copied().unwrap_or(path)
    };
    let is_kept = |&index: &usize| entries[index].kind == EntryKind::File && !written.contains_key(name(index));
    let files: Vec<usize> = (0..entries.len()).filter(is_kept).collect();
    let mut progress = Progress::new(Some(files.len() as u64), quiet);
    let mut result = Ok(());
    let _ = tree.read_each(&files, FILE_LIMIT, &mut |index, bytes| {
        let place = || format!("{}: {}", tree.name(), entries[index].path);
        result = bytes.context(place).and_then(|bytes| write(name(index), &bytes));
        progress.advance();
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    progress.finish();
    result?;
    written.into_iter().try_for_each(|(path, bytes)| write(path, bytes))
}
