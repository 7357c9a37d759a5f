//! Gallery files: they are read as they were saved, damage is reported, and an old file is never lost.

use image_feature::gallery::{Entry, Gallery, Metric, ModelId, Storage};
use image_feature::weights::Tensor;
use image_feature::{Dtype, ErrorKind, Model};

use super::common::small_model;
use super::model::{METRICS, numbers};

fn gallery(metric: Metric, storage: Storage, dimension: usize, count: usize) -> Gallery {
    let mut gallery = Gallery::new(dimension, metric, storage).unwrap();
    let mut number = numbers(3);
    for id in 0..count {
        let vector: Vec<f32> = (0..dimension).map(|_| number()).collect();
        let entry = Entry::new(format!("é {id}")).metadata("n", id);
        gallery.add(if id % 2 == 0 { entry.label("a \"label\"\n") } else { entry }, &vector).unwrap();
    }
    gallery
}

fn content(gallery: &Gallery) -> Vec<(Entry, Vec<f32>)> {
    gallery.iter().map(|(entry, vector)| (entry.clone(), vector.into_owned())).collect()
}

#[test]
fn what_is_saved_comes_back() {
    for (metric, storage) in METRICS {
        for (dimension, count) in [(1, 1), (7, 0), (70, 3), (64, 2500)] {
            let mut original = gallery(metric, storage, dimension, count);
            if count > 2 {
                original.remove("é 1").unwrap();
                original.set_model(Some(ModelId { name: "a \"model\"\n".into(), hash: "0af".into() }));
            }
            let bytes = original.to_bytes().unwrap();
            let read = Gallery::from_bytes(&bytes).unwrap();
            assert_eq!((read.metric(), read.storage(), read.dimension()), (metric, storage, dimension));
            assert_eq!(content(&read), content(&original));
            assert_eq!(read.model(), original.model());
            assert_eq!(read.to_bytes().unwrap(), bytes);
            // other readers of safetensors find the tensors
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let entries: Vec<Entry> = serde_json::from_slice(tensors.tensor("entries").unwrap().data()).unwrap();
            assert_eq!(entries.len(), original.len());
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    for (metric, storage) in [(Metric::Cosine, Storage::F16), (Metric::Hamming, Storage::Bit)] {
        let mut original = gallery(metric, storage, 5, 3);
        original.set_model(Some(ModelId { name: "m".into(), hash: "0af".into() }));
        original.set_threshold(Some(0.71)).unwrap();
        let bytes = original.to_bytes().unwrap();
        for len in 0..bytes.len() {
            let error = Gallery::from_bytes(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Gallery, "{len}: {error}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Gallery::from_bytes(&longer).unwrap_err().to_string().contains("1 bytes follow"));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                match Gallery::from_bytes(&damaged) {
                    Err(error) => assert!(
                        matches!(error.kind(), ErrorKind::Gallery | ErrorKind::Unsupported),
                        "byte {at}, bit {bit}: {error}"
                    ),
                    // a blank of the header that became another blank
                    Ok(read) => {
                        assert_eq!(content(&read), content(&original), "byte {at}, bit {bit}");
                        assert_eq!(read.threshold(), original.threshold(), "byte {at}, bit {bit}");
                    }
                }
            }
        }
    }
}

/// A header that announces more than the file has takes no memory.
#[test]
fn promises_take_no_memory() {
    let bytes = gallery(Metric::L2, Storage::F32, 5, 3).to_bytes().unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + len].to_vec()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(header.contains(from), "{from} in {header}");
        let changed = header.replace(from, to);
        let mut file = (changed.len() as u64).to_le_bytes().to_vec();
        file.extend(changed.as_bytes());
        file.extend(&bytes[8 + len..]);
        Gallery::from_bytes(&file).unwrap_err()
    };
    for (from, to) in [
        ("\\\"count\\\":3", "\\\"count\\\":3000000000000000"),
        ("\\\"dimension\\\":5", "\\\"dimension\\\":60000"),
        ("\\\"metric\\\":\\\"l2\\\"", "\\\"metric\\\":\\\"ip\\\""),
        ("\"crc32\":\"", "\"crc32\":\"f"),
        ("\\\"version\\\":1", "\\\"version\\\":2"),
        ("image_feature_gallery", "image_feature_model"),
        ("\"shape\":[", "\"shape\":[1,"),
    ] {
        let error = with(from, to);
        assert!(matches!(error.kind(), ErrorKind::Gallery | ErrorKind::Unsupported), "{from}: {error}");
    }
    let mut named = gallery(Metric::L2, Storage::F32, 5, 3);
    named.set_model(Some(ModelId { name: "x".repeat(70_000), hash: String::new() }));
    assert_eq!(named.to_bytes().unwrap_err().kind(), ErrorKind::Limit, "what could not be read is not written");
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(Gallery::from_bytes(&huge).unwrap_err().kind(), ErrorKind::Gallery);
}

