//! Conversion of other forms of data sets to lists: LabelMe, a folder for each class, CSV.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use super::csv;
use super::item::Item;
use super::output::{Namer, NewDataset};
use super::split::{SplitOptions, divide, in_order};
use super::subset::Subset;
use crate::error::Context;
use crate::file_tree::{EntryKind, FileTree, images, is_hidden};
use crate::{Error, Result};

/// The most bytes of a text file.
const MOST_TEXT_BYTES: u64 = 256 << 20;
/// Names of columns in the first row of a CSV file.
const PATH_COLUMNS: [&str; 9] =
    ["path", "image", "file", "filename", "file_name", "image_path", "filepath", "name", "image_name"];
const LABEL_COLUMNS: [&str; 8] = ["label", "class", "category", "class_id", "label_id", "id", "target", "class_name"];
const LIST_COLUMNS: [&str; 4] = ["split", "subset", "set", "list"];

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
    /// A folder for each class with its name, and its images at any depth below; perhaps in folders `train`, `gallery`
    /// and `query`.
    Folders,
    /// A CSV file with a path and a label in each row, and perhaps the name of the list.
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

/// Converts a data set of another form. Where the source does not say which images are for training, gallery and
/// queries, it is divided as by [`split`](super::split). The names of classes are written to `label.txt`, class 0 in
/// the first line.
///
/// # Errors
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with file and line, where the source is not of that form;
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for percentages that do not add up to 100.
///
/// ```
/// use image_feature::dataset::{SourceForm, SplitOptions, convert};
/// use image_feature::file_tree::Memory;
///
/// let tree = Memory::new("example", ["cat/1.png", "cat/2.png", "dog/1.png"].map(|path| (path, Vec::new())));
/// let options = SplitOptions { percent: [100.0, 0.0, 0.0], ..SplitOptions::default() };
/// let new = convert(&tree, SourceForm::Folders, &options)?;
/// assert_eq!(new.files[0].1, b"images/cat/1.png 0\nimages/cat/2.png 0\nimages/dog/1.png 1\n");
/// assert_eq!(new.files[1], ("label.txt".to_string(), b"cat\ndog\n".to_vec()));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn convert(tree: &dyn FileTree, form: SourceForm, options: &SplitOptions) -> Result<NewDataset> {
    options.check()?;
    let source = match form {
        SourceForm::LabelMe => from_labelme(tree)?,
        SourceForm::Folders => from_folders(tree)?,
        SourceForm::Csv => from_csv(tree)?,
    };
    let mut rows: Vec<(usize, i64, Option<Subset>)> = Vec::new();
    let mut seen: HashMap<usize, (i64, String)> = HashMap::new();
    for Labelled { entry, label, list, place } in source.images {
        match seen.get(&entry) {
            Some((other, _)) if *other == label => {}
            Some((other, there)) => {
                return Err(Error::unsupported(format!(
                    "{place}: `{}` has two labels, {other} ({there}) and {label}: an image has one here",
                    tree.entries()[entry].path
                )));
            }
            None => {
                seen.insert(entry, (label, place));
                rows.push((entry, label, list));
            }
        }
    }
    rows.sort_by_key(|&(entry, ..)| entry);
    if rows.is_empty() {
        return Err(Error::unsupported("there are no labelled images in it"));
    }
    let items: Vec<Item> = rows.iter().enumerate().map(|(group, &(_, label, _))| Item { label, group }).collect();
    let subsets = match rows.iter().map(|&(.., list)| list).collect::<Option<Vec<Subset>>>() {
        Some(lists) => lists,
        None => divide(&items, options),
    };
    let mut namer = Namer::default();
    let names: Vec<String> =
        rows.iter().map(|&(entry, ..)| namer.name(&tree.entries()[entry].path[source.skip..])).collect();
    let mut new = NewDataset::default();
    new.add_lists(in_order(&items, &subsets, &names));
    if let Some(classes) = source.classes {
        let text: String = classes.iter().map(|class| format!("{class}\n")).collect();
        new.files.push(("label.txt".into(), text.into_bytes()));
    }
    new.images = rows.iter().map(|&(entry, ..)| entry).zip(names).collect();
    Ok(new)
}

struct Source {
    images: Vec<Labelled>,
    /// Names of the classes 0, 1, …, where they have names.
    classes: Option<Vec<String>>,
    /// The length of the root's path, which is the beginning of all paths.
    skip: usize,
}

struct Labelled {
    entry: usize,
    label: i64,
    list: Option<Subset>,
    /// The file, and line, with the label.
    place: String,
}

