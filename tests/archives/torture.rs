//! Archives that other readers stumbled over (of yauzl and of the crate zip), and what Python's zipfile makes of them.

use std::collections::BTreeMap;

use image_feature::file_tree::{Archive, EntryKind, FileTree, ProblemEffect};

use super::build::code;
use super::common::shared;

/// What becomes of an archive.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Verdict {
    /// Every entry can be read.
    Whole,
    /// It opens, but not all of it can be read.
    Part,
    /// It does not open.
    Refused,
}

/// Where Python and we differ: the file's name from its last folder on, our verdict, and why.
const DIFFERENT: [(&str, Verdict, &str); 14] = [
    ("extended_timestamp_bad.zip", Verdict::Whole, "a broken timestamp; nothing that is read stands in that field"),
    (
        "extra field length exceeds extra field buffer size.zip",
        Verdict::Whole,
        "as before: the field is of no use here",
    ),
    ("symlink.zip", Verdict::Part, "zipfile gives a link's target as its content"),
    ("zip64_magic_in_filename_1.zip", Verdict::Part, "a name with zeros in it, which zipfile cuts off there"),
    ("zip64_magic_in_filename_2.zip", Verdict::Part, "the same"),
    (
        "zip64_magic_in_filename_3.zip",
        Verdict::Part,
        "the same; zipfile takes the end of the name for a zip64 locator, though no field refers to one",
    ),
    ("zip64_magic_in_filename_4.zip", Verdict::Part, "a name with zeros in it"),
    ("zip64_magic_in_filename_5.zip", Verdict::Part, "the same"),
    (
        "compressed uncompressed size mismatch for stored file 2147483647 5.zip",
        Verdict::Part,
        "a stored entry says that it takes 2 GB of the archive and is 5 bytes long; zipfile believes the second",
    ),
    (
        "not enough bytes in the stream expected 2048576 got only 1000000.zip",
        Verdict::Part,
        "half of the content is missing; zipfile compares checksums only, and this one was made to fit",
    ),
    (
        "invalid central directory file header signature 0x1014b50.zip",
        Verdict::Part,
        "one of two headers of the directory is damaged; the other entry is read all the same",
    ),
    (
        "zip64 extended information extra field does not include compressed size.zip",
        Verdict::Part,
        "a fault of one entry, not of the archive",
    ),
    (
        "zip64 extended information extra field does not include relative header offset.zip",
        Verdict::Part,
        "a fault of one entry, not of the archive",
    ),
    (
        "zip64 extended information extra field does not include uncompressed size.zip",
        Verdict::Part,
        "a fault of one entry, not of the archive",
    ),
];

/// Python's verdict. Of what declares to be huge nothing was read then; it is no whole archive.
fn python(text: &str) -> Verdict {
    match text.split(' ').next() {
        Some("ok") => Verdict::Whole,
        Some("OPEN") => Verdict::Refused,
        _ => Verdict::Part,
    }
}

/// Whether every entry of the archive can be read.
fn is_whole(archive: &Archive) -> bool {
    let readable = (0..archive.entries().len())
        .all(|index| archive.entries()[index].kind == EntryKind::Folder || archive.read(index, 1 << 26).is_ok());
    readable && archive.problems().iter().all(|problem| problem.code.effect() == ProblemEffect::Harmless)
}

fn ours(bytes: Vec<u8>) -> (Verdict, String) {
    match Archive::from_source("x", bytes) {
        Err(error) => (Verdict::Refused, error.to_string()),
        Ok(archive) if is_whole(&archive) => (Verdict::Whole, String::new()),
        Ok(archive) => {
            let errors = (0..archive.entries().len()).filter_map(|index| archive.read(index, 1 << 26).err());
            let mut codes: Vec<String> = errors.map(|error| code(&error)).collect();
            let problems = archive.problems();
            let harmful = problems.iter().filter(|problem| problem.code.effect() != ProblemEffect::Harmless);
            codes.extend(harmful.map(|problem| problem.code.as_str().to_string()));
            codes.sort();
            codes.dedup();
            (Verdict::Part, codes.join(", "))
        }
    }
}

#[test]
fn torture_corpus_is_read_as_python_reads_it_or_for_a_reason() {
    let Some(folder) = shared("data/torture_zip") else { return };
    let table = std::fs::read_to_string(folder.join("python_zipfile_verdicts.tsv")).unwrap();
    let reasons: BTreeMap<&str, (Verdict, &str)> =
        DIFFERENT.iter().map(|&(name, verdict, why)| (name, (verdict, why))).collect();
    let mut complaints = Vec::new();
    let mut found = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let Ok(bytes) = std::fs::read(folder.join(cells[0])) else {
            complaints.push(format!("{}: absent", cells[0]));
            continue;
        };
        let (ours, why) = ours(bytes);
        let name = cells[0].rsplit('/').next().unwrap();
        let expected = reasons.get(name).map_or(python(cells[2]), |&(verdict, _)| verdict);
        found += usize::from(reasons.contains_key(name));
        if ours != expected {
            complaints.push(format!("(\"{name}\", Verdict::{ours:?}, \"{why}\"), // Python: {}", cells[2]));
        } else if reasons.contains_key(name) && ours == python(cells[2]) {
            complaints.push(format!("{name}: no difference any more"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(found, DIFFERENT.len(), "files of the table are absent");
}
