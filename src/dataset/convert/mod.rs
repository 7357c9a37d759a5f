//! Conversion of other forms of data sets to lists: LabelMe, a folder for each class, CSV.

mod columns;
mod csv;
mod division;
mod folders;
mod labelme;
mod source;
mod table;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use self::division::{Division, assigned};
use self::source::{Labelled, Source};
use super::item::Item;
use super::output::{Namer, NewDataset};
use super::split::{SplitOptions, divide, in_order};
use super::subset::Subset;
use crate::file_tree::{FileTree, NameDecoder};
use crate::{Error, Result};

/// A form of data sets that can be converted.
///
/// ```
/// use image_feature::dataset::SourceForm;
///
/// assert_eq!("labelme".parse::<SourceForm>()?, SourceForm::LabelMe);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceForm {
    /// `label.txt` with a class in each line, `annotations/*.json` with flags, and `images/`.
    LabelMe,
    /// A folder for each class with its name, and its images at any depth below; perhaps in folders of divisions, or
    /// with folders of divisions in it. See [`Divisions`].
    Folders,
    /// A CSV file with a path and a label in each row, and perhaps the name of the list. See [`CsvColumns`].
    Csv,
}

impl FromStr for SourceForm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "labelme" => Ok(SourceForm::LabelMe),
            "folders" => Ok(SourceForm::Folders),
            "csv" => Ok(SourceForm::Csv),
            _ => {
                Err(Error::usage(format!("`{name}` is no form that is converted: there are labelme, folders and csv")))
            }
        }
    }
}

/// Whether folders named `train`, `val`, `test`, `gallery`, `query`, or as these are usually called, are divisions of
/// the data set or classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Divisions {
    /// Divisions where all folders are named so, beside each other or in each class; an error where only some are.
    #[default]
    Auto,
    /// Divisions. Images in other folders are left out, and counted in the notes.
    Yes,
    /// Classes.
    No,
}

impl FromStr for Divisions {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Divisions::Auto),
            "yes" => Ok(Divisions::Yes),
            "no" => Ok(Divisions::No),
            _ => Err(Error::usage(format!("divisions: `{name}` is none of auto, yes and no"))),
        }
    }
}

/// The columns of a CSV file, by the name in its first row or by the number from 1. Columns that are not given are
/// recognised by their usual names and by their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvColumns {
    /// The column with the paths of the images.
    pub path: Option<String>,
    /// The column with the labels.
    pub label: Option<String>,
    /// The column with the list that an image is for.
    pub list: Option<String>,
}

/// Options of [`convert`].
///
/// ```
/// use image_feature::dataset::{ConvertOptions, Divisions};
///
/// let options = ConvertOptions { divisions: Divisions::No, ..ConvertOptions::default() };
/// assert_eq!(options.split.percent, [50.0, 30.0, 20.0]);
/// ```
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    /// The division of images that the source does not divide. Default: 50, 30, 20 percent.
    pub split: SplitOptions,
    /// The meaning of folders that are named like divisions.
    pub divisions: Divisions,
    /// The columns of a CSV file.
    pub columns: CsvColumns,
    /// The path of the CSV file in the tree. Default: the only one.
    pub table: Option<String>,
    /// Whether faulty rows and annotations are left out, and told in the notes. Default: they are an error.
    pub skip_faulty: bool,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        ConvertOptions {
            split: SplitOptions { percent: [50.0, 30.0, 20.0], ..SplitOptions::default() },
            divisions: Divisions::default(),
            columns: CsvColumns::default(),
            table: None,
            skip_faulty: false,
        }
    }
}

/// A converted data set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Converted {
    /// The data set, to be written.
    pub dataset: NewDataset,
    /// What was taken as what, and what was left out, in words.
    pub notes: Vec<String>,
}

