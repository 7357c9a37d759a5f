//! The images that arguments name: files, folders, patterns, archives, stdin.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::apart::{FolderNames, fronts};
use super::archive;
use super::argument::{Argument, in_other_form};
use super::item::{Content, Item, Origin};
use super::pattern::Pattern;
use super::remarks::Remarks;
use image_feature::file_tree::{
    ArchiveFormat, EntryKind, FileTree, Folder, PassedOver, ProblemCode, ProblemEffect, image_suffixes, images,
    images_among, is_hidden, is_image_name, is_other_name,
};
use image_feature::{Error, ErrorKind, Result};

/// Maximum bytes of an image file.
pub const FILE_BYTES: u64 = 512 << 20;

/// The places of images, in the order in which they are read.
#[derive(Default)]
pub struct Inputs {
    sources: Vec<Source>,
    remarks: Remarks,
    skipped: Skipped,
}

/// The images inside of archives that are left out, by their absolute paths, and how many were. Clones share them.
#[derive(Clone, Default)]
pub struct Skipped {
    known: Arc<HashSet<String>>,
    count: Arc<AtomicUsize>,
}

impl Skipped {
    /// Whether an image is left out, which is counted.
    pub fn skips(&self, input_path: &str) -> bool {
        let is_known = !self.known.is_empty()
            && std::path::absolute(input_path).is_ok_and(|path| self.known.contains(&*path.to_string_lossy()));
        self.count.fetch_add(usize::from(is_known), Ordering::Relaxed);
        is_known
    }

    /// How many were left out so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// The id of an image: its relative path, with `/` between its parts.
pub fn id_of(relative: &Path) -> String {
    relative.to_string_lossy().replace('\\', "/")
}

enum Source {
    File(Origin, PathBuf),
    /// An archive, and what its images have in front of their relative paths.
    Archive(ArchiveFormat, PathBuf, PathBuf),
    Entry(Origin, Arc<dyn FileTree>, usize),
    Stdin,
    Failed(Origin, Error),
}

impl Inputs {
    /// Finds the images of each argument. A missing file becomes a failed [`Item`], so that the others are still done.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an invalid pattern, and for stdin given twice.
    pub fn find(arguments: &[PathBuf]) -> Result<Self> {
        let arguments: Vec<Argument> = arguments.iter().map(|argument| Argument::of(argument)).collect();
        let no_fronts = vec![PathBuf::new(); arguments.len()];
        Self::of_arguments(arguments, no_fronts)
    }

    /// As [`find`](Self::find), with relative paths that tell images of several folders apart: see [`fronts`].
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_apart(arguments: &[PathBuf], names: FolderNames) -> Result<Self> {
        let arguments: Vec<Argument> = arguments.iter().map(|argument| Argument::of(argument)).collect();
        let fronts = fronts(&arguments, names);
        Self::of_arguments(arguments, fronts)
    }

    fn of_arguments(arguments: Vec<Argument>, fronts: Vec<PathBuf>) -> Result<Self> {
        if arguments.iter().filter(|argument| matches!(argument, Argument::Stdin)).count() > 1 {
            return Err(Error::usage("`-` (stdin) is given twice; it can be read once"));
        }
        let mut inputs = Inputs::default();
        for (argument, front) in arguments.into_iter().zip(fronts) {
            match argument {
                Argument::Stdin => inputs.sources.push(Source::Stdin),
                Argument::Folder(folder) => inputs.find_in_folder(&folder, &front),
                Argument::File(path) => inputs.sources.push(Source::File(Origin::of_file(&path).below(&front), path)),
                Argument::Archive(format, path) => inputs.sources.push(Source::Archive(format, path, front)),
                Argument::Pattern(pattern) => inputs.find_matches(&pattern, &front)?,
                Argument::Failed(path, error) => inputs.fail(&path, error),
            }
        }
        Ok(inputs)
    }

    /// Inputs of files with known names.
    pub fn of_files(files: impl IntoIterator<Item = (Origin, PathBuf)>) -> Self {
        let source = |(origin, path): (Origin, PathBuf)| {
            let path = in_other_form(&path).unwrap_or(path);
            Source::File(origin, path)
        };
        Inputs { sources: files.into_iter().map(source).collect(), ..Inputs::default() }
    }

