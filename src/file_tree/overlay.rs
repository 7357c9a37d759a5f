//! A tree of files with changes that are not written to disk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Entry, EntryKind, FileTree, Problem};
use crate::{Error, Result};

/// The content of a file of an [`Overlay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of the entry at this index of the tree below.
    Of(usize),
}

/// A tree of files of another tree, under the same or other paths, and of new files. Nothing is copied: files of the
/// tree below are read there.
///
/// ```
/// use std::sync::Arc;
/// use image_feature::file_tree::{Content, FileTree, Memory, Overlay};
///
/// let below = Arc::new(Memory::new("example", [("a.txt", b"old".to_vec()), ("b.txt", b"b".to_vec())]));
/// let mut overlay = Overlay::whole(below);
/// overlay.rename("a.txt", "a.txt.bak");
/// overlay.write("a.txt", b"new".to_vec());
/// let read = |path| overlay.read(overlay.find(path).unwrap(), 100).unwrap();
/// assert_eq!((read("a.txt"), read("a.txt.bak"), read("b.txt")), (b"new".to_vec(), b"old".to_vec(), b"b".to_vec()));
/// ```
#[derive(Clone)]
pub struct Overlay {
    below: Arc<dyn FileTree>,
    entries: Vec<Entry>,
    /// One for each entry; `None` for folders.
    contents: Vec<Option<Content>>,
    is_whole: bool,
}

impl Overlay {
    /// All files of the tree below, without a change.
    pub fn whole(below: Arc<dyn FileTree>) -> Self {
        let entries = below.entries().to_vec();
        let contents =
            (0..entries.len()).map(|index| (entries[index].kind == EntryKind::File).then_some(Content::Of(index)));
        Overlay { contents: contents.collect(), entries, below, is_whole: true }
    }

    /// Only these files, by their paths, with the folders that contain them. Of files with the same path the last
    /// counts.
    pub fn of(below: Arc<dyn FileTree>, files: impl IntoIterator<Item = (String, Content)>) -> Self {
        let mut all: BTreeMap<String, Option<Content>> = BTreeMap::new();
        for (path, content) in files {
            for (end, _) in path.match_indices('/') {
                if !all.contains_key(&path[..end]) {
                    all.insert(path[..end].into(), None);
                }
            }
            all.insert(path, Some(content));
        }
        let mut overlay = Overlay {
            below,
            entries: Vec::with_capacity(all.len()),
            contents: Vec::with_capacity(all.len()),
            is_whole: false,
        };
        for (path, content) in all {
            let entry = overlay.entry(path, &content);
            overlay.entries.push(entry);
            overlay.contents.push(content);
        }
        overlay
    }

    /// Whether this is the whole tree below with changes ([`whole`](Self::whole)), not a selection of files
    /// ([`of`](Self::of)). A selection reports no [`problems`](FileTree::problems) of the archive below.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The tree below.
    pub fn below(&self) -> &dyn FileTree {
        &*self.below
    }

    /// The content of the entry at this index; `None` for a folder.
    pub fn content(&self, index: usize) -> Option<&Content> {
        self.contents[index].as_ref()
    }

    /// A tree of some files of this tree and of new files: `kept` are indices of this tree's entries and their new
    /// paths, `new` are paths and contents.
    pub fn replaced(&self, kept: &[(usize, String)], new: &[(String, Vec<u8>)]) -> Self {
        let kept = kept.iter().filter_map(|(index, path)| Some((path.clone(), self.contents[*index].clone()?)));
        let new = new.iter().map(|(path, bytes)| (path.clone(), Content::Bytes(bytes.clone())));
        Overlay::of(self.below.clone(), kept.chain(new))
    }

    /// Gives a file another path in the same folder. Does nothing where there is no such file.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(index) = self.find(from)
            && self.entries[index].kind == EntryKind::File
        {
            self.entries.remove(index);
            if let Some(content) = self.contents.remove(index) {
                self.put(to, content);
            }
        }
    }

    /// Adds a file to an existing folder, or replaces a file.
    pub fn write(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, Content::Bytes(bytes));
    }

    fn put(&mut self, path: &str, content: Content) {
        let content = Some(content);
        let entry = self.entry(path.into(), &content);
        match self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)) {
            Ok(index) => (self.entries[index], self.contents[index]) = (entry, content),
            Err(index) => {
                self.entries.insert(index, entry);
                self.contents.insert(index, content);
            }
        }
    }

    fn entry(&self, path: String, content: &Option<Content>) -> Entry {
        let (kind, size) = match content {
            None => (EntryKind::Folder, 0),
            Some(Content::Bytes(bytes)) => (EntryKind::File, bytes.len() as u64),
            Some(Content::Of(index)) => (EntryKind::File, self.below.entries()[*index].size),
        };
        Entry { path, kind, size }
    }
}

