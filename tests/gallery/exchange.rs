//! Formats of other programs: PaddleX's index folders, JSON lines, `.npy`.

use std::path::PathBuf;

use image_feature::ErrorKind;
use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage, faiss, json_lines, npy, paddlex};
use serde_json::Value;

use super::common::{golden, shared};

fn index_files(name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder: PathBuf = shared("golden/index")?.join(name);
    Some((std::fs::read(folder.join(paddlex::VECTORS)).unwrap(), std::fs::read(folder.join(paddlex::LABELS)).unwrap()))
}

/// The result of PaddleX's indexer for a query: labels and scores of all hits, or nothing.
fn paddlex_hits(gallery: &Gallery, query: &[f32]) -> Option<Vec<(String, f32)>> {
    let hits = gallery.search(query, Search { k: 3, ..Search::default() }).unwrap();
    // also with metrics where less is nearer
    (hits[0].score >= 0.5).then(|| hits.iter().map(|hit| (hit.entry.label.clone().unwrap(), hit.score)).collect())
}

#[test]
fn indexes_of_paddlex_give_the_same_hits() {
    let Some(root) = shared("golden") else { return };
    let index: Value = serde_json::from_slice(&std::fs::read(root.join("index/index.json")).unwrap()).unwrap();
    let features = golden("features/PP-ShiTuV2_rec_features.safetensors");
    for name in ["IP_Flat", "IP_HNSW32", "L2_Flat"] {
        let (vectors, labels) = index_files(name).unwrap();
        for storage in [Storage::F32, Storage::F16, Storage::I8] {
            let gallery = paddlex::read(&vectors, &labels, storage).unwrap();
            assert_eq!((gallery.len(), gallery.dimension()), (7, 512));
            // the gallery's own images are the first queries
            let own: Vec<Vec<f32>> = gallery.iter().map(|(_, vector)| vector.into_owned()).collect();
            for (number, case) in index[name]["search_thr0.5_top3"].as_array().unwrap().iter().enumerate() {
                let query = case["query"].as_str().unwrap();
                let feature = own
                    .get(number)
                    .cloned()
                    .or_else(|| features.as_ref()?.get(&format!("{query}/predict/feature")).cloned());
                let Some(feature) = feature else {
                    // the one image without a saved feature
                    assert_eq!(query, "rgba_300x200.png");
                    continue;
                };
                let found = paddlex_hits(&gallery, &feature);
                match (&case["label"], found) {
                    (Value::Null, None) => {}
                    (Value::Array(expected), Some(found)) => {
                        let found_labels: Vec<&str> = found.iter().map(|(label, _)| label.as_str()).collect();
                        let expected: Vec<&str> = expected.iter().map(|label| label.as_str().unwrap()).collect();
                        assert_eq!(found_labels, expected, "{name}, {query}");
                        for ((_, score), expected) in found.iter().zip(case["score"].as_array().unwrap()) {
                            let expected = expected.as_f64().unwrap() as f32;
                            assert!((score - expected).abs() < 1e-6, "{name}, {query}: {score} for {expected}");
                        }
                    }
                    (expected, found) => panic!("{name}, {query}: {found:?} for {expected}"),
                }
            }
        }
    }
}

#[test]
fn flat_indexes_are_written_byte_by_byte_as_paddlex_does() {
    for name in ["IP_Flat", "L2_Flat"] {
        let Some((vectors, labels)) = index_files(name) else { return };
        let gallery = paddlex::read(&vectors, &labels, Storage::F32).unwrap();
        let (written, names) = paddlex::write(&gallery).unwrap();
        assert!(written == vectors, "{name}");
        assert_eq!(names.as_bytes(), labels);
    }
}

#[test]
fn ids_are_appended_and_removed_as_in_paddlex() {
    let Some((vectors, labels)) = index_files("IP_Flat") else { return };
    let mut gallery = paddlex::read(&vectors, &labels, Storage::F32).unwrap();
    let again: Vec<Vec<f32>> = gallery.iter().map(|(_, vector)| vector.into_owned()).collect();
    for (number, vector) in again.iter().enumerate() {
        gallery.add(Entry::new((7 + number).to_string()).label(format!("label_{number}")), vector).unwrap();
    }
    gallery.remove("0").unwrap();
    gallery.remove("2").unwrap();
    let (written, _) = paddlex::write(&gallery).unwrap();
    assert_eq!(faiss::read(&written).unwrap().ids, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
}

#[test]
fn an_ivf_index_without_vectors_says_so() {
    let Some((vectors, labels)) = index_files("IP_IVF") else { return };
    let error = paddlex::read(&vectors, &labels, Storage::F32).unwrap_err();
    assert!(error.to_string().contains("7 ids for 0 vectors"), "{error}");
}

/// Made by `make_faiss_files.py`: 40 vectors of 4 values, in FAISS's own order.
#[test]
fn vectors_come_out_of_every_kind_of_index() {
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gallery/files");
    let read = |name: &str| faiss::read(&std::fs::read(files.join(name)).unwrap()).unwrap();
    let flat = read("flat.index");
    assert_eq!((flat.dimension, flat.ids.len(), flat.l2), (4, 40, true));
    assert_eq!(flat.vectors[..4], [0.0, 0.0, 0.0, 0.0]);
    assert_eq!(flat.vectors[4 * 39..], [39.0, 19.5, 78.0, 4.0]);
    for name in ["ivf.index", "hnsw.index"] {
        assert_eq!(read(name), flat, "{name}");
    }
}

#[test]
fn truncated_and_damaged_indexes_are_refused() {
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gallery/files");
    for name in ["flat.index", "ivf.index", "hnsw.index"] {
        let bytes = std::fs::read(files.join(name)).unwrap();
        for len in 0..bytes.len() {
            let error = faiss::read(&bytes[..len]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Gallery | ErrorKind::Unsupported), "{name} {len}: {error}");
        }
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                // an error or other vectors, but no panic and no great memory
                if let Ok(read) = faiss::read(&damaged) {
                    assert!(read.vectors.len() <= bytes.len());
                }
            }
        }
    }
    let error = faiss::read(b"IxPQ and so on").unwrap_err();
    assert!(error.to_string().contains("`IxPQ`"), "{error}");
}

