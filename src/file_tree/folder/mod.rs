//! A folder of the file system as a tree of files.

mod names;
mod walk;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::problem::{Problem, ProblemCode, Problems, shown};
use super::{Entry, FileTree, is_hidden};
use crate::error::Context;
use crate::{Error, Result};

pub use names::path_text;

/// A folder of the file system, with all folders below it, also those that links lead to. A link that leads back to a
/// folder it is in is not entered again.
///
/// Names are text. On Unix they are bytes in any encoding: the text of those that are not UTF-8 is what they probably
/// mean, and [`path`](Self::path) has the bytes. Links that lead nowhere, folders that cannot be listed and such names
/// are in [`problems`](FileTree::problems).
///
/// ```
/// use image_feature::file_tree::{FileTree, Folder};
///
/// # let root = std::env::temp_dir().join(format!("image-feature-folder-{}", std::process::id()));
/// std::fs::create_dir_all(root.join("images"))?;
/// std::fs::write(root.join("images/a.png"), b"...")?;
/// let folder = Folder::open(&root)?;
/// let paths: Vec<&str> = folder.entries().iter().map(|entry| entry.path.as_str()).collect();
/// assert_eq!(paths, ["images", "images/a.png"]);
/// assert_eq!(folder.path(1), root.join("images/a.png"));
/// # std::fs::remove_dir_all(&root)?;
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Folder {
    name: String,
    root: PathBuf,
    entries: Vec<Entry>,
    /// Paths below the root that are no text, by the index of their entry.
    odd: HashMap<usize, PathBuf>,
    /// Entries below folders that are links.
    below_links: HashSet<usize>,
    problems: Vec<Problem>,
}

impl Folder {
    /// Lists a folder. Files are not read yet.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the folder itself cannot be listed. A folder below it that cannot
    /// be listed is one of the [`problems`](FileTree::problems).
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let (found, faults) = walk::walk(root).context(|| path_text(root))?;
        let mut problems = Problems::default();
        let add = |problems: &mut Problems, path: &Path, code: ProblemCode, detail: String| {
            let bytes = path.as_os_str().as_encoded_bytes();
            if !is_hidden(&String::from_utf8_lossy(bytes)) {
                problems.push(Problem { position: None, entry: Some(shown(bytes)), code, detail });
            }
        };
        for walk::Fault { path, code, detail } in faults {
            add(&mut problems, &path, code, detail);
        }
        let texts = names::texts(found.iter().map(|one| one.path.as_path()));
        let mut named: Vec<(walk::Found, names::Text)> = found.into_iter().zip(texts).collect();
        named.sort_by(|(_, a), (_, b)| a.text.cmp(&b.text));
        let mut folder = Folder {
            name: path_text(root),
            root: root.into(),
            entries: Vec::with_capacity(named.len()),
            odd: HashMap::new(),
            below_links: HashSet::new(),
            problems: Vec::new(),
        };
        for (index, (walk::Found { path, kind, size, is_below_link }, text)) in named.into_iter().enumerate() {
            if text.is_name_guessed {
                add(&mut problems, &path, ProblemCode::FileNameEncoding, format!("read as `{}`", text.text));
            }
            if is_below_link {
                folder.below_links.insert(index);
            }
            folder.entries.push(Entry { path: text.text, kind, size });
            if text.is_odd {
                folder.odd.insert(index, path);
            }
        }
        folder.problems = problems.sorted();
        Ok(folder)
    }

    /// The place in the file system of the entry at this index.
    pub fn path(&self, index: usize) -> PathBuf {
        match self.odd.get(&index) {
            Some(path) => self.root.join(path),
            None => self.root.join(&self.entries[index].path),
        }
    }

    fn read_at_most(&self, index: usize, count: u64) -> Result<Vec<u8>> {
        let name = || self.entries[index].path.clone();
        let mut bytes = Vec::new();
        File::open(self.path(index)).context(name)?.take(count).read_to_end(&mut bytes).context(name)?;
        Ok(bytes)
    }
}

