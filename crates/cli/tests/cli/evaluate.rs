//! `evaluate`: PaddleClas's numbers for a data set, the report and the cache of features.

use std::path::Path;

use image_feature::metrics::{Labelled, Options, evaluate};
use image_feature::{DecodeLimits, DeviceRequest, Extractor, decode};
use serde_json::Value;

use super::bench::Bench;
use super::common::small_model;
use super::photos::{photo, write};
use super::program::{Run, files_below, finish, program, text};

/// A list of a data set: the pattern of each photo, and its label.
type List = [(usize, i64)];

const GALLERY: &List = &[(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)];
/// The first two are in the gallery, too; the gallery has no image of the last one's label.
const QUERY: &List = &[(0, 0), (6, 3), (7, 0), (8, 1), (9, 2), (11, 9)];

impl Bench {
    fn with_data_set() -> Self {
        let bench = Bench::new();
        for (list, rows) in [("gallery.txt", GALLERY), ("query.txt", QUERY)] {
            let mut text = String::new();
            for (kind, label) in rows {
                write(&bench.path(&format!("set/images/{kind}.ppm")), &photo(*kind));
                text += &format!("images/{kind}.ppm {label}\n");
            }
            write(&bench.path("set").join(list), text.as_bytes());
        }
        bench
    }

    fn evaluate(&self, more: &[&str]) -> Run {
        let mut program = program();
        program.args(["evaluate", "set", "--device", "cpu", "--threads", "2", "--model"]).arg(&self.model).args(more);
        finish(program.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.path("cache")))
    }

    fn json(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.evaluate(&[&["--json"], more].concat()).good()).unwrap()
    }
}

/// The features of a list's photos and its labels, by the library.
fn features(list: &List) -> (Vec<f32>, Vec<i64>) {
    let extractor = Extractor::open(&small_model(24), DeviceRequest::Cpu).unwrap();
    let feature =
        |&(kind, _): &(usize, i64)| extractor.embed(&decode(&photo(kind), &DecodeLimits::default()).unwrap()).unwrap();
    (list.iter().flat_map(feature).collect(), list.iter().map(|&(_, label)| label).collect())
}

fn close(found: &Value, expected: f32) -> bool {
    (found.as_f64().unwrap() - f64::from(expected)).abs() < 1e-6
}

#[test]
fn the_report_is_that_of_the_metrics() {
    let bench = Bench::with_data_set();
    let ((query, query_labels), (gallery, gallery_labels)) = (features(QUERY), features(GALLERY));
    let expected = |options: &Options| {
        let query = Labelled { features: &query, labels: &query_labels };
        evaluate(&query, &Labelled { features: &gallery, labels: &gallery_labels }, 24, options).unwrap()
    };
    let plain = expected(&Options { recall_at: vec![1, 5], ..Options::default() });
    let report = bench.json(&["--output", "out"]);
    assert_eq!((&report["queries"], &report["images"]), (&6.into(), &7.into()), "{report}");
    assert_eq!(report["without_match"], 1, "{report}");
    for (name, scores, found) in
        [("scores", &plain.scores, &report["scores"]), ("overall", &plain.overall, &report["overall"])]
    {
        assert!(close(&found["mAP"], scores.map), "{name}: {report}");
        for (k, value) in &scores.recall {
            assert!(close(&found["recall"][format!("recall{k}")], *value), "{name}, {k}: {report}");
        }
    }
    assert_eq!(report["classes"].as_array().unwrap().len(), plain.classes.len());
    assert_eq!(report["worst"][0]["query"].as_str().unwrap(), format!("images/{}.ppm", QUERY[plain.worst[0].query].0));

    assert_eq!(files_below(&bench.path("out")), ["evaluate_result.json", "report.json", "worst.html"]);
    let read = |name: &str| std::fs::read_to_string(bench.path("out").join(name)).unwrap();
    assert_eq!(read("evaluate_result.json"), plain.evaluate_result());
    assert_eq!(serde_json::from_str::<Value>(&read("report.json")).unwrap(), report);
    let page = read("worst.html");
    assert_eq!(page.matches("<section>").count(), plain.worst.len());
    assert!(page.contains("class=\"right\"") && page.contains("class=\"wrong\"") && !page.contains("class=\"none\""));

    // a query that is in the gallery finds itself, except with `--no-self-match`
    assert!(report["classes"].as_array().unwrap().iter().any(|class| class["label"] == 0));
    let itself = vec![Some(0), Some(6), None, None, None, None];
    let without = expected(&Options { recall_at: vec![2], itself, ..Options::default() });
    let report = bench.json(&["--no-self-match", "--recall", "2"]);
    assert!(close(&report["scores"]["mAP"], without.scores.map), "{report}");
    assert!(close(&report["scores"]["recall"]["recall2"], without.scores.recall[0].1), "{report}");
    assert_ne!(without.scores.map, plain.scores.map);

    let table = bench.evaluate(&["--quiet"]).good();
    assert!(table.starts_with("6 queries, 7 images in the gallery, 1 queries without a match there\n"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("recall@5")), "{table}");
}

