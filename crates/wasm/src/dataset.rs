//! A data set of the browser's files, as one of the page's workers works on it.
//!
//! Every answer but bytes is JSON, as text. Each worker opens the same files: those beside the first only
//! [`look`](DatasetFiles::look) at images for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use js_sys::Array;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, ImageData};

use crate::values::to_js;
use crate::{BlobFolder, BlobSource, guessing_name_decoder, name_decoder};
use image_feature::dataset::compat::{
    CONVERTED, DIVIDED, Exception, Flavor, PASSED, Percent, Place, ShiTuRec, Stop, result_json,
};
use image_feature::dataset::{
    AuditOptions, Dataset, Evidence, ImageFacts, MOST_FILE_BYTES, NewDataset, SourceForm, SplitBy, SplitOptions,
    Subset, Target, Thumbnails, ZipTarget, audit, convert, fix, report, shown_images, shrunk, split,
};
use image_feature::file_tree::{
    Archive, ArchiveFormat, ArchiveOptions, Content, EntryKind, FileTree, Overlay, Problem, ProblemCode,
};
use image_feature::{DecodeLimits, Error, Result, decode};

/// Opened files, and what is known of the data set in them.
#[wasm_bindgen]
pub struct DatasetFiles {
    name: String,
    /// The files as they are now: changes are written nowhere but into a zip.
    tree: Overlay,
    /// The files can only be unpacked from their beginning.
    is_stream: bool,
    lists: Option<Lists>,
    /// By their files, the facts of images that lists had before they changed: an image stays what it is.
    facts: BTreeMap<usize, ImageFacts>,
    zip: Option<(ZipTarget<Vec<u8>>, usize)>,
}

/// A data set whose lists have been read, and the facts of its images as far as they are known.
struct Lists {
    dataset: Dataset,
    facts: Vec<Option<ImageFacts>>,
    /// What other workers found wrong with the archive.
    problems: Vec<Problem>,
    /// The places of images that the last report shows.
    shown: Vec<usize>,
}

#[wasm_bindgen]
impl DatasetFiles {
    /// Opens an archive. `encoding` is that of names which are not UTF-8, as a browser calls it; without it, it is the first
    /// of the `guesses` that can be.
    #[wasm_bindgen(js_name = fromArchive)]
    pub fn from_archive(
        name: String,
        blob: Blob,
        encoding: Option<String>,
        guesses: Vec<String>,
    ) -> Result<DatasetFiles, JsValue> {
        let decoder = match &encoding {
            Some(label) => name_decoder(label),
            None => guessing_name_decoder(&guesses),
        };
        let decoder = decoder.map_err(to_js)?;
        let options = ArchiveOptions { decode_names: Some(&*decoder) };
        let archive = Archive::with_options(name.clone(), BlobSource::new(blob), &options).map_err(to_js)?;
        let is_stream = archive.format() == ArchiveFormat::TarGz;
        Ok(DatasetFiles::new(name, Arc::new(archive), is_stream))
    }

    /// Opens the files of a folder, by their paths below it.
    #[wasm_bindgen(js_name = fromFolder)]
    pub fn from_folder(name: String, paths: Vec<String>, blobs: Array) -> Result<DatasetFiles, JsValue> {
        let blobs = blobs.iter().map(|blob| blob.dyn_into::<Blob>());
        let blobs =
            blobs.collect::<Result<Vec<_>, _>>().map_err(|_| to_js(Error::usage("each file must be a Blob")))?;
        let folder = BlobFolder::new(name.clone(), paths.into_iter().zip(blobs).collect()).map_err(to_js)?;
        Ok(DatasetFiles::new(name, Arc::new(folder), false))
    }

    /// Whether reading by several workers only repeats the unpacking.
    #[wasm_bindgen(getter, js_name = isStream)]
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// How many images the lists name.
    #[wasm_bindgen(js_name = imageCount)]
    pub fn image_count(&mut self) -> usize {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        Lists::of(lists, tree, kept).facts.len()
    }

    /// Pairs of numbers, one for each image whose facts are not known: its place, and the file that
    /// [`look`](Self::look) takes; in the order in which the files are read best.
    pub fn unknown(&mut self) -> Vec<u32> {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        let Lists { dataset, facts, .. } = Lists::of(lists, tree, kept);
        let mut files = Vec::new();
        for (place, &index) in dataset.images().iter().enumerate() {
            match tree.content(index) {
                Some(&Content::Of(file)) if facts[place].is_none() => files.push((file, place)),
                // a list that a list names is no other worker's
                Some(Content::Bytes(_)) => facts[place] = Some(ImageFacts::read(tree, index, &DecodeLimits::default())),
                _ => {}
            }
        }
        in_reading_order(tree, files).into_iter().flat_map(|(file, place)| [place as u32, file as u32]).collect()
    }

