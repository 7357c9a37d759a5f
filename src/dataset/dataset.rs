//! A tree of files as a data set: where its root is, what its lists say, and which files they mean.

use std::collections::HashMap;

use super::findings::{Code, Finding, Findings};
use super::lists::{self, Row};
use super::subset::Subset;
use crate::file_tree::{EntryKind, FileTree};

/// Lists larger than this are no lists.
const MOST_LIST_BYTES: u64 = 256 << 20;
/// How many missing files are compared with all names for a similar one; each costs a pass over them.
const MOST_GUESSES: u32 = 100;
/// What makes a file an image where nothing but its name is known.
const IMAGE_EXTENSIONS: [&str; 15] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "pbm", "qoi"];

/// The lists of a data set, and the files that they mean.
#[derive(Clone, Debug)]
pub struct Dataset {
    root: String,
    notes: Vec<String>,
    rows: Vec<Row>,
    images: Vec<usize>,
    paths: Vec<String>,
    findings: Findings,
}

impl Dataset {
    /// Reads the lists of a data set, wherever in the tree they lie, and looks up their files. No image is opened.
    ///
    /// ```
    /// use image_feature::dataset::{Code, Dataset};
    /// use image_feature::file_tree::Memory;
    ///
    /// let tree = Memory::new("example", [("set/images/a.png", b"...".to_vec()), ("set/train.txt", b"images/A.png 0\n".to_vec())]);
    /// let dataset = Dataset::read(&tree);
    /// assert_eq!(dataset.root(), "set");
    /// assert_eq!(dataset.findings().of(Code::FileCase)[0].line, Some(1));
    /// assert_eq!(dataset.findings().count(Code::ListMissing), 2);
    /// ```
    pub fn read(tree: &dyn FileTree) -> Self {
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
                    rows.extend(lists::parse(&bytes, list, &exists, &mut findings));
                }
                Err(error) => {
                    findings.add(Code::ListUnreadable, |code| Finding::new(code, error.to_string()).in_list(list))
                }
            }
        }
        look_up(&files, &mut rows, &mut findings);
        find_repeated(&mut rows, &mut findings);

        let mut images: Vec<usize> = rows.iter().filter_map(|row| row.entry).collect();
        images.sort_unstable();
        images.dedup();
        let skip = if root.is_empty() { 0 } else { root.len() + 1 };
        let paths = images.iter().map(|&index| tree.entries()[index].path[skip..].to_string()).collect();
        if !rows.is_empty() {
            find_unlisted(&files, &images, &mut findings);
            check_images_folder(&files, &mut findings);
        }
        Dataset { root, notes, rows, images, paths, findings }
    }

    /// The folder with the lists, below the tree's root; empty where it is the tree's root.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What was assumed while reading, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The rows of all lists in order, those left out that are blank or not text.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The files that rows name, as indices of the tree's entries; each once, in ascending order.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// The paths of [`images`](Self::images) below the root.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// What is wrong with the lists and the files' names.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The place among [`images`](Self::images) of the file that a row means.
    pub fn image_of(&self, row: &Row) -> Option<usize> {
        self.images.binary_search(&row.entry?).ok()
    }
}

