//! A data set to be written somewhere: its lists as text, its images by where they are now.

use std::collections::HashSet;
use std::io::{Seek, Write};
use std::ops::ControlFlow;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::MOST_FILE_BYTES;
use super::subset::Subset;
use crate::error::Context;
use crate::file_tree::FileTree;
use crate::{Error, ErrorKind, Result};

/// A data set to be written. Nothing of it is in memory but the lists.
#[derive(Clone, Debug, Default)]
pub struct NewDataset {
    /// Paths and contents: the lists, and what else is text.
    pub files: Vec<(String, Vec<u8>)>,
    /// Images: indices of entries of the tree they come from, and their new paths.
    pub images: Vec<(usize, String)>,
}

impl NewDataset {
    /// The three lists of rows of path and label, as PaddleX reads them, lists without rows left out.
    pub(super) fn add_lists<'a>(&mut self, rows: impl Iterator<Item = (Subset, &'a str, i64)>) {
        let mut texts = [const { String::new() }; 3];
        for (list, path, label) in rows {
            texts[list as usize].push_str(&format!("{path} {label}\n"));
        }
        for (list, text) in Subset::ALL.into_iter().zip(texts) {
            if !text.is_empty() {
                self.files.push((list.list().into(), text.into_bytes()));
            }
        }
    }

    /// Writes everything, the lists first. `step` hears of each image and may break.
    ///
    /// # Errors
    /// Those of reading the tree and of the target; [`ErrorKind::Cancelled`] where `step` broke.
    pub fn write(
        &self,
        tree: &dyn FileTree,
        target: &mut dyn Target,
        step: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<()> {
        for (path, bytes) in &self.files {
            target.write(path, bytes, true)?;
        }
        let mut images: Vec<&(usize, String)> = self.images.iter().collect();
        images.sort();
        let indices: Vec<usize> = images.iter().map(|(index, _)| *index).collect();
        let mut outcome = Ok(());
        let flow = tree.read_each(&indices, MOST_FILE_BYTES, &mut |index, read| {
            let place = images.binary_search_by_key(&index, |(index, _)| *index);
            let path = place.map_or("", |place| images[place].1.as_str());
            let name = || tree.entries()[index].path.clone();
            outcome = read.context(name).and_then(|bytes| target.write(path, &bytes, false));
            if outcome.is_ok() { step() } else { ControlFlow::Break(()) }
        });
        outcome?;
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Cancelled, "cancelled; what was written is incomplete"))
            }
        }
    }
}

/// Where a data set is written.
pub trait Target {
    /// Writes a file. Paths have `/` between their parts and lead nowhere else. Text is worth compressing.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where it cannot be written.
    fn write(&mut self, path: &str, bytes: &[u8], is_text: bool) -> Result<()>;
}

/// A zip archive being written.
///
/// ```
/// use std::io::Cursor;
/// use image_feature::dataset::{Target, ZipTarget};
///
/// let mut zip = ZipTarget::new(Cursor::new(Vec::new()));
/// zip.write("train.txt", b"images/a.png 0\n", true)?;
/// let bytes = zip.finish()?.into_inner();
/// assert!(bytes.starts_with(b"PK"));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct ZipTarget<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> ZipTarget<W> {
    /// Starts an archive.
    pub fn new(writer: W) -> Self {
        ZipTarget(ZipWriter::new(writer))
    }

    /// Ends the archive and gives back what it was written to.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the directory cannot be written.
    pub fn finish(self) -> Result<W> {
        self.0.finish().map_err(failed)
    }
}

impl<W: Write + Seek> Target for ZipTarget<W> {
    fn write(&mut self, path: &str, bytes: &[u8], is_text: bool) -> Result<()> {
        // images are compressed already
        let method = if is_text { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default().compression_method(method).large_file(bytes.len() > 0xffff_0000);
        self.0.start_file(path, options).map_err(failed)?;
        self.0.write_all(bytes).context(|| path.into())
    }
}

fn failed(error: zip::result::ZipError) -> Error {
    Error::new(ErrorKind::Io, format!("the zip cannot be written: {error}")).with_source(error)
}

/// A folder of the file system being filled.
#[cfg(not(target_arch = "wasm32"))]
pub struct FolderTarget(std::path::PathBuf);

#[cfg(not(target_arch = "wasm32"))]
impl FolderTarget {
    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where there is something in it; [`ErrorKind::Io`] where it cannot be made.
    pub fn new(folder: &std::path::Path) -> Result<Self> {
        let name = || folder.display().to_string();
        std::fs::create_dir_all(folder).context(name)?;
        if std::fs::read_dir(folder).context(name)?.next().is_some() {
            return Err(Error::usage(format!("{}: the folder is not empty; give a new one", name())));
        }
        Ok(FolderTarget(folder.into()))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Target for FolderTarget {
    fn write(&mut self, path: &str, bytes: &[u8], _is_text: bool) -> Result<()> {
        let path = self.0.join(path);
        let name = || path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context(name)?;
        }
        std::fs::write(&path, bytes).context(name)
    }
}

/// Gives images paths that every reader of the format takes: below the one folder `images`, without blanks, each once even
/// where upper and lower case are the same.
#[derive(Default)]
pub(super) struct Namer {
    taken: HashSet<String>,
}

impl Namer {
    pub(super) fn name(&mut self, path: &str) -> String {
        let below = path.strip_prefix("images/").unwrap_or(path);
        let parts = below.split('/').map(|part| match part {
            "images" => "images_".into(),
            part => part.replace(|c: char| c.is_whitespace() || c.is_control() || c == '\\', "_"),
        });
        let path = format!("images/{}", parts.collect::<Vec<_>>().join("/"));
        if self.taken.insert(path.to_lowercase()) {
            return path;
        }
        let dot = path.rfind('.').filter(|&dot| path[dot..].find('/').is_none()).unwrap_or(path.len());
        let numbered = (2..).map(|number| format!("{}_{number}{}", &path[..dot], &path[dot..]));
        numbered.into_iter().find(|path| self.taken.insert(path.to_lowercase())).unwrap_or(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fit_for_everyone_and_differ() {
        let mut namer = Namer::default();
        let named = [
            ("images/a.jpg", "images/a.jpg"),
            ("images/A.jpg", "images/A_2.jpg"),
            ("a.jpg", "images/a_3.jpg"),
            ("photos/my cat.jpg", "images/photos/my_cat.jpg"),
            ("photos/my_cat.jpg", "images/photos/my_cat_2.jpg"),
            ("images/x/images/b", "images/x/images_/b"),
        ];
        for (path, expected) in named {
            assert_eq!(namer.name(path), expected);
        }
    }
}