#[test]
fn a_second_run_computes_nothing() {
    let bench = Bench::with_data_set();
    let computes = |run: &Run| run.stderr.contains("24 dimensions, on cpu");
    let first = bench.evaluate(&["--json"]);
    assert!(computes(&first), "{first:?}");
    let second = bench.evaluate(&["--json"]);
    assert!(!computes(&second), "{second:?}");
    assert_eq!(second.stdout, first.stdout);
    let without = bench.evaluate(&["--json", "--no-cache"]);
    assert!(computes(&without) && without.stdout == first.stdout, "{without:?}");

    // another photo under the same name is another photo
    write(&bench.path("set/images/8.ppm"), &photo(30));
    let changed = bench.evaluate(&["--json"]);
    assert!(computes(&changed) && changed.stdout != first.stdout, "{changed:?}");
    let files = files_below(&bench.path("cache"));
    assert_eq!(files.len(), 1, "{files:?}");
    // a damaged cache is reported, and features are computed again
    write(&bench.path("cache").join(&files[0]), b"no gallery");
    let again = bench.evaluate(&["--json"]);
    assert!(again.stderr.contains("note: the features kept are not used: "), "{again:?}");
    assert!(computes(&again) && again.stdout == changed.stdout, "{again:?}");
    assert!(!computes(&bench.evaluate(&[])), "they are kept again");
}

#[test]
fn what_keeps_it_from_numbers_is_said() {
    let bench = Bench::with_data_set();
    let set = |name: &str, bytes: &[u8]| write(&bench.path("set").join(name), bytes);
    let query = std::fs::read(bench.path("set/query.txt")).unwrap();
    set("query.txt", b"");
    bench.evaluate(&[]).fails(1, &["query.txt is missing or empty in set"]);
    set("query.txt", b"images/0.ppm zero\n");
    bench.evaluate(&[]).fails(1, &["query.txt: line 1: `images/0.ppm`", "image-feature check"]);
    set("query.txt", b"images/0.ppm 0\nimages/nosuch.ppm 0\n");
    bench.evaluate(&[]).fails(1, &["query.txt: line 2: `images/nosuch.ppm`"]);
    set("query.txt", &query);
    set("images/3.ppm", b"P6 9 9 255\nshort");
    bench.evaluate(&["--output", "out"]).fails_all(&["images/3.ppm: ", "images of the data set cannot be read"]);
    assert!(!bench.path("out").exists(), "no numbers of what is left");
    set("images/3.ppm", &photo(3));
    bench.evaluate(&["--recall", "0"]).fails(2, &["recall"]);
    let nowhere = finish(program().args(["evaluate", text(Path::new("nosuch"))]).current_dir(bench.folder.path()));
    nowhere.fails(1, &["nosuch"]);
}
