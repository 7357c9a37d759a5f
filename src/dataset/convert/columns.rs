//! The meaning of a CSV file's columns.

use std::collections::BTreeMap;

use super::CsvColumns;
use super::division::Division;
use crate::file_tree::is_image_name;
use crate::{Error, Result};

/// Names of columns, the best first. They are compared in lower case, with `_` for blanks and hyphens.
const PATH_NAMES: [&str; 22] = [
    "path",
    "image_path",
    "img_path",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "image_name",
    "img_name",
    "image_file",
    "image",
    "img",
    "images",
    "file",
    "图片路径",
    "路径",
    "文件名",
    "图片",
    "image_id",
    "name",
    "url",
    "photo",
];
const LABEL_NAMES: [&str; 22] = [
    "label",
    "labels",
    "class",
    "category",
    "标签",
    "类别",
    "class_name",
    "label_name",
    "category_name",
    "classname",
    "labelname",
    "species",
    "class_id",
    "label_id",
    "category_id",
    "class_index",
    "label_index",
    "class_idx",
    "label_idx",
    "target",
    "classid",
    "id",
];
/// Names of columns that surely number the classes.
const NUMBER_NAMES: [&str; 8] =
    ["class_id", "label_id", "category_id", "class_index", "label_index", "class_idx", "label_idx", "classid"];
const LIST_NAMES: [&str; 8] = ["split", "subset", "set", "list", "division", "phase", "usage", "partition"];
/// The most rows whose files are looked up to find the column of paths.
const MOST_LOOKED_AT: usize = 50;

/// The records of a CSV file, with their lines.
type Records = [(usize, Vec<String>)];

/// The columns that are used, by their places.
#[derive(Debug)]
pub(super) struct Columns {
    pub path: usize,
    pub label: usize,
    pub list: Option<usize>,
    /// The names of the classes, beside labels that are numbers.
    pub names: Option<usize>,
    /// Whether the first row names the columns.
    pub has_head: bool,
    /// The number of columns.
    pub width: usize,
    titles: Vec<String>,
}

impl Columns {
    /// Chooses the columns: the wanted ones, else by their names, else by what is in them. `exists` tells whether a cell
    /// is the path of a file.
    pub fn choose(records: &Records, wanted: &CsvColumns, exists: &dyn Fn(&str) -> bool) -> Result<Self> {
        let Some((_, first)) = records.first() else { return Err(Error::unsupported("it has no rows")) };
        let names: Vec<String> = first.iter().map(|cell| normal(cell)).collect();
        let by_name = [&wanted.path, &wanted.label, &wanted.list]
            .into_iter()
            .flatten()
            .any(|name| names.contains(&normal(name)) && !matches!(name.trim().parse(), Ok(1..=MOST_COLUMNS)));
        let has_head = by_name || is_head(records, &names, exists);
        let titles = if has_head { first.iter().map(|cell| cell.trim().to_string()).collect() } else { Vec::new() };
        let choice = Choice { records: &records[usize::from(has_head)..], names, has_head, exists };
        let (path, list, label) = choice.main(wanted)?;
        let mut columns = Columns { path, label, list, names: None, has_head, width: first.len(), titles };
        if has_head {
            choice.pair(&mut columns, wanted.label.is_some())?;
        } else if wanted.label.is_none() {
            choice.pair_without_names(&mut columns)?;
        }
        Ok(columns)
    }

    /// Which columns are taken as what, in words.
    pub fn told(&self) -> String {
        let title = |column: usize| match self.titles.get(column) {
            Some(title) => format!("`{title}`"),
            None => format!("column {}", column + 1),
        };
        let mut parts = vec![format!("path is {}", title(self.path)), format!("label is {}", title(self.label))];
        parts.extend(self.names.map(|column| format!("name of the class is {}", title(column))));
        parts.extend(self.list.map(|column| format!("list is {}", title(column))));
        let used = [Some(self.path), Some(self.label), self.names, self.list];
        let unused: Vec<String> = (0..self.width).filter(|&column| !used.contains(&Some(column))).map(title).collect();
        if !unused.is_empty() {
            parts.push(format!("not used: {}", unused.join(", ")));
        }
        let head = if self.has_head { "the first row names the columns" } else { "the first row is an image" };
        format!("{head}; {}", parts.join(", "))
    }
}

/// The largest number that names a column.
const MOST_COLUMNS: usize = 10_000;

