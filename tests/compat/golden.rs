//! All goldens of both releases: result, lists, names of drawings.

use std::collections::{BTreeMap, BTreeSet};

use image_feature::dataset::compat::{Change, Exception, Flavor, Place, ShiTuRec, Stop, Summary, result_json};
use image_feature::file_tree::Memory;

use super::cases::Case;

/// The results of a run of PaddleX.
struct Run {
    json: String,
    lists: BTreeMap<String, String>,
    out_files: Vec<String>,
}

/// Converts, divides and checks a case's data set, in PaddleX's order.
fn run(case: &Case, flavor: Flavor) -> Run {
    let tree = Memory::new(case.folder.clone(), case.files.clone());
    let name = format!("<ROOT>/{}", case.folder);
    let mut drawn = BTreeSet::from(["check_dataset_result.json".to_string()]);
    let mut lists: BTreeMap<String, Vec<u8>> = case.files.clone();
    lists.retain(|path, _| !path.contains('/') && (path.ends_with(".txt") || path.ends_with(".bak")));
    let mut steps = || -> Result<Result<Summary, Exception>, Stop> {
        let mut dataset = ShiTuRec::find(&tree, Place::named(&name), flavor)?;
        if let Some(form) = case.convert() {
            dataset.convert(form)?;
        }
        if let Some(percents) = case.split() {
            dataset.split(percents.map(|percent| percent.map(|text| text.parse().unwrap())), case.seed)?;
        }
        for change in dataset.changes() {
            match change {
                Change::Rename { from, to } => {
                    let bytes = lists.remove(&from).unwrap();
                    assert!(lists.insert(to, bytes).is_none());
                }
                Change::Write { path, bytes } => _ = lists.insert(path, bytes),
            }
        }
        dataset.check(&mut |sample, image| {
            assert_eq!(image.map(|image| (image.width(), image.height())), Some((64, 48)));
            drawn.insert(format!("check_dataset/demo_img/{}", sample.name));
            Ok(())
        })
    };
    let verdict = match steps() {
        Ok(verdict) => verdict,
        Err(Stop::Raised(exception)) => Err(exception),
        Err(Stop::Error(error)) => panic!("{}: {error}", case.name),
    };
    if verdict.is_ok() {
        drawn.insert("check_dataset/histogram.png".into());
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        json: result_json(&verdict),
        lists: lists.into_iter().map(|(path, bytes)| (path, text(bytes))).collect(),
        out_files: drawn.into_iter().collect(),
    }
}

/// The differences between a golden and this crate's results for its data set.
pub fn differences(text: &str, flavor: Flavor) -> Vec<String> {
    let case = Case::parse(text);
    let run = run(&case, flavor);
    let mut differences = Vec::new();
    if !case.has_result(&run.json) {
        differences.push(format!("{}: {} is not {}", case.name, run.json, case.result()));
    }
    if run.lists != case.lists_after {
        differences.push(format!("{}: lists {:?} are not {:?}", case.name, run.lists, case.lists_after));
    }
    if run.out_files != case.out_files {
        differences.push(format!("{}: files {:?} are not {:?}", case.name, run.out_files, case.out_files));
    }
    differences
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::*;
    use crate::common::shared;

    #[test]
    fn every_case_is_as_paddlex_leaves_it() {
        for (release, flavor) in [("v372", Flavor::Paddlex3), ("beta1", Flavor::Beta)] {
            let Some(folder) = shared(&format!("golden/check_dataset/{release}")) else { return };
            let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let is_case = |path: &std::path::PathBuf| {
                path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("index.json")
            };
            let cases: Vec<_> = files.filter(is_case).collect();
            assert!(cases.len() >= 40, "{} cases of {release}", cases.len());
            let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
            let all: Vec<String> = cases.iter().flat_map(|path| differences(&read(path), flavor)).collect();
            assert!(all.is_empty(), "{release}:\n{}", all.join("\n"));
        }
    }

    #[test]
    fn the_result_file_is_the_same_to_the_byte() {
        let Some(folder) = shared("golden/check_dataset/v372") else { return };
        let case = Case::parse(&std::fs::read_to_string(folder.join("ok.json")).unwrap());
        let file = std::fs::read_to_string(folder.join("ok_output/check_dataset_result.json")).unwrap();
        assert_eq!(run(&case, Flavor::Paddlex3).json, file);
    }
}