#[test]
fn labels_and_ids_survive_the_way_through_an_index() {
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    gallery.add(Entry::new("12").label("yes"), &[1.0, 0.0]).unwrap();
    gallery.add(Entry::new("3").label("茶 \"x\": 1"), &[0.6, 0.8]).unwrap();
    gallery.add(Entry::new("7"), &[0.0, 1.0]).unwrap();
    let (vectors, labels) = paddlex::write(&gallery).unwrap();
    let read = paddlex::read(&vectors, labels.as_bytes(), Storage::F32).unwrap();
    let entries: Vec<(&str, Option<&str>)> =
        read.iter().map(|(entry, _)| (entry.id.as_str(), entry.label.as_deref())).collect();
    assert_eq!(entries, [("12", Some("yes")), ("3", Some("茶 \"x\": 1")), ("7", Some("7"))]);
    // one id that is no number: all are numbered
    gallery.add(Entry::new("007"), &[0.5, 0.5]).unwrap();
    let (vectors, _) = paddlex::write(&gallery).unwrap();
    assert_eq!(faiss::read(&vectors).unwrap().ids, [0, 1, 2, 3]);
    let error = paddlex::read(&vectors, labels.as_bytes(), Storage::F32).unwrap_err();
    assert!(error.to_string().contains("4 vectors"), "{error}");
    let hamming = Gallery::new(2, Metric::Hamming, Storage::Bit).unwrap();
    assert_eq!(paddlex::write(&hamming).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn json_lines_bring_everything_back() {
    let mut gallery = Gallery::new(3, Metric::InnerProduct, Storage::F32).unwrap();
    gallery.add(Entry::new("a\n").label("x").metadata("k", vec![1, 2]), &[0.1, -3e-20, 1.5e9]).unwrap();
    gallery.add(Entry::new("b"), &[f32::MIN_POSITIVE, 0.3, -0.0]).unwrap();
    for (line, (entry, vector)) in json_lines::lines(&gallery).zip(gallery.iter()) {
        assert!(!line.contains('\n'));
        let (read, values) = json_lines::read_line(&line).unwrap().unwrap();
        assert_eq!((&read, values.as_slice()), (entry, vector.as_ref()));
    }
    let predicted = r#"{"input_path": "a/b.jpg", "page_index": null, "feature": [1.0, 2e-05]}"#;
    assert_eq!(json_lines::read_line(predicted).unwrap().unwrap(), (Entry::new("a/b.jpg"), vec![1.0, 2e-5]));
    assert_eq!(json_lines::read_line(r#"{"input_path": "x", "error": "no image", "kind": "decode"}"#).unwrap(), None);
    for line in ["", "{}", "[1]", r#"{"id": 5, "feature": []}"#, r#"{"id": "a", "feature": ["x"]}"#] {
        assert_eq!(json_lines::read_line(line).unwrap_err().kind(), ErrorKind::Gallery, "{line}");
    }
}

#[test]
fn npy_files_are_read_as_numpy_writes_them() {
    let file = |version: &[u8], header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend(version);
        bytes.extend(&(header.len() as u32).to_le_bytes()[..if version[0] == 1 { 2 } else { 4 }]);
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    };
    let header = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}   \n")
    };
    let two = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
    let read = |descr: &str, order: &str, shape: &str, data: &[u8]| {
        npy::read(&file(&[1, 0], &header(descr, order, shape), data))
    };
    assert_eq!(read("<f4", "False", "1, 2", &two).unwrap(), npy::Matrix { columns: 2, values: vec![1.5, -2.0] });
    assert_eq!(read("<f4", "True", "2, 1", &two).unwrap(), npy::Matrix { columns: 1, values: vec![1.5, -2.0] });
    assert_eq!(read("<f4", "False", "2,", &two).unwrap().columns, 2);
    assert_eq!(read("<f8", "False", "1, 1", &0.25f64.to_le_bytes()).unwrap().values, [0.25]);
    assert_eq!(read("<f2", "False", "1, 1", &0x3c00u16.to_le_bytes()).unwrap().values, [1.0]);
    assert_eq!(npy::read(&file(&[2, 0], &header("<f4", "False", "2, 1"), &two)).unwrap().columns, 1);
    for (descr, order, shape, part) in [
        ("<i8", "False", "1, 1", "`<i8`"),
        (">f4", "False", "1, 2", "`>f4`"),
        ("<f4", "False", "1, 2, 1", "a matrix is needed"),
        ("<f4", "False", "3, 2", "8 bytes for 3 x 2"),
        ("<f4", "False", "4611686018427387904, 4", "damaged"),
        ("<f8", "True", "2, 2", "Fortran"),
    ] {
        let error = read(descr, order, shape, &two).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let whole = npy::write(&npy::Matrix { columns: 2, values: vec![1.0; 4] });
    for len in 0..whole.len() {
        assert!(npy::read(&whole[..len]).is_err(), "{len}");
    }
}