/// Converts a data set of another form. Where the source does not say which images are for training, gallery and
/// queries, it is divided as by [`split`](super::split). The names of classes are written to `label.txt`, class 0 in
/// the first line; where a CSV file has numbers beside the names, in the order of the numbers.
///
/// Divisions of the source become lists: `train` is `train.txt`, `gallery` and `query` are the lists of their names.
/// `val` and `test` are evaluated: together they are divided into gallery and queries where there is neither; they
/// become the one of the two that is missing; and they are left out where there are both.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with file and line, where the source is not of that form:
/// the first line has the number of all faults, the others have up to 20 of them.
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for percentages that do not add up to 100, and for columns that the
/// CSV file does not have.
///
/// ```
/// use image_feature::dataset::{ConvertOptions, SourceForm, convert};
/// use image_feature::file_tree::Memory;
///
/// let files = ["train/cat/1.png", "train/cat/2.png", "gallery/cat/3.png", "query/dog/4.png"];
/// let tree = Memory::new("example", files.map(|path| (path, Vec::new())));
/// let new = convert(&tree, SourceForm::Folders, &ConvertOptions::default())?.dataset;
/// assert_eq!(new.files[0].1, b"images/train/cat/1.png 0\nimages/train/cat/2.png 0\n");
/// assert_eq!(new.files[3], ("label.txt".to_string(), b"cat\ndog\n".to_vec()));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn convert(tree: &dyn FileTree, form: SourceForm, options: &ConvertOptions) -> Result<Converted> {
    convert_with(tree, form, options, None)
}

/// As [`convert`], with a decoder for text files that are not UTF-8. See [`decode_text`](super::decode_text).
///
/// # Errors
/// As [`convert`].
pub fn convert_with(
    tree: &dyn FileTree,
    form: SourceForm,
    options: &ConvertOptions,
    decode: Option<&NameDecoder>,
) -> Result<Converted> {
    options.split.check()?;
    let mut source = match form {
        SourceForm::LabelMe => labelme::read(tree, decode)?,
        SourceForm::Folders => folders::read(tree, options.divisions)?,
        SourceForm::Csv => table::read(tree, options, decode)?,
    };
    let rows = unique_rows(tree, &mut source);
    source.faults.settle(options.skip_faulty, &mut source.notes)?;
    if rows.is_empty() {
        return Err(Error::unsupported("there are no labelled images in it"));
    }
    let mut notes = source.notes;
    let (rows, subsets) = divided(rows, options, &mut notes)?;
    let mut namer = Namer::default();
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for &Labelled { entry, .. } in &rows {
        names.entry(entry).or_insert_with(|| namer.name(&tree.entries()[entry].path[source.skip..]));
    }
    let items: Vec<Item> = rows.iter().map(|row| Item { label: row.label, group: row.entry }).collect();
    let written: Vec<String> = rows.iter().map(|row| names[&row.entry].clone()).collect();
    let mut dataset = NewDataset::default();
    dataset.add_lists(in_order(&items, &subsets, &written));
    if let Some(classes) = source.classes {
        let text: String = classes.iter().map(|class| format!("{class}\n")).collect();
        dataset.files.push(("label.txt".into(), text.into_bytes()));
    }
    dataset.images = names.into_iter().collect();
    Ok(Converted { dataset, notes })
}

/// The images, each once in each division, in the order of the tree. Images with two labels are faults.
fn unique_rows(tree: &dyn FileTree, source: &mut Source) -> Vec<Labelled> {
    let mut rows: Vec<Labelled> = Vec::new();
    let mut labels: HashMap<usize, (i64, String)> = HashMap::new();
    let mut known: HashMap<(usize, Option<Division>), usize> = HashMap::new();
    let mut repeated = 0usize;
    for row in std::mem::take(&mut source.images) {
        match labels.get(&row.entry) {
            Some((other, there)) if *other != row.label => {
                source.faults.add(format!(
                    "{}: `{}` has two labels, {other} ({there}) and {}: an image has one here",
                    row.place,
                    tree.entries()[row.entry].path,
                    row.label
                ));
                continue;
            }
            _ => {}
        }
        labels.entry(row.entry).or_insert_with(|| (row.label, row.place.clone()));
        match known.entry((row.entry, row.division)) {
            std::collections::hash_map::Entry::Occupied(_) => repeated += 1,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(rows.len());
                rows.push(row);
            }
        }
    }
    if repeated > 0 {
        source.notes.push(format!("images that are named twice, with the same label, are taken once: {repeated}"));
    }
    rows.sort_by_key(|row| (row.entry, row.division));
    rows
}

/// The list of each image, by the divisions of the source or by the percentages.
fn divided(
    rows: Vec<Labelled>,
    options: &ConvertOptions,
    notes: &mut Vec<String>,
) -> Result<(Vec<Labelled>, Vec<Subset>)> {
    if rows.iter().any(|row| row.division.is_some()) {
        return Ok(assigned(rows, &options.split, notes));
    }
    let items: Vec<Item> = rows.iter().map(|row| Item { label: row.label, group: row.entry }).collect();
    let subsets = divide(&items, &options.split);
    Ok((rows, subsets))
}
