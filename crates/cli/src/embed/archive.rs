//! Images inside an archive, unpacked one at a time into memory, never to the disk.

use std::cell::Cell;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::inputs::{FILE_BYTES, too_large};
use super::item::{Content, Item, Origin};
use super::remarks::Remarks;
use image_feature::file_tree::{
    ArchiveFormat, ArchiveLimits, FileSource, Member, MemberKind, Members, is_hidden, is_image_name, is_other_name,
    name_decoder, why_no_image,
};
use image_feature::{Error, ErrorKind, Result};

/// Maximum bytes of an entry whose name does not tell whether it is an image.
const UNCLEAR_BYTES: u64 = 64 << 20;

/// The format of the archive at this path, by its content, or else by its suffix: a damaged archive is one, too. `None`
/// for files that are no archive.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for an archive of a format that is not read.
pub fn format_of(path: &Path) -> Result<Option<ArchiveFormat>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if is_image_name(&name) {
        return Ok(None);
    }
    let content = File::open(path).and_then(FileSource::new).ok();
    if let Some(format) = content.map_or(Ok(None), |content| ArchiveFormat::of(&content))? {
        return Ok(Some(format));
    }
    let suffixes = [
        (".zip", ArchiveFormat::Zip),
        (".tar", ArchiveFormat::Tar),
        (".tar.gz", ArchiveFormat::TarGz),
        (".tgz", ArchiveFormat::TarGz),
    ];
    Ok(suffixes.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, format)| format))
}

