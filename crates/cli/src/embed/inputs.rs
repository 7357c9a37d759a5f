//! The images that arguments name: files, folders, patterns, archives, stdin.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::archive::{self, ArchiveKind};
use super::item::{Content, Item, Origin};
use image_feature::file_tree::FileTree;
use image_feature::{Error, ErrorKind, Result};

/// Bytes of one image file, from wherever it comes.
pub const FILE_BYTES: u64 = 512 << 20;

/// What a folder or archive is searched for. A file that is named itself is read whatever its name.
const SUFFIXES: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm", "ppm", "qoi",
];

/// Where the images are, in the order in which they will be read.
pub struct Inputs(Vec<Source>);

enum Source {
    File(Origin, PathBuf),
    Archive(ArchiveKind, PathBuf),
    Entry(Origin, Arc<dyn FileTree>, usize),
    Stdin,
    Failed(Origin, Error),
}

/// Whether a folder or archive is searched for this name: an image's suffix, and not the shadow file in which macOS
/// keeps a file's attributes.
pub fn is_image_name(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let suffix = file.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str()))
        && !file.starts_with("._")
        && !name.split(['/', '\\']).any(|part| part == "__MACOSX")
}

fn suffixes() -> String {
    SUFFIXES.map(|suffix| format!(".{suffix}")).join(" ")
}

impl Inputs {
    /// Looks at each argument. What is not there becomes an [`Item`] that failed, so that the others are done.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a pattern that is none, and for stdin named twice.
    pub fn find(arguments: &[PathBuf]) -> Result<Self> {
        let mut sources = Vec::new();
        for argument in arguments {
            if argument.as_os_str() == "-" {
                if sources.iter().any(|source| matches!(source, Source::Stdin)) {
                    return Err(Error::usage("`-` (stdin) is given twice; it can be read once"));
                }
                sources.push(Source::Stdin);
                continue;
            }
            match std::fs::metadata(argument) {
                Ok(metadata) if metadata.is_dir() => find_in_folder(argument, &mut sources),
                Ok(_) => sources.push(named(Origin::of_file(argument), argument.clone())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => match argument.to_str() {
                    Some(pattern) if pattern.contains(['*', '?', '[', '{']) => find_matches(pattern, &mut sources)?,
                    _ => sources.push(failed(argument, Error::new(ErrorKind::Io, "no such file or folder"))),
                },
                Err(error) => sources.push(failed(argument, error.into())),
            }
        }
        Ok(Inputs(sources))
    }

    /// Files that are known already.
    pub fn of_files(files: impl IntoIterator<Item = (Origin, PathBuf)>) -> Self {
        Inputs(files.into_iter().map(|(origin, path)| Source::File(origin, path)).collect())
    }

    /// Entries of a tree.
    pub fn of_entries(tree: &Arc<dyn FileTree>, entries: impl IntoIterator<Item = (Origin, usize)>) -> Self {
        Inputs(entries.into_iter().map(|(origin, index)| Source::Entry(origin, tree.clone(), index)).collect())
    }

    /// Whether there is nothing to read, only reasons why.
    pub fn all_failed(&self) -> bool {
        self.0.iter().all(|source| matches!(source, Source::Failed(..)))
    }

    /// How many items there will be, where that can be known without reading archives through.
    pub fn count(&self) -> Option<u64> {
        self.0
            .iter()
            .map(|source| if let Source::Archive(kind, path) = source { kind.count(path) } else { Some(1) })
            .sum()
    }

    /// Gives each item to `take`, in order, until it breaks. An archive is read entry by entry.
    pub fn for_each(self, mut take: impl FnMut(Item) -> ControlFlow<()>) {
        for source in self.0 {
            let flow = match source {
                Source::File(origin, path) => take(Item { origin, content: Content::File(path) }),
                Source::Entry(origin, tree, index) => take(Item {
                    origin,
                    content: tree.read(index, FILE_BYTES).map_or_else(Content::Failed, Content::Bytes),
                }),
                Source::Failed(origin, error) => take(Item { origin, content: Content::Failed(error) }),
                Source::Stdin => take(Item {
                    origin: Origin { input_path: "-".into(), relative: "stdin".into() },
                    content: match read_limited(std::io::stdin().lock(), FILE_BYTES) {
                        Ok(Some(bytes)) if bytes.is_empty() => {
                            Content::Failed(Error::decode("stdin is empty; pipe an image in"))
                        }
                        Ok(Some(bytes)) => Content::Bytes(bytes),
                        Ok(None) => Content::Failed(too_large()),
                        Err(error) => Content::Failed(error.into()),
                    },
                }),
                Source::Archive(kind, path) => archive::for_each_image(kind, &path, &mut take),
            };
            if flow.is_break() {
                return;
            }
        }
    }
}

fn failed(path: &Path, error: Error) -> Source {
    Source::Failed(Origin::of_file(path), error)
}

fn named(origin: Origin, path: PathBuf) -> Source {
    match ArchiveKind::of(&path) {
        Some(kind) => Source::Archive(kind, path),
        None => Source::File(origin, path),
    }
}

fn find_in_folder(folder: &Path, sources: &mut Vec<Source>) {
    let before = sources.len();
    let mut paths = BTreeSet::new();
    walk(folder, sources, |path| {
        if is_image_name(&path.to_string_lossy()) {
            paths.insert(path);
        }
    });
    if paths.is_empty() && sources.len() == before {
        let looked = format!("the folder holds no images at any depth (looked for {})", suffixes());
        sources.push(failed(folder, Error::new(ErrorKind::Io, looked)));
    }
    sources.extend(in_python_order(paths).map(|path| Source::File(Origin::below(folder, &path), path)));
}

fn find_matches(pattern: &str, sources: &mut Vec<Source>) -> Result<()> {
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| Error::usage(format!("{pattern}: no such file, and not a pattern: {error}")))?
        .compile_matcher();
    let base: PathBuf = Path::new(pattern)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
        .collect();
    let root = if base.as_os_str().is_empty() { Path::new(".") } else { &base };

