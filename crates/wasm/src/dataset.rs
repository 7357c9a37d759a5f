//! Data sets in the browser's files.
//!
//! Answers are JSON texts, or bytes. Several workers may open the same files: the first does the work, the others only
//! [`look`](DatasetFiles::look) at images for it.

use std::sync::Arc;

use js_sys::Array;
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, ImageData};

use crate::values::{to_js, to_text};
use crate::{BlobFolder, BlobSource, guessing_name_decoder, name_decoder};
use image_feature::dataset::compat::{Flavor, Percent};
use image_feature::dataset::{
    AuditOptions, ConvertOptions, CsvColumns, Divisions, Session, SourceForm, SplitBy, SplitOptions,
};
use image_feature::file_tree::{Archive, ArchiveFormat, ArchiveOptions, NameDecoder};
use image_feature::{Error, Result};

/// Opened files, and the facts about the data set in them.
#[wasm_bindgen]
pub struct DatasetFiles {
    session: Session,
    /// Whether the archive can only be unpacked from its beginning.
    is_stream: bool,
}

#[wasm_bindgen]
impl DatasetFiles {
    /// Opens an archive. `encoding` is the browser's label of the encoding of names and lists that are not UTF-8; without
    /// it, the first of the `guesses` in which all names are valid is used.
    #[wasm_bindgen(js_name = fromArchive)]
    pub fn from_archive(
        name: String,
        blob: Blob,
        encoding: Option<String>,
        guesses: Vec<String>,
    ) -> Result<DatasetFiles, JsValue> {
        let decoder = decoder(encoding.as_deref(), &guesses)?;
        let options = ArchiveOptions { decode_names: Some(&*decoder) };
        let archive = Archive::with_options(name.clone(), BlobSource::new(blob), &options).map_err(to_js)?;
        let is_stream = archive.format() == ArchiveFormat::TarGz;
        Ok(DatasetFiles { session: Session::new(name, Arc::new(archive)).with_decoder(decoder), is_stream })
    }

    /// Opens the files of a folder. `paths` are their paths below it, `unreadable` those that the browser could not look at. The
    /// encodings are those of lists that are not UTF-8.
    #[wasm_bindgen(js_name = fromFolder)]
    pub fn from_folder(
        name: String,
        paths: Vec<String>,
        blobs: Array,
        unreadable: Option<Vec<String>>,
        encoding: Option<String>,
        guesses: Vec<String>,
    ) -> Result<DatasetFiles, JsValue> {
        let decoder = decoder(encoding.as_deref(), &guesses)?;
        let blobs = blobs.iter().map(|blob| blob.dyn_into::<Blob>());
        let blobs =
            blobs.collect::<Result<Vec<_>, _>>().map_err(|_| to_js(Error::usage("each file must be a Blob")))?;
        let folder = BlobFolder::new(name.clone(), paths.into_iter().zip(blobs).collect()).map_err(to_js)?;
        let folder = folder.with_unreadable(unreadable.unwrap_or_default());
        Ok(DatasetFiles { session: Session::new(name, Arc::new(folder)).with_decoder(decoder), is_stream: false })
    }

    /// Whether each worker would unpack the whole archive, so that several are no faster than one.
    #[wasm_bindgen(getter, js_name = isStream)]
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Number of images in the lists.
    #[wasm_bindgen(js_name = imageCount)]
    pub fn image_count(&mut self) -> usize {
        self.session.image_count()
    }

    /// The place and the file of each image without known facts, in the best order of reading. [`look`](Self::look) takes the
    /// file.
    pub fn unknown(&mut self) -> Vec<u32> {
        let images = self.session.unknown_images();
        images.into_iter().flat_map(|image| [image.place as u32, image.file as u32]).collect()
    }

    /// The facts of an image.
    pub fn look(&self, file: u32) -> Result<String, JsValue> {
        to_text(&self.session.measure(file as usize))
    }

    /// Sets the facts of the image at a place.
    pub fn take(&mut self, place: u32, facts: &str) -> Result<(), JsValue> {
        self.session.set_facts(place as usize, from_text(facts)?);
        Ok(())
    }

    /// Sets that the image at a place cannot be read, and why.
    #[wasm_bindgen(js_name = takeBroken)]
    pub fn take_broken(&mut self, place: u32, message: String) {
        self.session.set_unreadable(place as usize, message);
    }

    /// Problems of the archive that this worker has found.
    pub fn problems(&self) -> Result<String, JsValue> {
        to_text(&self.session.problems())
    }

    /// Adds problems that another worker has found.
    #[wasm_bindgen(js_name = takeProblems)]
    pub fn take_problems(&mut self, problems: &str) -> Result<(), JsValue> {
        let problems: Vec<serde_json::Value> = from_text(problems)?;
        self.session.add_problems(&problems);
        Ok(())
    }

    /// The report of an audit of the known facts, with at most `most` findings of each code.
    pub fn report(&mut self, most: usize, batch_size: usize) -> Result<String, JsValue> {
        to_text(&self.session.report(most, &AuditOptions { batch_size, ..AuditOptions::default() }))
    }

