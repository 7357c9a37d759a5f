//! The files of a data set by PaddleX's paths, with changes of the lists.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Exception, Flavor, Stop, python};
use crate::file_tree::{EntryKind, FileTree, Overlay};
use crate::{Error, Result};

/// The most bytes of a list or an annotation.
const TEXT_LIMIT: u64 = 1 << 28;
/// The most bytes of an image.
const IMAGE_LIMIT: u64 = 1 << 27;

/// Files outside a data set's tree, which lists can name by absolute paths and by `..`.
pub trait Beyond {
    /// Whether there is a file or a folder at an absolute path; `None` for neither.
    fn find(&self, path: &str) -> Option<EntryKind>;

    /// Reads the file at an absolute path.
    ///
    /// # Errors
    /// As [`FileTree::read`].
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>>;
}

/// The file system, for data sets in its folders.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy, Debug)]
pub struct Disk;

#[cfg(not(target_arch = "wasm32"))]
impl Beyond for Disk {
    fn find(&self, path: &str) -> Option<EntryKind> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(if metadata.is_dir() { EntryKind::Folder } else { EntryKind::File })
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(Error::limit(format!("more than {limit} bytes, which is the most that is read")));
        }
        Ok(bytes)
    }
}

/// The place of a data set, for messages and for paths that lead out of it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The path as the user wrote it: PaddleX's `Global.dataset_dir`.
    pub given: &'a str,
    /// The same as an absolute path.
    pub absolute: &'a str,
    /// The files outside of it, where lists may name them.
    pub beyond: Option<&'a dyn Beyond>,
}

impl<'a> Place<'a> {
    /// The place of a data set that is not in the file system: an archive, or files dropped on a page.
    pub fn named(name: &'a str) -> Self {
        Place { given: name, absolute: name, beyond: None }
    }
}

/// A change of lists by a conversion or division. Changes are to be applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file gets another name.
    Rename {
        /// Its path in the tree.
        from: String,
        /// Its new path, where there is no file yet.
        to: String,
    },
    /// A file is added or replaced.
    Write {
        /// Its path in the tree.
        path: String,
        /// All of its bytes.
        bytes: Vec<u8>,
    },
}

impl Change {
    /// Applies this change to a tree.
    pub fn apply(self, tree: &mut Overlay) {
        match self {
            Change::Rename { from, to } => tree.rename(&from, &to),
            Change::Write { path, bytes } => tree.write(&path, bytes),
        }
    }
}

/// A data set in PaddleX's sense: the folder with `images` in it.
///
/// ```
/// use image_feature::dataset::compat::{Change, Flavor, Percent, Place, ShiTuRec};
/// use image_feature::file_tree::Memory;
///
/// let list: String = (0..10).map(|i| format!("images/{i}.png 0\n")).collect();
/// let tree = Memory::new("shop", [("images/0.png", vec![]), ("train.txt", list.into_bytes())]);
/// let mut dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3)?;
/// dataset.split([Some(Percent::Whole(50)), Some(Percent::Whole(30)), Some(Percent::Whole(20))], 0)?;
/// let written = dataset.changes().into_iter().filter(|change| matches!(change, Change::Write { .. }));
/// assert_eq!(written.count(), 3);
/// # Ok::<(), image_feature::dataset::compat::Stop>(())
/// ```
pub struct ShiTuRec<'a> {
    tree: &'a dyn FileTree,
    pub(super) place: Place<'a>,
    pub(super) flavor: Flavor,
    /// The folder's path in the tree; empty for the tree itself.
    inner: String,
    /// Its path as it was given, and its absolute path.
    pub(super) root: String,
    pub(super) absolute: String,
    renamed: Vec<(String, String)>,
    written: BTreeMap<String, Vec<u8>>,
}

/// A file that was found.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Found {
    Inside(usize),
    Outside(String),
}

impl<'a> ShiTuRec<'a> {
    /// Finds the data set in a tree: the folder that contains `images`, at any depth, but not below links.
    ///
    /// # Errors
    /// [`Stop::Raised`] where there is not exactly one file or folder `images`.
    pub fn find(tree: &'a dyn FileTree, place: Place<'a>, flavor: Flavor) -> Result<Self, Stop> {
        let is_images = |path: &str| path == "images" || path.ends_with("/images");
        let paths = tree.entries().iter().map(|entry| entry.path.as_str()).enumerate();
        // Python's search does not enter folders through links
        let mut paths = paths.filter(|(index, path)| is_images(path) && !tree.is_below_link(*index));
        let (Some((_, images)), None) = (paths.next(), paths.next()) else {
            return Err(no_single_images());
        };
        let inner = images.strip_suffix("images").unwrap_or_default().trim_end_matches('/').to_string();
        let root = match (plain(place.given), inner.as_str()) {
            (given, "") => given,
            (given, _) if given == "." => inner.clone(),
            (given, _) => join(&given, &inner),
        };
        let absolute = normalized(&join(place.absolute, &inner));
        Ok(ShiTuRec { tree, place, flavor, inner, root, absolute, renamed: Vec::new(), written: BTreeMap::new() })
    }

    /// The data set's path in its tree; empty for the tree's root.
    pub fn folder(&self) -> &str {
        &self.inner
    }

    /// The changes of conversion and division so far.
    pub fn changes(&self) -> Vec<Change> {
        let renames = self.renamed.iter().map(|(from, to)| Change::Rename { from: from.clone(), to: to.clone() });
        let writes =
            self.written.iter().map(|(path, bytes)| Change::Write { path: path.clone(), bytes: bytes.clone() });
        renames.chain(writes).collect()
    }

    /// The path in the tree for a path below the root.
    fn path_of(&self, name: &str) -> String {
        join(&self.inner, name)
    }