#[test]
fn saving_replaces_a_file_as_a_whole() {
    let folder = temp_dir::TempDir::new().unwrap();
    let path = folder.path().join("g.safetensors");
    let first = gallery(Metric::Cosine, Storage::F32, 8, 10);
    first.save(&path).unwrap();
    gallery(Metric::Cosine, Storage::F32, 8, 20).save(&path).unwrap();
    assert_eq!(Gallery::open(&path).unwrap().len(), 20);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    let error = first.save(folder.path().join("absent/g.safetensors")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let error = Gallery::open(folder.path().join("absent")).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
}

/// Saves the same file over and over until it is killed: the other half of the test below.
#[test]
fn save_until_killed() {
    let Some(path) = std::env::var_os("GALLERY_TO_SAVE") else { return };
    for count in (1..).map(|round| 400 + round % 7) {
        gallery(Metric::Cosine, Storage::F32, 256, count).save(&path).unwrap();
        println!("saved");
    }
}

#[test]
fn a_kill_while_saving_leaves_a_whole_file() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = temp_dir::TempDir::new().unwrap();
    let path = folder.path().join("g.safetensors");
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["files::save_until_killed", "--exact", "--nocapture"])
            .env("GALLERY_TO_SAVE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let saved = lines.by_ref().map_while(Result::ok).find(|line| line.ends_with("saved"));
        assert!(saved.is_some(), "it saves at least once");
        std::thread::sleep(std::time::Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let read = Gallery::open(&path).unwrap();
        assert!((400..407).contains(&read.len()));
    }
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let folder = temp_dir::TempDir::new().unwrap();
    let path = folder.path().join("g.safetensors");
    gallery(Metric::Cosine, Storage::F32, 8, 10).save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let failed = Gallery::change(&path, |gallery| {
        gallery.remove("é 1")?;
        gallery.remove("nosuch")
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let removed = Gallery::change(&path, |gallery| gallery.remove("é 1")).unwrap();
    assert_eq!(removed.id, "é 1");
    assert_eq!(Gallery::open(&path).unwrap().len(), 9);
    let absent = Gallery::change(folder.path().join("absent"), |_| Ok(()));
    assert_eq!(absent.unwrap_err().kind(), ErrorKind::Io);
    #[cfg(unix)]
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a lock is left");
}

/// Models with the same numbers are the same, whatever their names; any other number makes another model.
#[test]
fn a_model_is_known_by_what_it_computes() {
    let model = small_model(24);
    let id = ModelId::of(&model);
    assert_eq!((id.name.as_str(), id.hash.len()), ("small", 64));
    let bytes = model.to_safetensors(Dtype::F32).unwrap();
    assert_eq!(ModelId::of(&Model::from_bytes("copy", &bytes).unwrap()), id);
    let half = model.to_safetensors(Dtype::F16).unwrap();
    assert!(!ModelId::of(&Model::from_bytes("half", &half).unwrap()).is_same(&id));
    let mut renamed = model.clone();
    renamed.description.name = "other".into();
    assert!(ModelId::of(&renamed).is_same(&id) && ModelId::of(&renamed) != id);
    let mut prepared = model.clone();
    prepared.description.preprocess.normalize.mean[0] += 0.01;
    assert!(!ModelId::of(&prepared).is_same(&id));
    let (name, tensor) = model.tensors.iter().last().map(|(name, tensor)| (name.to_string(), tensor.clone())).unwrap();
    let mut trained = model.clone();
    trained.tensors.insert(name, Tensor { values: tensor.values.iter().map(|value| value + 0.1).collect(), ..tensor });
    assert!(!ModelId::of(&trained).is_same(&id));
}
