//! PaddleX's check: lists, their rows, samples, counts.

use std::collections::BTreeSet;

use super::files::{Found, ShiTuRec, is_a_folder, join};
use super::{Exception, Flavor, PythonRandom, SampleFormat, Stop, picture, python};
use crate::file_tree::EntryKind;
use crate::{Result, RgbImage};

/// The number of sample images of each list.
const SAMPLES: usize = 10;

/// One of the three lists, by PaddleX's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `train.txt`
    Train,
    /// `gallery.txt`
    Gallery,
    /// `query.txt`
    Query,
}

impl Tag {
    /// All three lists, in PaddleX's order.
    pub const ALL: [Tag; 3] = [Tag::Train, Tag::Gallery, Tag::Query];

    /// The list's name without its `.txt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Tag::Train => "train",
            Tag::Gallery => "gallery",
            Tag::Query => "query",
        }
    }

    /// The list's file name.
    pub fn file_name(self) -> &'static str {
        match self {
            Tag::Train => "train.txt",
            Tag::Gallery => "gallery.txt",
            Tag::Query => "query.txt",
        }
    }
}

/// A sample image, on which PaddleX draws the label.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The list it is from.
    pub tag: Tag,
    /// Its file name, under which the drawing is saved. Samples of different folders can have the same name.
    pub name: String,
    /// The label's text in the list.
    pub label: String,
    /// The format of the drawing, by the name's extension.
    pub format: SampleFormat,
}

/// The numbers of images and classes of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of rows.
    pub images: usize,
    /// The number of different labels.
    pub classes: usize,
}

/// PaddleX's result for a data set that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Counts of the training list, the gallery and the queries.
    pub counts: [Counts; 3],
    /// The drawings for each list: their paths below the output folder, `check_dataset/demo_img/NAME`.
    pub samples: [Vec<String>; 3],
    /// The result file's `dataset_path`.
    pub dataset_path: String,
}

