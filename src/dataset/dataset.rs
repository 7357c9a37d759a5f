//! The lists of a data set, and the files that they name.

use std::collections::HashMap;

use super::findings::{Code, Finding, Findings};
use super::lists::{self, Row};
use super::subset::Subset;
use crate::file_tree::{EntryKind, FileTree, NameDecoder, has_same_letters, is_hidden, is_image_name, plain_form};
use crate::{Error, Result};

/// The most bytes of a list.
const MOST_LIST_BYTES: u64 = 256 << 20;
/// The most bytes of a file with the names of classes.
const MOST_NAMES_BYTES: u64 = 64 << 20;
/// Files beside the lists that name the classes, in lower case.
const CLASS_FILES: [&str; 7] =
    ["label.txt", "labels.txt", "label_list.txt", "class_id_map.txt", "classes.txt", "class_names.txt", "names.txt"];
/// The most missing files for which all names are searched for a similar one; each search is a pass over all names.
const MOST_GUESSES: u32 = 100;

/// The lists of a data set, and the files that they name.
///
/// ```
/// use image_feature::dataset::{Dataset, Subset};
/// use image_feature::file_tree::Memory;
///
/// let tree = Memory::new("shop", [("images/a.png", b"...".to_vec()), ("train.txt", b"images/a.png 7\n".to_vec())]);
/// let dataset = Dataset::read(&tree);
/// let row = &dataset.rows()[0];
/// assert_eq!((row.list, row.path.as_str(), row.label), (Subset::Train, "images/a.png", Some(7)));
/// assert_eq!(dataset.paths(), ["images/a.png"]);
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    root: String,
    notes: Vec<String>,
    rows: Vec<Row>,
    images: Vec<usize>,
    paths: Vec<String>,
    findings: Findings,
    class_files: Vec<(String, Vec<u8>)>,
}

/// A row of a list that names an image and its label.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LabelledImage<'d> {
    /// The row.
    pub row: &'d Row,
    /// The index of the image in the tree's entries.
    pub entry: usize,
    /// The label.
    pub label: i64,
}

impl Dataset {
    /// Reads the lists of a data set, at any depth in the tree, and looks up their files. No image is opened. Faults of
    /// the lists are [`findings`](Self::findings), not errors.
    ///
    /// ```
    /// use image_feature::dataset::{Code, Dataset};
    /// use image_feature::file_tree::Memory;
    ///
    /// let files = [("set/images/a.png", "..."), ("set/train.txt", "images/A.png 0\n")];
    /// let tree = Memory::new("example", files.map(|(path, text)| (path, text.into())));
    /// let dataset = Dataset::read(&tree);
    /// assert_eq!(dataset.root(), "set");
    /// assert_eq!(dataset.findings().of(Code::FileCase)[0].line, Some(1));
    /// assert_eq!(dataset.findings().count(Code::ListMissing), 2);
    /// ```
    pub fn read(tree: &dyn FileTree) -> Self {
        Self::read_with(tree, None)
    }

    /// As [`read`](Self::read), with a decoder for rows that are not UTF-8. See
    /// [`decode_text`](super::decode_text).
    pub fn read_with(tree: &dyn FileTree, decode: Option<&NameDecoder>) -> Self {
        let mut findings = Findings::default();
        let mut notes = Vec::new();
        let root = find_root(tree, &mut notes);
        let files = Files { tree, root: &root };
        let mut rows = Vec::new();
        for list in Subset::ALL {
            let index = files.find(list.list()).filter(|&index| tree.entries()[index].kind == EntryKind::File);
            let Some(index) = index else {
                let place = if root.is_empty() { tree.name() } else { &root };
                let reason = format!("there is no {} in {place}", list.list());
                findings.add(Code::ListMissing, |code| Finding::new(code, reason).in_list(list));
                continue;
            };
            match tree.read(index, MOST_LIST_BYTES) {
                Ok(bytes) => {
                    let exists = |path: &str| files.find(path).is_some();
                    let tell = &mut |encoding: &str| notes.push(format!("{} is read as {encoding}", list.list()));
                    rows.extend(lists::parse(&bytes, list, &exists, decode, &mut findings, tell));
                }
                Err(error) => {
                    findings.add(Code::ListUnreadable, |code| Finding::new(code, error.to_string()).in_list(list))
                }
            }
        }
        look_up(&files, &mut rows, &mut findings);
        find_repeated(&mut rows, &mut findings);

        let class_files = files.class_files(&mut notes);
        let mut images: Vec<usize> = rows.iter().filter_map(|row| row.entry).collect();
        images.sort_unstable();
        images.dedup();
        let skip = if root.is_empty() { 0 } else { root.len() + 1 };
        let paths = images.iter().map(|&index| tree.entries()[index].path[skip..].to_string()).collect();
        if !rows.is_empty() {
            find_unlisted(&files, &images, &mut findings);
            check_images_folder(&files, &mut findings);
        }
        Dataset { name: tree.name().to_string(), root, notes, rows, images, paths, findings, class_files }
    }