fn read_text(tree: &dyn FileTree, index: usize) -> Result<String> {
    let name = || tree.entries()[index].path.clone();
    let bytes = tree.read(index, MOST_TEXT_BYTES).context(name)?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::unsupported("not UTF-8: save it as such").context(name()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

/// The files of a tree that are not hidden.
fn files(tree: &dyn FileTree) -> impl Iterator<Item = (usize, &str)> {
    let entries = tree.entries().iter().enumerate().filter(|(_, entry)| entry.kind == EntryKind::File);
    entries.map(|(index, entry)| (index, entry.path.as_str())).filter(|(_, path)| !is_hidden(path))
}

fn from_labelme(tree: &dyn FileTree) -> Result<Source> {
    let list = files(tree)
        .filter(|(_, path)| *path == "label.txt" || path.ends_with("/label.txt"))
        .min_by_key(|(_, path)| path.len())
        .ok_or_else(|| Error::unsupported("no LabelMe data set: there is no label.txt, a class name in each line"))?;
    let root = list.1.strip_suffix("label.txt").unwrap_or_default();
    let mut classes: Vec<String> = Vec::new();
    for (number, name) in (1..).zip(read_text(tree, list.0)?.lines()) {
        let name = name.trim();
        if name.is_empty() || classes.iter().any(|class| class == name) {
            let what = if name.is_empty() { "a blank line".into() } else { format!("`{name}` for the second time") };
            return Err(Error::unsupported(format!("{}:{number}: {what}; each line names one class", list.1)));
        }
        classes.push(name.into());
    }
    let (annotations, image_folder) = (format!("{root}annotations/"), format!("{root}images/"));
    for folder in [&annotations, &image_folder] {
        if tree.find(folder.trim_end_matches('/')).is_none() {
            return Err(Error::unsupported(format!("no LabelMe data set: there is no folder {folder}")));
        }
    }
    let mut images = Vec::new();
    for (index, path) in files(tree) {
        let Some(name) = path.strip_prefix(&annotations).filter(|name| name.ends_with(".json")) else { continue };
        if name.contains('/') {
            continue;
        }
        let image = labelme_image(&read_text(tree, index)?, &classes).context(|| path.into())?;
        let Some((image, label)) = image else { continue };
        // relative to the annotation, as LabelMe writes it; or the name alone
        let image = image.trim().replace('\\', "/");
        let below = image.strip_prefix("../").map(|rest| format!("{root}{rest}"));
        let named = format!("{image_folder}{}", image.rsplit('/').next().unwrap_or_default());
        let entry = below.and_then(|path| tree.find(&path)).or_else(|| tree.find(&named));
        let entry = entry.filter(|&entry| tree.entries()[entry].kind == EntryKind::File).ok_or_else(|| {
            Error::unsupported(format!("its image `{image}` does not exist")).context(path.to_string())
        })?;
        images.push(Labelled { entry, label, list: None, place: path.into() });
    }
    Ok(Source { images, classes: Some(classes), skip: root.len() })
}

/// The image of an annotation, and its class: the only flag that is set. `None` where no flag is set.
fn labelme_image(text: &str, classes: &[String]) -> Result<Option<(String, i64)>> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::unsupported(format!("not JSON: {error}")))?;
    let image = json["imagePath"].as_str().ok_or_else(|| Error::unsupported("it has no `imagePath`"))?;
    let flags = json["flags"].as_object().ok_or_else(|| Error::unsupported("it has no `flags`"))?;
    let mut labels = Vec::new();
    for (flag, _) in flags.iter().filter(|(_, is_set)| is_set.as_bool() == Some(true)) {
        let label = classes.iter().position(|class| class == flag);
        labels.push(label.ok_or_else(|| Error::unsupported(format!("its flag `{flag}` is not in label.txt")))?);
    }
    match labels.as_slice() {
        [] => Ok(None),
        [label] => Ok(Some((image.into(), *label as i64))),
        several => Err(Error::unsupported(format!("{} flags are set: an image has one class here", several.len()))),
    }
}

