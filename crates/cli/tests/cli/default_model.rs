//! The bundled model, the default.

use std::path::Path;

use serde_json::Value;

use super::common::shared;
use super::photos::{photo, write};
use super::program::{run, text};

fn feature(image: &Path, more: &[&str]) -> Vec<f64> {
    let mut arguments = vec!["predict", text(image), "--json", "--quiet"];
    arguments.extend(more);
    let printed: Value = serde_json::from_str(&run(arguments).good()).unwrap();
    printed["feature"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn predict_needs_no_model() {
    let folder = temp_dir::TempDir::new().unwrap();
    let image = folder.path().join("photo.ppm");
    write(&image, &photo(1));
    let own = feature(&image, &[]);
    assert!(own.len() == 512 && (dot(&own, &own) - 1.0).abs() < 1e-4);
    assert_eq!(own, feature(&image, &["--model", "default"]));
    let info: Value = serde_json::from_str(&run(["model", "info", "default", "--json"]).good()).unwrap();
    assert_eq!(info["dimension"], 512);
    // a file of that name can still be named
    let named = run(["predict", text(&image), "--model", "./default"]);
    named.fails(1, &["./default: no such file"]);
}

#[test]
fn a_part_of_a_photo_is_nearer_to_it_than_another_photo() {
    let Some(photos) = shared("golden/features/inputs") else { return };
    let [cat, temple] = ["chelsea.png", "china.jpg"].map(|name| photos.join(name));
    let part = feature(&cat, &["--roi", "60,20,340,260"]);
    let (cat, temple) = (feature(&cat, &[]), feature(&temple, &[]));
    assert!(dot(&part, &cat) > dot(&part, &temple) + 0.1, "{} and {}", dot(&part, &cat), dot(&part, &temple));
}

/// The model card's figures; random weights reach 0.04.
#[test]
fn it_finds_groceries() {
    let Some(dataset) = shared("data/grocery") else { return };
    let report = run(["evaluate", text(&dataset), "--no-cache", "--json", "--quiet"]).good();
    let report: Value = serde_json::from_str(&report).unwrap();
    let recall = report["scores"]["recall"]["recall1"].as_f64().unwrap();
    assert!(recall > 0.42, "recall@1 is {recall}: {}", report["scores"]);
}

#[test]
fn galleries_need_no_model() {
    let folder = temp_dir::TempDir::new().unwrap();
    let (photos, gallery) = (folder.path().join("photos"), folder.path().join("photos.safetensors"));
    for kind in 0..3 {
        write(&photos.join(format!("{kind}/photo.ppm")), &photo(kind));
    }
    run(["gallery", "build", text(&photos), "--output", text(&gallery), "--quiet"]).good();
    let query = photos.join("1/photo.ppm");
    let found = run(["gallery", "search", text(&gallery), text(&query), "--json", "--quiet"]).good();
    let found: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!(found["hits"][0]["label"], "1", "{found}");
}
