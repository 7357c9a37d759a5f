//! Data sets.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image_feature::dataset::{
    self, Audit, AuditOptions, ConvertOptions, CsvColumns, Evidence, FixOutcome, FolderTarget, ImageFacts, ListSizes,
    NewDataset, SplitBy, SplitOptions, Subset, Thumbnails, ZipTarget,
};
use image_feature::file_tree::{self, ArchiveOptions, FileTree, NameDecoder};
use image_feature::output_file::OutputFile;
use image_feature::{DecodeLimits, Error, Result, RgbImage};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::json;

use crate::errors::Raise;
use crate::progress::Progress;

/// Maximum findings of each code in an HTML file, so that it opens quickly.
const MOST_IN_HTML: usize = 200;

type Facts = Vec<Option<ImageFacts>>;
/// Line, path, label, and the number of the image's file.
type Row = (usize, String, Option<i64>, Option<usize>);

/// A data set that was opened, and what is known of its images.
#[pyclass(frozen, module = "image_feature._native")]
pub struct Dataset {
    name: String,
    tree: Arc<dyn FileTree>,
    lists: dataset::Dataset,
    /// `None` until images were looked at.
    facts: Mutex<Option<Arc<Facts>>>,
}

#[pymethods]
impl Dataset {
    #[new]
    #[pyo3(signature = (path, *, encoding))]
    fn new(py: Python<'_>, path: PathBuf, encoding: Option<&str>) -> PyResult<Self> {
        py.detach(|| {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
            let tree: Arc<dyn FileTree> = Arc::from(open(&path, encoding)?);
            let decoder = encoding.map(|label| file_tree::name_decoder(Some(label))).transpose()?;
            let lists = dataset::Dataset::read_with(tree.as_ref(), decoder.as_deref());
            Ok(Dataset { name, tree, lists, facts: Mutex::default() })
        })
        .or_raise(py)
    }

    fn image_count(&self) -> usize {
        self.lists.images().len()
    }

    /// The rows of a list: line, path, label, and the number for [`read`](Self::read).
    fn rows(&self, py: Python<'_>, list: &str) -> PyResult<Vec<Row>> {
        let unknown = || Error::usage(format!("`{list}` is no list; there are train, gallery and query"));
        let found = Subset::ALL.into_iter().find(|subset| subset.list().strip_suffix(".txt") == Some(list));
        let list = found.ok_or_else(unknown).or_raise(py)?;
        let rows = self.lists.rows().iter().filter(|row| row.list == list);
        Ok(rows.map(|row| (row.line as usize, row.path.clone(), row.label, row.entry)).collect())
    }

    /// The bytes of a file, by its number.
    fn read<'py>(&self, py: Python<'py>, entry: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| match entry < self.tree.entries().len() {
            true => self.tree.read(entry, dataset::MOST_FILE_BYTES),
            false => Err(Error::usage(format!("there is no file {entry}"))),
        });
        Ok(PyBytes::new(py, &bytes.or_raise(py)?))
    }

    /// Looks at every image, and gives the report as JSON.
    #[pyo3(signature = (*, batch_size, threads, progress))]
    fn check(
        &self,
        py: Python<'_>,
        batch_size: usize,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let facts = self.facts(py, threads, progress)?;
        Ok(py.detach(|| {
            let audit = self.audit(&facts, batch_size);
            let json = dataset::report(&self.name, &self.lists, &audit, &facts, &Thumbnails::new(), usize::MAX);
            json.to_string()
        }))
    }

    /// The report as one HTML file with small pictures.
    #[pyo3(signature = (*, batch_size, threads))]
    fn report_html(&self, py: Python<'_>, batch_size: usize, threads: usize) -> PyResult<String> {
        let facts = self.facts(py, threads, None)?;
        Ok(py.detach(|| {
            let audit = self.audit(&facts, batch_size);
            let pictures = self.thumbnails(&audit, threads);
            let json = dataset::report(&self.name, &self.lists, &audit, &facts, &pictures, MOST_IN_HTML);
            dataset::report_html(&json)
        }))
    }

    /// Writes a mended copy, and gives the numbers of rows as JSON.
    #[pyo3(signature = (target, *, threads, progress))]
    fn fix(&self, py: Python<'_>, target: PathBuf, threads: usize, progress: Option<Py<PyAny>>) -> PyResult<String> {
        let copy = Copy::open(&target).or_raise(py)?;
        let facts = self.facts(py, threads, progress)?;
        let fixed = py.detach(|| dataset::fix(&self.lists, &facts));
        copy.write(py, self.tree.as_ref(), &fixed.dataset)?;
        Ok(json!(FixOutcome::of(&fixed)).to_string())
    }

    /// Writes a copy that is divided anew, and gives the numbers of rows as JSON.
    #[pyo3(signature = (target, *, percent, seed, by, allow_absent, ignore_copies, threads, progress))]
    #[expect(clippy::too_many_arguments, reason = "all have names in Python")]
    fn split(
        &self,
        py: Python<'_>,
        target: PathBuf,
        percent: [f64; 3],
        seed: u64,
        by: &str,
        allow_absent: bool,
        ignore_copies: bool,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let options =
            SplitOptions { percent, seed, by: unit(by).or_raise(py)?, allow_absent, ..SplitOptions::default() };
        let copy = Copy::open(&target).or_raise(py)?;
        let facts = if ignore_copies { Arc::default() } else { self.facts(py, threads, progress)? };
        let new = py.detach(|| dataset::split(&self.lists, &facts, &options)).or_raise(py)?;
        copy.write(py, self.tree.as_ref(), &new)?;
        Ok(json!(ListSizes::of(&new)).to_string())
    }
}

