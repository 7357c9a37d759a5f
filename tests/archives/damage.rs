//! Damaged archives: nothing panics or hangs, and a content that is returned is the right one.

use image_feature::file_tree::{Archive, EntryKind, FileTree};
use proptest::prelude::*;

use super::build::{Zipped, gzip, tar, tarred, zip};

const FILES: [(&str, &[u8]); 3] = [
    ("images/a.png", b"some content that shrinks, shrinks, shrinks"),
    ("images/b.png", &[9; 700]),
    ("train.txt", b"a 0\n"),
];

/// A valid archive, and the byte range of each file.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    own: Vec<std::ops::Range<usize>>,
}

fn samples() -> Vec<Sample> {
    let spans = |sizes: &[usize]| {
        let ends = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end - size..*end)
        });
        ends.collect::<Vec<_>>()
    };
    let entries: Vec<Zipped> =
        FILES.iter().enumerate().map(|(at, (name, content))| Zipped::new(name, content, at != 1)).collect();
    let zipped: Vec<usize> = entries.iter().map(|entry| 30 + entry.name.len() + entry.packed.len()).collect();
    let parts: Vec<Vec<u8>> = FILES.iter().map(|(name, content)| tarred(name.as_bytes(), b'0', content)).collect();
    let tarred: Vec<usize> = parts.iter().map(Vec::len).collect();
    let tar = tar(&parts);
    vec![
        Sample { name: "zip", bytes: zip(&entries), own: spans(&zipped) },
        // no byte of a compressed tar belongs to one file alone
        Sample { name: "tar.gz", bytes: gzip(&tar), own: vec![] },
        Sample { name: "tar", bytes: tar, own: spans(&tarred) },
    ]
}

/// The content found for each file, and whether a problem was reported.
struct Outcome {
    found: [Option<Vec<u8>>; 3],
    said: bool,
}

/// Opens and reads all of an archive.
fn outcome(bytes: Vec<u8>) -> Outcome {
    let Ok(archive) = Archive::from_source("x", bytes) else {
        return Outcome { found: Default::default(), said: true };
    };
    let mut said = false;
    let mut read = |index: usize| {
        let content = archive.read(index, 1 << 20);
        said |= content.is_err();
        content.ok()
    };
    for index in 0..archive.entries().len() {
        if archive.entries()[index].kind == EntryKind::File {
            read(index);
        }
    }
    let found = FILES.map(|(path, _)| archive.find(path).and_then(&mut read));
    Outcome { found, said: said || !archive.problems().is_empty() }
}

/// The fault of an outcome, if any. `undamaged` tells which files' bytes were not changed.
fn complaint(outcome: &Outcome, checksums: bool, undamaged: impl Fn(usize) -> bool) -> Option<String> {
    for (at, (path, content)) in FILES.iter().enumerate() {
        match &outcome.found[at] {
            Some(found) if found == content => {}
            Some(_) if checksums || undamaged(at) => return Some(format!("{path} is another file")),
            None if undamaged(at) => return Some(format!("{path} is lost")),
            None if !outcome.said => return Some(format!("{path} is lost, and nothing is said")),
            _ => {}
        }
    }
    None
}

#[test]
fn archives_cut_off_anywhere_give_what_is_whole() {
    let mut complaints = Vec::new();
    for Sample { name, bytes, own } in samples() {
        assert!(complaint(&outcome(bytes.clone()), true, |_| true).is_none(), "{name} is not valid");
        for end in 0..bytes.len() {
            let outcome = outcome(bytes[..end].to_vec());
            // a zip without the directory at its end is refused; a tar is read up to the cut
            let whole = |at: usize| name == "tar" && own[at].end <= end;
            let complaint = complaint(&outcome, true, whole);
            let complaint =
                complaint.or_else(|| (!outcome.said && end + 1024 < bytes.len()).then(|| "nothing is said".into()));
            complaints.extend(complaint.map(|complaint| format!("{name} cut at {end}: {complaint}")));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_wrong_byte_anywhere_harms_no_other_file() {
    let mut complaints = Vec::new();
    for Sample { name, bytes, own } in samples() {
        for at in 0..bytes.len() {
            for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                let outcome = outcome(damaged);
                // damage of a tar's first header hides its format; damage outside of the files hides their positions
                let inside = own.last().is_some_and(|last| at < last.end) && (name != "tar" || at >= 512);
                let undamaged = |file: usize| inside && !own[file].contains(&at);
                // a compressed tar has one checksum, and a plain tar has none for contents
                let complaint = complaint(&outcome, name == "zip" || name == "tar.gz" && !outcome.said, undamaged);
                complaints.extend(complaint.map(|complaint| format!("{name}, byte {at} ^ {mask}: {complaint}")));
            }
        }
    }
    complaints.truncate(20);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

proptest! {
    #[test]
    fn any_bytes_are_an_archive_or_an_error(
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\0"]),
        mut bytes in prop::collection::vec(any::<u8>(), 0..2000),
        compressed in any::<bool>(),
    ) {
        bytes.splice(..0, start.iter().copied());
        outcome(if compressed { gzip(&bytes) } else { bytes });
    }

    /// Pieces of archives copied over each other: these get further into the readers than random bytes.
    #[test]
    fn mangled_archives_are_archives_or_errors(
        which in 0..3usize,
        pieces in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..80usize), 1..6),
        bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut mangled = samples().swap_remove(which).bytes;
        for (from, to, length) in pieces {
            let (from, to) = (from.index(mangled.len()), to.index(mangled.len()));
            let length = length.min(mangled.len() - from.max(to));
            mangled.copy_within(from..from + length, to);
        }
        for (at, byte) in bytes {
            let at = at.index(mangled.len());
            mangled[at] = byte;
        }
        let outcome = outcome(mangled);
        if which == 0 {
            let found = outcome.found.into_iter().zip(FILES);
            // where a zip entry's checksum is intact, its content is right or refused
            for (content, (path, expected)) in found {
                prop_assert!(content.is_none_or(|content| content == expected || FILES.iter().any(|(_, other)| content == *other) || content.is_empty()), "{path}");
            }
        }
    }
}