    let before = sources.len();
    let (mut paths, mut others) = (BTreeSet::new(), 0);
    if root.is_dir() {
        walk(root, sources, |path| {
            // walked from `.`, but the pattern says nothing of it
            let path = if base.as_os_str().is_empty() {
                path.components().skip_while(|part| *part == Component::CurDir).collect()
            } else {
                path
            };
            if glob.is_match(&path) {
                if is_image_name(&path.to_string_lossy()) || ArchiveKind::of(&path).is_some() {
                    paths.insert(path);
                } else {
                    others += 1;
                }
            }
        });
    }
    if paths.is_empty() && sources.len() == before {
        let why = match others {
            0 => "the pattern matches no file".to_string(),
            _ => format!(
                "the pattern matches {others} files, none of them an image or archive by its name ({})",
                suffixes()
            ),
        };
        sources.push(failed(Path::new(pattern), Error::new(ErrorKind::Io, why)));
    }
    sources.extend(in_python_order(paths).map(|path| named(Origin::below(&base, &path), path)));
    Ok(())
}

/// Gives `found` every file below `root`; what cannot be looked into becomes a source that failed.
fn walk(root: &Path, sources: &mut Vec<Source>, mut found: impl FnMut(PathBuf)) {
    for entry in WalkDir::new(root) {
        match entry {
            // A link counts as what it leads to, but folders are not entered through links: they may form a circle.
            Ok(entry) if entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file() => {
                found(entry.into_path());
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(root).to_path_buf();
                let message = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                sources.push(failed(&path, Error::new(ErrorKind::Io, message)));
            }
        }
    }
}

/// PaddleX sorts whole paths as strings, so `a.png` comes before `a/b.png`; a set of paths goes by components.
fn in_python_order(paths: BTreeSet<PathBuf>) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<PathBuf> = paths.into_iter().collect();
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    paths.into_iter()
}

/// All bytes of `reader`, or nothing where there are more than `limit`; at most that many are held.
pub fn read_limited(reader: impl Read, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The bytes of an image file, at most [`FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    read_limited(File::open(path)?, FILE_BYTES)?.ok_or_else(too_large)
}

/// What is said of a file with more than [`FILE_BYTES`].
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
    fn what_is_not_there_says_so() {
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
