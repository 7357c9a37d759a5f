//! Images inside an archive, inflated one at a time and never onto the disk.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use zip::ZipArchive;

use super::inputs::{Content, FILE_BYTES, Item, Origin, is_image_name, read_limited, too_large};
use crate::{Error, ErrorKind, Result};

/// An archive may always unpack to this much, a large one to [`MAX_RATIO`] times its own size. Photographs hardly
/// compress; what goes beyond is made to fill memory or time.
const MIN_UNPACKED: u64 = 1 << 30;
const MAX_RATIO: u64 = 100;
/// Bytes of a tar header extension that holds a long name.
const NAME_BYTES: u64 = 64 << 10;

/// The archives that are read, by their suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    Zip,
    Tar,
    TarGz,
}

impl ArchiveKind {
    /// The kind of archive that a file is by its name.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let kinds = [(".zip", Self::Zip), (".tar", Self::Tar), (".tar.gz", Self::TarGz), (".tgz", Self::TarGz)];
        kinds.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
    }

    /// How many images there are inside, where a directory says so.
    pub fn count(self, path: &Path) -> Option<u64> {
        if self != Self::Zip {
            return None;
        }
        let archive = ZipArchive::new(BufReader::new(File::open(path).ok()?)).ok()?;
        let names = (0..archive.len()).filter_map(|index| archive.name_for_index(index)?.ok());
        Some(names.filter(|name| is_image_name(name)).count() as u64)
    }
}

/// Gives each image in the archive to `take`, in the archive's order, until it breaks. An entry that cannot be read
/// is an item that failed; an archive that cannot be read further is one more.
pub fn for_each_image(
    kind: ArchiveKind,
    path: &Path,
    take: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut images = 0u64;
    let mut give = |origin: Origin, content: Content| {
        images += 1;
        take(Item { origin, content })
    };
    let read = match kind {
        ArchiveKind::Zip => read_zip(path, &mut give),
        ArchiveKind::Tar | ArchiveKind::TarGz => read_tar(kind, path, &mut give),
    };
    let error = match read {
        Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
        Ok(ControlFlow::Continue(())) if images > 0 => return ControlFlow::Continue(()),
        Ok(ControlFlow::Continue(())) => Error::new(ErrorKind::Io, "the archive holds no images"),
        Err(error) => error,
    };
    let name = path.file_name().unwrap_or_default().into();
    take(Item {
        origin: Origin { input_path: path.to_string_lossy().into_owned(), relative: name },
        content: Content::Failed(error),
    })
}

type Give<'a> = &'a mut dyn FnMut(Origin, Content) -> ControlFlow<()>;

fn read_zip(path: &Path, give: Give) -> Result<ControlFlow<()>> {
    let file = File::open(path)?;
    let mut left = unpacked_limit(&file)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => continue, // without a name it is no image's
        };
        if !is_image_name(&name) {
            continue;
        }
        let content = match archive.by_index(index) {
            Ok(entry) if !entry.is_file() => continue,
            Ok(entry) => match read_limited(entry, FILE_BYTES.min(left)) {
                Ok(Some(bytes)) => {
                    left -= bytes.len() as u64;
                    Content::Bytes(bytes)
                }
                Ok(None) if left < FILE_BYTES => return Err(unpacks_to_too_much()),
                Ok(None) => Content::Failed(too_large()),
                Err(error) => Content::Failed(damaged(error)),
            },
            Err(error) => Content::Failed(Error::unsupported(format!("cannot be unpacked: {error}"))),
        };
        if give(Origin::of_entry(path, &name), content).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn read_tar(kind: ArchiveKind, path: &Path, give: Give) -> Result<ControlFlow<()>> {
    let file = File::open(path)?;
    if kind == ArchiveKind::TarGz {
        let left = unpacked_limit(&file)?;
        let mut archive = tar::Archive::new(Metered { inner: MultiGzDecoder::new(BufReader::new(file)), left });
        read_tar_entries(path, archive.entries()?, give)
    } else {
        let mut archive = tar::Archive::new(file);
        read_tar_entries(path, archive.entries_with_seek()?, give)
    }
}

