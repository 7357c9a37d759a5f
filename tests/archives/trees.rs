//! Whole archives: each format gives the same tree, in each order of reading.

use std::io::Cursor;
use std::ops::ControlFlow;

use image_feature::file_tree::{self, Archive, ArchiveFormat, EntryKind, FileTree, Seekable};

use super::build::{Zipped, gzip, tar, tarred, zip};

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("images/b.png", (0..50_000u32).map(|i| ((i * i) >> 7) as u8).collect()),
        ("images/deep/er/a.png", vec![7; 3000]),
        ("images/empty.png", vec![]),
        ("train.txt", b"images/b.png 0\nimages/deep/er/a.png 1\n".to_vec()),
        ("gallery.txt", vec![b'x'; 700]),
    ]
}

fn archives() -> Vec<(&'static str, ArchiveFormat, Vec<u8>)> {
    let files = files();
    let zipped = |deflated: &dyn Fn(usize) -> bool| {
        let entries = files.iter().enumerate();
        zip(&entries.map(|(at, (name, content))| Zipped::new(name, content, deflated(at))).collect::<Vec<_>>())
    };
    let tarred = tar(&files.iter().map(|(name, content)| tarred(name.as_bytes(), b'0', content)).collect::<Vec<_>>());
    vec![
        ("stored.zip", ArchiveFormat::Zip, zipped(&|_| false)),
        ("deflated.zip", ArchiveFormat::Zip, zipped(&|_| true)),
        ("mixed.zip", ArchiveFormat::Zip, zipped(&|at| at % 2 == 0)),
        ("a.tar.gz", ArchiveFormat::TarGz, gzip(&tarred)),
        ("a.tar", ArchiveFormat::Tar, tarred),
    ]
}

#[test]
fn every_format_gives_the_same_tree() {
    let mut expected = files();
    expected.sort();
    for (name, format, bytes) in archives() {
        let archive = Archive::from_source(name, bytes).unwrap();
        assert_eq!((archive.format(), archive.name(), archive.problems()), (format, name, vec![]));
        let folders: Vec<&str> =
            archive.entries().iter().filter(|e| e.kind == EntryKind::Folder).map(|e| e.path.as_str()).collect();
        assert_eq!(folders, ["images", "images/deep", "images/deep/er"], "{name}");
        assert!(archive.entries().is_sorted_by(|a, b| a.path < b.path), "{name}");

        // from the last to the first: a compressed tar is unpacked from its beginning each time
        for (path, content) in expected.iter().rev() {
            let index = archive.find(path).unwrap();
            assert_eq!(archive.entries()[index].size, content.len() as u64);
            assert!(archive.read(index, 1 << 20).unwrap() == *content, "{name}: {path}");
            let exact = content.len() as u64;
            assert!(archive.read(index, exact).is_ok());
            if exact > 0 {
                assert!(archive.read(index, exact - 1).unwrap_err().is_limit(), "{name}: {path}");
            }
        }
        let folder = archive.read(archive.find("images").unwrap(), 100).unwrap_err();
        assert_eq!(folder.kind(), image_feature::ErrorKind::Usage);

        // with `read_each`, in any order; twice, because each call needs a new stream
        let indices: Vec<usize> = expected.iter().rev().map(|(path, _)| archive.find(path).unwrap()).collect();
        for _ in 0..2 {
            let mut seen = Vec::new();
            let flow = archive.read_each(&indices, 1 << 20, &mut |index, content| {
                seen.push((archive.entries()[index].path.clone(), content.unwrap()));
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
            seen.sort();
            assert!(
                seen.iter()
                    .map(|(path, content)| (path.as_str(), content))
                    .eq(expected.iter().map(|(path, content)| (*path, content)))
            );
        }
        let mut count = 0;
        let flow = archive.read_each(&indices, 1 << 20, &mut |_, _| {
            count += 1;
            if count == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(flow.is_break() && count == 2);
    }
}

#[test]
fn threads_read_at_once() {
    let expected = files();
    let folder = temp_dir::TempDir::new().unwrap();
    for (name, _, bytes) in archives() {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let trees: [Box<dyn FileTree>; 2] = [
            file_tree::open(&path).unwrap(),
            Box::new(Archive::from_source(name, Seekable::new(Cursor::new(bytes)).unwrap()).unwrap()),
        ];
        for tree in &trees {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let expected = &expected;
                    scope.spawn(move || {
                        for round in 0..20 {
                            let (path, content) = &expected[(thread + round) % expected.len()];
                            assert!(tree.read(tree.find(path).unwrap(), 1 << 20).unwrap() == *content);
                        }
                    });
                }
            });
        }
    }
}

#[test]
fn content_says_what_a_path_is() {
    let folder = temp_dir::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("data.zip")).unwrap();
    std::fs::write(folder.path().join("data.zip/a.txt"), "a").unwrap();
    assert_eq!(file_tree::open(folder.path().join("data.zip")).unwrap().entries().len(), 1);
    for (name, _, bytes) in archives() {
        let path = folder.path().join("no-suffix");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(file_tree::open(&path).unwrap().entries().len(), 8, "{name}");
    }
    // a self-extracting archive
    let (_, _, zipped) = &archives()[1];
    let prefixed = [b"MZ this program cannot be run in DOS mode".as_slice(), zipped].concat();
    let archive = Archive::from_source("setup.exe", prefixed).unwrap();
    assert!(archive.read(archive.find("train.txt").unwrap(), 100).is_ok());

    let cases: [(&str, &[u8], &str); 5] = [
        ("text", b"images/a.png 0\n", "not an archive that is read; expected a .zip, .tar or .tar.gz"),
        ("nothing", b"", "not an archive"),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\0", "a 7z archive, which is not read; unpack it, or pack it as .zip or .tar.gz"),
        ("gz of a text", &gzip(b"hello"), "its end is missing"),
        ("gz of much text", &gzip(&[b'x'; 5000]), "this is no tar archive"),
    ];
    for (name, bytes, message) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = file_tree::open(&path).err().unwrap().to_string();
        assert!(error.contains(message) && error.contains(name), "{name}: {error}");
    }
    assert_eq!(file_tree::open(folder.path().join("gone.zip")).err().unwrap().kind(), image_feature::ErrorKind::Io);
}