/// Whether a file's name is that of an image.
pub(super) fn is_image_name(path: &str) -> bool {
    extension(path).is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

/// What follows the last dot of a file's name.
pub(super) fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

/// The folder that has most of the lists; of several such the highest, then the first.
fn find_root(tree: &dyn FileTree, notes: &mut Vec<String>) -> String {
    let mut folders: HashMap<&str, usize> = HashMap::new();
    for entry in tree.entries().iter().filter(|entry| entry.kind == EntryKind::File) {
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
}

/// What stands in the way of looking a path up as it is written.
enum Detour {
    Absolute,
    Outside,
    /// The path with `/` alone and without `.`, `..` and empty parts, where that is not how it is written.
    Written(String),
}

fn detour(path: &str) -> Option<Detour> {
    let has_drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with(['/', '\\']) || has_drive {
        return Some(Detour::Absolute);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Some(Detour::Outside),
            ".." => {}
            part => parts.push(part),
        }
    }
    let normal = parts.join("/");
    (normal != path).then_some(Detour::Written(normal))
}

/// Finds each row's file.
fn look_up(files: &Files<'_>, rows: &mut [Row], findings: &mut Findings) {
    let mut names = None;
    for row in rows {
        let (list, line) = (row.list, row.line);
        let found = |code, reason: String, path: &str| Finding::new(code, reason).at(list, line).column(1).image(path);
        let path = row.path.clone();
        let mut entry = files.find(&path);
        if entry.is_none() {
            match detour(&path) {
                Some(Detour::Absolute) => {
                    let normal = path.replace('\\', "/");
                    let inside = normal.match_indices('/').map(|(at, _)| &normal[at + 1..]);
                    let inside =
                        inside.filter(|rest| !rest.is_empty()).find_map(|rest| Some((rest, files.find(rest)?)));
                    findings.add(Code::AbsolutePath, |code| {
                        let finding = found(code, format!("`{path}` is absolute"), &path);
                        match inside {
                            Some((rest, _)) => finding.fix(format!("Write `{rest}`")),
                            None => finding,
                        }
                    });
                    entry = inside.map(|(_, index)| index);
                    row.fault = row.fault.or(entry.is_none().then_some(Code::AbsolutePath));
                }
                Some(Detour::Outside) => {
                    findings.add(Code::PathOutside, |code| found(code, format!("`{path}` leads out"), &path));
                    row.fault = Some(Code::PathOutside);
                }
                Some(Detour::Written(normal)) if files.find(&normal).is_some() => {
                    entry = files.find(&normal);
                    let code = if path.contains('\\') { Code::WindowsSeparator } else { Code::PathNotNormal };
                    let reason = format!("`{path}` means `{normal}`");
                    findings.add(code, |code| found(code, reason, &path).fix(format!("Write `{normal}`")));
                }
                detour => {
                    let wanted = match detour {
                        Some(Detour::Written(normal)) => normal,
                        _ => path.clone(),
                    };
                    entry = missing(files, &mut names, &wanted, findings, &found);
                    row.fault = row.fault.or(entry.is_none().then_some(Code::FileMissing));
                }
            }
        }
        if let Some(index) = entry
            && files.tree.entries()[index].kind == EntryKind::Folder
        {
            findings.add(Code::NotAFile, |code| found(code, format!("`{path}` is a folder"), &path));
            row.fault = Some(Code::NotAFile);
            entry = None;
        }
        row.entry = entry;
    }
}

/// Says that a file is missing, and which one may be meant; gives the file that differs in case only.
fn missing<'a>(
    files: &Files<'a>,
    names: &mut Option<Names<'a>>,
    path: &str,
    findings: &mut Findings,
    found: &dyn Fn(Code, String, &str) -> Finding,
) -> Option<usize> {
    let names = names.get_or_insert_with(|| Names::new(files));
    if let Some(&[index]) = names.by_lower_case.get(&path.to_lowercase()).map(Vec::as_slice) {
        let is = names.paths[&index];
        findings.add(Code::FileCase, |code| {
            found(code, format!("`{path}` is written, the file is called `{is}`"), path).fix(format!("Write `{is}`"))
        });
        return Some(index);
    }
    let similar = names.similar(path);
    findings.add(Code::FileMissing, |code| {
        let finding = found(code, format!("`{path}` does not exist"), path);
        match similar {
            Some(similar) => finding.fix(format!("Is `{similar}` meant?")),
            None => finding,
        }
    });
    None
}

/// Names to find what was meant by one that does not exist. Made when the first is missing.
struct Names<'a> {
    by_lower_case: HashMap<String, Vec<usize>>,
    by_name: HashMap<&'a str, Vec<&'a str>>,
    paths: HashMap<usize, &'a str>,
    guesses: u32,
}

impl<'a> Names<'a> {
    fn new(files: &Files<'a>) -> Self {
        let mut names =
            Names { by_lower_case: HashMap::new(), by_name: HashMap::new(), paths: HashMap::new(), guesses: 0 };
        for (index, kind, path) in files.below() {
            if kind == EntryKind::File {
                names.by_lower_case.entry(path.to_lowercase()).or_default().push(index);
                names.by_name.entry(file_name(path)).or_default().push(path);
                names.paths.insert(index, path);
            }
        }
        names
    }

    /// The only file of that name in another folder, or the one whose path is nearest, at most two letters away.
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

/// How many bytes to change, insert or delete to make `a` of `b`; nothing for more than `most`.
fn edits(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    // what is equal at both ends costs nothing, and is most of it
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

/// Says which rows repeat or contradict others, and marks them.
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
        // macOS puts such shadows of files into archives
        let is_shadow = path.starts_with("__MACOSX/") || file_name(path).starts_with("._");
        if kind == EntryKind::File && is_image_name(path) && !is_shadow && images.binary_search(&index).is_err() {
            let reason = format!("no list names `{path}`");
            findings.add(Code::UnlistedImage, |code| Finding::new(code, reason).image(path));
        }
    }
}

fn check_images_folder(files: &Files<'_>, findings: &mut Findings) {
    let all: Vec<&str> =
        files.below().filter(|(_, _, path)| file_name(path) == "images").map(|(_, _, path)| path).collect();
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
        let files = ["images/a.jpg", "images/b/Photo.JPG", "images/c.png"];
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