    /// Inputs of entries of a tree.
    pub fn of_entries(tree: &Arc<dyn FileTree>, entries: impl IntoIterator<Item = (Origin, usize)>) -> Self {
        let sources = entries.into_iter().map(|(origin, index)| Source::Entry(origin, tree.clone(), index));
        Inputs { sources: sources.collect(), ..Inputs::default() }
    }

    /// Leaves out the files that are `known`, and returns their number. The images inside of archives stay.
    pub fn leave_out(&mut self, known: impl Fn(&Origin) -> bool) -> usize {
        let before = self.sources.len();
        self.sources.retain(|source| !matches!(source, Source::File(origin, _) if known(origin)));
        before - self.sources.len()
    }

    /// Leaves out the images inside of archives that have these absolute paths (the archive's, then the entry's), and tells how
    /// many were when they were read.
    pub fn leave_out_inside(&mut self, known: HashSet<String>) -> Skipped {
        self.skipped = Skipped { known: Arc::new(known), count: Arc::default() };
        self.skipped.clone()
    }

    /// Whether there are images, all of them files with relative paths of this many parts.
    pub fn are_files_at_depth(&self, depth: usize) -> bool {
        let is_at_depth = |origin: &Origin| origin.relative.components().count() == depth;
        let mut files = 0;
        let all = self.sources.iter().all(|source| match source {
            Source::File(origin, _) => {
                files += 1;
                is_at_depth(origin)
            }
            Source::Failed(..) => true,
            Source::Archive(..) | Source::Entry(..) | Source::Stdin => false,
        });
        all && files > 0
    }

    /// What is to be told at the end, after all items were read.
    pub fn remarks(&self) -> Remarks {
        self.remarks.clone()
    }