/// Number of images inside; `None` where only reading them all would tell.
pub fn count(format: ArchiveFormat, path: &Path) -> Option<u64> {
    if format != ArchiveFormat::Zip {
        return None;
    }
    let mut members = open(format, path).ok()?;
    let mut count = 0;
    while let Some(member) = members.next_member().ok()? {
        let name = member.lossy_name();
        if member.kind != MemberKind::File || is_hidden(&name) || is_other_name(&name) {
            continue;
        }
        if !is_image_name(&name) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

fn open(format: ArchiveFormat, path: &Path) -> Result<Members<'static>> {
    Members::open(Arc::new(FileSource::new(File::open(path)?)?), format, ArchiveLimits::DATA)
}

/// Gives each image in the archive to `take`, in the archive's order, until it breaks. An entry that cannot be read is a
/// failed item; an archive that cannot be read to its end adds one more failed item. The relative paths begin with `front`.
/// Entries whose names in results `skips` accepts are not read.
pub fn for_each_image(
    format: ArchiveFormat,
    path: &Path,
    front: &Path,
    remarks: &Remarks,
    skips: &dyn Fn(&str) -> bool,
    take: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (mut images, skipped) = (0u64, Cell::new(false));
    let skips = |origin: &Origin| {
        let skips = skips(&origin.input_path);
        skipped.set(skipped.get() || skips);
        skips
    };
    let found = Remarks::default();
    let read = open(format, path).and_then(|members| {
        read_images(members, path, &found, &skips, &mut |Item { origin, content }| {
            images += 1;
            take(Item { origin: origin.below(front), content })
        })
    });
    let error = match read {
        Ok(ControlFlow::Continue(())) if images == 0 && !skipped.get() => {
            Error::new(ErrorKind::Io, format!("the archive holds no images{}", found.instead()))
        }
        other => {
            remarks.add(&found);
            match other {
                Ok(flow) => return flow,
                Err(error) => error,
            }
        }
    };
    take(Item { origin: Origin::of_file(path).below(front), content: Content::Failed(error) })
}

fn read_images(
    mut members: Members,
    path: &Path,
    remarks: &Remarks,
    skips: &dyn Fn(&Origin) -> bool,
    give: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let decode = name_decoder(None)?;
    while let Some(member) = members.next_member()? {
        let mut name = member.lossy_name();
        if std::str::from_utf8(&member.name).is_err()
            && let Some(decoded) = decode(&[&member.name]).and_then(|decoded| decoded.names.into_iter().next())
        {
            name = decoded;
        }
        if member.kind == MemberKind::Folder || is_other_name(&name) {
            continue;
        }
        if is_hidden(&name) {
            if is_image_name(&name) {
                remarks.hide(&name);
            }
            continue;
        }
        let origin = Origin::of_entry(path, &name);
        if skips(&origin) {
            continue;
        }
        let content = match content(&mut members, &member, &name) {
            Ok(content) => content,
            Err(what) => {
                remarks.pass_over(format!("{}/{name}", path.display()), what);
                continue;
            }
        };
        if give(Item { origin, content }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    members.damage().map_or(Ok(ControlFlow::Continue(())), Err)
}

/// The content of an entry that is an image by its name or its first bytes; what it is instead where it is none.
fn content(members: &mut Members, member: &Member, name: &str) -> Result<Content, String> {
    if let MemberKind::Other(code) = member.kind {
        return Err(code.as_str().into());
    }
    let is_image = is_image_name(name);
    match members.read(member, if is_image { FILE_BYTES } else { UNCLEAR_BYTES }) {
        Ok(bytes) if is_image => Ok(Content::Bytes(bytes)),
        Ok(bytes) => why_no_image(&bytes).map_or(Ok(Content::Bytes(bytes)), Err),
        Err(_) if is_image && member.size > FILE_BYTES => Ok(Content::Failed(too_large())),
        // the item has the name already
        Err(error) if is_image => Ok(Content::Failed(error.without_context())),
        Err(error) => Err(error.without_context().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    use flate2::{Compression, write::GzEncoder};
    use zip::write::SimpleFileOptions;

    /// Names and sizes, or errors, of the images inside.
    fn inside(path: &Path) -> Vec<String> {
        let format = format_of(path).unwrap().expect("an archive");
        let mut items = Vec::new();
        let _ = for_each_image(format, path, Path::new(""), &Remarks::default(), &|_| false, &mut |item| {
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
            assert_eq!(count(format_of(&path).unwrap().unwrap(), &path), name.ends_with("zip").then_some(3));
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
    fn content_tells_archives_and_images() {
        let folder = temp_dir::TempDir::new().unwrap();
        let jpeg: &[u8] = b"\xff\xd8\xff\xe0";
        let tar = tar_of(&[
            ("photo", jpeg),
            ("b.HEIC", jpeg),
            ("c.heic", b"\0\0\0\x1cftypheic"),
            (".ipynb_checkpoints/d.jpg", jpeg),
            ("labels.txt", jpeg),
        ]);
        let path = folder.path().join("no-suffix");
        std::fs::write(&path, gzip(&tar)).unwrap();
        assert_eq!(format_of(&path).unwrap(), Some(ArchiveFormat::TarGz));
        let (remarks, mut found) = (Remarks::default(), Vec::new());
        let _ = for_each_image(ArchiveFormat::TarGz, &path, Path::new("front"), &remarks, &|_| false, &mut |item| {
            found.push(item.origin.relative);
            ControlFlow::Continue(())
        });
        assert_eq!(found, ["front/photo", "front/b.HEIC"].map(std::path::PathBuf::from));
        let passed = remarks.instead();
        assert!(
            passed.contains("passed over 1 file") && passed.contains("no-suffix/c.heic (a HEIC image); hidden"),
            "{passed}"
        );
        assert!(passed.contains("such as .ipynb_checkpoints/d.jpg, are read where"), "{passed}");
        std::fs::write(&path, tar_of(&[("c.heic", b"\0\0\0\x1cftypheic")])).unwrap();
        let inside = inside(&path);
        assert!(inside[0].contains("holds no images; passed over 1 file") && inside.len() == 1, "{inside:?}");
        for (start, name) in
            [(&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "a 7z archive"), (b"Rar!\x1a\x07\x01", "a rar archive")]
        {
            std::fs::write(&path, start).unwrap();
            let error = format_of(&path).unwrap_err();
            assert!(error.is_unsupported() && error.to_string().starts_with(name), "{error}");
            assert!(error.to_string().ends_with("unpack it, or pack it as .zip or .tar.gz"), "{error}");
        }
    }

    #[test]
    fn skipped_entries_count_towards_the_limit() {
        let gz = gzip(&tar_of(&[("skipped.bin", &[0; 100_000]), ("a.png", b"1")]));
        let mut images = 0;
        let mut read = |total_free| {
            let limits = ArchiveLimits { ratio: 0, total_free, ..ArchiveLimits::DATA };
            let members = Members::open(Arc::new(gz.clone()), ArchiveFormat::TarGz, limits).unwrap();
            read_images(members, Path::new("bomb.tar.gz"), &Remarks::default(), &|_| false, &mut |_| {
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