    /// The facts of one image.
    pub fn look(&self, file: u32) -> Result<String, JsValue> {
        to_text(&ImageFacts::read(self.tree.below(), file as usize, &DecodeLimits::default()))
    }

    /// Takes the facts of the image at a place.
    pub fn take(&mut self, place: u32, facts: &str) -> Result<(), JsValue> {
        let facts = serde_json::from_str(facts).map_err(|error| to_js(Error::internal(error.to_string())))?;
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        if let Some(known) = Lists::of(lists, tree, kept).facts.get_mut(place as usize) {
            *known = Some(facts);
        }
        Ok(())
    }

    /// Notes that an image cannot be looked at.
    #[wasm_bindgen(js_name = takeBroken)]
    pub fn take_broken(&mut self, place: u32, message: String) {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        if let Some(known) = Lists::of(lists, tree, kept).facts.get_mut(place as usize) {
            *known = Some(ImageFacts::unreadable(Error::internal(message)));
        }
    }

    /// What this worker has found wrong with the archive.
    pub fn problems(&self) -> Result<String, JsValue> {
        let rows = self.tree.problems().into_iter();
        let rows =
            rows.map(|Problem { position, entry, code, detail }| json!([position, entry, code.as_str(), detail]));
        to_text(&rows.collect::<Vec<_>>())
    }

    /// Takes what another worker has found.
    #[wasm_bindgen(js_name = takeProblems)]
    pub fn take_problems(&mut self, problems: &str) -> Result<(), JsValue> {
        let rows: Vec<Value> =
            serde_json::from_str(problems).map_err(|error| to_js(Error::internal(error.to_string())))?;
        let read = rows.iter().filter_map(|row| {
            let text = |at: usize| row[at].as_str().map(str::to_string);
            Some(Problem {
                position: row[0].as_u64(),
                entry: text(1),
                code: ProblemCode::from_code(row[2].as_str()?)?,
                detail: text(3)?,
            })
        });
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        if tree.is_whole() {
            Lists::of(lists, tree, kept).problems.extend(read);
        }
        Ok(())
    }

    /// The report: what the audit makes of the facts that are known, at most so many findings of each code.
    pub fn report(&mut self, most: usize, batch_size: usize) -> Result<String, JsValue> {
        let DatasetFiles { name, tree, lists, facts: kept, .. } = self;
        let Lists { dataset, facts, problems, shown } = Lists::of(lists, tree, kept);
        let mut problems = [problems.as_slice(), &tree.problems()].concat();
        problems.sort();
        problems.dedup();
        let evidence = Evidence { facts, problems: &problems, ..Evidence::default() };
        let audit = audit(dataset, &evidence, &AuditOptions { batch_size, ..AuditOptions::default() });
        *shown = shown_images(dataset, &audit);
        to_text(&report(name, dataset, &audit, facts, &Thumbnails::new(), most))
    }

    /// Of the images that the last report shows: the file and the path.
    pub fn shown(&mut self) -> Result<String, JsValue> {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        let Lists { dataset, shown, .. } = Lists::of(lists, tree, kept);
        let files = shown.iter().filter_map(|&place| match tree.content(dataset.images()[place]) {
            Some(&Content::Of(file)) => Some((file, place)),
            _ => None,
        });
        let files = in_reading_order(tree, files.collect());
        to_text(&files.into_iter().map(|(file, place)| (file, &dataset.paths()[place])).collect::<Vec<_>>())
    }

    /// A small picture of an image; nothing where it cannot be read.
    pub fn thumbnail(&self, file: u32) -> Option<ImageData> {
        let bytes = self.tree.below().read(file as usize, MOST_FILE_BYTES).ok()?;
        let (pixels, width, height) = shrunk(&decode(&bytes, &DecodeLimits::default()).ok()?);
        let rgba: Vec<u8> = pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
        // a copy outside our memory: pictures take none that threads share
        let rgba = js_sys::Uint8ClampedArray::from(&rgba[..]);
        ImageData::new_with_js_u8_clamped_array_and_sh(&rgba, width as u32, height as u32).ok()
    }

    /// The paths of all files as they are now.
    pub fn paths(&self) -> Vec<String> {
        let files = self.tree.entries().iter().filter(|entry| entry.kind == EntryKind::File);
        files.map(|entry| entry.path.clone()).collect()
    }