impl ShiTuRec<'_> {
    /// Checks the data set, and returns PaddleX's result: a summary, or the exception that PaddleX raises.
    ///
    /// `draw` gets each sample as soon as it was opened, with the pixels of [`decode`](crate::decode), or without
    /// pixels for an image that Pillow opens and this crate does not.
    ///
    /// # Errors
    /// [`Stop::Error`] for files that cannot be read, and for errors of `draw`.
    pub fn check(
        &self,
        draw: &mut dyn FnMut(&Sample, Option<&RgbImage>) -> Result<()>,
    ) -> Result<Result<Summary, Exception>, Stop> {
        Ok(Stop::raised(self.checked(draw))?)
    }

    fn checked(&self, draw: &mut dyn FnMut(&Sample, Option<&RgbImage>) -> Result<()>) -> Result<Summary, Stop> {
        let mut samples: [Vec<String>; 3] = Default::default();
        for (tag, samples) in Tag::ALL.into_iter().zip(&mut samples) {
            *samples = self.check_list(tag, draw)?;
        }
        let mut counts = [Counts::default(); 3];
        for (tag, counts) in Tag::ALL.into_iter().zip(&mut counts) {
            *counts = self.count(tag)?;
        }
        let dataset_path = match self.flavor {
            Flavor::Paddlex3 => self.root.rsplit('/').next().unwrap_or_default().to_string(),
            Flavor::Beta => self.place.given.to_string(),
        };
        Ok(Summary { counts, samples, dataset_path })
    }

    /// Checks the rows of one list in PaddleX's order, and returns the paths of its samples.
    fn check_list(
        &self,
        tag: Tag,
        draw: &mut dyn FnMut(&Sample, Option<&RgbImage>) -> Result<()>,
    ) -> Result<Vec<String>, Stop> {
        let list = join(&self.absolute, tag.file_name());
        let mut rows = self.rows(tag, &list)?;
        PythonRandom::new(123).shuffle(&mut rows);
        let mut candidates: Vec<(Sample, String, Found, EntryKind)> = Vec::new();
        let mut failure = None;
        for row in &rows {
            match self.check_row(row, &list) {
                Ok((path, label, found, kind)) => {
                    if candidates.len() < SAMPLES {
                        let name = path.rsplit('/').next().unwrap_or_default().to_string();
                        // the format is set after the image was opened: a bad extension is a later error
                        let sample = Sample { tag, name, label: label.into(), format: SampleFormat::Png };
                        candidates.push((sample, join(&self.absolute, path), found, kind));
                    }
                }
                Err(stop) => {
                    failure = Some(stop);
                    break;
                }
            }
        }
        // errors of samples before a bad row come before its own error
        let files: Vec<Found> = candidates
            .iter()
            .take_while(|(_, _, _, kind)| *kind == EntryKind::File)
            .map(|(_, _, found, _)| found.clone())
            .collect();
        let mut contents = self.images(&files).into_iter();
        let mut paths = Vec::with_capacity(candidates.len());
        for (mut sample, path, _, _) in candidates {
            let Some(bytes) = contents.next() else { return Err(is_a_folder(&path)) };
            let bytes = bytes.map_err(|error| error.context(path.clone()))?;
            let image = picture::open(&bytes, &path)?;
            sample.format = picture::format_to_save(&sample.name)?;
            draw(&sample, image.as_ref())?;
            paths.push(format!("check_dataset/demo_img/{}", sample.name));
        }
        failure.map_or(Ok(paths), Err)
    }

    /// The rows of a list, which must exist and be UTF-8. `list` is its absolute path.
    fn rows(&self, tag: Tag, list: &str) -> Result<Vec<String>, Stop> {
        match self.kind(tag.file_name()) {
            None => {
                let folder = &self.absolute;
                let solution = format!(
                    "\nPlease try to resolve the issue as follows:\n  Ensure that both `train.txt`, `gallery.txt`, `query.txt` exist in {folder}"
                );
                Err(not_found(list, &solution))
            }
            Some(EntryKind::Folder) => Err(is_a_folder(list)),
            Some(EntryKind::File) => {
                let bytes = self.bytes(tag.file_name())?;
                Ok(python::lines(python::utf8(&bytes)?))
            }
        }
    }

    /// The path and the label of a row, and the file or folder at the path.
    fn check_row<'r>(&self, row: &'r str, list: &str) -> Result<(&'r str, &'r str, Found, EntryKind), Stop> {
        let row = row.trim_end_matches('\n');
        let Some((path, label)) = row.split_once(' ').filter(|(_, label)| !label.contains(' ')) else {
            let message = format!(
                "Check dataset failed. We encountered the following error:\n  The number of delimiter-separated items in each row in {list} {:36}should be 2 (current delimiter is ' ').",
                ""
            );
            return Err(Exception::new("paddlex.utils.errors.dataset_checker.CheckFailedError", message).into());
        };
        let Some((found, kind)) = self.look_up(path) else {
            return Err(not_found(&join(&self.absolute, path), ""));
        };
        Ok((path, label, found, kind))
    }

    /// Counts a list's rows and labels. Here, labels must be integers.
    fn count(&self, tag: Tag) -> Result<Counts, Stop> {
        let rows = python::lines(&self.text(tag.file_name())?);
        let mut labels = BTreeSet::new();
        for row in &rows {
            let label = row.trim_end_matches('\n').split(' ').nth(1).unwrap_or_default();
            labels.insert(python::int(label)?);
        }
        Ok(Counts { images: rows.len(), classes: labels.len() })
    }
}

/// `DatasetFileNotFoundError`.
fn not_found(path: &str, solution: &str) -> Stop {
    let message =
        format!("Check dataset failed. We encountered the following error:\n  {path} does not exist.{solution}");
    Exception::new("paddlex.utils.errors.dataset_checker.DatasetFileNotFoundError", message).into()
}