    /// The path in the tree of the folder with the lists; empty for the tree's root.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Assumptions made while reading, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The rows of all lists in order, without those that are blank.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The images of a list with their labels, in the list's order, for a caller who can use no other row.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode): the list is missing or empty, a file does not exist, or a label is not
    /// a whole number. The message has the list, the line and the path.
    ///
    /// ```
    /// use image_feature::dataset::{Dataset, Subset};
    /// use image_feature::file_tree::Memory;
    ///
    /// let files = [("images/a.png", "..."), ("train.txt", "images/a.png 7\n"), ("query.txt", "images/b.png 7\n")];
    /// let tree = Memory::new("shop", files.map(|(path, text)| (path, text.into())));
    /// let dataset = Dataset::read(&tree);
    /// assert_eq!(dataset.labelled(Subset::Train)?[0].label, 7);
    /// let error = dataset.labelled(Subset::Query).unwrap_err();
    /// assert!(error.to_string().contains("query.txt: line 1: `images/b.png` does not exist"));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn labelled(&self, list: Subset) -> Result<Vec<LabelledImage<'_>>> {
        let Dataset { name, rows, .. } = self;
        let rows = rows.iter().filter(|row| row.list == list);
        let images = rows.map(|row| self.labelled_row(row)).collect::<Result<Vec<_>>>()?;
        if images.is_empty() {
            return Err(Error::decode(format!("{} is missing or empty in {name}", list.list())));
        }
        Ok(images)
    }

    fn labelled_row<'d>(&self, row: &'d Row) -> Result<LabelledImage<'d>> {
        let (list, line, path) = (row.list.list(), row.line, &row.path);
        let reason = match (row.entry, row.label) {
            (Some(entry), Some(label)) => return Ok(LabelledImage { row, entry, label }),
            (None, _) => "does not exist",
            (_, None) => "has no label that is a whole number",
        };
        let error = Error::decode(format!("{list}: line {line}: `{path}` {reason}; `image-feature check` says more"));
        Err(error.context(self.name.clone()))
    }

    /// The existing files that rows name: indices of the tree's entries, each once, in ascending order.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// The paths of [`images`](Self::images) below the root.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The files beside the lists that name the classes, such as `label.txt`: their names and contents. New data sets
    /// that [`fix`](super::fix()) and [`split`](super::split()) make have them, too.
    ///
    /// ```
    /// use image_feature::dataset::Dataset;
    /// use image_feature::file_tree::Memory;
    ///
    /// let tree = Memory::new("shop", [("train.txt", "a.png 0\n"), ("label.txt", "tea\n")].map(|(path, text)| (path, text.into())));
    /// assert_eq!(Dataset::read(&tree).class_files(), [("label.txt".to_string(), b"tea\n".to_vec())]);
    /// ```
    pub fn class_files(&self) -> &[(String, Vec<u8>)] {
        &self.class_files
    }

    /// The faults of the lists and of the files' names.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The index in [`images`](Self::images) of the file that a row names; `None` where it does not exist.
    pub fn image_of(&self, row: &Row) -> Option<usize> {
        self.images.binary_search(&row.entry?).ok()
    }
}

/// The extension of a file's name, without the dot.
pub(super) fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

