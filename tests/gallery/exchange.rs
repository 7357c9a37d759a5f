//! Formats of other programs: PaddleX's index folders, JSON lines, `.npy`.

use std::path::PathBuf;

use image_feature::ErrorKind;
use image_feature::gallery::{
    Entry, Gallery, Metric, ModelId, Search, Storage, beside, faiss, json_lines, npy, npz, paddlex,
};
use serde_json::{Value, json};

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

fn file(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gallery/files").join(name)).unwrap()
}

/// FAISS leaves gaps in the numbers of an IVF index: the ids go by rank. FAISS itself searches such an index wrongly.
#[test]
fn removed_vectors_leave_the_others_at_their_ids() {
    let whole = faiss::read(&file("flat.index")).unwrap();
    let left = faiss::read(&file("ivf-removed.index")).unwrap();
    let kept: Vec<usize> = (0..40).filter(|at| ![0, 17, 39].contains(at)).collect();
    assert_eq!(left.ids, kept.iter().map(|&at| whole.ids[at]).collect::<Vec<_>>());
    assert_eq!(left.vectors, kept.iter().flat_map(|&at| whole.vectors[4 * at..][..4].to_vec()).collect::<Vec<_>>());
    assert_eq!(faiss::read(&file("ivf-alone.index")).unwrap(), whole);
    let error = faiss::read(&file("ivf-mixed.index")).unwrap_err();
    assert!(error.is_gallery() && error.to_string().contains("build it again"), "{error}");
}

#[test]
fn indexes_of_paddleclas_have_their_labels_in_a_pickle() {
    let vectors = file("hnsw.index");
    let read = paddlex::read_named(&vectors, "id_map.pkl", &file("lines.pkl"), Storage::F32).unwrap();
    assert_eq!((read.len(), read.metric(), read.model()), (40, Metric::L2, None));
    let expected = Entry::new("56").label("green tea 56").metadata("path", "gallery/56.jpg");
    assert_eq!(read.get("56"), Some(&expected));
    assert_eq!(read.vector("56").unwrap()[..], [17.0, 8.5, 34.0, 3.0]);
    for (labels, label) in [("labels-2.pkl", "茶 5"), ("labels-5.pkl", "tea 5")] {
        let read = paddlex::read(&vectors, &file(labels), Storage::F32).unwrap();
        assert_eq!(read.get("5"), Some(&Entry::new("5").label(label)), "{labels}");
    }
    let alone = paddlex::read_vectors(&vectors, Storage::F32).unwrap();
    assert_eq!((alone.len(), alone.get("122")), (40, Some(&Entry::new("122"))));
    // nothing is run, and nothing is guessed
    for (labels, part) in [
        (&b"\x80\x04N."[..], "no dictionary"),
        (b"\x80\x04}.", "40 vectors, id_map.pkl has 0 labels"),
        (b"\x80\x04}(K\x01K\x02u.", "the label of id 1 is no text"),
        (b"\x80\x04}(\x8c\x01aK\x02u.", "an id is no whole number"),
        (b"\x80\x04}(K\x01\x8c\x01aK\x01\x8c\x01bu.", "id 1 is there twice"),
        (b"\x80\x04cos\nsystem\n\x8c\x02ls\x85R.", "`os.system`"),
        (b"\x80\x09}.", "protocol 9"),
        (b"\x80\x04}", "truncated"),
    ] {
        let error = paddlex::read_named(&vectors, "id_map.pkl", labels, Storage::F32).unwrap_err();
        assert!(error.to_string().contains(part) && !error.is_model(), "{part}: {error}");
    }
    let lines = file("lines.pkl");
    for len in 0..lines.len() {
        assert!(paddlex::read(&vectors, &lines[..len], Storage::F32).is_err(), "{len}");
    }
}