fn from_folders(tree: &dyn FileTree) -> Result<Source> {
    let path = |index: usize| (index, tree.entries()[index].path.as_str());
    let all: Vec<(usize, &str)> = images(tree).files.into_iter().map(path).collect();
    // skip folders that contain everything: they are not classes
    let mut skip = 0;
    while let Some((_, first)) = all.first()
        && let Some(length) = first[skip..].find('/')
        && all
            .iter()
            .all(|(_, path)| path.get(skip..).is_some_and(|rest| rest.starts_with(&first[skip..=skip + length])))
    {
        let is_only_class = all.iter().all(|(_, path)| !path[skip + length + 1..].contains('/'));
        if is_only_class {
            break;
        }
        skip += length + 1;
    }
    let first_folder = |path: &str| path.split_once('/').map(|(folder, _)| folder.to_string());
    let top: BTreeSet<Option<String>> = all.iter().map(|(_, path)| first_folder(&path[skip..])).collect();
    let list_of = |folder: &str| Subset::ALL.into_iter().find(|list| list.as_str() == folder);
    let has_lists = !top.is_empty() && top.iter().all(|folder| folder.as_deref().and_then(list_of).is_some());

    let mut found = Vec::new();
    for (entry, path) in all {
        let mut rest = &path[skip..];
        let mut list = None;
        if has_lists && let Some((folder, below)) = rest.split_once('/') {
            (list, rest) = (list_of(folder), below);
        }
        let Some((class, _)) = rest.split_once('/') else {
            return Err(Error::unsupported(format!("`{path}` is in no folder of a class")));
        };
        found.push((entry, class.to_string(), list, path));
    }
    let classes: BTreeSet<&String> = found.iter().map(|(_, class, ..)| class).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let images = found.iter().map(|(entry, class, list, path)| Labelled {
        entry: *entry,
        label: classes.binary_search(class).unwrap_or_default() as i64,
        list: *list,
        place: path.to_string(),
    });
    let images = images.collect();
    Ok(Source { images, classes: Some(classes), skip })
}

fn from_csv(tree: &dyn FileTree) -> Result<Source> {
    let tables: Vec<(usize, &str)> =
        files(tree).filter(|(_, path)| path.to_ascii_lowercase().ends_with(".csv")).collect();
    let depth = tables.iter().map(|(_, path)| path.matches('/').count()).min().unwrap_or(0);
    let tables: Vec<_> = tables.into_iter().filter(|(_, path)| path.matches('/').count() == depth).collect();
    let (index, name) = match tables.as_slice() {
        [table] => *table,
        [] => return Err(Error::unsupported("there is no .csv file in it")),
        [(_, one), (_, two), ..] => {
            return Err(Error::unsupported(format!(
                "there are several .csv files, such as `{one}` and `{two}`: leave the one that lists the images"
            )));
        }
    };
    let root = &name[..name.rfind('/').map_or(0, |at| at + 1)];
    let records = csv::parse(&read_text(tree, index)?).context(|| name.into())?;
    let (columns, has_head) = csv_columns(records.first().map_or(&[], |(_, fields)| fields.as_slice()));
    let mut found = Vec::new();
    for (line, fields) in records.iter().skip(usize::from(has_head)) {
        let place = format!("{name}:{line}");
        let field = |column: usize| fields.get(column).map(|field| field.trim()).filter(|field| !field.is_empty());
        let (Some(path), Some(label)) = (field(columns.path), field(columns.label)) else {
            return Err(Error::unsupported(format!("{place}: path or label is missing")));
        };
        let list = match columns.list.and_then(field) {
            None => None,
            Some(list) => Some(
                Subset::ALL
                    .into_iter()
                    .find(|known| known.as_str() == list.to_lowercase())
                    .ok_or_else(|| Error::unsupported(format!("{place}: `{list}` is not train, gallery or query")))?,
            ),
        };
        let path = path.replace('\\', "/");
        let path = path.trim_start_matches("./");
        let entry = tree.find(&format!("{root}{path}")).or_else(|| tree.find(&format!("{root}images/{path}")));
        let entry = entry.filter(|&entry| tree.entries()[entry].kind == EntryKind::File);
        let entry = entry.ok_or_else(|| Error::unsupported(format!("{place}: `{path}` does not exist")))?;
        found.push((entry, label, list, place));
    }
    let numbers: Option<Vec<i64>> = found.iter().map(|(_, label, ..)| label.parse().ok()).collect();
    let names: BTreeSet<&str> = found.iter().map(|(_, label, ..)| *label).collect();
    let places: BTreeMap<&str, i64> = names.iter().copied().zip(0..).collect();
    let classes = numbers.is_none().then(|| names.iter().map(|name| name.to_string()).collect());
    let images = found.iter().enumerate().map(|(at, (entry, label, list, place))| Labelled {
        entry: *entry,
        label: numbers.as_ref().map_or_else(|| places[label], |numbers| numbers[at]),
        list: *list,
        place: place.clone(),
    });
    Ok(Source { images: images.collect(), classes, skip: root.len() })
}

struct Columns {
    path: usize,
    label: usize,
    list: Option<usize>,
}

