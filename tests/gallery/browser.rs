//! Gallery files for the tests in browsers, and their expected contents; `tests/browser/gallery.test.mjs` reads them.
//!
//! `MAKE_GALLERY_FILES=1 cargo test --features gallery --test gallery browser` writes them again and then fails, so that
//! it cannot pass by accident.

use std::path::PathBuf;

use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
use serde_json::{Value, json};

const DIMENSION: usize = 16;
const COUNT: usize = 60;
const QUERIES: usize = 5;
const K: usize = 7;

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gallery/files").join(name)
}

/// Values that an f32 holds exactly.
fn vectors(count: usize, mut state: u32) -> Vec<f32> {
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 24) as u8) / 64.0 - 2.0
    };
    (0..count * DIMENSION).map(|_| value()).collect()
}

fn entries() -> Vec<Entry> {
    let entry = |number: usize| {
        let entry = Entry::new(format!("Dose {number} \u{1f375}")).metadata("price", number as f64 / 4.0);
        if number % 6 == 5 { entry } else { entry.label(["Tee", "Tasse", "\"Kanne\""][number % 3]) }
    };
    (0..COUNT).map(entry).collect()
}

#[test]
fn files_and_hits_are_those_that_browsers_are_held_to() {
    let queries = vectors(QUERIES, 7);
    let mut expected = json!({ "queries": queries, "k": K });
    let mut files = Vec::new();
    for (metric, storage) in [
        (Metric::Cosine, Storage::F32),
        (Metric::InnerProduct, Storage::F16),
        (Metric::L2, Storage::I8),
        (Metric::Hamming, Storage::Bit),
    ] {
        let mut gallery = Gallery::new(DIMENSION, metric, storage).unwrap();
        gallery.extend(entries(), &vectors(COUNT, 1)).unwrap();
        // two equal vectors; the second takes the row of a removed one
        gallery.remove("Dose 3 \u{1f375}").unwrap();
        let first = gallery.vector("Dose 0 \u{1f375}").unwrap().into_owned();
        gallery.add(Entry::new("copy"), &first).unwrap();
        let hits = gallery.search_many(&queries, Search { k: K, ..Search::default() }).unwrap();
        let hits: Vec<Value> = hits
            .iter()
            .map(|hits| hits.iter().map(|hit| json!([hit.entry.id, hit.score])).collect::<Value>())
            .collect();
        let name = format!("{metric}-{storage}");
        expected[&name] = json!(hits);
        files.push((format!("{name}.safetensors"), gallery.to_bytes().unwrap()));
    }
    files.push(("hits.json".into(), format!("{expected:#}\n").into_bytes()));
    if std::env::var_os("MAKE_GALLERY_FILES").is_some() {
        for (name, bytes) in &files {
            std::fs::write(place(name), bytes).unwrap();
        }
        panic!("the files are written; look at what has changed in them");
    }
    for (name, bytes) in files {
        assert!(std::fs::read(place(&name)).unwrap() == bytes, "{name} is another");
    }
}