#[test]
fn the_model_survives_every_format() {
    let model = ModelId { name: "tea: \"x\"".into(), hash: "0123456789".repeat(6) };
    let mut gallery = Gallery::new(2, Metric::InnerProduct, Storage::F32).unwrap();
    gallery.add(Entry::new("0").label("tea"), &[1.0, 0.0]).unwrap();
    gallery.add(Entry::new("1").label("cup"), &[0.6, 0.8]).unwrap();
    for known in [None, Some(model.clone())] {
        gallery.set_model(known.clone());
        let (vectors, labels) = paddlex::write(&gallery).unwrap();
        assert_eq!(paddlex::read(&vectors, labels.as_bytes(), Storage::F32).unwrap().model(), known.as_ref());
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        json_lines::write(&gallery, &mut lines).unwrap();
        let read = json_lines::read(&mut &*lines, Metric::InnerProduct, Storage::F32).unwrap();
        assert_eq!((read.model(), read.get("1")), (known.as_ref(), gallery.get("1")));
        json_lines::write_entries(&gallery, &mut entries).unwrap();
        let rows = beside::Rows::read("a.jsonl", &entries).unwrap();
        assert_eq!((rows.model, &rows.entries[1]), (known, gallery.get("1").unwrap()));
    }
    let other = ModelId { hash: "f".repeat(64), ..model.clone() };
    gallery.check_model(&model).unwrap();
    assert!(gallery.check_model(&other).unwrap_err().to_string().contains("another model"));
    gallery.set_model(None);
    assert!(gallery.check_model(&model).unwrap_err().to_string().contains("does not know"));
}

