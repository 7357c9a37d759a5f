//! Images inside an archive, unpacked one at a time into memory, never to the disk.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::inputs::{FILE_BYTES, is_image_name, too_large};
use super::item::{Content, Item, Origin};
use image_feature::file_tree::{ArchiveFormat, ArchiveLimits, FileSource, MemberKind, Members, name_decoder};
use image_feature::{Error, ErrorKind, Result};

/// The kinds of archive that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    Zip,
    Tar,
    TarGz,
}

impl ArchiveKind {
    /// The kind of archive by a file's suffix.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let kinds = [(".zip", Self::Zip), (".tar", Self::Tar), (".tar.gz", Self::TarGz), (".tgz", Self::TarGz)];
        kinds.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
    }

    /// Number of images inside; `None` where the archive has no directory.
    pub fn count(self, path: &Path) -> Option<u64> {
        if self != Self::Zip {
            return None;
        }
        let mut members = self.open(path).ok()?;
        let mut count = 0;
        while let Some(member) = members.next_member().ok()? {
            count += u64::from(member.kind == MemberKind::File && is_image_name(&member.lossy_name()));
        }
        Some(count)
    }

    fn open(self, path: &Path) -> Result<Members<'static>> {
        let format = match self {
            Self::Zip => ArchiveFormat::Zip,
            Self::Tar => ArchiveFormat::Tar,
            Self::TarGz => ArchiveFormat::TarGz,
        };
        Members::open(Arc::new(FileSource::new(File::open(path)?)?), format, ArchiveLimits::DATA)
    }
}

/// Gives each image in the archive to `take`, in the archive's order, until it breaks. An entry that cannot be read is a
/// failed item; an archive that cannot be read to its end adds one more failed item.
pub fn for_each_image(
    kind: ArchiveKind,
    path: &Path,
    take: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut images = 0u64;
    let read = kind.open(path).and_then(|members| {
        read_images(members, path, &mut |item| {
            images += 1;
            take(item)
        })
    });
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

fn read_images(
    mut members: Members,
    path: &Path,
    give: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let decode = name_decoder(None)?;
    while let Some(member) = members.next_member()? {
        let mut name = member.lossy_name();
        if member.kind != MemberKind::File || !is_image_name(&name) {
            continue;
        }
        if std::str::from_utf8(&member.name).is_err()
            && let Some(decoded) = decode(&[&member.name]).and_then(|decoded| decoded.names.into_iter().next())
        {
            name = decoded;
        }
        let content = match members.read(&member, FILE_BYTES) {
            Ok(bytes) => Content::Bytes(bytes),
            Err(_) if member.size > FILE_BYTES => Content::Failed(too_large()),
            // the item has the name already
            Err(error) => Content::Failed(error.without_context()),
        };
        if give(Item { origin: Origin::of_entry(path, &name), content }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    members.damage().map_or(Ok(ControlFlow::Continue(())), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    use flate2::{Compression, write::GzEncoder};
    use zip::write::SimpleFileOptions;

    /// Names and sizes, or errors, of the images inside.
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
        let mut read = |total_free| {
            let limits = ArchiveLimits { ratio: 0, total_free, ..ArchiveLimits::DATA };
            let members = Members::open(Arc::new(gz.clone()), ArchiveFormat::TarGz, limits).unwrap();
            read_images(members, Path::new("bomb.tar.gz"), &mut |_| {
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
