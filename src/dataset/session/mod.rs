//! One opened data set with its known facts and its changes.

mod lists;
mod outcome;
mod problem_rows;
mod zip;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::MOST_FILE_BYTES;
use super::audit::{AuditOptions, Evidence, audit};
use super::compat::{CONVERTED, DIVIDED, Flavor, Percent, Place, ShiTuRec, Stop, Verdict};
use super::convert::{ConvertOptions, SourceForm, convert_with};
use super::facts::ImageFacts;
use super::fix::fix;
use super::output::NewDataset;
use super::report::{Thumbnails, report, shown_images};
use super::split::{SplitOptions, split};
use super::thumbnail::shrunk;
use crate::file_tree::{Content, EntryKind, FileTree, NameDecoder, Overlay, Problem};
use crate::{DecodeLimits, Error, Result, decode};

pub use lists::ImageFile;
pub use outcome::{ConvertOutcome, FixOutcome, ListSizes};

use lists::{Lists, in_reading_order};
use zip::ZipPieces;

/// One opened data set: its files, the known facts of its images, and all changes. Changes stay in memory; a zip of the
/// result has them.
///
/// Several workers can open the same files. The first keeps the facts and the changes. The others only
/// [`measure`](Self::measure) images for it, and send [`problems`](Self::problems) of the archive.
///
/// ```
/// use std::sync::Arc;
/// use image_feature::dataset::{AuditOptions, Session};
/// use image_feature::file_tree::Memory;
///
/// let files = [("images/a.ppm", "P3 1 1 255  9 9 9"), ("train.txt", "images\\a.ppm\t0\n")];
/// let tree = Memory::new("shop", files.map(|(path, text)| (path, text.into())));
/// let mut session = Session::new("shop", Arc::new(tree));
/// for image in session.unknown_images() {
///     let facts = session.measure(image.file);
///     session.set_facts(image.place, facts);
/// }
/// let report = session.report(100, &AuditOptions::default());
/// assert_eq!(report["complete"], true);
///
/// session.fix();
/// assert_eq!(session.read("train.txt")?, b"images/a.ppm 0\n");
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Session {
    name: String,
    /// The files with all changes.
    tree: Overlay,
    /// `None` until the lists are needed, and after each change.
    lists: Option<Lists>,
    /// Facts of images from before the lists changed, by file. The images themselves do not change.
    facts: BTreeMap<usize, ImageFacts>,
    zip: Option<ZipPieces>,
    /// Decodes text files that are not UTF-8.
    decode: Option<Box<NameDecoder>>,
}

impl Session {
    /// A session on the files of a tree. `name` is the data set's name in reports. Nothing is read yet.
    pub fn new(name: impl Into<String>, tree: Arc<dyn FileTree>) -> Self {
        let tree = Overlay::whole(tree);
        Session { name: name.into(), tree, lists: None, facts: BTreeMap::new(), zip: None, decode: None }
    }

    /// Takes this decoder for lists and tables that are not UTF-8. See [`decode_text`](super::decode_text).
    pub fn with_decoder(self, decode: Box<NameDecoder>) -> Self {
        Session { decode: Some(decode), ..self }
    }

    /// Number of images in the lists.
    pub fn image_count(&mut self) -> usize {
        let (_, lists) = self.parts();
        lists.facts.len()
    }

    /// The images without known facts, in the fastest order of reading. Measures files that were changed here, because
    /// other workers do not have them.
    pub fn unknown_images(&mut self) -> Vec<ImageFile> {
        let (tree, Lists { dataset, facts, .. }) = self.parts();
        let mut images = Vec::new();
        for (place, &index) in dataset.images().iter().enumerate() {
            match tree.content(index) {
                Some(&Content::Of(file)) if facts[place].is_none() => images.push(ImageFile { file, place }),
                Some(Content::Bytes(_)) => facts[place] = Some(ImageFacts::read(tree, index, &DecodeLimits::default())),
                _ => {}
            }
        }
        in_reading_order(tree, images)
    }

    /// The facts of the image in a file, see [`ImageFile::file`].
    ///
    /// # Panics
    /// For a number that no file has.
    pub fn measure(&self, file: usize) -> ImageFacts {
        ImageFacts::read(self.tree.below(), file, &DecodeLimits::default())
    }

