//! Writing of data sets, to a folder or a zip archive.

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;

use super::MOST_FILE_BYTES;
use super::subset::Subset;
use crate::error::Context;
use crate::file_tree::{FileTree, Overlay};
use crate::{Error, ErrorKind, Result};

/// A data set to be written. Only the lists are in memory; images are read from a tree.
///
/// ```
/// use std::ops::ControlFlow;
/// use image_feature::dataset::{NewDataset, ZipTarget};
/// use image_feature::file_tree::{Archive, FileTree, Memory};
///
/// let tree = Memory::new("old", [("a.png", b"...".to_vec())]);
/// let new = NewDataset {
///     files: vec![("train.txt".into(), b"images/a.png 0\n".to_vec())],
///     images: vec![(tree.find("a.png").unwrap(), "images/a.png".into())],
/// };
/// let mut target = ZipTarget::new(Vec::new());
/// new.write(&tree, &mut target, &mut || ControlFlow::Continue(()))?;
/// let archive = Archive::from_source("new.zip", target.finish()?)?;
/// assert_eq!(archive.entries().len(), 3); // the folder `images`, too
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NewDataset {
    /// Paths and contents of the lists and of other text files.
    pub files: Vec<(String, Vec<u8>)>,
    /// Images: indices of the entries of their tree, and their new paths.
    pub images: Vec<(usize, String)>,
}

impl NewDataset {
    /// Adds the three lists of these rows in PaddleX's format, without empty lists.
    pub(super) fn add_lists<'a>(&mut self, rows: impl Iterator<Item = (Subset, &'a str, i64)>) {
        let mut texts = [const { String::new() }; 3];
        for (list, path, label) in rows {
            texts[list as usize].push_str(&format!("{path} {label}\n"));
        }
        for (list, text) in Subset::ALL.into_iter().zip(texts) {
            if !text.is_empty() {
                self.files.push((list.list().into(), text.into_bytes()));
            }
        }
    }

    /// The new data set as a tree that can be read. `tree` is the one that the images' indices belong to.
    pub fn over(&self, tree: &Overlay) -> Overlay {
        tree.replaced(&self.images, &self.files)
    }

    /// Writes all files, the lists first, and completes the target. `step` is called after each image, and may break.
    ///
    /// # Errors
    /// Errors of reading the tree and of the target; [`ErrorKind::Cancelled`] where `step` broke. The target is not
    /// complete then.
    pub fn write(
        &self,
        tree: &dyn FileTree,
        target: &mut dyn Target,
        step: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<()> {
        for (path, bytes) in &self.files {
            target.write(path, bytes)?;
        }
        let mut images: Vec<&(usize, String)> = self.images.iter().collect();
        images.sort();
        let indices: Vec<usize> = images.iter().map(|(index, _)| *index).collect();
        let mut outcome = Ok(());
        let flow = tree.read_each(&indices, MOST_FILE_BYTES, &mut |index, read| {
            let place = images.binary_search_by_key(&index, |(index, _)| *index);
            let path = place.map_or("", |place| images[place].1.as_str());
            let name = || tree.entries()[index].path.clone();
            outcome = read.context(name).and_then(|bytes| target.write(path, &bytes));
            if outcome.is_ok() { step() } else { ControlFlow::Break(()) }
        });
        outcome?;
        match flow {
            ControlFlow::Continue(()) => target.complete(),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Cancelled, "cancelled; what was written is incomplete"))
            }
        }
    }
}

