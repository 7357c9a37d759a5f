//! Files of the browser.

use image_feature::file_tree::{Archive, ArchiveOptions, EntryKind, FileTree};
use image_feature_wasm::{BlobFolder, BlobSource, guessing_name_decoder, name_decoder};
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::blob;
use super::build::{Zipped, gzip, tar, tarred, zip};

/// Bytes without a pattern. Tests use more than is read at a time or ahead.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

#[test]
fn archives_are_read_from_blobs() {
    let files = [
        ("a/small.png", noise(1000)),
        ("a/large.png", noise(2_500_000)),
        ("b.txt", b"text".to_vec()),
        ("c.png", noise(300_000)),
    ];
    let zipped = |deflated| zip(&files.each_ref().map(|(name, content)| Zipped::new(name, content, deflated)));
    let tarred = tar(&files.each_ref().map(|(name, content)| tarred(name.as_bytes(), b'0', content)));
    for (case, bytes) in
        [("stored", zipped(false)), ("deflated", zipped(true)), ("tar.gz", gzip(&tarred)), ("tar", tarred)]
    {
        let archive = Archive::from_source(case, BlobSource::new(blob(&bytes))).unwrap();
        assert_eq!(archive.problems(), [], "{case}");
        for (path, content) in files.iter().rev() {
            let found = archive.read(archive.find(path).unwrap(), 1 << 22).unwrap();
            assert!(found == *content, "{case}: {path}");
        }
    }
}

#[test]
fn folders_are_read_from_blobs() {
    let files =
        [("data/images/b.png", "b"), ("data/train.txt", "old"), ("data/images/a.png", "a"), ("data/train.txt", "new")];
    let files = files.map(|(path, content)| (path.to_string(), blob(content.as_bytes())));
    let folder = BlobFolder::new("data", files.into()).unwrap();
    let listed: Vec<(&str, EntryKind)> =
        folder.entries().iter().map(|entry| (entry.path.as_str(), entry.kind)).collect();
    let expected = [
        ("data", EntryKind::Folder),
        ("data/images", EntryKind::Folder),
        ("data/images/a.png", EntryKind::File),
        ("data/images/b.png", EntryKind::File),
        ("data/train.txt", EntryKind::File),
    ];
    assert_eq!(listed, expected);
    let index = folder.find("data/train.txt").unwrap();
    assert_eq!(folder.read(index, 3).unwrap(), b"new");
    assert!(folder.read(index, 2).unwrap_err().is_limit());
    assert!(folder.read(0, 2).is_err());
    assert_eq!(folder.read_start(index, 2).unwrap(), b"ne");
    let folder = folder.with_unreadable(vec!["data/shut".into(), "data/.git/shut".into()]);
    let problems: Vec<String> = folder.problems().iter().map(ToString::to_string).collect();
    assert!(problems.len() == 1 && problems[0].starts_with("data/shut: it cannot be looked at"), "{problems:?}");
    assert!(BlobFolder::new("x", vec![("a/../b".into(), blob(b""))]).is_err());
}

#[test]
fn old_names_are_decoded_by_the_browser() {
    let decoder = name_decoder("gbk").unwrap();
    let options = ArchiveOptions { decode_names: Some(&*decoder) };
    let bytes = zip(&[Zipped::new(b"\xc6\xbb\xb9\xfb.jpg", b"x", false)]);
    let archive = Archive::with_options("x", BlobSource::new(blob(&bytes)), &options).unwrap();
    assert_eq!(archive.entries()[0].path, "苹果.jpg");
    assert!(archive.problems()[0].message().contains("read as gbk"), "{}", archive.problems()[0]);
    assert!(name_decoder("klingon").is_err());

    // names that are invalid in the first encoding are read in the next one
    let guesses = ["utf-8", "shift_jis"].map(String::from);
    let decoder = guessing_name_decoder(&guesses).unwrap();
    let options = ArchiveOptions { decode_names: Some(&*decoder) };
    let bytes = zip(&[Zipped::new(b"\x89\xe6\x91\x9c.jpg", b"x", false)]);
    let archive = Archive::with_options("x", BlobSource::new(blob(&bytes)), &options).unwrap();
    assert_eq!(archive.entries()[0].path, "画像.jpg");
    let bytes = zip(&[Zipped::new("画像.jpg", b"x", false)]);
    let archive = Archive::with_options("x", BlobSource::new(blob(&bytes)), &options).unwrap();
    assert!(archive.entries()[0].path == "画像.jpg" && archive.problems().is_empty());
}