    /// The file and the path of each image in the last report.
    pub fn shown(&mut self) -> Result<String, JsValue> {
        to_text(&self.session.shown())
    }

    /// A small picture of an image; `undefined` where it cannot be read.
    pub fn thumbnail(&self, file: u32) -> Option<ImageData> {
        let (pixels, width, height) = self.session.thumbnail(file as usize).ok()?;
        let rgba: Vec<u8> = pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
        // A copy outside WebAssembly's memory: `ImageData` refuses shared memory.
        let rgba = js_sys::Uint8ClampedArray::from(&rgba[..]);
        ImageData::new_with_js_u8_clamped_array_and_sh(&rgba, width as u32, height as u32).ok()
    }

    /// The paths of all files, with all changes.
    pub fn paths(&self) -> Vec<String> {
        self.session.paths()
    }

    /// The bytes of a file, with all changes.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, JsValue> {
        self.session.read(path).map_err(to_js)
    }

    /// Replaces the data set by a cleaned copy.
    pub fn fix(&mut self) -> Result<String, JsValue> {
        to_text(&self.session.fix())
    }

    /// Converts a data set of another form: `labelme`, `folders` or `csv`. Images that it does not divide are divided by these
    /// percentages. `choices` are [`Choices`] as JSON.
    pub fn convert(&mut self, form: &str, percent: Vec<f64>, seed: f64, choices: &str) -> Result<String, JsValue> {
        let form: SourceForm = form.parse().map_err(to_js)?;
        let split = SplitOptions { percent: three(&percent)?, seed: seed as u64, ..SplitOptions::default() };
        let Choices { divisions, path_column, label_column, list_column, table, skip_faulty } = from_text(choices)?;
        let divisions = divisions.map_or(Ok(Divisions::Auto), |text| text.parse()).map_err(to_js)?;
        let columns = CsvColumns { path: path_column, label: label_column, list: list_column };
        let options = ConvertOptions { split, divisions, columns, table, skip_faulty };
        to_text(&self.session.convert(form, &options).map_err(to_js)?)
    }

    /// Divides the images again; by classes where `by_class` is true.
    pub fn split(
        &mut self,
        percent: Vec<f64>,
        seed: f64,
        by_class: bool,
        allow_absent: bool,
    ) -> Result<String, JsValue> {
        let by = if by_class { SplitBy::Class } else { SplitBy::Image };
        let percent = three(&percent)?;
        let options = SplitOptions { percent, seed: seed as u64, by, allow_absent, ..SplitOptions::default() };
        to_text(&self.session.split(&options).map_err(to_js)?)
    }

    /// PaddleX's verdict: its result file, and the samples that it draws.
    #[wasm_bindgen(js_name = compatCheck)]
    pub fn compat_check(&self, beta: bool) -> Result<String, JsValue> {
        to_text(&self.session.compat_check(flavor(beta)).map_err(to_js)?)
    }

    /// Converts from LabelMe as PaddleX does.
    #[wasm_bindgen(js_name = compatConvert)]
    pub fn compat_convert(&mut self, beta: bool, form: Option<String>) -> Result<String, JsValue> {
        to_text(&self.session.compat_convert(flavor(beta), form.as_deref()).map_err(to_js)?)
    }

    /// Divides the lists as PaddleX does. A percentage that is not given is `undefined`.
    #[wasm_bindgen(js_name = compatSplit)]
    pub fn compat_split(&mut self, beta: bool, percent: Array, seed: f64) -> Result<String, JsValue> {
        let percents = [0, 1, 2].map(|at| percent.get(at).as_f64().map(Percent::from));
        to_text(&self.session.compat_split(flavor(beta), percents, seed as u64).map_err(to_js)?)
    }

    /// Begins a zip of all files, and gives their number.
    #[wasm_bindgen(js_name = beginZip)]
    pub fn begin_zip(&mut self) -> usize {
        self.session.begin_zip()
    }

    /// The bytes of the zip's next file; `undefined` when it is complete.
    #[wasm_bindgen(js_name = nextOfZip)]
    pub fn next_of_zip(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        self.session.next_of_zip().map_err(to_js)
    }
}

/// Choices of a conversion.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Choices {
    divisions: Option<String>,
    path_column: Option<String>,
    label_column: Option<String>,
    list_column: Option<String>,
    table: Option<String>,
    skip_faulty: bool,
}

/// The decoder of an encoding, or of the first of the guesses that fits.
fn decoder(encoding: Option<&str>, guesses: &[String]) -> Result<Box<NameDecoder>, JsValue> {
    encoding.map_or_else(|| guessing_name_decoder(guesses), name_decoder).map_err(to_js)
}

/// The value of a JSON text that another worker wrote.
fn from_text<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, JsValue> {
    serde_json::from_str(text).map_err(|error| to_js(Error::internal(error.to_string())))
}

fn flavor(beta: bool) -> Flavor {
    if beta { Flavor::Beta } else { Flavor::Paddlex3 }
}

fn three(percent: &[f64]) -> Result<[f64; 3], JsValue> {
    percent.try_into().map_err(|_| to_js(Error::usage("give three percentages: train, gallery, query")))
}
