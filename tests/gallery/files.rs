//! Our own file: what is saved comes back, damage is told, and what was there before is never lost.

use image_feature::ErrorKind;
use image_feature::gallery::{Entry, Gallery, Metric, Storage};

use super::model::numbers;

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
    for (metric, storage) in [
        (Metric::Cosine, Storage::F32),
        (Metric::Cosine, Storage::I8),
        (Metric::Cosine, Storage::Bit),
        (Metric::InnerProduct, Storage::F16),
        (Metric::L2, Storage::F32),
        (Metric::Hamming, Storage::Bit),
    ] {
        for (dimension, count) in [(1, 1), (7, 0), (70, 3), (64, 2500)] {
            let mut original = gallery(metric, storage, dimension, count);
            if count > 2 {
                original.remove("é 1").unwrap();
            }
            let bytes = original.to_bytes().unwrap();
            let read = Gallery::from_bytes(&bytes).unwrap();
            assert_eq!((read.metric(), read.storage(), read.dimension()), (metric, storage, dimension));
            assert_eq!(content(&read), content(&original));
            assert_eq!(read.to_bytes().unwrap(), bytes);
            // others read it as what it is
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let entries: Vec<Entry> = serde_json::from_slice(tensors.tensor("entries").unwrap().data()).unwrap();
            assert_eq!(entries.len(), original.len());
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    for (metric, storage) in [(Metric::Cosine, Storage::F16), (Metric::Hamming, Storage::Bit)] {
        let original = gallery(metric, storage, 5, 3);
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
                    Ok(read) => assert_eq!(content(&read), content(&original), "byte {at}, bit {bit}"),
                }
            }
        }
    }
}

/// A header that promises more than there is must not be believed.
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
    let error = first.save(&folder.path().join("absent/g.safetensors")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let error = Gallery::open(&folder.path().join("absent")).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
}

/// Saves the same file over and over until it is killed: the other half of the test below.
#[test]
fn save_until_killed() {
    let Some(path) = std::env::var_os("GALLERY_TO_SAVE") else { return };
    for count in (1..).map(|round| 400 + round % 7) {
        gallery(Metric::Cosine, Storage::F32, 256, count).save(path.as_ref()).unwrap();
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