/// The columns, and whether the first row names them. Without names, path and label are the first two.
fn csv_columns(first: &[String]) -> (Columns, bool) {
    let find = |names: &[&str]| {
        let is_named = |field: &String| names.contains(&field.trim().to_lowercase().as_str());
        first.iter().position(is_named)
    };
    match (find(&PATH_COLUMNS), find(&LABEL_COLUMNS)) {
        (Some(path), Some(label)) if path != label => (Columns { path, label, list: find(&LIST_COLUMNS) }, true),
        _ => (Columns { path: 0, label: 1, list: None }, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::Memory;

    fn lists(files: &[(&str, &str)], form: SourceForm) -> Result<Vec<(String, String)>> {
        let tree = Memory::new("x", files.iter().map(|&(path, text)| (path, text.into())));
        let options = SplitOptions { percent: [50.0, 30.0, 20.0], ..SplitOptions::default() };
        let new = convert(&tree, form, &options)?;
        Ok(new.files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect())
    }

    fn only(name: &str, text: &str) -> (String, String) {
        (name.into(), text.into())
    }

    #[test]
    fn folders_named_after_lists_are_lists() {
        let files = ["set/train/cat/1.jpg", "set/gallery/cat/a/2.jpg", "set/query/dog/3.jpg", "set/readme.md"];
        assert_eq!(
            lists(&files.map(|path| (path, "")), SourceForm::Folders).unwrap(),
            [
                only("train.txt", "images/train/cat/1.jpg 0\n"),
                only("gallery.txt", "images/gallery/cat/a/2.jpg 0\n"),
                only("query.txt", "images/query/dog/3.jpg 1\n"),
                only("label.txt", "cat\ndog\n"),
            ]
        );
    }

    #[test]
    fn csv_is_read_by_its_columns() {
        let table = "split;Class;File\ntrain;\"big; cat\";a.jpg\nQuery;ant;images/b.jpg\n";
        let files = [("t/list.csv", table), ("t/images/a.jpg", ""), ("t/images/b.jpg", "")];
        assert_eq!(
            lists(&files, SourceForm::Csv).unwrap(),
            [
                only("train.txt", "images/a.jpg 1\n"),
                only("query.txt", "images/b.jpg 0\n"),
                only("label.txt", "ant\nbig; cat\n"),
            ]
        );
        let files = [("list.csv", "a.jpg,7\n"), ("a.jpg", "")];
        assert_eq!(lists(&files, SourceForm::Csv).unwrap(), [only("train.txt", "images/a.jpg 7\n")]);
    }

    const LABELME: [(&str, &str); 4] = [
        ("label.txt", "cat\ndog\n"),
        ("images/a.jpg", ""),
        ("annotations/a.json", r#"{"imagePath": "../images/a.jpg", "flags": {"cat": false, "dog": true}}"#),
        ("annotations/b.json", r#"{"imagePath": "../images/b.jpg", "flags": {"cat": false}}"#),
    ];

    #[test]
    fn labelme_is_read_by_its_flags() {
        let expected = [only("train.txt", "images/a.jpg 1\n"), only("label.txt", "cat\ndog\n")];
        assert_eq!(lists(&LABELME, SourceForm::LabelMe).unwrap(), expected);
    }

    #[test]
    fn what_the_original_trips_over_is_said() {
        let with = |path: &str, text: &str| {
            let mut files: BTreeMap<&str, &str> = LABELME.into_iter().collect();
            files.insert(path, text);
            let files: Vec<(&str, &str)> = files.into_iter().collect();
            lists(&files, SourceForm::LabelMe).unwrap_err().to_string()
        };
        let annotation = |flags: &str| format!(r#"{{"imagePath": "../images/a.jpg", "flags": {flags}}}"#);
        let cases = [
            (with("annotations/a.json", &annotation(r#"{"cow": true}"#)), "annotations/a.json: its flag `cow`"),
            (with("annotations/a.json", &annotation(r#"{"cat": true, "dog": true}"#)), "annotations/a.json: 2 flags"),
            (with("annotations/a.json", "{"), "annotations/a.json: not JSON"),
            (
                with("annotations/a.json", r#"{"imagePath": "x.jpg", "flags": {"cat": true}}"#),
                "annotations/a.json: its image `x.jpg`",
            ),
            (with("label.txt", "cat\ncat\n"), "label.txt:2: `cat` for the second time"),
        ];
        for (error, start) in cases {
            assert!(error.starts_with(start), "{error}");
        }
        for (files, form, start) in [
            (vec![("a.jpg", "")], SourceForm::LabelMe, "no LabelMe data set: there is no label.txt"),
            (vec![("a.jpg", "")], SourceForm::Csv, "there is no .csv"),
            (vec![("a.jpg", ""), ("b/c.jpg", "")], SourceForm::Folders, "`a.jpg` is in no folder"),
            (vec![("a.csv", "x.jpg,1\n")], SourceForm::Csv, "a.csv:1: `x.jpg` does not exist"),
            (vec![("a.csv", "a.jpg,1\na.jpg,2\n"), ("a.jpg", "")], SourceForm::Csv, "a.csv:2: `a.jpg` has two labels"),
        ] {
            let error = lists(&files, form).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        assert!("Label".parse::<SourceForm>().is_err(), "a part of a name is no name");
    }
}
