//! `gallery calibrate`, `gallery groups` and `gallery search --recognize`.

use image_feature::gallery::{Entry, Gallery, Metric, Storage};
use serde_json::Value;

use super::bench::Bench;
use super::photos::{photo, write};
use super::program::{finish, program, run, text};

/// Two labels that are apart, a copy, and a vector without a label.
fn shop(bench: &Bench) -> String {
    let mut gallery = Gallery::new(3, Metric::Cosine, Storage::F32).unwrap();
    for (id, label, vector) in [
        ("tea/1", Some("tea"), [1.0, 0.0, 0.0]),
        ("tea/2", Some("tea"), [0.9, 0.2, 0.0]),
        ("cup/1", Some("cup"), [0.0, 1.0, 0.1]),
        ("cup/2", Some("cup"), [0.1, 0.9, 0.0]),
        ("copy", None, [1.0, 0.001, 0.0]),
    ] {
        let entry = label.map_or(Entry::new(id), |label| Entry::new(id).label(label));
        gallery.add(entry, &vector).unwrap();
    }
    let path = bench.path("shop.safetensors");
    gallery.save(&path).unwrap();
    text(&path).into()
}

#[test]
fn a_calibration_prints_errors_and_is_kept_in_the_file() {
    let bench = Bench::new();
    let shop = shop(&bench);
    assert!(run(["gallery", "info", &shop]).good().contains("threshold  none; `gallery calibrate` finds one"));
    run(["gallery", "calibrate", &shop, "--dry-run"]).good();
    assert_eq!(Gallery::open(&shop).unwrap().threshold(), None, "a dry run writes nothing");

    let printed = run(["gallery", "calibrate", &shop]);
    assert!(printed.stderr.contains("the threshold is in "), "{printed:?}");
    assert!(printed.stdout.contains("searches   4 for something known, 4 for something unknown"), "{printed:?}");
    assert_eq!(printed.stdout.lines().count(), 4 + 1 + 11, "{printed:?}");
    let kept = Gallery::open(&shop).unwrap();
    let threshold = kept.threshold().unwrap();
    assert!(threshold > 0.4 && threshold < 0.97, "{threshold}");
    assert_eq!(kept.len(), 5);

    let json = run(["gallery", "calibrate", &shop, "--json", "--quiet"]);
    assert_eq!(json.stderr, "");
    let json: Value = serde_json::from_str(&json.good()).unwrap();
    assert_eq!(json["threshold"].as_f64().unwrap() as f32, threshold);
    assert_eq!((&json["errors"]["false_accepts"], &json["errors"]["false_rejects"]), (&0.0.into(), &0.0.into()));
    assert_eq!(json["curve"].as_array().unwrap().len(), 101);
    assert_eq!(json["curve"][0]["false_accepts"], 1.0);
    let info: Value = serde_json::from_str(&run(["gallery", "info", &shop, "--json"]).good()).unwrap();
    assert_eq!(info["threshold"].as_f64().unwrap() as f32, threshold);

    run(["gallery", "calibrate", &shop, "--max-false-accepts", "7"])
        .fails(2, &["shop.safetensors", "7", "from 0 to 1"]);
}

#[test]
fn a_gallery_without_labels_cannot_be_calibrated() {
    let bench = Bench::new();
    let path = bench.path("plain.safetensors");
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    gallery.add(Entry::new("a"), &[1.0, 0.0]).unwrap();
    gallery.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    run(["gallery", "calibrate", text(&path)]).fails(2, &["plain.safetensors", "label"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn near_images_are_groups() {
    let bench = Bench::new();
    let shop = shop(&bench);
    let found = run(["gallery", "groups", &shop, "--threshold", "0.95"]);
    assert!(found.stderr.contains("2 groups of 5 images, of 5 in all"), "{found:?}");
    let lines: Vec<Vec<&str>> = found.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let ids: Vec<(&str, &str, &str)> = lines.iter().map(|line| (line[0], line[2], line[3])).collect();
    let tea = [("1", "tea", "tea/1"), ("1", "tea", "tea/2"), ("1", "", "copy")];
    assert_eq!(ids, [&tea[..], &[("2", "cup", "cup/1"), ("2", "cup", "cup/2")]].concat());
    assert_eq!(lines[0][1].parse::<f32>().unwrap(), 1.0);

    let json = run(["gallery", "groups", &shop, "--threshold", "0.9999", "--json", "--quiet"]).good();
    let groups: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(groups.len(), 1);
    assert_eq!((&groups[0]["members"][0]["id"], &groups[0]["members"][1]["id"]), (&"tea/1".into(), &"copy".into()));
    run(["gallery", "groups", &shop]).fails_with_usage("--threshold");
}

#[test]
fn a_search_recognizes_by_the_threshold_of_the_file() {
    let bench = Bench::new();
    for (kind, name) in ["tea/0.ppm", "tea/1.ppm", "cup/2.ppm"].into_iter().enumerate() {
        write(&bench.path("photos").join(name), &photo(kind));
    }
    let with_model = |arguments: &[&str]| {
        let mut program = program();
        program.arg("gallery").args(arguments).args(["--device", "cpu", "--model"]).arg(&bench.model);
        finish(program.current_dir(bench.folder.path()))
    };
    with_model(&["build", "photos", "--output", "g.safetensors"]).good();
    let recognize = ["search", "g.safetensors", "photos/tea/0.ppm", "--recognize"];
    with_model(&recognize).fails(2, &["no threshold", "gallery calibrate"]);

    let file = bench.path("g.safetensors");
    let set = |threshold| Gallery::change(&file, |gallery| gallery.set_threshold(Some(threshold))).unwrap();
    set(0.99);
    assert_eq!(with_model(&recognize).good().lines().count(), 3, "the nearest is the image itself: all hits count");
    set(1.1);
    assert_eq!(with_model(&recognize).good(), "");
    assert_eq!(with_model(&[&recognize[..], &["--threshold", "0.5"]].concat()).good().lines().count(), 3);
}