    /// The bytes of a file as it is now.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, JsValue> {
        let index = self.tree.find(path).ok_or_else(|| to_js(Error::usage(format!("there is no `{path}`"))))?;
        self.tree.read(index, MOST_FILE_BYTES).map_err(to_js)
    }

    /// Puts a cleaned copy in place of the data set.
    pub fn fix(&mut self) -> Result<String, JsValue> {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        let Lists { dataset, facts, .. } = Lists::of(lists, tree, kept);
        let fixed = fix(dataset, facts);
        let (kept, aside, renamed) = (fixed.kept, fixed.set_aside, fixed.renamed);
        self.become_new(&fixed.dataset, json!({ "kept": kept, "setAside": aside, "renamed": renamed }))
    }

    /// Puts the data set in place of one of another form: `labelme`, `folders` or `csv`. What that does not divide is
    /// divided by these percentages.
    pub fn convert(&mut self, form: &str, percent: Vec<f64>, seed: f64) -> Result<String, JsValue> {
        let new = form.parse().and_then(|form: SourceForm| {
            convert(
                &self.tree,
                form,
                &SplitOptions { percent: three(&percent)?, seed: seed as u64, ..SplitOptions::default() },
            )
        });
        self.become_new(&new.map_err(to_js)?, json!({}))
    }

    /// Divides the images anew; by classes, where `by_class`.
    pub fn split(
        &mut self,
        percent: Vec<f64>,
        seed: f64,
        by_class: bool,
        allow_absent: bool,
    ) -> Result<String, JsValue> {
        let DatasetFiles { tree, lists, facts: kept, .. } = self;
        let Lists { dataset, facts, .. } = Lists::of(lists, tree, kept);
        let new = three(&percent).and_then(|percent| {
            let by = if by_class { SplitBy::Class } else { SplitBy::Image };
            let options = SplitOptions { percent, seed: seed as u64, by, allow_absent, ..SplitOptions::default() };
            let facts = if facts.iter().any(Option::is_some) { facts.as_slice() } else { &[] };
            split(dataset, facts, &options)
        });
        self.become_new(&new.map_err(to_js)?, json!({}))
    }

    /// PaddleX's verdict: its result file, and the samples that it would draw.
    #[wasm_bindgen(js_name = compatCheck)]
    pub fn compat_check(&self, beta: bool) -> Result<String, JsValue> {
        let mut samples = Vec::new();
        let verdict = self.paddlex(beta).and_then(|dataset| {
            dataset.check(&mut |sample, _| {
                samples.push(sample.name.clone());
                Ok(())
            })
        });
        let verdict = raised(verdict).map_err(to_js)?.and_then(|verdict| verdict);
        let log = verdict.as_ref().map_or_else(log_of, |_| PASSED.into());
        to_text(&json!({ "passed": verdict.is_ok(), "json": result_json(&verdict), "log": log, "samples": samples }))
    }

    /// Converts from LabelMe as PaddleX does.
    #[wasm_bindgen(js_name = compatConvert)]
    pub fn compat_convert(&mut self, beta: bool, form: Option<String>) -> Result<String, JsValue> {
        self.paddlex_change(beta, CONVERTED, |dataset| dataset.convert(form.as_deref()))
    }

    /// Divides the lists as PaddleX does. A percentage that is not given is `undefined`.
    #[wasm_bindgen(js_name = compatSplit)]
    pub fn compat_split(&mut self, beta: bool, percent: Array, seed: f64) -> Result<String, JsValue> {
        let mut percents = [None; 3];
        for (percent, value) in percents.iter_mut().zip(percent.iter()) {
            *percent = value.as_f64().map(|value| match value as i64 {
                whole if whole as f64 == value => Percent::Whole(whole),
                _ => Percent::Fraction(value),
            });
        }
        self.paddlex_change(beta, DIVIDED, |dataset| dataset.split(percents, seed as u64))
    }

    /// Begins a zip of all files as they are now, and says how many there are.
    #[wasm_bindgen(js_name = beginZip)]
    pub fn begin_zip(&mut self) -> usize {
        self.zip = Some((ZipTarget::new(Vec::new()), 0));
        self.tree.entries().len()
    }

    /// The bytes of the zip's next file; nothing when it is complete.
    #[wasm_bindgen(js_name = nextOfZip)]
    pub fn next_of_zip(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        let Some((mut zip, next)) = self.zip.take() else { return Ok(None) };
        let Some(entry) = self.tree.entries().get(next) else { return zip.finish().map(Some).map_err(to_js) };
        match entry.kind {
            EntryKind::Folder => zip.folder(&entry.path),
            EntryKind::File => self.tree.read(next, MOST_FILE_BYTES).and_then(|bytes| zip.write(&entry.path, &bytes)),
        }
        .map_err(to_js)?;
        let bytes = std::mem::take(zip.writer());
        self.zip = Some((zip, next + 1));
        Ok(Some(bytes))
    }
}

