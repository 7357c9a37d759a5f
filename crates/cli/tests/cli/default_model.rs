//! The bundled models.

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

/// The model card's figures, less a point. The classes of the first two sets were never learnt.
#[test]
fn they_find_what_they_have_never_seen() {
    // recall@1 and mAP
    let least = [
        ("data/general/caltech101", "default", [0.94, 0.83]),
        ("data/general/clothing", "default", [0.89, 0.72]),
        ("data/grocery", "default", [0.48, 0.45]),
        ("data/general/caltech101", "tiny", [0.82, 0.61]),
        ("data/general/clothing", "tiny", [0.78, 0.56]),
        ("data/grocery", "tiny", [0.28, 0.25]),
    ];
    for (dataset, model, least) in least {
        let Some(dataset) = shared(dataset) else { continue };
        let report = run(["evaluate", text(&dataset), "--model", model, "--no-cache", "--json", "--quiet"]).good();
        let scores = &serde_json::from_str::<Value>(&report).unwrap()["overall"];
        let reached = [&scores["recall"]["recall1"], &scores["mAP"]].map(|value| value.as_f64().unwrap());
        assert!(reached[0] >= least[0] && reached[1] >= least[1], "{model}, {}: {reached:?}", dataset.display());
    }
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
