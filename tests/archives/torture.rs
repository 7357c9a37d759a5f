//! Archives from the tests of yauzl and of the crate zip, against the results of Python's zipfile.

use std::collections::BTreeMap;

use image_feature::file_tree::{Archive, EntryKind, FileTree, ProblemEffect};

use super::build::code;
use super::common::shared;

/// The result for an archive.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Verdict {
    /// Every entry can be read.
    Whole,
    /// It opens, but not all of it can be read.
    Part,
    /// It does not open.
    Refused,
}

/// Differences to Python: the file's name with its last folder, this crate's result, and the reason. The tests in a
/// browser read this list, too.
const DIFFERENT: &str = include_str!("torture.tsv");

fn different() -> BTreeMap<&'static str, Verdict> {
    let rows = DIFFERENT.lines().skip(1).map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let verdict = match cells[1] {
            "whole" => Verdict::Whole,
            "part" => Verdict::Part,
            other => panic!("no verdict: {other}"),
        };
        assert!(!cells[2].is_empty(), "no reason for {}", cells[0]);
        (cells[0], verdict)
    });
    rows.collect()
}

/// Python's result. Entries with a huge announced size were not read in Python: such an archive does not count as
/// whole.
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
    let reasons = different();
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
        let expected = reasons.get(name).map_or(python(cells[2]), |&verdict| verdict);
        found += usize::from(reasons.contains_key(name));
        if ours != expected {
            complaints.push(format!("{name}: {ours:?} ({why}), Python: {}", cells[2]));
        } else if reasons.contains_key(name) && ours == python(cells[2]) {
            complaints.push(format!("{name}: no difference any more"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(found, reasons.len(), "files of the table are absent");
}
