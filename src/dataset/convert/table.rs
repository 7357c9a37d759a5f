//! A CSV file with a row for each image.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::ConvertOptions;
use super::columns::{Columns, whole_number};
use super::csv;
use super::division::Division;
use super::source::{Faults, Labelled, Source, file_at, files, read_text};
use crate::dataset::dataset::OtherForms;
use crate::dataset::text::OldEncoding;
use crate::error::Context;
use crate::file_tree::{FileTree, NameDecoder};
use crate::{Error, Result};

pub(super) fn read(tree: &dyn FileTree, options: &ConvertOptions, decode: Option<&NameDecoder>) -> Result<Source> {
    let (index, name) = find_table(tree, options.table.as_deref())?;
    let root = &name[..name.rfind('/').map_or(0, |at| at + 1)];
    let mut notes = Vec::new();
    let images = Images { tree, root, others: OnceCell::new(), matched: RefCell::default() };
    let exists = |cell: &str| images.find(cell).is_some();
    let makes_sense = |line: &str| line.split(csv::SEPARATORS).any(|cell| exists(cell.trim().trim_matches('"')));
    let text = read_text(tree, index, OldEncoding { decode, makes_sense: Some(&makes_sense) }, &mut notes)?;
    let records = csv::parse(&text).context(|| name.into())?;
    let columns = Columns::choose(&records, &options.columns, &exists).context(|| name.into())?;
    notes.push(format!("{name}: {}", columns.told()));

    let mut faults = Faults::default();
    let mut rows = Vec::new();
    images.matched.borrow_mut().clear();
    for (line, fields) in records.iter().skip(usize::from(columns.has_head)) {
        match row(fields, &columns, &images) {
            Ok(row) => rows.push((row, format!("{name}:{line}"))),
            Err(fault) => faults.add(format!("{name}:{line}: {fault}")),
        }
    }
    for ((row, place), message) in list_faults(&rows, &columns) {
        faults.add(format!("{place}: `{}`: {message}", row.path));
    }
    images.tell(&mut notes);
    let (labels, classes) = labels(&rows.iter().map(|(row, _)| row).collect::<Vec<_>>(), &mut notes);
    let images = rows.into_iter().zip(labels).filter_map(|((row, place), label)| {
        Some(Labelled { entry: row.entry, label, division: row.division.transpose().ok()?, place })
    });
    Ok(Source { images: images.collect(), classes, skip: root.len(), faults, notes })
}

/// The table: the given one, or the only one in the uppermost folder that has any.
fn find_table<'t>(tree: &'t dyn FileTree, given: Option<&str>) -> Result<(usize, &'t str)> {
    if let Some(given) = given {
        let index = file_at(tree, given).ok_or_else(|| Error::usage(format!("there is no file `{given}` in it")))?;
        return Ok((index, &tree.entries()[index].path));
    }
    let is_table = |path: &str| {
        let path = path.to_ascii_lowercase();
        path.ends_with(".csv") || path.ends_with(".tsv")
    };
    let tables: Vec<(usize, &str)> = files(tree).filter(|(_, path)| is_table(path)).collect();
    let depth = tables.iter().map(|(_, path)| path.matches('/').count()).min().unwrap_or(0);
    let tables: Vec<_> = tables.into_iter().filter(|(_, path)| path.matches('/').count() == depth).collect();
    match tables.as_slice() {
        [table] => Ok(*table),
        [] => Err(Error::unsupported("there is no .csv file in it")),
        [(_, one), (_, two), ..] => Err(Error::unsupported(format!(
            "there are several .csv files, such as `{one}` and `{two}`: name the one that lists the images"
        ))),
    }
}

/// The files that a table may name.
struct Images<'t> {
    tree: &'t dyn FileTree,
    root: &'t str,
    /// Made for the first path that is no file.
    others: OnceCell<OtherForms<'t>>,
    /// Paths that were matched in another form, and the files' paths.
    matched: RefCell<BTreeMap<String, String>>,
}

impl Images<'_> {
    /// The file that a path means: from the table's folder on, or from `images` in it; of an absolute path the longest
    /// end that is a file there. Where there is none, the only one that differs in case or in the form of Unicode.
    fn find(&self, path: &str) -> Option<usize> {
        if let Some(entry) = self.find_as_written(path) {
            if path.contains('\\') {
                self.remember(path, &self.tree.entries()[entry].path[self.root.len()..]);
            }
            return Some(entry);
        }
        let path = path.trim();
        if path.is_empty() {
            return None;
        }
        let others = self.others.get_or_init(|| OtherForms::below(self.tree, self.root));
        let (entry, is) = others.find(path).or_else(|| others.find(&format!("images/{path}")))?;
        self.remember(path, is);
        Some(entry)
    }

    fn remember(&self, path: &str, is: &str) {
        self.matched.borrow_mut().insert(path.into(), is.into());
    }

    /// Notes the paths that were matched in another form.
    fn tell(&self, notes: &mut Vec<String>) {
        const MOST_EXAMPLES: usize = 3;
        let matched = self.matched.borrow();
        if !matched.is_empty() {
            let examples = matched.iter().take(MOST_EXAMPLES).map(|(path, is)| format!("`{path}` is `{is}`"));
            let more = if matched.len() > MOST_EXAMPLES { ", …" } else { "" };
            notes.push(format!(
                "paths that are written otherwise than the files' names (case, form of Unicode, backslashes): {}: {}{more}",
                matched.len(),
                examples.collect::<Vec<_>>().join(", ")
            ));
        }
    }

    fn find_as_written(&self, path: &str) -> Option<usize> {
        let path = path.trim().replace('\\', "/");
        let is_absolute = path.starts_with('/') || path.as_bytes().get(1) == Some(&b':');
        let path = path.trim_start_matches("./");
        if path.is_empty() {
            return None;
        }
        let here = |path: &str| {
            file_at(self.tree, &format!("{}{path}", self.root))
                .or_else(|| file_at(self.tree, &format!("{}images/{path}", self.root)))
        };
        let mut ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]).filter(|_| is_absolute);
        here(path).or_else(|| ends.find_map(here))
    }
}