/// A destination for a data set.
pub trait Target {
    /// Writes a file. Paths are relative, without `..`, with `/` between their parts.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where it cannot be written.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Called when all files are written.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the target cannot be completed.
    fn complete(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A writer of zip archives that does not seek. Nothing is compressed: images are compressed already, and lists are
/// small.
///
/// ```
/// use image_feature::dataset::{Target, ZipTarget};
/// use image_feature::file_tree::{Archive, FileTree};
///
/// let mut zip = ZipTarget::new(Vec::new());
/// zip.write("train.txt", b"images/a.png 0\n")?;
/// let archive = Archive::from_source("set.zip", zip.finish()?)?;
/// assert_eq!(archive.read(0, 100)?, b"images/a.png 0\n");
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct ZipTarget<W: Write> {
    writer: W,
    /// Bytes written so far.
    written: u64,
    directory: Vec<u8>,
    entries: u64,
}

/// The value of a 32-bit field that stands for a value in the zip64 field.
const IN_ZIP64: u32 = u32::MAX;

impl<W: Write> ZipTarget<W> {
    /// Starts an archive.
    pub fn new(writer: W) -> Self {
        ZipTarget { writer, written: 0, directory: Vec::new(), entries: 0 }
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where it cannot be written.
    pub fn folder(&mut self, path: &str) -> Result<()> {
        self.entry(&format!("{path}/"), &[], 0o40755 << 16 | 0x10)
    }

    /// The writer. Bytes that were written may be taken out of it before the archive is finished.
    pub fn writer(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Writes the directory and returns the writer.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where the directory cannot be written.
    pub fn finish(mut self) -> Result<W> {
        let (start, size) = (self.written, self.directory.len() as u64);
        let mut end = std::mem::take(&mut self.directory);
        let is_large = start.max(size) >= u64::from(IN_ZIP64) || self.entries >= 0xffff;
        if is_large {
            let place = start + size;
            end.extend(b"PK\x06\x06");
            end.extend(44u64.to_le_bytes());
            put(&mut end, &[45 | 3 << 8, 45]);
            end.extend([0; 8]);
            end.extend([self.entries, self.entries, size, start].map(u64::to_le_bytes).as_flattened());
            end.extend(b"PK\x06\x07\0\0\0\0");
            end.extend(place.to_le_bytes());
            end.extend(1u32.to_le_bytes());
        }
        let count = if is_large { 0xffff } else { self.entries as u16 };
        let [size, start] = [size, start].map(|value| if is_large { IN_ZIP64 } else { value as u32 });
        end.extend(b"PK\x05\x06\0\0\0\0");
        put(&mut end, &[count, count]);
        end.extend([size, start].map(u32::to_le_bytes).as_flattened());
        put(&mut end, &[0]);
        self.writer.write_all(&end)?;
        Ok(self.writer)
    }

    fn entry(&mut self, name: &str, bytes: &[u8], attributes: u32) -> Result<()> {
        let length = u16::try_from(name.len()).map_err(|_| Error::limit("a name of more than 65535 bytes"))?;
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let (size, offset) = (bytes.len() as u64, self.written);
        let large_size = size >= u64::from(IN_ZIP64);
        // the zip64 field has all three values or is absent: readers take the marked ones, and here all are marked
        let is_large = large_size || offset >= u64::from(IN_ZIP64);
        // the common part of both headers: the version to unpack, names in UTF-8, stored, 1 January 1980
        let common = |header: &mut Vec<u8>, in_zip64: bool, extra: u16| {
            put(header, &[if is_large { 45 } else { 20 }, 1 << 11, 0, 0, 0x21]);
            header.extend(crc.sum().to_le_bytes());
            let size = if in_zip64 { IN_ZIP64 } else { size as u32 };
            header.extend([size, size].map(u32::to_le_bytes).as_flattened());
            put(header, &[length, extra]);
        };
        let mut header = b"PK\x03\x04".to_vec();
        common(&mut header, large_size, if large_size { 20 } else { 0 });
        header.extend(name.as_bytes());
        if large_size {
            put(&mut header, &[1, 16]);
            header.extend([size, size].map(u64::to_le_bytes).as_flattened());
        }
        self.directory.extend(b"PK\x01\x02");
        put(&mut self.directory, &[45 | 3 << 8]);
        common(&mut self.directory, is_large, if is_large { 28 } else { 0 });
        put(&mut self.directory, &[0, 0, 0]);
        self.directory.extend(attributes.to_le_bytes());
        self.directory.extend((if is_large { IN_ZIP64 } else { offset as u32 }).to_le_bytes());
        self.directory.extend(name.as_bytes());
        if is_large {
            put(&mut self.directory, &[1, 24]);
            self.directory.extend([size, size, offset].map(u64::to_le_bytes).as_flattened());
        }
        self.entries += 1;
        self.written += header.len() as u64 + size;
        self.writer.write_all(&header)?;
        Ok(self.writer.write_all(bytes)?)
    }
}

impl<W: Write> Target for ZipTarget<W> {
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.entry(path, bytes, 0o100644 << 16).context(|| path.into())
    }
}

fn put(bytes: &mut Vec<u8>, values: &[u16]) {
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
}

/// Gives images paths that all readers of the format accept: below the one folder `images`, without blanks, and
/// different even where upper and lower case are not distinguished.
#[derive(Default)]
pub(super) struct Namer {
    taken: HashSet<String>,
}

impl Namer {
    pub(super) fn name(&mut self, path: &str) -> String {
        let below = path.strip_prefix("images/").unwrap_or(path);
        let parts = below.split('/').map(|part| match part {
            "images" => "images_".into(),
            part => part.replace(|c: char| c.is_whitespace() || c.is_control() || c == '\\', "_"),
        });
        let path = format!("images/{}", parts.collect::<Vec<_>>().join("/"));
        if self.taken.insert(path.to_lowercase()) {
            return path;
        }
        let dot = path.rfind('.').filter(|&dot| path[dot..].find('/').is_none()).unwrap_or(path.len());
        let numbered = (2..).map(|number| format!("{}_{number}{}", &path[..dot], &path[dot..]));
        numbered.into_iter().find(|path| self.taken.insert(path.to_lowercase())).unwrap_or(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_tree::{Archive, ReadAt};

    /// Bytes that lie far behind others.
    struct Far(u64, Vec<u8>);

    impl ReadAt for Far {
        fn size(&self) -> u64 {
            self.0 + self.1.len() as u64
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
            match offset.checked_sub(self.0) {
                Some(offset) => ReadAt::read_at(&self.1, offset, into),
                None => {
                    into.fill(0);
                    Ok(into.len().min((self.0 - offset) as usize))
                }
            }
        }
    }

    #[test]
    fn archives_beyond_4_gb_are_read_again() {
        let begins = 5 << 30;
        let mut zip = ZipTarget { writer: Vec::new(), written: begins, directory: Vec::new(), entries: 0 };
        zip.folder("empty").unwrap();
        zip.write("images/ä.png", b"content").unwrap();
        let archive = Archive::from_source("x", Far(begins, zip.finish().unwrap())).unwrap();
        assert_eq!(archive.problems(), []);
        assert_eq!(archive.read(archive.find("images/ä.png").unwrap(), 100).unwrap(), b"content");
        assert!(archive.find("empty").is_some());
    }

    #[test]
    fn many_entries_are_all_there_for_others_too() {
        let mut target = ZipTarget::new(Vec::new());
        for number in 0..70_000 {
            target.write(&format!("{number}"), b"").unwrap();
        }
        let bytes = target.finish().unwrap();
        assert_eq!(zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap().len(), 70_000);
        let archive = Archive::from_source("x", bytes).unwrap();
        assert_eq!((archive.entries().len(), archive.problems()), (70_000, vec![]));
    }

    #[test]
    fn names_are_fit_for_everyone_and_differ() {
        let mut namer = Namer::default();
        let named = [
            ("images/a.jpg", "images/a.jpg"),
            ("images/A.jpg", "images/A_2.jpg"),
            ("a.jpg", "images/a_3.jpg"),
            ("photos/my cat.jpg", "images/photos/my_cat.jpg"),
            ("photos/my_cat.jpg", "images/photos/my_cat_2.jpg"),
            ("images/x/images/b", "images/x/images_/b"),
        ];
        for (path, expected) in named {
            assert_eq!(namer.name(path), expected);
        }
    }
}