/// A name of a column as names are compared.
fn normal(name: &str) -> String {
    name.trim().trim_matches(['"', '\'']).to_lowercase().replace([' ', '-'], "_")
}

/// A whole number, also as `7.0`, which spreadsheets and pandas write where a cell is blank.
pub(super) fn whole_number(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

/// Whether the first row names the columns: it names no file and no number, and it has a usual name, or later rows
/// name files.
fn is_head(records: &Records, names: &[String], exists: &dyn Fn(&str) -> bool) -> bool {
    let Some((_, first)) = records.first() else { return false };
    if first.iter().any(|cell| exists(cell) || is_image_name(cell.trim())) {
        return false;
    }
    let is_known = |name: &String| {
        [&PATH_NAMES[..], &LABEL_NAMES, &LIST_NAMES].into_iter().any(|known| known.contains(&name.as_str()))
    };
    let mut later = records.iter().skip(1).take(MOST_LOOKED_AT);
    names.iter().any(is_known) || later.any(|(_, cells)| cells.iter().any(|cell| exists(cell)))
}

/// The rows of which columns are chosen.
struct Choice<'a> {
    /// Without the head.
    records: &'a Records,
    names: Vec<String>,
    has_head: bool,
    exists: &'a dyn Fn(&str) -> bool,
}