/// The folder with the most lists; of several such folders the highest, then the first.
fn find_root(tree: &dyn FileTree, notes: &mut Vec<String>) -> String {
    let mut folders: HashMap<&str, usize> = HashMap::new();
    for entry in tree.entries().iter().filter(|entry| entry.kind == EntryKind::File && !is_hidden(&entry.path)) {
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        if Subset::ALL.iter().any(|list| list.list() == name) {
            *folders.entry(folder).or_default() += 1;
        }
    }
    let depth = |folder: &str| if folder.is_empty() { 0 } else { 1 + folder.matches('/').count() };
    let mut ranked: Vec<(&str, usize)> = folders.into_iter().collect();
    ranked.sort_by_key(|&(folder, lists)| (std::cmp::Reverse(lists), depth(folder), folder));
    let Some(&(root, _)) = ranked.first() else { return String::new() };
    if !root.is_empty() {
        notes.push(format!("the lists are in `{root}`, which is taken for the data set"));
    }
    if ranked.len() > 1 {
        let others: Vec<String> = ranked[1..].iter().take(3).map(|(folder, _)| format!("`{folder}/`")).collect();
        notes.push(format!("lists in other folders are not looked at: {}", others.join(", ")));
    }
    root.into()
}

/// The files of a data set by their paths below its root.
struct Files<'a> {
    tree: &'a dyn FileTree,
    root: &'a str,
}

impl<'a> Files<'a> {
    fn find(&self, path: &str) -> Option<usize> {
        if self.root.is_empty() { self.tree.find(path) } else { self.tree.find(&format!("{}/{path}", self.root)) }
    }

    /// The files and folders below the root, with their indices and paths from there.
    fn below(&self) -> impl Iterator<Item = (usize, EntryKind, &'a str)> {
        let prefix = if self.root.is_empty() { String::new() } else { format!("{}/", self.root) };
        self.tree
            .entries()
            .iter()
            .enumerate()
            .filter_map(move |(index, entry)| Some((index, entry.kind, entry.path.strip_prefix(&prefix)?)))
    }

    /// The files that name the classes. One that cannot be read is noted.
    fn class_files(&self, notes: &mut Vec<String>) -> Vec<(String, Vec<u8>)> {
        let is_one = |kind: EntryKind, path: &str| {
            kind == EntryKind::File && CLASS_FILES.contains(&path.to_ascii_lowercase().as_str())
        };
        let mut found = Vec::new();
        for (index, _, path) in self.below().filter(|(_, kind, path)| is_one(*kind, path)) {
            match self.tree.read(index, MOST_NAMES_BYTES) {
                Ok(bytes) => found.push((path.to_string(), bytes)),
                Err(error) => notes.push(format!("the names of classes in {path} cannot be read: {error}")),
            }
        }
        found
    }
}

/// The file that a path means where there is none of that very path: in normal form, with `/` for `\`, in other case or
/// another form of Unicode. Of an absolute path, or one that leads out, no file.
pub(super) struct OtherForms<'a>(Names<'a>);

impl<'a> OtherForms<'a> {
    /// Those of the files below a folder; `root` is empty or ends with `/`.
    pub fn below(tree: &'a dyn FileTree, root: &'a str) -> Self {
        OtherForms(Names::new(&Files { tree, root: root.trim_end_matches('/') }))
    }

    /// The entry of the only file that a relative path means, and its path below the folder.
    pub fn find(&self, path: &str) -> Option<(usize, &'a str)> {
        let PathForm::Relative(normal) = path_form(path) else { return None };
        self.0.same_but_for_form(&normal).map(|(index, path, _)| (index, path))
    }
}

/// A path of a list by its form.
enum PathForm {
    Absolute,
    /// It leads out of the data set by `..`.
    Outside,
    /// A relative path in normal form: separated by `/`, without `.`, `..` and empty parts.
    Relative(String),
}

fn path_form(path: &str) -> PathForm {
    let has_drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with(['/', '\\']) || has_drive {
        return PathForm::Absolute;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return PathForm::Outside,
            ".." => {}
            part => parts.push(part),
        }
    }
    PathForm::Relative(parts.join("/"))
}

/// Looks up each row's file.
fn look_up(files: &Files<'_>, rows: &mut [Row], findings: &mut Findings) {
    let mut look_up = LookUp { files, names: None, findings };
    for row in rows.iter_mut().filter(|row| row.fault != Some(Code::NotUtf8)) {
        let found = files.find(&row.path).or_else(|| look_up.differently(row));
        row.entry = found.filter(|&index| files.tree.entries()[index].kind == EntryKind::File);
        if found.is_some() && row.entry.is_none() {
            look_up.report(row, Code::NotAFile, format!("`{}` is a folder", row.path), None);
            row.fault = Some(Code::NotAFile);
        }
    }
}