impl FileTree for Overlay {
    fn name(&self) -> &str {
        self.below.name()
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn read(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        match &self.contents[index] {
            None => Err(Error::usage(format!("{}: a folder, not a file", self.entries[index].path))),
            Some(Content::Of(index)) => self.below.read(*index, limit),
            Some(Content::Bytes(bytes)) if bytes.len() as u64 > limit => {
                Err(Error::limit(format!("{} bytes; at most {limit} are read", bytes.len())))
            }
            Some(Content::Bytes(bytes)) => Ok(bytes.clone()),
        }
    }

    fn read_start(&self, index: usize, count: usize) -> Result<Vec<u8>> {
        match &self.contents[index] {
            None => Err(Error::usage(format!("{}: a folder, not a file", self.entries[index].path))),
            Some(Content::Of(index)) => self.below.read_start(*index, count),
            Some(Content::Bytes(bytes)) => Ok(bytes[..bytes.len().min(count)].to_vec()),
        }
    }

    fn read_each(
        &self,
        indices: &[usize],
        limit: u64,
        take: &mut dyn FnMut(usize, Result<Vec<u8>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut from_below: Vec<(usize, usize)> = Vec::with_capacity(indices.len());
        for &index in indices {
            match self.contents[index] {
                Some(Content::Of(below)) => from_below.push((below, index)),
                _ => take(index, self.read(index, limit))?,
            }
        }
        // a file of the tree below may be here under several paths
        from_below.sort_unstable();
        let mut unique: Vec<usize> = from_below.iter().map(|&(below, _)| below).collect();
        unique.dedup();
        self.below.read_each(&unique, limit, &mut |below, mut bytes| {
            let start = from_below.partition_point(|&(other, _)| other < below);
            let here = from_below[start..].iter().take_while(|&&(other, _)| other == below);
            let here: Vec<usize> = here.map(|&(_, index)| index).collect();
            let (last, others) = here.split_last().expect("only what was asked for is read");
            for &index in others {
                let again = match &mut bytes {
                    Ok(bytes) => Ok(bytes.clone()),
                    Err(_) => self.below.read(below, limit),
                };
                take(index, again)?;
            }
            take(*last, bytes)
        })
    }

    fn problems(&self) -> Vec<Problem> {
        if self.is_whole { self.below.problems() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::{Archive, Memory, ProblemCode};

    fn below() -> Arc<dyn FileTree> {
        Arc::new(Memory::new("x", ["images/a.png", "images/b.png", "list.txt"].map(|path| (path, path.into()))))
    }

    fn all(tree: &Overlay) -> Vec<(String, String)> {
        let files: Vec<usize> =
            (0..tree.entries().len()).filter(|&index| tree.entries()[index].kind == EntryKind::File).collect();
        let mut read = Vec::new();
        let flow = tree.read_each(&files, 100, &mut |index, bytes| {
            read.push((tree.entries()[index].path.clone(), String::from_utf8(bytes.unwrap()).unwrap()));
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        read.sort();
        read
    }

    #[test]
    fn files_are_read_under_their_new_names() {
        let whole = Overlay::whole(below());
        let a = whole.find("images/a.png").unwrap();
        let files = [(a, "images/x/1.png".to_string()), (a, "images/2.png".to_string())];
        let other = whole.replaced(&files, &[("train.txt".into(), b"list".to_vec())]);
        let expected = [("images/2.png", "images/a.png"), ("images/x/1.png", "images/a.png"), ("train.txt", "list")];
        assert_eq!(all(&other), expected.map(|(path, text)| (path.to_string(), text.to_string())));
        let paths: Vec<&str> = other.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["images", "images/2.png", "images/x", "images/x/1.png", "train.txt"]);
        assert_eq!(other.entries()[1].size, 12);
        assert!(other.read(0, 100).is_err() && other.read(4, 3).unwrap_err().is_limit());
    }

    #[test]
    fn a_choice_of_files_has_no_problems_of_the_archive() {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("images\\a.png", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, b"a").unwrap();
        let archive = Archive::from_source("x", zip.finish().unwrap().into_inner()).unwrap();
        let mut whole = Overlay::whole(Arc::new(archive));
        whole.write("list.txt", b"new".to_vec());
        assert_eq!(whole.problems()[0].code, ProblemCode::PathBackslash);
        let file = whole.find("images/a.png").unwrap();
        let choice = whole.replaced(&[(file, "images/a.png".into())], &[]);
        assert!(!choice.is_whole() && choice.problems().is_empty());
        assert_eq!(all(&choice), [("images/a.png".to_string(), "a".to_string())]);
    }

    #[test]
    fn changes_pile_up() {
        let mut tree = Overlay::whole(below());
        tree.rename("list.txt", "list.txt.bak");
        tree.rename("nothing", "something");
        tree.write("list.txt", b"1".to_vec());
        tree.write("list.txt", b"2".to_vec());
        let texts = all(&tree);
        assert_eq!(
            texts[2..],
            [("list.txt", "2"), ("list.txt.bak", "list.txt")].map(|(path, text)| (path.to_string(), text.to_string()))
        );
        let first = tree.find("list.txt").unwrap();
        let again = tree.replaced(&[(first, "kept.txt".into())], &[]);
        assert_eq!(all(&again), [("kept.txt".to_string(), "2".to_string())]);
    }
}