    /// Sets the facts of the image at a place, see [`ImageFile::place`]. Does nothing where there is no such place.
    pub fn set_facts(&mut self, place: usize, facts: ImageFacts) {
        let (_, lists) = self.parts();
        if let Some(known) = lists.facts.get_mut(place) {
            *known = Some(facts);
        }
    }

    /// Sets that the image at a place cannot be read, and why. Does nothing where there is no such place.
    pub fn set_unreadable(&mut self, place: usize, reason: impl Into<String>) {
        self.set_facts(place, ImageFacts::unreadable(Error::internal(reason.into())));
    }

    /// The archive's problems that were found here, as JSON for [`add_problems`](Self::add_problems) of another session.
    pub fn problems(&self) -> Value {
        problem_rows::to_json(self.tree.problems())
    }

    /// Adds the archive's problems that another session has found. Rows that cannot be understood are left out. Does
    /// nothing where the data set was replaced: its files are not the archive's.
    pub fn add_problems(&mut self, problems: &[Value]) {
        if self.tree.is_whole() {
            let (_, lists) = self.parts();
            lists.problems.extend(problem_rows::from_json(problems));
        }
    }

    /// The report of an [`audit`] of the known facts, with at most `most` findings of each code. It has no small
    /// pictures: [`shown`](Self::shown) tells of which images it should.
    pub fn report(&mut self, most: usize, options: &AuditOptions) -> Value {
        let name = self.name.clone();
        let (tree, Lists { dataset, facts, problems, shown }) = self.parts();
        let problems = all_problems(problems, tree);
        let evidence = Evidence { facts, problems: &problems, ..Evidence::default() };
        let audit = audit(dataset, &evidence, options);
        *shown = shown_images(dataset, &audit);
        report(&name, dataset, &audit, facts, &Thumbnails::new(), most)
    }

    /// The images that the last report shows: file and path, in the fastest order of reading.
    pub fn shown(&mut self) -> Vec<(usize, &str)> {
        let (tree, Lists { dataset, shown, .. }) = self.parts();
        let images = shown.iter().filter_map(|&place| match tree.content(dataset.images()[place]) {
            Some(&Content::Of(file)) => Some(ImageFile { file, place }),
            _ => None,
        });
        let images = in_reading_order(tree, images.collect());
        images.into_iter().map(|image| (image.file, dataset.paths()[image.place].as_str())).collect()
    }

    /// A small picture of the image in a file, as by [`shrunk`]: RGB pixels, width and height.
    ///
    /// # Errors
    /// Errors of reading the file, and of [`decode`].
    ///
    /// # Panics
    /// For a number that no file has.
    pub fn thumbnail(&self, file: usize) -> Result<(Vec<u8>, usize, usize)> {
        let bytes = self.tree.below().read(file, MOST_FILE_BYTES)?;
        Ok(shrunk(&decode(&bytes, &DecodeLimits::default())?))
    }

    /// The paths of all files, with all changes.
    pub fn paths(&self) -> Vec<String> {
        let files = self.tree.entries().iter().filter(|entry| entry.kind == EntryKind::File);
        files.map(|entry| entry.path.clone()).collect()
    }