/// The search for files of paths that do not exist as they are written.
struct LookUp<'a, 'f> {
    files: &'f Files<'a>,
    names: Option<Names<'a>>,
    findings: &'f mut Findings,
}

impl LookUp<'_, '_> {
    /// Reports why a row's path does not exist, and returns the file that is meant, where there is one.
    fn differently(&mut self, row: &mut Row) -> Option<usize> {
        match path_form(&row.path) {
            PathForm::Absolute => {
                let entry = self.absolute(row);
                row.fault = row.fault.or(entry.is_none().then_some(Code::AbsolutePath));
                entry
            }
            PathForm::Outside => {
                self.report(row, Code::PathOutside, format!("`{}` leads out", row.path), None);
                row.fault = Some(Code::PathOutside);
                None
            }
            PathForm::Relative(normal) => {
                let entry = self.files.find(&normal);
                if entry.is_some() {
                    let code = if row.path.contains('\\') { Code::WindowsSeparator } else { Code::PathNotNormal };
                    let reason = format!("`{}` means `{normal}`", row.path);
                    self.report(row, code, reason, Some(format!("Write `{normal}`")));
                    return entry;
                }
                let entry = self.similar(row, &normal);
                row.fault = row.fault.or(entry.is_none().then_some(Code::FileMissing));
                entry
            }
        }
    }

    /// The file of an absolute path: the one at the longest end of it that is a path in the data set.
    fn absolute(&mut self, row: &Row) -> Option<usize> {
        let normal = row.path.replace('\\', "/");
        let ends = normal.match_indices('/').map(|(at, _)| &normal[at + 1..]).filter(|rest| !rest.is_empty());
        let inside = { ends }.find_map(|rest| Some((rest, self.files.find(rest)?)));
        let fix = inside.map(|(rest, _)| format!("Write `{rest}`"));
        self.report(row, Code::AbsolutePath, format!("`{}` is absolute", row.path), fix);
        inside.map(|(_, index)| index)
    }

    /// The file that differs from a path only in case, or in the form of Unicode. Where there is none, the file is
    /// reported as missing, with the one that may be meant.
    fn similar(&mut self, row: &Row, path: &str) -> Option<usize> {
        let names = self.names.get_or_insert_with(|| Names::new(self.files));
        if let Some((index, is, code)) = names.same_but_for_form(path) {
            let reason = match code {
                Code::UnicodeForm => format!("`{path}` is written in another form of Unicode than the file's name"),
                _ => format!("`{path}` is written, the file is called `{is}`"),
            };
            self.findings.add(code, |code| {
                Finding::new(code, reason).at(row.list, row.line).column(1).image(path).fix(format!("Write `{is}`"))
            });
            return Some(index);
        }
        let similar = names.similar(path);
        self.findings.add(Code::FileMissing, |code| {
            let finding = Finding::new(code, format!("`{path}` does not exist"));
            let finding = finding.at(row.list, row.line).column(1).image(path);
            match similar {
                Some(similar) => finding.fix(format!("Is `{similar}` meant?")),
                None => finding,
            }
        });
        None
    }

    fn report(&mut self, row: &Row, code: Code, reason: String, fix: Option<String>) {
        self.findings.add(code, |code| {
            let finding = Finding::new(code, reason).at(row.list, row.line).column(1).image(row.path.as_str());
            Finding { fix, ..finding }
        });
    }
}

/// All names of files, to find the one that a wrong path may mean. Made for the first missing file.
struct Names<'a> {
    /// By the path in lower case, in the form of Unicode that takes accents apart.
    by_plain_form: HashMap<String, Vec<usize>>,
    by_name: HashMap<&'a str, Vec<&'a str>>,
    paths: HashMap<usize, &'a str>,
    guesses: u32,
}

impl<'a> Names<'a> {
    fn new(files: &Files<'a>) -> Self {
        let mut names =
            Names { by_plain_form: HashMap::new(), by_name: HashMap::new(), paths: HashMap::new(), guesses: 0 };
        for (index, kind, path) in files.below() {
            if kind == EntryKind::File {
                names.by_plain_form.entry(plain_form(path)).or_default().push(index);
                names.by_name.entry(file_name(path)).or_default().push(path);
                names.paths.insert(index, path);
            }
        }
        names
    }