fn read_tar_entries<R: Read>(path: &Path, entries: tar::Entries<R>, give: Give) -> Result<ControlFlow<()>> {
    let mut long_name = None;
    // Raw: left alone, the library reads a long name of any length into memory.
    for (index, entry) in entries.raw(true).enumerate() {
        let failed = |error: io::Error| unpacking(error).context(format!("entry {}", index + 1));
        let mut entry = entry.map_err(failed)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let bytes = read_limited(&mut entry, NAME_BYTES).map_err(failed)?.unwrap_or_default();
                let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                long_name = Some(String::from_utf8_lossy(name).into_owned());
            }
            EntryType::XHeader => {
                let bytes = read_limited(&mut entry, NAME_BYTES).map_err(failed)?.unwrap_or_default();
                let mut extensions = tar::PaxExtensions::new(&bytes).flatten();
                if let Some(path) = extensions.find(|extension| extension.key_bytes() == b"path") {
                    long_name = Some(String::from_utf8_lossy(path.value_bytes()).into_owned());
                }
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            kind => {
                let short_name = || String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let name = long_name.take().unwrap_or_else(short_name);
                if !matches!(kind, EntryType::Regular | EntryType::Continuous) || !is_image_name(&name) {
                    continue;
                }
                let announced = entry.size();
                let content = match read_limited(&mut entry, FILE_BYTES).map_err(failed)? {
                    None => Content::Failed(too_large()),
                    Some(bytes) if (bytes.len() as u64) < announced => {
                        Content::Failed(damaged(format!("{} of {announced} bytes are there", bytes.len())))
                    }
                    Some(bytes) => Content::Bytes(bytes),
                };
                if give(Origin::of_entry(path, &name), content).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn unpacked_limit(file: &File) -> Result<u64> {
    Ok(file.metadata()?.len().saturating_mul(MAX_RATIO).max(MIN_UNPACKED))
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::decode(format!("the archive is damaged, or not what its name says: {why}"))
}

fn unpacks_to_too_much() -> Error {
    Error::limit(format!(
        "the archive unpacks to more than {MAX_RATIO} times its size; unpack it yourself if you trust it, and give the folder"
    ))
}

/// The error of reading through a [`Metered`] archive.
fn unpacking(error: io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Exceeded>()) { unpacks_to_too_much() } else { damaged(error) }
}

/// Reads no more than `left` bytes, and fails then: an archive's skipped entries are inflated too.
struct Metered<R> {
    inner: R,
    left: u64,
}

#[derive(Debug)]
struct Exceeded;

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too much data")
    }
}

impl std::error::Error for Exceeded {}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Exceeded))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use zip::write::SimpleFileOptions;

    /// Names or errors of what is inside.
    fn inside(path: &Path) -> Vec<String> {
        let kind = ArchiveKind::of(path).expect("a name of an archive");
        let mut items = Vec::new();
        let _ = for_each_image(kind, path, &mut |item| {
            items.push(match item.content {
                Content::Bytes(bytes) => format!("{}={}", item.origin.relative.display(), bytes.len()),
                Content::Failed(error) => format!("{}: {error}", item.origin.relative.display()),
                Content::File(_) => unreachable!("nothing is unpacked onto the disk"),
            });
            ControlFlow::Continue(())
        });
        items
    }

    fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn archives_give_their_images_in_order() {
        let folder = temp_dir::TempDir::new().unwrap();
        let long = format!("{}/b.png", "deep/".repeat(40));
        let entries: [(&str, &[u8]); 5] =
            [("z.png", b"12"), ("notes.txt", b"1"), (&long, b"123"), ("__MACOSX/z.png", b"1"), ("a.jpg", b"")];
        let expected = ["z.png=2".to_string(), format!("{}b.png=3", "deep/".repeat(40)), "a.jpg=0".into()];

        let tar = tar_of(&entries);
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        let zip = zip.finish().unwrap().into_inner();
        for (name, bytes) in [("a.tar", &tar), ("b.tar.gz", &gzip(&tar)), ("c.TGZ", &gzip(&tar)), ("d.zip", &zip)] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(inside(&path), expected, "{name}");
            assert_eq!(ArchiveKind::of(&path).unwrap().count(&path), name.ends_with("zip").then_some(3));
        }
    }

    #[test]
    fn damaged_archives_give_what_they_can_and_say_so() {
        let folder = temp_dir::TempDir::new().unwrap();
        let tar = tar_of(&[("a.png", &[7; 2000]), ("b.png", &[8; 2000])]);
        let gz = gzip(&tar);
        let cases: [(&str, &[u8], usize, &str); 6] = [
            ("cut.tar", &tar[..4000], 1, "damaged"),
            ("cut.tar.gz", &gz[..gz.len() / 2], 0, "damaged"),
            ("no.zip", b"hello, world", 0, "damaged"),
            ("empty.zip", b"", 0, "damaged"),
            ("empty.tar", b"", 0, "holds no images"),
            ("text.tar", &[b'x'; 1024], 0, "damaged"),
        ];
        for (name, bytes, good, error) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let inside = inside(&path);
            assert_eq!(inside.iter().filter(|item| item.contains('=')).count(), good, "{name}: {inside:?}");
            assert!(inside.last().unwrap().contains(error), "{name}: {inside:?}");
        }
    }

    #[test]
    fn skipped_entries_count_towards_the_limit() {
        let gz = gzip(&tar_of(&[("skipped.bin", &[0; 100_000]), ("a.png", b"1")]));
        let mut images = 0;
        let mut read = |left| {
            let mut archive = tar::Archive::new(Metered { inner: MultiGzDecoder::new(&gz[..]), left });
            read_tar_entries(Path::new("bomb.tar.gz"), archive.entries().unwrap(), &mut |_, _| {
                images += 1;
                ControlFlow::Continue(())
            })
        };
        assert!(read(200_000).is_ok());
        let error = read(50_000).unwrap_err();
        assert!(error.is_limit() && error.to_string().contains("unpacks to more than"), "{error}");
        assert_eq!(images, 1);
    }
}