#[test]
fn arrays_of_numpy_give_ids_and_labels() {
    let entries = |gallery: &Gallery| gallery.iter().map(|(entry, _)| entry.clone()).collect::<Vec<_>>();
    let read = |name: &str| npz::read(&file(name), Metric::InnerProduct, Storage::F32);
    let shop = read("shop.npz").unwrap();
    let expected = [("a.jpg", "tea"), ("茶/b.jpg", "tea"), ("c.jpg", "cup")];
    assert_eq!(entries(&shop), expected.map(|(id, label)| Entry::new(id).label(label)));
    assert_eq!(shop.vector("c.jpg").unwrap()[..], [3.0, 1.5, 6.0, 3.0]);
    let numbered = read("numbered.npz").unwrap();
    assert_eq!(entries(&numbered), ["7", "-1", "4611686018427387904"].map(Entry::new));
    assert_eq!(entries(&read("alone.npz").unwrap()), ["0", "1", "2"].map(Entry::new));
    for (name, parts) in [("two.npz", ["`arr_0`", "`arr_1`"]), ("objects.npz", ["ids.npy", "dtype=str"])] {
        let error = read(name).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let whole = file("shop.npz");
    for len in 0..whole.len() {
        assert!(npz::read(&whole[..len], Metric::Cosine, Storage::F32).is_err(), "{len}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = npz::read(&damaged, Metric::InnerProduct, Storage::F32); // an error or not, but no panic
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
fn json_lines_have_many_names() {
    let read = |line: &str| json_lines::read_line(line).unwrap().unwrap();
    for key in ["feature", "embedding", "vector", "rec_feature", "features", "embeddings", "vectors"] {
        for list in ["[0.5, 2]", "[[0.5, 2]]", "[[[0.5, 2]]]"] {
            assert_eq!(read(&format!(r#"{{"id": "a", "{key}": {list}}}"#)), (Entry::new("a"), vec![0.5, 2.0]));
        }
    }
    let result = r#"{"res": {"input_path": "a.jpg", "page_index": null, "feature": [1, 2]}}"#;
    assert_eq!(read(result), (Entry::new("a.jpg"), vec![1.0, 2.0]));
    // numbers keep their text, and no field is lost
    let (entry, _) = read(
        r#"{"id": 18446744073709551615, "label": -7, "path": "x/y.jpg", "price": 2.5, "metadata": {"shop": "north"}, "meta": {"a": [1]},
            "model": "text-embedding-3", "vector": [1], "features": {"colour": "red"}}"#,
    );
    assert_eq!((entry.id.as_str(), entry.label.as_deref()), ("18446744073709551615", Some("-7")));
    let metadata = json!({
        "path": "x/y.jpg", "price": 2.5, "shop": "north", "a": [1], "model": "text-embedding-3", "features": {"colour": "red"}
    });
    assert_eq!(Value::from(entry.metadata), metadata);
    for (line, part) in [
        (r#"{"feature": [1]}"#, "no `id`"),
        (r#"{"id": "a"}"#, "no vector"),
        (r#"{"id": "a", "feature": [1], "vector": [1]}"#, "`feature` and `vector` both"),
        (r#"{"id": "a", "feature": [[1], [2]]}"#, "holds 2 vectors"),
        (r#"{"id": "a", "feature": [1, null]}"#, "null as value 1"),
        (r#"{"id": "a", "embedding": "AAAA"}"#, "`embedding` is no list"),
        (r#"{"id": "a", "id": "b", "feature": [1]}"#, "`id` is there twice"),
        (r#"{"id": 1e30, "feature": [1]}"#, "put it into quotes"),
        (r#"{"id": true, "feature": [1]}"#, "`id` is no text"),
        (r#"{"id": "a", "label": ["x"], "feature": [1]}"#, "`label` is no text"),
        (r#"{"id": "a", "price": 1, "metadata": {"price": 2}, "feature": [1]}"#, "`price` is there twice"),
        (r#"{"id": "a", "res": {"id": "b", "feature": [1]}}"#, "`id` is there twice"),
        ("{", "jq -c"),
    ] {
        let error = json_lines::read_line(line).unwrap_err();
        assert!(error.is_gallery() && error.to_string().contains(part), "{line}: {error}");
    }
}

#[test]
fn every_line_is_taken_or_told() {
    let read = |text: &str| json_lines::read_counting(&mut text.as_bytes(), Metric::InnerProduct, Storage::F32);
    let model = r#"{"model": {"name": "m", "hash": "01"}}"#;
    let line = |id: &str, more: &str| format!("{{\"id\": \"{id}\", \"feature\": [1, 2]{more}}}\n");
    let by = |hash: &str| format!(", \"model\": {{\"name\": \"m\", \"hash\": \"{hash}\"}}");
    let text = format!(
        "\u{feff}{model}\n{}\n{{\"input_path\": \"x\", \"error\": \"no image\"}}\n{}",
        line("a", ""),
        line("b", &by("01"))
    );
    let (gallery, failed) = read(&text).unwrap();
    assert_eq!((gallery.len(), failed, gallery.model().unwrap().hash.as_str()), (2, 1, "01"));
    for (text, part) in [
        (line("a", &by("01")) + &line("b", &by("02")), "line 2: its vector was made by m (02)"),
        (line("a", &by("01")) + &line("b", ""), "line 2: no `model`"),
        (line("a", "") + &line("b", &by("01")), "line 2: names the model"),
        (line("a", "") + "{\"id\": \"b\", \"embeding\": [1, 2]}", "line 2: no vector"),
        (line("a", "") + "\n" + &line("a", ""), "line 3: id `a`"),
        ("{\"input_path\": \"x\", \"error\": \"y\"}".into(), "no vectors, only 1 image"),
        ("{\"id\":\"a\",\"feature\":[1e39]}".into(), "line 1: id `a`: value 0"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.is_gallery() && error.to_string().contains(part), "{part}: {error}");
    }
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = json_lines::read(&mut &*utf16, Metric::Cosine, Storage::F32).unwrap_err();
    assert!(error.to_string().contains("UTF-16; save it as UTF-8"), "{error}");
    assert!(json_lines::read(&mut &b""[..], Metric::L2, Storage::Bit).unwrap_err().is_usage());
}

#[test]
fn rows_that_are_no_vectors_are_named() {
    let matrix = |values: &[f32]| npy::Matrix { columns: 2, values: values.to_vec() };
    for (values, part) in [
        (&[1.0, 0.0, 2.0, f32::NAN][..], "row 1 (the first is 0): value 1 of the vector is NaN"),
        (&[f32::INFINITY, 0.0], "row 0 (the first is 0): value 0 of the vector is inf"),
        (&[1.0, 0.0, 0.0, 0.0], "row 1 (the first is 0): a vector of zeros"),
    ] {
        let error = matrix(values).to_gallery(None, Metric::Cosine, Storage::F32).unwrap_err();
        assert!(error.is_gallery() && error.to_string().contains(part), "{error}");
    }
    assert!(matrix(&[1.0, 2.0]).to_gallery(None, Metric::L2, Storage::Bit).unwrap_err().is_usage());
    assert!(
        npy::Matrix { columns: 0, values: vec![] }.to_gallery(None, Metric::L2, Storage::F32).unwrap_err().is_gallery()
    );
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