impl Choice<'_> {
    fn width(&self) -> usize {
        self.names.len()
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.records
            .iter()
            .filter_map(move |(_, cells)| Some(cells.get(column)?.trim()))
            .filter(|cell| !cell.is_empty())
    }

    /// The columns of path, list and label.
    fn main(&self, wanted: &CsvColumns) -> Result<(usize, Option<usize>, usize)> {
        let [path, label, list] = [(&wanted.path, "path"), (&wanted.label, "label"), (&wanted.list, "list")]
            .map(|(name, what)| name.as_deref().map(|name| self.wanted(name, what)).transpose());
        let (path, label, list) = (path?, label?, list?);
        let taken = [label, list];
        let path = match path {
            Some(path) => path,
            None => self.path(&taken)?,
        };
        let list = list.or_else(|| self.list(&[Some(path), label]));
        let label = match label {
            Some(label) => label,
            None => self.label(path, list)?,
        };
        if path == label || Some(path) == list || Some(label) == list {
            return Err(Error::usage("path, label and list must be different columns"));
        }
        Ok((path, list, label))
    }

    /// The column that is called so, or has this number.
    fn wanted(&self, name: &str, what: &str) -> Result<usize> {
        let by_name = self.names.iter().position(|other| self.has_head && *other == normal(name));
        let by_number = || name.trim().parse::<usize>().ok()?.checked_sub(1).filter(|&column| column < self.width());
        by_name.or_else(by_number).ok_or_else(|| {
            Error::usage(format!(
                "--{what}-column: there is no column `{name}`; {}, or their numbers from 1",
                self.all_columns()
            ))
        })
    }

    fn all_columns(&self) -> String {
        if !self.has_head {
            return format!("there are {} without names", self.width());
        }
        let names: Vec<String> = self.records_head().map(|name| format!("`{name}`")).collect();
        format!("there are {}", names.join(", "))
    }

    fn records_head(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The columns with these names, the best name first.
    fn named(&self, names: &[&str], except: &[Option<usize>]) -> Vec<usize> {
        let found = names.iter().filter_map(|name| self.names.iter().position(|other| self.has_head && other == name));
        found.filter(|column| !except.contains(&Some(*column))).collect()
    }

    /// The number of rows, of the first ones, whose cell is a file.
    fn files_in(&self, column: usize) -> usize {
        let first = self.records.iter().take(MOST_LOOKED_AT);
        first.filter(|(_, cells)| cells.get(column).is_some_and(|cell| (self.exists)(cell))).count()
    }

    fn path(&self, taken: &[Option<usize>]) -> Result<usize> {
        let named = self.named(&PATH_NAMES, taken);
        if let Some(&column) = named.iter().find(|&&column| self.files_in(column) > 0) {
            return Ok(column);
        }
        let free = (0..self.width()).filter(|column| !taken.contains(&Some(*column)));
        let by_content =
            free.rev().max_by_key(|&column| self.files_in(column)).filter(|&column| self.files_in(column) > 0);
        let others = || if self.has_head { None } else { (!taken.contains(&Some(0))).then_some(0) };
        by_content.or(named.first().copied()).or_else(others).ok_or_else(|| {
            Error::unsupported(format!(
                "no column has paths of images: {}; --path-column says which it is",
                self.all_columns()
            ))
        })
    }

    /// The column that says the division: by its name, or because all of its cells do.
    fn list(&self, taken: &[Option<usize>]) -> Option<usize> {
        let divides = |column: usize| self.cells(column).any(|cell| Division::named(cell).is_some());
        if self.has_head {
            return self.named(&LIST_NAMES, taken).into_iter().find(|&column| divides(column));
        }
        // two columns are path and label
        let free = (0..self.width()).filter(|column| self.width() > 2 && !taken.contains(&Some(*column)));
        { free }.find(|&column| divides(column) && self.cells(column).all(|cell| Division::named(cell).is_some()))
    }

    fn label(&self, path: usize, list: Option<usize>) -> Result<usize> {
        let taken = [Some(path), list];
        if let Some(&column) = self.named(&LABEL_NAMES, &taken).first() {
            return Ok(column);
        }
        let free: Vec<usize> = (0..self.width()).filter(|column| !taken.contains(&Some(*column))).collect();
        match free.as_slice() {
            [column] => Ok(*column),
            [] => Err(Error::unsupported("there is no column with labels beside the one with paths")),
            // numbers and their names, as `pair_without_names` finds out
            [first, second] if !self.has_head => Ok(if self.is_numeric(*second) { *second } else { *first }),
            _ => Err(self.which_label()),
        }
    }

    fn which_label(&self) -> Error {
        Error::unsupported(format!(
            "it is not clear which column has the labels: {}; --label-column says which it is",
            self.all_columns()
        ))
    }

    fn is_numeric(&self, column: usize) -> bool {
        self.cells(column).next().is_some() && self.cells(column).all(|cell| whole_number(cell).is_some())
    }

    /// Finds numbers of classes beside names, and names beside numbers.
    fn pair(&self, columns: &mut Columns, is_wanted: bool) -> Result<()> {
        let taken = [Some(columns.path), columns.list, Some(columns.label)];
        let others = self.named(&LABEL_NAMES, &taken);
        if self.is_numeric(columns.label) {
            let named =
                others.into_iter().filter(|&column| !self.is_numeric(column) && self.cells(column).next().is_some());
            columns.names = { named }.find(|&names| self.mismatch(columns.label, names).is_none());
            return Ok(());
        }
        if is_wanted {
            return Ok(());
        }
        let numbers = self.named(&NUMBER_NAMES, &taken).into_iter().find(|&column| self.is_numeric(column));
        if let Some(column) = numbers {
            if let Some(mismatch) = self.mismatch(column, columns.label) {
                let [number, name] = [column, columns.label].map(|column| &self.names[column]);
                return Err(Error::unsupported(format!(
                    "`{number}` and `{name}` do not number the same classes: {mismatch}; say with --label-column which of \
                     them is the label"
                )));
            }
            (columns.names, columns.label) = (Some(columns.label), column);
        }
        Ok(())
    }

    /// Without a head: two columns beside the path are numbers of classes and their names, or it is not clear.
    fn pair_without_names(&self, columns: &mut Columns) -> Result<()> {
        let taken = [Some(columns.path), columns.list, Some(columns.label)];
        let others: Vec<usize> = (0..self.width()).filter(|column| !taken.contains(&Some(*column))).collect();
        match others.as_slice() {
            [] => Ok(()),
            &[names]
                if self.is_numeric(columns.label)
                    && !self.is_numeric(names)
                    && self.mismatch(columns.label, names).is_none() =>
            {
                columns.names = Some(names);
                Ok(())
            }
            _ => Err(self.which_label()),
        }
    }

    /// The first row in which numbers and names are not one to one.
    fn mismatch(&self, numbers: usize, names: usize) -> Option<String> {
        let (mut by_number, mut by_name) = (BTreeMap::new(), BTreeMap::new());
        for (line, cells) in self.records {
            let cell = |column: usize| cells.get(column).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
            let (number, name) = (cell(numbers).and_then(whole_number), cell(names));
            let (Some(number), Some(name)) = (number, name) else {
                return Some(format!("in line {line} one of them is missing"));
            };
            let (first, there) = *by_number.entry(number).or_insert((name, line));
            if first != name {
                return Some(format!("{number} is `{first}` in line {there} and `{name}` in line {line}"));
            }
            let (first, there) = *by_name.entry(name).or_insert((number, line));
            if first != number {
                return Some(format!("`{name}` is {first} in line {there} and {number} in line {line}"));
            }
        }
        None
    }
}