impl DatasetFiles {
    fn new(name: String, tree: Arc<dyn FileTree>, is_stream: bool) -> Self {
        DatasetFiles { name, tree: Overlay::whole(tree), is_stream, lists: None, facts: BTreeMap::new(), zip: None }
    }

    fn become_new(&mut self, new: &NewDataset, mut answer: Value) -> Result<String, JsValue> {
        self.change(|tree| *tree = new.over(tree));
        for list in Subset::ALL {
            let text = new.files.iter().find(|(name, _)| name == list.list());
            let rows = text.map_or(0, |(_, text)| text.iter().filter(|&&byte| byte == b'\n').count());
            answer[list.as_str()] = rows.into();
        }
        to_text(&answer)
    }

    /// Changes the files. The lists must be read again then.
    fn change(&mut self, change: impl FnOnce(&mut Overlay)) {
        if let Some(Lists { dataset, facts, .. }) = self.lists.take() {
            let known = dataset.images().iter().zip(facts);
            self.facts.extend(known.filter_map(|(&index, facts)| match self.tree.content(index) {
                Some(&Content::Of(file)) => Some((file, facts?)),
                _ => None,
            }));
        }
        change(&mut self.tree);
    }

    fn paddlex(&self, beta: bool) -> Result<ShiTuRec<'_>, Stop> {
        let flavor = if beta { Flavor::Beta } else { Flavor::Paddlex3 };
        ShiTuRec::find(&self.tree, Place::named(&self.name), flavor)
    }

    fn paddlex_change(
        &mut self,
        beta: bool,
        done: &str,
        step: impl FnOnce(&mut ShiTuRec<'_>) -> Result<(), Stop>,
    ) -> Result<String, JsValue> {
        let changes = self.paddlex(beta).and_then(|mut dataset| step(&mut dataset).map(|()| dataset.changes()));
        let answer = match raised(changes).map_err(to_js)? {
            Ok(changes) => {
                self.change(|tree| changes.into_iter().for_each(|change| change.apply(tree)));
                json!({ "passed": true, "json": null, "log": done })
            }
            Err(exception) => {
                json!({ "passed": false, "log": log_of(&exception), "json": result_json(&Err(exception)) })
            }
        };
        to_text(&answer)
    }
}

impl Lists {
    fn of<'a>(lists: &'a mut Option<Lists>, tree: &Overlay, kept: &BTreeMap<usize, ImageFacts>) -> &'a mut Lists {
        lists.get_or_insert_with(|| {
            let dataset = Dataset::read(tree);
            let facts = dataset.images().iter().map(|&index| match tree.content(index) {
                Some(Content::Of(file)) => kept.get(file).cloned(),
                _ => None,
            });
            Lists { facts: facts.collect(), dataset, problems: Vec::new(), shown: Vec::new() }
        })
    }
}

/// Pairs of a file and something else, as the tree below likes its files to be read.
fn in_reading_order(tree: &Overlay, mut pairs: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    pairs.sort_unstable();
    let mut order: Vec<usize> = pairs.iter().map(|&(file, _)| file).collect();
    order.dedup();
    tree.below().sort_for_reading(&mut order);
    let of = |file: usize| {
        pairs[pairs.partition_point(|pair| pair.0 < file)..].iter().take_while(move |pair| pair.0 == file)
    };
    order.into_iter().flat_map(of).copied().collect()
}

/// What PaddleX raises is a verdict, not an error.
fn raised<T>(outcome: Result<T, Stop>) -> Result<Result<T, Exception>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Raised(exception)) => Ok(Err(exception)),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// As Python prints an exception that nobody catches.
fn log_of(exception: &Exception) -> String {
    if exception.message.is_empty() {
        exception.class.into()
    } else {
        format!("{}: {}", exception.class, exception.message)
    }
}

fn three(percent: &[f64]) -> Result<[f64; 3]> {
    percent.try_into().map_err(|_| Error::usage("give three percentages: train, gallery, query"))
}

fn to_text(value: &impl serde::Serialize) -> Result<String, JsValue> {
    serde_json::to_string(value).map_err(|error| to_js(Error::internal(error.to_string())))
}