    /// The only file whose path differs in form and case only, its path, and the code of what differs: the form alone, or
    /// the case, too. A file that differs in the form alone goes before those that differ in case.
    fn same_but_for_form(&self, path: &str) -> Option<(usize, &'a str, Code)> {
        let same = self.by_plain_form.get(&plain_form(path))?;
        let is_same_case = |index: &&usize| has_same_letters(path, self.paths[*index]);
        let of_form: Vec<&usize> = same.iter().filter(is_same_case).collect();
        match (of_form.as_slice(), same.as_slice()) {
            (&[&index], _) => Some((index, self.paths[&index], Code::UnicodeForm)),
            ([], &[index]) => Some((index, self.paths[&index], Code::FileCase)),
            _ => None,
        }
    }

    /// The only file of that name in another folder, or the file with the most similar path, at most two edits away.
    fn similar(&mut self, path: &str) -> Option<&'a str> {
        if let Some(&[path]) = self.by_name.get(file_name(path)).map(Vec::as_slice) {
            return Some(path);
        }
        if self.guesses >= MOST_GUESSES || path.len() > 500 {
            return None;
        }
        self.guesses += 1;
        let near = self.paths.values().filter(|other| is_image_name(other) && other.len().abs_diff(path.len()) <= 2);
        let near = near.filter_map(|other| Some((edits(path.as_bytes(), other.as_bytes(), 2)?, *other)));
        near.min().map(|(_, other)| other)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The number of bytes to change, insert or delete to turn `a` into `b`; `None` for more than `most`.
fn edits(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    // equal beginnings and ends need no edits, and are mostly long
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    if a.len().max(b.len()) > 8 * most {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().filter(|&edits| edits <= most)
}

/// Reports rows that repeat or contradict others, and marks the contradicting ones.
fn find_repeated(rows: &mut [Row], findings: &mut Findings) {
    let mut first: HashMap<(Subset, usize), usize> = HashMap::new();
    let mut lists: HashMap<usize, usize> = HashMap::new();
    for at in 0..rows.len() {
        let Some(entry) = rows[at].entry else { continue };
        let (list, line, label) = (rows[at].list, rows[at].line, rows[at].label);
        let path = rows[at].path.clone();
        let here = |code, reason: String| Finding::new(code, reason).at(list, line).column(1).image(path.as_str());
        match first.entry((list, entry)) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(at);
                if let Some(&other) = lists.get(&entry) {
                    let other = &rows[other];
                    let reason = format!("{} names it in line {}, too", other.list.list(), other.line);
                    findings.add(Code::ListedAcross, |code| here(code, reason));
                } else {
                    lists.insert(entry, at);
                }
            }
            std::collections::hash_map::Entry::Occupied(occupied) => {
                let earlier = *occupied.get();
                let (other_line, other_label) = (rows[earlier].line, rows[earlier].label);
                if label == other_label {
                    findings.add(Code::DuplicateRow, |code| here(code, format!("as line {other_line}")));
                } else if let (Some(label), Some(other_label)) = (label, other_label) {
                    let reason = format!("the label is {label}; in line {other_line} it is {other_label}");
                    findings.add(Code::ConflictingLabels, |code| here(code, reason));
                    rows[earlier].fault.get_or_insert(Code::ConflictingLabels);
                    rows[at].fault.get_or_insert(Code::ConflictingLabels);
                }
            }
        }
    }
}

fn find_unlisted(files: &Files<'_>, images: &[usize], findings: &mut Findings) {
    for (index, kind, path) in files.below() {
        if kind == EntryKind::File && is_image_name(path) && !is_hidden(path) && images.binary_search(&index).is_err() {
            let reason = format!("no list names `{path}`");
            findings.add(Code::UnlistedImage, |code| Finding::new(code, reason).image(path));
        }
    }
}