    /// Whether there is nothing to read, only failures.
    pub fn all_failed(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, Source::Failed(..)))
    }

    /// Number of items; `None` where only reading an archive to its end would tell.
    pub fn count(&self) -> Option<u64> {
        let count = |source: &Source| match source {
            Source::Archive(format, path, _) => archive::count(*format, path),
            _ => Some(1),
        };
        self.sources.iter().map(count).sum()
    }

    /// Gives each item to `take`, in order, until it breaks. An archive is read entry by entry.
    pub fn for_each(self, mut take: impl FnMut(Item) -> ControlFlow<()>) {
        for source in self.sources {
            let flow = match source {
                Source::File(origin, path) => take(Item { origin, content: Content::File(path) }),
                Source::Entry(origin, tree, index) => take(Item {
                    origin,
                    content: tree.read(index, FILE_BYTES).map_or_else(Content::Failed, Content::Bytes),
                }),
                Source::Failed(origin, error) => take(Item { origin, content: Content::Failed(error) }),
                Source::Stdin => take(stdin()),
                Source::Archive(format, path, front) => {
                    let skips = &|input_path: &str| self.skipped.skips(input_path);
                    archive::for_each_image(format, &path, &front, &self.remarks, skips, &mut take)
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn fail(&mut self, path: &Path, error: Error) {
        self.sources.push(Source::Failed(Origin::of_file(path), error));
    }

    fn find_in_folder(&mut self, folder: &Path, front: &Path) {
        let before = self.sources.len();
        let Some(tree) = self.open(folder, &|_| true) else { return };
        let remarks = Remarks::default();
        let found = images(&tree);
        pass_over(&remarks, folder, found.passed_over);
        if found.files.is_empty() && self.sources.len() == before {
            let paths = tree.entries().iter().map(|entry| &entry.path);
            { paths }.filter(|path| is_image_name(path) && is_hidden(path)).take(1).for_each(|path| remarks.hide(path));
            let looked = format!("the folder holds no images at any depth (looked for {})", image_suffixes());
            self.fail(folder, Error::new(ErrorKind::Io, looked + &remarks.instead()));
            return;
        }
        self.remarks.add(&remarks);
        self.push_files(&tree, folder, front, found.files);
    }

    fn find_matches(&mut self, pattern: &Pattern, front: &Path) -> Result<()> {
        let matcher = pattern.matcher()?;
        let before = self.sources.len();
        let is_meant = |path: &str| matcher.is_match(path) && (pattern.wants_hidden() || !is_hidden(path));
        let tree = if pattern.root().is_dir() { self.open(pattern.root(), &is_meant) } else { None };
        let Some(tree) = tree else {
            if self.sources.len() == before {
                self.fail(Path::new(&pattern.text), Error::new(ErrorKind::Io, "the pattern matches no file"));
            }
            return Ok(());
        };
        let entries = tree.entries().iter().enumerate();
        let matches: Vec<usize> = entries
            .filter(|(_, entry)| entry.kind == EntryKind::File && is_meant(&entry.path))
            .map(|(index, _)| index)
            .collect();
        let (archives, others): (Vec<usize>, Vec<usize>) =
            matches.iter().partition(|&&index| self.is_archive(&tree, index));
        let found = images_among(&tree, others);
        let remarks = Remarks::default();
        pass_over(&remarks, &pattern.base, found.passed_over);
        if found.files.is_empty() && archives.is_empty() && self.sources.len() == before {
            let why = match matches.len() {
                0 => "the pattern matches no file".to_string(),
                count => format!(
                    "the pattern matches {count} files, none of them an image or archive (by names: {} .zip .tar .tar.gz){}",
                    image_suffixes(),
                    remarks.instead()
                ),
            };
            self.fail(Path::new(&pattern.text), Error::new(ErrorKind::Io, why));
            return Ok(());
        }
        self.remarks.add(&remarks);
        let mut files = [archives, found.files].concat();
        files.sort_unstable();
        self.push_files(&tree, &pattern.base, front, files);
        Ok(())
    }

    /// Lists a folder. What cannot be read in it becomes a failed source; links that lead nowhere, where they are meant.
    fn open(&mut self, folder: &Path, is_meant: &dyn Fn(&str) -> bool) -> Option<Folder> {
        let tree = match Folder::open(folder) {
            Ok(tree) => tree,
            Err(error) => {
                self.fail(folder, error.without_context());
                return None;
            }
        };
        for problem in tree.problems() {
            let path = problem.entry.as_deref().unwrap_or_default();
            match (problem.code.effect(), problem.code) {
                // such files are read
                (_, ProblemCode::FileNameEncoding) => {}
                (ProblemEffect::Harmless, _) | (_, ProblemCode::SpecialFile) => {
                    self.remarks.note(format!("{}: {}", folder.join(path).display(), problem.message()));
                }
                (_, ProblemCode::LinkBroken) if is_other_name(path) || !is_meant(path) => {}
                _ => self.fail(&folder.join(path), Error::new(ErrorKind::Io, problem.message())),
            }
        }
        Some(tree)
    }

    /// Whether a file is an archive; one that is not read fails.
    fn is_archive(&self, tree: &Folder, index: usize) -> bool {
        let path = &tree.entries()[index].path;
        !is_image_name(path) && !is_other_name(path) && !matches!(archive::format_of(&tree.path(index)), Ok(None))
    }

    /// Adds files of a folder that was found as `base`, in the order of PaddleX: `a.png` comes before `a/b.png`.
    fn push_files(&mut self, tree: &Folder, base: &Path, front: &Path, files: Vec<usize>) {
        for index in files {
            let (text, path) = (&tree.entries()[index].path, tree.path(index));
            let input_path = base.join(text).to_string_lossy().into_owned();
            let origin = Origin { input_path, relative: front.join(text) };
            self.sources.push(if is_image_name(text) {
                Source::File(origin, path)
            } else {
                match Argument::of_file(&path) {
                    Argument::Archive(format, path) => Source::Archive(format, path, front.into()),
                    Argument::Failed(_, error) => Source::Failed(origin, error),
                    _ => Source::File(origin, path),
                }
            });
        }
    }
}

fn pass_over(remarks: &Remarks, folder: &Path, files: Vec<PassedOver>) {
    for PassedOver { path, what } in files {
        remarks.pass_over(folder.join(path).to_string_lossy().into_owned(), what);
    }
}

fn stdin() -> Item {
    Item {
        origin: Origin { input_path: "-".into(), relative: "stdin".into() },
        content: match read_limited(std::io::stdin().lock(), FILE_BYTES) {
            Ok(Some(bytes)) if bytes.is_empty() => Content::Failed(Error::decode("stdin is empty; pipe an image in")),
            Ok(Some(bytes)) => Content::Bytes(bytes),
            Ok(None) => Content::Failed(too_large()),
            Err(error) => Content::Failed(error.into()),
        },
    }
}

/// All bytes of `reader`; `None` where there are more than `limit`. Holds at most one byte more than `limit`.
pub fn read_limited(reader: impl Read, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The bytes of an image file, at most [`FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    read_limited(File::open(path)?, FILE_BYTES)?.ok_or_else(too_large)
}

/// The error for a file of more than [`FILE_BYTES`].
pub fn too_large() -> Error {
    Error::limit(format!("an image file of more than {} MiB is not read", FILE_BYTES >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(arguments: &[&Path]) -> Vec<(String, PathBuf, Option<String>)> {
        let arguments: Vec<PathBuf> = arguments.iter().map(|path| path.to_path_buf()).collect();
        let mut items = Vec::new();
        Inputs::find(&arguments).unwrap().for_each(|item| {
            let error = if let Content::Failed(error) = &item.content { Some(error.to_string()) } else { None };
            items.push((item.origin.input_path, item.origin.relative, error));
            ControlFlow::Continue(())
        });
        items
    }

    fn folder(files: &[&str]) -> temp_dir::TempDir {
        let folder = temp_dir::TempDir::new().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_walked_in_pythons_order() {
        let folder =
            folder(&["b.PNG", "a/z.jpg", "a.png", "a/b/c.tiff", "notes.txt", "._a.png", "__MACOSX/x.png", "noext"]);
        let relative: Vec<PathBuf> = items(&[folder.path()]).into_iter().map(|(_, relative, _)| relative).collect();
        assert_eq!(relative, ["a.png", "a/b/c.tiff", "a/z.jpg", "b.PNG"].map(PathBuf::from));
    }

    #[test]
    fn patterns_match_below_their_fixed_part() {
        let folder = folder(&["x/1.png", "x/2.jpg", "x/deep/3.png", "x/4.txt", "x/[1].png"]);
        let names = |pattern: &str| -> Vec<String> {
            items(&[&folder.path().join(pattern)])
                .into_iter()
                .map(|(_, relative, error)| error.unwrap_or(relative.to_string_lossy().into_owned()))
                .collect()
        };
        assert_eq!(names("x/*.png"), ["1.png", "[1].png"]);
        assert_eq!(names("x/**/*.png"), ["1.png", "[1].png", "deep/3.png"]);
        assert_eq!(names("*/{1,2}.*"), ["x/1.png", "x/2.jpg"]);
        assert_eq!(names("x/[1].png"), ["[1].png"], "a file of that very name goes first");
        assert_eq!(names("x/*.gif"), ["the pattern matches no file"]);
        assert!(names("x/*.txt")[0].starts_with("the pattern matches 1 files, none of them an image"));
        assert_eq!(names("nowhere/*.png"), ["the pattern matches no file"]);
        assert_eq!(Inputs::find(&["a/{b*".into()]).err().unwrap().kind(), ErrorKind::Usage);
    }

    #[test]
    fn missing_inputs_are_reported() {
        let folder = folder(&["empty/notes.txt"]);
        let errors: Vec<String> = items(&[&folder.path().join("empty"), &folder.path().join("no.png")])
            .into_iter()
            .map(|(_, _, error)| error.unwrap())
            .collect();
        assert!(errors[0].starts_with("the folder holds no images"), "{errors:?}");
        assert_eq!(errors[1], "no such file or folder");
    }

    #[test]
    fn entries_never_lead_outside() {
        let archive = Path::new("a.zip");
        let cases = [
            ("x/y.png", "x/y.png"),
            ("../../etc/y.png", "etc/y.png"),
            ("/etc/y.png", "etc/y.png"),
            ("C:\\windows\\y.png", "C_/windows/y.png"),
            ("x/./../y.png", "x/y.png"),
            ("x/.. /y.png", "x/y.png"),
            ("a:b|c\n.png", "a_b_c_.png"),
        ];
        for (entry, expected) in cases {
            let origin = Origin::of_entry(archive, entry);
            assert_eq!(origin.relative, PathBuf::from(expected), "{entry}");
            assert_eq!(origin.input_path, format!("a.zip/{entry}"));
        }
        let long = Origin::of_entry(archive, &format!("{}9.png", "é".repeat(300))).relative;
        assert!(long.as_os_str().len() <= 180 && long.to_str().unwrap().ends_with("é9.png"));
    }

    #[test]
    fn reading_stops_at_the_limit() {
        assert_eq!(read_limited(&b"abc"[..], 3).unwrap().unwrap(), b"abc");
        assert_eq!(read_limited(&b"abcd"[..], 3).unwrap(), None);
        assert_eq!(read_limited(std::io::repeat(0), 1000).unwrap(), None);
    }
}