/// A row of the table.
struct TableRow<'r> {
    path: &'r str,
    entry: usize,
    label: &'r str,
    /// The name beside a label that is a number.
    name: Option<&'r str>,
    /// The division, or a text that is none; `None` where the cell is blank.
    division: Option<Result<Division, &'r str>>,
}

fn row<'r>(fields: &'r [String], columns: &Columns, images: &Images<'_>) -> Result<TableRow<'r>, String> {
    let field = |column: usize| fields.get(column).map(|field| field.trim()).filter(|field| !field.is_empty());
    if fields.iter().skip(columns.width).any(|field| !field.trim().is_empty()) {
        let (has, first) = (fields.len(), columns.width);
        return Err(format!("{has} cells, but {first} in the first row: quote cells with a separator in them"));
    }
    let (Some(path), Some(label)) = (field(columns.path), field(columns.label)) else {
        return Err("path or label is missing".into());
    };
    let name = columns.names.map(|column| field(column).ok_or("the name of the class is missing")).transpose()?;
    if label.chars().chain(name.unwrap_or_default().chars()).any(char::is_control) {
        return Err("the label has a line break or another control character in it".into());
    }
    let entry = images.find(path).ok_or_else(|| format!("`{path}` does not exist"))?;
    let list = columns.list.and_then(field);
    Ok(TableRow { path, entry, label, name, division: list.map(|list| Division::named(list).ok_or(list)) })
}

/// Rows whose list is not known, among others whose list is.
fn list_faults<'a, 'r>(
    rows: &'a [(TableRow<'r>, String)],
    columns: &Columns,
) -> Vec<(&'a (TableRow<'r>, String), String)> {
    let is_divided = columns.list.is_some() && rows.iter().any(|(row, _)| row.division.is_some());
    let faults = rows.iter().filter_map(|both| match both.0.division {
        Some(Err(list)) => Some((both, format!("`{list}` is not train, gallery, query, val or test"))),
        None if is_divided => Some((both, "the list is missing, which other rows have".into())),
        _ => None,
    });
    faults.collect()
}

/// The numbers of classes with their names. Line `n` of the names, from 0, is that of class `n`, so numbers that are not
/// there take a line, too. Where that would be most lines, classes are numbered anew.
fn with_names(
    numbers: Vec<i64>,
    names: &BTreeMap<i64, String>,
    notes: &mut Vec<String>,
) -> (Vec<i64>, Option<Vec<String>>) {
    let used: BTreeSet<i64> = numbers.iter().copied().collect();
    let (first, last) = (used.first().copied().unwrap_or(0), used.last().copied().unwrap_or(0));
    let name = |number: i64| names.get(&number).cloned().unwrap_or_else(|| number.to_string());
    if first >= 0 && last < 4 * used.len() as i64 + 16 {
        let missing = last + 1 - used.len() as i64;
        if missing > 0 {
            notes.push(format!(
                "{missing} of the classes 0 to {last} have no image; their lines in label.txt are their numbers"
            ));
        }
        return (numbers, Some((0..=last).map(name).collect()));
    }
    notes.push(format!(
        "classes are numbered from 0 in the order of their numbers, since those reach from {first} to {last}"
    ));
    let places: BTreeMap<i64, i64> = used.iter().copied().zip(0..).collect();
    (numbers.iter().map(|number| places[number]).collect(), Some(used.iter().map(|&number| name(number)).collect()))
}

/// The label of each row, and the names of the classes: in the order of their numbers where both are given.
fn labels(rows: &[&TableRow<'_>], notes: &mut Vec<String>) -> (Vec<i64>, Option<Vec<String>>) {
    let numbers: Option<Vec<i64>> = rows.iter().map(|row| whole_number(row.label)).collect();
    match numbers {
        Some(numbers) => {
            let named = rows.iter().zip(&numbers).filter_map(|(row, &number)| Some((number, row.name?.to_string())));
            let names: BTreeMap<i64, String> = named.collect();
            if names.is_empty() { (numbers, None) } else { with_names(numbers, &names, notes) }
        }
        None => {
            let names: BTreeSet<&str> = rows.iter().map(|row| row.label).collect();
            let places: BTreeMap<&str, i64> = names.iter().copied().zip(0..).collect();
            let labels = rows.iter().map(|row| places[row.label]).collect();
            (labels, Some(names.into_iter().map(str::to_string).collect()))
        }
    }
}
