//! The order of the modules: each at the top of `src/` uses only those before it in [`ORDER`].
//!
//! The map of the code in CONTRIBUTING.md has the same order.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ORDER: [&str; 23] = [
    "error",
    "clusters",
    "random",
    "tensors",
    "file_kind",
    "image",
    "file_tree",
    "output_file",
    "official",
    "layers",
    "model",
    "engine",
    "weights",
    "device",
    "extractor",
    "detector",
    "finetune",
    "metrics",
    "gallery",
    "recognizer",
    "dataset",
    "train",
    "warm_up",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of Rust below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The code of a file without its comments and its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let without_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    without_tests.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first identifier of a path.
fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// The first identifiers of a group `{a::b, C, d::{e, f}}`. `text` begins after the opening brace.
fn of_group(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (place, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.push(identifier(&text[start..place]));
                start = place + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The first identifier of each path that follows `before`.
fn paths<'t>(code: &'t str, before: &str) -> Vec<&'t str> {
    let after = |(place, _): (usize, &str)| {
        let rest = &code[place + before.len()..];
        rest.strip_prefix('{').map_or_else(|| vec![identifier(rest)], of_group)
    };
    code.match_indices(before).flat_map(after).collect()
}

/// The module that each name at the crate's root comes from.
fn reexports(root: &str) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for statement in root.split("pub use ").skip(1) {
        let (module, names) = statement.split(';').next().unwrap().split_once("::").unwrap();
        let names = names.strip_prefix('{').map_or_else(|| vec![identifier(names)], of_group);
        modules.extend(names.into_iter().map(|name| (name.to_string(), module.to_string())));
    }
    modules
}

#[test]
fn modules_use_only_those_before_them() {
    let reexports = reexports(&code(&source().join("lib.rs")));
    let rank = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut complaints = Vec::new();
    for path in files(&source()) {
        let relative = path.strip_prefix(source()).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let Some(own) = rank(module) else {
            complaints.push(format!("{module} has no place in ORDER"));
            continue;
        };
        for used in paths(&code(&path), "crate::") {
            let from = reexports.get(used).map_or(used, String::as_str);
            match rank(from) {
                Some(place) if place <= own => {}
                Some(_) => {
                    complaints.push(format!("{}: {module} uses {from}, which comes after it", relative.display()))
                }
                None => complaints.push(format!("{}: `crate::{used}` is in no known module", relative.display())),
            }
        }
    }
    complaints.sort();
    complaints.dedup();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_map_for_people_has_the_same_order() {
    let map = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md")).unwrap();
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| `")).collect();
    let place = |module: &str| {
        let cell = format!("| `{module}` |");
        let row = rows.iter().position(|row| row.starts_with(&cell));
        row.unwrap_or_else(|| panic!("CONTRIBUTING.md has no row for `{module}`"))
    };
    let places: Vec<usize> = ORDER.iter().map(|module| place(module)).collect();
    assert!(places.is_sorted(), "the rows of CONTRIBUTING.md are in another order than ORDER: {places:?}");
}

#[test]
fn paths_are_found_in_groups() {
    assert_eq!(paths("use crate::{a::b, C, d::{e, f}}; crate::g::h()", "crate::"), ["a", "C", "d", "g"]);
}
