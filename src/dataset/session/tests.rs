use std::sync::Arc;

use serde_json::json;

use super::Session;
use crate::dataset::compat::{Flavor, PASSED, Percent};
use crate::dataset::{AuditOptions, SplitOptions};
use crate::file_tree::{Archive, FileTree, Memory};

const IMAGE: &str = "P3 1 1 255  9 9 9";

fn session(files: &[(&str, &str)]) -> Session {
    let tree = Memory::new("shop", files.iter().map(|&(path, text)| (path, text.into())));
    Session::new("shop", Arc::new(tree))
}

/// Two images, and a list that [`Session::fix`] changes.
fn two_images() -> Session {
    session(&[("images/a.ppm", IMAGE), ("images/b.ppm", IMAGE), ("train.txt", "images\\b.ppm\t0\nimages/a.ppm 1\n")])
}

fn measure_all(session: &mut Session) -> usize {
    let images = session.unknown_images();
    for image in &images {
        let facts = session.measure(image.file);
        session.set_facts(image.place, facts);
    }
    images.len()
}

#[test]
fn facts_stay_known_after_changes() {
    let mut session = two_images();
    assert_eq!((session.image_count(), measure_all(&mut session), measure_all(&mut session)), (2, 2, 0));
    let fixed = session.fix();
    assert_eq!(
        serde_json::to_value(fixed).unwrap(),
        json!({
            "kept": 2, "setAside": 0, "cut": 0, "renamed": 0, "train": 2, "gallery": 0, "query": 0,
        })
    );
    assert_eq!((session.image_count(), session.unknown_images().len()), (2, 0));
    assert_eq!(session.report(10, &AuditOptions::default())["complete"], true);
}

#[test]
fn facts_of_no_image_are_ignored() {
    let mut session = two_images();
    session.set_unreadable(2, "no such image");
    assert_eq!(session.unknown_images().len(), 2);
    session.set_unreadable(1, "the worker stopped");
    let unknown: Vec<usize> = session.unknown_images().iter().map(|image| image.place).collect();
    assert_eq!(unknown, [0]);
}

#[test]
fn the_report_tells_which_images_it_shows() {
    let mut session = two_images();
    assert!(session.shown().is_empty());
    measure_all(&mut session);
    session.report(10, &AuditOptions::default());
    let shown: Vec<(usize, String)> = session.shown().iter().map(|&(file, path)| (file, path.into())).collect();
    assert_eq!(shown.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["images/a.ppm", "images/b.ppm"]);
    assert_eq!(session.thumbnail(shown[0].0).unwrap(), (vec![9, 9, 9], 1, 1));
    assert!(session.thumbnail(3).is_err(), "a list is no image");
}

#[test]
fn a_list_with_few_images_is_divided() {
    let mut session = session(&[("images/a.ppm", IMAGE), ("train.txt", "images/a.ppm 0\n")]);
    let sizes = session.split(&SplitOptions { percent: [0.0, 100.0, 0.0], ..SplitOptions::default() }).unwrap();
    assert_eq!((sizes.train, sizes.gallery, sizes.query), (0, 1, 0));
    assert!(session.split(&SplitOptions { percent: [0.0; 3], ..SplitOptions::default() }).unwrap_err().is_usage());
    assert_eq!(session.paths(), ["gallery.txt", "images/a.ppm"]);
    assert!(session.read("train.txt").unwrap_err().is_usage());
}

#[test]
fn problems_of_another_session_are_reported_once() {
    let mut session = two_images();
    let rows = [
        json!([1, "a", "checksum", ""]),
        json!([1, "a", "checksum", ""]),
        json!([null, null, "no-end-mark", "detail"]),
        json!([2, "b", "no such code", ""]),
        json!("no row"),
    ];
    session.add_problems(&rows);
    let (tree, lists) = session.parts();
    let problems = super::all_problems(&lists.problems, tree);
    assert_eq!(super::problem_rows::to_json(problems), json!([rows[2], rows[0]]));

    session.fix();
    session.add_problems(&rows);
    assert!(session.parts().1.problems.is_empty(), "a replaced data set has no problems of the archive");
}

#[test]
fn verdicts_have_the_log_of_paddlex() {
    let mut empty = session(&[("train.txt", "")]);
    let checked = empty.compat_check(Flavor::Paddlex3).unwrap();
    assert_eq!((checked.passed, checked.log.as_str(), checked.samples), (false, "AssertionError", Some(vec![])));
    assert!(checked.json.unwrap().contains("AssertionError"));
    let converted = empty.compat_convert(Flavor::Paddlex3, Some("LabelMe")).unwrap();
    assert!(!converted.passed && converted.json.is_some() && converted.samples.is_none());

    let list: String = (0..10).map(|label| format!("images/a.ppm {label}\n")).collect();
    // PaddleX cannot label smaller images
    let image = format!("P3 64 64 255{}", " 9".repeat(64 * 64 * 3));
    let mut divided = session(&[("images/a.ppm", &image), ("train.txt", &list)]);
    let percents = [50.0, 30.0, 20.0].map(|percent| Some(Percent::from(percent)));
    let verdict = divided.compat_split(Flavor::Paddlex3, percents, 0).unwrap();
    assert_eq!(
        serde_json::to_value(&verdict).unwrap(),
        json!({
            "passed": true, "json": null, "log": "Split dataset successfully !",
        })
    );
    assert!(divided.paths().contains(&"query.txt".to_string()));
    assert_eq!(divided.compat_check(Flavor::Paddlex3).unwrap().log, PASSED);
}

#[test]
fn the_zip_has_all_changes() {
    let mut session = two_images();
    assert_eq!(session.next_of_zip().unwrap(), None);
    session.fix();
    let total = session.begin_zip();
    let mut pieces = Vec::new();
    while let Some(piece) = session.next_of_zip().unwrap() {
        pieces.push(piece);
    }
    assert_eq!(pieces.len(), total + 1, "the directory is a piece, too");
    let archive = Archive::from_source("new.zip", pieces.concat()).unwrap();
    let list = archive.find("train.txt").unwrap();
    assert_eq!(archive.read(list, 100).unwrap(), session.read("train.txt").unwrap());
    assert_eq!(archive.entries().len(), total);
}