    /// The bytes of a file, with all changes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is no such path, and the errors of
    /// [`FileTree::read`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let index = self.tree.find(path).ok_or_else(|| Error::usage(format!("there is no `{path}`")))?;
        self.tree.read(index, MOST_FILE_BYTES)
    }

    /// Replaces the data set by a cleaned copy, see [`fix`].
    pub fn fix(&mut self) -> FixOutcome {
        let (_, Lists { dataset, facts, .. }) = self.parts();
        let fixed = fix(dataset, facts);
        self.replace(&fixed.dataset);
        FixOutcome::of(&fixed)
    }

    /// Replaces a data set of another form, see [`convert`](super::convert). Returns the rows of the new lists, and
    /// what was taken as what.
    ///
    /// # Errors
    /// As [`convert`](super::convert). The data set stays as it is.
    pub fn convert(&mut self, form: SourceForm, options: &ConvertOptions) -> Result<ConvertOutcome> {
        let new = convert_with(&self.tree, form, options, self.decode.as_deref())?;
        let sizes = self.replace(&new.dataset);
        Ok(ConvertOutcome { sizes, notes: new.notes })
    }

    /// Divides all images again, see [`split`]. Returns the rows of the new lists.
    ///
    /// # Errors
    /// As [`split`]. The data set stays as it is.
    pub fn split(&mut self, options: &SplitOptions) -> Result<ListSizes> {
        let (_, Lists { dataset, facts, .. }) = self.parts();
        let facts = if facts.iter().any(Option::is_some) { facts.as_slice() } else { &[] };
        let new = split(dataset, facts, options)?;
        Ok(self.replace(&new))
    }

    /// PaddleX's check: its result file, and the names of the samples that it draws.
    ///
    /// # Errors
    /// Where files cannot be read, so that PaddleX has no result.
    pub fn compat_check(&self, flavor: Flavor) -> Result<Verdict> {
        let mut samples = Vec::new();
        let verdict = self.paddlex(flavor).and_then(|dataset| {
            dataset.check(&mut |sample, _| {
                samples.push(sample.name.clone());
                Ok(())
            })
        });
        let verdict = Stop::raised(verdict)?.and_then(|verdict| verdict);
        Ok(Verdict::of_check(&verdict, samples))
    }

    /// Converts from another form as PaddleX does. Where PaddleX raises an exception, the data set stays as it is.
    ///
    /// # Errors
    /// Where files cannot be read, so that PaddleX has no result.
    pub fn compat_convert(&mut self, flavor: Flavor, form: Option<&str>) -> Result<Verdict> {
        self.paddlex_change(flavor, CONVERTED, |dataset| dataset.convert(form))
    }

    /// Divides the lists as PaddleX does. Where PaddleX raises an exception, the data set stays as it is.
    ///
    /// # Errors
    /// Where files cannot be read, so that PaddleX has no result.
    pub fn compat_split(&mut self, flavor: Flavor, percents: [Option<Percent>; 3], seed: u64) -> Result<Verdict> {
        self.paddlex_change(flavor, DIVIDED, |dataset| dataset.split(percents, seed))
    }

    /// Begins a zip of all files, with all changes. Returns the number of files and folders.
    pub fn begin_zip(&mut self) -> usize {
        self.zip = Some(ZipPieces::new());
        self.tree.entries().len()
    }

    /// The zip's next bytes: those of one file or folder, and the directory last. `None` when the zip is complete, and
    /// after an error.
    ///
    /// # Errors
    /// Errors of reading a file. The zip is given up.
    pub fn next_of_zip(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(zip) = self.zip.take() else { return Ok(None) };
        let (bytes, rest) = zip.next(&self.tree)?;
        self.zip = rest;
        Ok(Some(bytes))
    }

    /// The files and the lists. Reads the lists where they are not known.
    fn parts(&mut self) -> (&Overlay, &mut Lists) {
        let Session { tree, lists, facts, decode, .. } = self;
        let lists = lists.get_or_insert_with(|| Lists::read(tree, facts, decode.as_deref()));
        (tree, lists)
    }

    fn replace(&mut self, new: &NewDataset) -> ListSizes {
        self.change(|tree| *tree = new.over(tree));
        ListSizes::of(new)
    }

    /// Changes the files. The lists are read again when they are needed.
    fn change(&mut self, change: impl FnOnce(&mut Overlay)) {
        if let Some(lists) = self.lists.take() {
            self.facts.extend(lists.into_facts(&self.tree));
        }
        change(&mut self.tree);
    }

    fn paddlex(&self, flavor: Flavor) -> Result<ShiTuRec<'_>, Stop> {
        ShiTuRec::find(&self.tree, Place::named(&self.name), flavor)
    }

    fn paddlex_change(
        &mut self,
        flavor: Flavor,
        done: &str,
        step: impl FnOnce(&mut ShiTuRec<'_>) -> Result<(), Stop>,
    ) -> Result<Verdict> {
        let changes = self.paddlex(flavor).and_then(|mut dataset| step(&mut dataset).map(|()| dataset.changes()));
        Ok(match Stop::raised(changes)? {
            Ok(changes) => {
                self.change(|tree| changes.into_iter().for_each(|change| change.apply(tree)));
                Verdict::done(done)
            }
            Err(exception) => Verdict::of_exception(exception),
        })
    }
}

/// The problems of other sessions and of this one, sorted, each once.
fn all_problems(others: &[Problem], tree: &Overlay) -> Vec<Problem> {
    let mut problems = [others, &tree.problems()].concat();
    problems.sort();
    problems.dedup();
    problems
}