fn check_images_folder(files: &Files<'_>, findings: &mut Findings) {
    // PaddleX does not look below links
    let is_seen = |index: usize, path: &str| file_name(path) == "images" && !files.tree.is_below_link(index);
    let all: Vec<&str> =
        files.below().filter(|(index, _, path)| is_seen(*index, path)).map(|(_, _, path)| path).collect();
    if all != ["images"] {
        let reason = match all.as_slice() {
            [] => "there is no folder `images` beside the lists".into(),
            [one] => format!("`{one}` is not beside the lists"),
            [one, two, ..] => format!("there are {} of them, such as `{one}` and `{two}`", all.len()),
        };
        findings.add(Code::ImagesFolder, |code| Finding::new(code, reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::Memory;

    fn dataset(files: &[&str], train: &str) -> Dataset {
        let files = files.iter().map(|&path| (path, Vec::new()));
        Dataset::read(&Memory::new("test", files.chain([("train.txt", train.into())])))
    }

    #[test]
    fn paths_are_found_by_what_was_meant() {
        let files = ["images/a.jpg", "images/b/Photo.JPG", "images/c.png", "images/café.png"];
        let cases = [
            ("images/a.jpg", Some("images/a.jpg"), None),
            ("images\\a.jpg", Some("images/a.jpg"), Some(Code::WindowsSeparator)),
            ("./images//a.jpg", Some("images/a.jpg"), Some(Code::PathNotNormal)),
            ("images/b/../a.jpg", Some("images/a.jpg"), Some(Code::PathNotNormal)),
            ("/home/me/set/images/a.jpg", Some("images/a.jpg"), Some(Code::AbsolutePath)),
            ("C:\\set\\images\\a.jpg", Some("images/a.jpg"), Some(Code::AbsolutePath)),
            ("/elsewhere/x.jpg", None, Some(Code::AbsolutePath)),
            ("../a.jpg", None, Some(Code::PathOutside)),
            ("images/b/photo.jpg", Some("images/b/Photo.JPG"), Some(Code::FileCase)),
            ("images/cafe\u{301}.png", Some("images/café.png"), Some(Code::UnicodeForm)),
            ("images/Cafe\u{301}.png", Some("images/café.png"), Some(Code::FileCase)),
            ("images/b", None, Some(Code::NotAFile)),
            ("images/aa.jpg", None, Some(Code::FileMissing)),
        ];
        for (written, expected, code) in cases {
            let dataset = dataset(&files, &format!("{written} 0\n"));
            assert_eq!(dataset.paths().first().map(String::as_str), expected, "{written}");
            let found: Vec<Code> = dataset.findings().codes();
            let found = found.into_iter().filter(|code| !matches!(code, Code::ListMissing | Code::UnlistedImage));
            assert_eq!(found.collect::<Vec<_>>(), Vec::from_iter(code), "{written}");
        }
    }

    #[test]
    fn both_forms_of_a_name_may_be_there() {
        // Linux keeps them apart: each path is the file that is called so
        let files = ["images/\u{e9}.png", "images/e\u{301}.png"];
        let dataset = dataset(&files, "images/\u{e9}.png 0\nimages/e\u{301}.png 1\nimages/\u{c9}.png 2\n");
        assert_eq!(dataset.images().len(), 2);
        assert_eq!(dataset.findings().count(Code::UnicodeForm), 0);
        assert_eq!(dataset.findings().count(Code::FileMissing), 1, "which of the two is not clear");
    }

    #[test]
    fn what_is_missing_is_guessed() {
        let fix = |written: &str| {
            let files = ["images/cat.jpg", "images/dogs/dog_1.jpg"];
            dataset(&files, &format!("{written} 0\n")).findings().of(Code::FileMissing)[0].fix.clone()
        };
        assert_eq!(fix("images/dog_1.jpg").unwrap(), "Is `images/dogs/dog_1.jpg` meant?");
        assert_eq!(fix("images/cats.jpg").unwrap(), "Is `images/cat.jpg` meant?");
        assert_eq!(fix("images/cta.jpg").unwrap(), "Is `images/cat.jpg` meant?");
        assert_eq!(fix("images/elephant.jpg"), None);
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in
            [("abc", "abc", Some(0)), ("abc", "acb", Some(2)), ("ab", "abcd", Some(2)), ("abc", "xyz", None)]
        {
            assert_eq!(edits(a.as_bytes(), b.as_bytes(), 2), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_folder_with_the_lists_is_the_root() {
        let files = ["train.txt", "in/set/train.txt", "in/set/query.txt", "in/set/images/a.jpg"];
        let dataset = Dataset::read(&Memory::new("x", files.map(|path| (path, b"images/a.jpg 1\n".to_vec()))));
        assert_eq!((dataset.root(), dataset.notes().len()), ("in/set", 2));
        assert_eq!(dataset.paths(), ["images/a.jpg"]);
        assert_eq!(dataset.findings().count(Code::ListedAcross), 1);
    }
}