impl Dataset {
    fn audit(&self, facts: &Facts, batch_size: usize) -> Audit {
        let evidence = Evidence { facts, problems: &self.tree.problems(), ..Evidence::default() };
        dataset::audit(&self.lists, &evidence, &AuditOptions { batch_size, ..AuditOptions::default() })
    }

    /// The facts of all images, measured once.
    fn facts(&self, py: Python<'_>, threads: usize, progress: Option<Py<PyAny>>) -> PyResult<Arc<Facts>> {
        let known = || self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = py.detach(|| known().clone()) {
            return Ok(facts);
        }
        let mut progress = Progress::new(progress, self.lists.images().len());
        let mut facts = vec![None; self.lists.images().len()];
        py.detach(|| {
            let take = |index: usize, found: ImageFacts, ()| {
                facts[self.place(index)] = Some(found);
                progress.advance()
            };
            let _ = dataset::survey(
                self.tree.as_ref(),
                self.lists.images(),
                threads,
                &DecodeLimits::default(),
                |_, _| (),
                take,
            );
        });
        progress.ended()?;
        let facts = Arc::new(facts);
        py.detach(|| *known() = Some(facts.clone()));
        Ok(facts)
    }

    /// Small pictures of the images in the report.
    fn thumbnails(&self, audit: &Audit, threads: usize) -> Thumbnails {
        let shown = dataset::shown_images(&self.lists, audit);
        let indices: Vec<usize> = shown.into_iter().map(|place| self.lists.images()[place]).collect();
        let mut thumbnails = Thumbnails::new();
        let small = |_: &ImageFacts, image: Option<RgbImage>| image.and_then(|image| dataset::thumbnail(&image).ok());
        let take = |index: usize, _, picture: Option<String>| {
            thumbnails.extend(picture.map(|picture| (self.place(index), picture)));
            ControlFlow::Continue(())
        };
        let _ = dataset::survey(self.tree.as_ref(), &indices, threads, &DecodeLimits::default(), small, take);
        thumbnails
    }

    /// The place of a tree's entry among the images.
    fn place(&self, index: usize) -> usize {
        self.lists.images().binary_search(&index).expect("only images of the data set are looked at")
    }
}

/// Converts a data set of another form to a copy, and gives the numbers of rows and the notes as JSON.
#[pyfunction]
#[pyo3(signature = (path, target, *, form, table, percent, seed, divisions, columns, skip_faulty, encoding))]
#[expect(clippy::too_many_arguments, reason = "all have names in Python")]
pub fn convert(
    py: Python<'_>,
    path: PathBuf,
    target: PathBuf,
    form: &str,
    table: Option<String>,
    percent: [f64; 3],
    seed: u64,
    divisions: &str,
    columns: [Option<String>; 3],
    skip_faulty: bool,
    encoding: Option<&str>,
) -> PyResult<String> {
    let [path_column, label, list] = columns;
    let (tree, copy, new) = py
        .detach(|| {
            let options = ConvertOptions {
                split: SplitOptions { percent, seed, ..SplitOptions::default() },
                divisions: divisions.parse()?,
                columns: CsvColumns { path: path_column, label, list },
                table,
                skip_faulty,
            };
            let form = form.parse()?;
            let tree = open(&path, encoding)?;
            let copy = Copy::open(&target)?;
            let decoder = encoding.map(|label| file_tree::name_decoder(Some(label))).transpose()?;
            let new = dataset::convert_with(tree.as_ref(), form, &options, decoder.as_deref());
            Ok((tree, copy, new.map_err(|error| error.context(path.display().to_string()))?))
        })
        .or_raise(py)?;
    copy.write(py, tree.as_ref(), &new.dataset)?;
    let sizes = ListSizes::of(&new.dataset);
    let (train, gallery, query) = (sizes.train, sizes.gallery, sizes.query);
    Ok(json!({ "train": train, "gallery": gallery, "query": query, "notes": new.notes }).to_string())
}

fn open(path: &Path, encoding: Option<&str>) -> Result<Box<dyn FileTree>> {
    let decoder: Box<NameDecoder> = file_tree::name_decoder(encoding)?;
    file_tree::open_with(path, &ArchiveOptions { decode_names: Some(&*decoder) })
}

fn unit(by: &str) -> Result<SplitBy> {
    match by {
        "image" => Ok(SplitBy::Image),
        "class" => Ok(SplitBy::Class),
        _ => Err(Error::usage(format!("by=`{by}`: give `image` or `class`"))),
    }
}

/// The target of a copy: a folder, or a `.zip`. It is opened before the work, so that errors appear at once.
enum Copy {
    Folder(Box<FolderTarget>),
    Zip(Box<OutputFile>),
}

impl Copy {
    fn open(target: &Path) -> Result<Copy> {
        if target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            Ok(Copy::Zip(Box::new(OutputFile::create(target)?)))
        } else {
            Ok(Copy::Folder(Box::new(FolderTarget::new(target)?)))
        }
    }

    /// Writes a data set. Ctrl-C ends it, and nothing is left.
    fn write(self, py: Python<'_>, tree: &dyn FileTree, new: &NewDataset) -> PyResult<()> {
        let mut progress = Progress::new(None, new.images.len());
        let written = py.detach(|| {
            let mut step = || progress.advance();
            match self {
                Copy::Folder(mut folder) => new.write(tree, folder.as_mut(), &mut step),
                Copy::Zip(file) => {
                    let mut zip = ZipTarget::new(*file);
                    new.write(tree, &mut zip, &mut step)?;
                    zip.finish()?.commit()
                }
            }
        });
        progress.ended()?;
        written.or_raise(py)
    }
}