impl FileTree for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.read_at_most(index, limit.saturating_add(1))?;
        if bytes.len() as u64 > limit {
            let error = Error::limit(format!("more than {limit} bytes, which is the most that is read"));
            return Err(error.context(self.entries[index].path.clone()));
        }
        Ok(bytes)
    }

    fn read_start(&self, index: usize, count: usize) -> Result<Vec<u8>> {
        self.read_at_most(index, count as u64)
    }

    fn is_below_link(&self, index: usize) -> bool {
        self.below_links.contains(&index)
    }

    fn problems(&self) -> Vec<Problem> {
        self.problems.clone()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths(folder: &Folder) -> Vec<&str> {
        folder.entries().iter().map(|entry| entry.path.as_str()).collect()
    }

    fn problems(folder: &Folder) -> Vec<(&'static str, String)> {
        folder.problems().into_iter().map(|one| (one.code.as_str(), one.entry.unwrap())).collect()
    }

    #[test]
    fn links_are_followed_once_round() {
        let at = temp_dir::TempDir::new().unwrap();
        std::fs::create_dir_all(at.path().join("store/tea")).unwrap();
        std::fs::create_dir_all(at.path().join("set/cup")).unwrap();
        for file in ["store/tea/1.ppm", "set/cup/2.ppm"] {
            std::fs::write(at.path().join(file), file).unwrap();
        }
        symlink("../store/tea", at.path().join("set/tea")).unwrap();
        symlink("../../store/tea/1.ppm", at.path().join("set/cup/linked.ppm")).unwrap();
        symlink("..", at.path().join("set/cup/up")).unwrap();
        symlink("nowhere.ppm", at.path().join("set/gone.ppm")).unwrap();
        symlink("itself.ppm", at.path().join("set/itself.ppm")).unwrap();
        symlink("nowhere", at.path().join("set/.hidden")).unwrap();
        let folder = Folder::open(at.path().join("set")).unwrap();
        assert_eq!(paths(&folder), ["cup", "cup/2.ppm", "cup/linked.ppm", "tea", "tea/1.ppm"]);
        let index = folder.find("tea/1.ppm").unwrap();
        let below: Vec<usize> = (0..5).filter(|&index| folder.is_below_link(index)).collect();
        assert_eq!(below, [index], "neither the links themselves nor what is beside them");
        assert_eq!(folder.read(index, 100).unwrap(), b"store/tea/1.ppm");
        assert_eq!((folder.entries()[index].size, folder.read_start(index, 5).unwrap()), (15, b"store".to_vec()));
        let expected = [("link-broken", "gone.ppm"), ("link-broken", "itself.ppm"), ("link-loop", "cup/up")];
        let mut found = problems(&folder);
        found.sort();
        assert_eq!(found, expected.map(|(code, path)| (code, path.to_string())));
    }

    #[test]
    fn links_into_many_folders_end() {
        // each folder is linked twice from the one before: 2^40 paths without a loop
        let at = temp_dir::TempDir::new().unwrap();
        for level in 0..40 {
            std::fs::create_dir(at.path().join(format!("{level}"))).unwrap();
            for link in ["a", "b"] {
                symlink(format!("../{}", level + 1), at.path().join(format!("{level}/{link}"))).unwrap();
            }
        }
        std::fs::create_dir(at.path().join("40")).unwrap();
        let (found, faults) = walk::walk_with(&at.path().join("0"), 500).unwrap();
        assert!(found.len() <= 502, "{}", found.len());
        assert!(faults.iter().any(|fault| fault.code == ProblemCode::TooManyLinked));
    }

    #[test]
    fn names_in_other_encodings_are_read_by_their_bytes() {
        let at = temp_dir::TempDir::new().unwrap();
        let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
        let tea = at.path().join(OsStr::from_bytes(&gbk("绿茶图片")));
        std::fs::create_dir(&tea).unwrap();
        std::fs::write(tea.join("1.ppm"), "tea").unwrap();
        std::fs::write(tea.join(OsStr::from_bytes(&gbk("红茶的照片.ppm"))), "red").unwrap();
        std::fs::write(at.path().join("白茶.ppm"), "white").unwrap();
        let folder = Folder::open(at.path()).unwrap();
        assert_eq!(paths(&folder), ["白茶.ppm", "绿茶图片", "绿茶图片/1.ppm", "绿茶图片/红茶的照片.ppm"]);
        let read = |path: &str| folder.read(folder.find(path).unwrap(), 100).unwrap();
        assert_eq!((read("绿茶图片/1.ppm"), read("绿茶图片/红茶的照片.ppm")), (b"tea".to_vec(), b"red".to_vec()));
        assert_eq!(read("白茶.ppm"), b"white");
        let codes: Vec<_> = folder.problems().into_iter().map(|one| (one.code, one.detail)).collect();
        assert_eq!(codes.len(), 2, "the folder and the file, not what is below the folder: {codes:?}");
        assert!(codes.iter().all(|(code, _)| *code == ProblemCode::FileNameEncoding), "{codes:?}");
        assert!(codes.iter().any(|(_, detail)| detail == "read as `绿茶图片`"), "{codes:?}");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let at = temp_dir::TempDir::new().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at.path().join("socket.jpg")).unwrap();
        let folder = Folder::open(at.path()).unwrap();
        assert!(folder.entries().is_empty());
        assert_eq!(problems(&folder), [("special-file", "socket.jpg".to_string())]);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_a_problem() {
        use std::os::unix::fs::PermissionsExt;
        let at = temp_dir::TempDir::new().unwrap();
        std::fs::create_dir(at.path().join("shut")).unwrap();
        std::fs::write(at.path().join("a.ppm"), "a").unwrap();
        std::fs::set_permissions(at.path().join("shut"), PermissionsExt::from_mode(0o000)).unwrap();
        let is_root = std::fs::read_dir(at.path().join("shut")).is_ok();
        let folder = Folder::open(at.path()).unwrap();
        assert_eq!(paths(&folder), ["a.ppm", "shut"]);
        if !is_root {
            assert_eq!(problems(&folder), [("path-unreadable", "shut".to_string())]);
        }
        std::fs::set_permissions(at.path().join("shut"), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(Folder::open(at.path().join("nowhere")).unwrap_err().is_io());
    }
}