    /// Whether there is a file or a folder at a path below the root, after the changes.
    pub(super) fn kind(&self, name: &str) -> Option<EntryKind> {
        let path = self.path_of(name);
        if self.written.contains_key(&path) || self.renamed.iter().any(|(_, to)| *to == path) {
            return Some(EntryKind::File);
        }
        self.tree.find(&path).map(|index| self.tree.entries()[index].kind)
    }

    /// The files and folders in a folder below the root, sorted by name.
    pub(super) fn names_in(&self, folder: &str) -> Vec<(String, EntryKind)> {
        let prefix = format!("{}/", self.path_of(folder));
        let names = self.tree.entries().iter().filter_map(|entry| {
            let name = entry.path.strip_prefix(&prefix)?;
            (!name.contains('/')).then(|| (name.to_string(), entry.kind))
        });
        names.collect()
    }

    /// The bytes of a list below the root, after the changes. The list must exist.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path_of(name);
        if let Some(bytes) = self.written.get(&path) {
            return Ok(bytes.clone());
        }
        let source = self.renamed.iter().find(|(_, to)| *to == path).map_or(&path, |(from, _)| from);
        let index = self.tree.find(source).ok_or_else(|| Error::internal(format!("{source} has gone")))?;
        self.tree.read(index, TEXT_LIMIT).map_err(|error| error.context(self.tree.name().to_string()))
    }

    /// The text of a list, which must be UTF-8.
    pub(super) fn text(&self, name: &str) -> Result<String, Stop> {
        let bytes = self.bytes(name)?;
        String::from_utf8(bytes).map_err(|_| {
            Stop::Error(
                Error::unsupported("the file is not in UTF-8: save it as UTF-8").context(join(&self.root, name)),
            )
        })
    }

    pub(super) fn write(&mut self, name: &str, bytes: Vec<u8>) {
        let path = self.path_of(name);
        self.written.insert(path, bytes);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let (from, to) = (self.path_of(from), self.path_of(to));
        match self.written.remove(&from) {
            Some(bytes) => {
                self.written.insert(to, bytes);
            }
            None => self.renamed.push((from, to)),
        }
    }

    /// The file or folder at `os.path.join(root, path)`.
    pub(super) fn look_up(&self, path: &str) -> Option<(Found, EntryKind)> {
        if let Some(inside) = self.path_in_tree(path) {
            if inside.is_empty() {
                return Some((Found::Outside(self.absolute.clone()), EntryKind::Folder));
            }
            if let Some(index) = self.tree.find(&inside) {
                let kind = self.tree.entries()[index].kind;
                if kind == EntryKind::Folder || !path.ends_with('/') {
                    return Some((Found::Inside(index), kind));
                }
            }
        }
        let outside = join(&self.absolute, path);
        let kind = self.place.beyond.filter(|_| !path.contains('\0'))?.find(&outside)?;
        Some((Found::Outside(outside), kind))
    }

    /// The path in the tree for a list's path; `None` where that leads out of the tree.
    fn path_in_tree(&self, path: &str) -> Option<String> {
        if path.starts_with('/') {
            let tree = normalized(self.place.absolute);
            let inside = normalized(path);
            return Some(inside.strip_prefix(&format!("{tree}/"))?.to_string()).filter(|_| !path.contains("/.."));
        }
        let mut parts: Vec<&str> = self.inner.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let folder = self.tree.find(&parts.join("/"))?;
                    if self.tree.entries()[folder].kind != EntryKind::Folder {
                        return None;
                    }
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }

    /// The bytes of images, in the order of `files`; read in the fastest order.
    pub(super) fn images(&self, files: &[Found]) -> Vec<Result<Vec<u8>>> {
        let mut read: BTreeMap<usize, Result<Vec<u8>>> = BTreeMap::new();
        let mut inside: Vec<usize> = files
            .iter()
            .filter_map(|file| match file {
                Found::Inside(index) => Some(*index),
                Found::Outside(_) => None,
            })
            .collect();
        inside.sort_unstable();
        inside.dedup();
        let _ = self.tree.read_each(&inside, IMAGE_LIMIT, &mut |index, bytes| {
            read.insert(index, bytes);
            ControlFlow::Continue(())
        });
        let bytes = files.iter().map(|file| match file {
            Found::Outside(path) => match self.place.beyond {
                Some(beyond) => beyond.read(path, IMAGE_LIMIT),
                None => Err(Error::internal(format!("{path} is out of reach"))),
            },
            // an image that is drawn twice is read twice
            Found::Inside(index) => read.remove(index).unwrap_or_else(|| self.tree.read(*index, IMAGE_LIMIT)),
        });
        bytes.collect()
    }
}

/// The exception of `assert len(images) == 1`, without a text.
fn no_single_images() -> Stop {
    Exception::new("AssertionError", "").into()
}

/// `os.path.join`.
pub(super) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_string()
    } else if folder.is_empty() || folder.ends_with('/') {
        format!("{folder}{path}")
    } else {
        format!("{folder}/{path}")
    }
}

/// `pathlib.Path(path).as_posix()`: no `.`, no doubled or final slashes.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let parts = parts.join("/");
    match (path.starts_with('/'), parts.as_str()) {
        (true, _) => format!("/{parts}"),
        (false, "") => ".".into(),
        _ => parts,
    }
}

/// `os.path.normpath` of an absolute path: resolves `..` without the file system.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let slash = if path.starts_with('/') { "/" } else { "" };
    format!("{slash}{}", parts.join("/"))
}

/// `IsADirectoryError`, for a folder where a file is expected.
pub(super) fn is_a_folder(path: &str) -> Stop {
    Exception::new("IsADirectoryError", format!("[Errno 21] Is a directory: {}", python::string_repr(path))).into()
}
