//! Opens any bytes as an archive: gives an error, or a tree with clean paths and files of the announced sizes.
#![no_main]

use std::ops::ControlFlow;

use image_feature::ErrorKind;
use image_feature::file_tree::{Archive, EntryKind, FileTree};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: Vec<u8>| {
    let archive = match Archive::from_source("archive", bytes) {
        Ok(archive) => archive,
        Err(error) => return assert_ne!(error.kind(), ErrorKind::Internal, "{error}"),
    };
    let entries = archive.entries();
    assert!(entries.is_sorted_by(|a, b| a.path < b.path));
    for entry in entries {
        assert!(!entry.path.split('/').any(|part| matches!(part, "" | "." | "..")), "{}", entry.path);
    }
    let files: Vec<usize> = (0..entries.len()).filter(|&index| entries[index].kind == EntryKind::File).collect();
    // some also one by one, for which a compressed tar is read from its beginning each time
    for &index in files.iter().rev().take(8) {
        check(&archive, index, archive.read(index, LIMIT));
    }
    let _ = archive.read_each(&files, LIMIT, &mut |index, content| {
        check(&archive, index, content);
        ControlFlow::Continue(())
    });
    for problem in archive.problems() {
        assert!(!problem.message().is_empty());
    }
});

fn check(archive: &Archive, index: usize, content: image_feature::Result<Vec<u8>>) {
    match content {
        Ok(content) => assert_eq!(content.len() as u64, archive.entries()[index].size),
        Err(error) => assert!(!matches!(error.kind(), ErrorKind::Internal | ErrorKind::Usage), "{error}"),
    }
}
