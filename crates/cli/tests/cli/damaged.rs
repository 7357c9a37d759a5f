//! Images that are damaged, lie on their side, or make a decoder fail, on each command that makes vectors of them. With the model
//! that comes with the program.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::program::{Run, run, text};

/// A file of the library's tests of images.
fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/image/files").join(name)).unwrap()
}

/// A folder of class folders: `cup/a.jpg` is cut, the others are whole.
fn photos() -> temp_dir::TempDir {
    let folder = temp_dir::TempDir::new().unwrap();
    for (path, name) in
        [("cup/a.jpg", "baseline_cut_50.jpg"), ("cup/b.jpg", "baseline_444.jpg"), ("tea/c.png", "rgb8.png")]
    {
        let path = folder.path().join("photos").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file(name)).unwrap();
    }
    folder
}

fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn predict_tells_damage_and_refuses_it_where_that_is_wanted() {
    let folder = photos();
    let photos = folder.path().join("photos");
    let ended = run(["predict", text(&photos), "--json", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = lines(&ended);
    assert_eq!(found.len(), 3);
    assert!(found[0]["damaged"].as_str().unwrap().contains("decoded"), "{}", found[0]["damaged"]);
    assert!(found[1].get("damaged").is_none() && found[2].get("damaged").is_none());
    assert!(
        ended.stderr.contains("warning: 1 of 3 images is damaged") && ended.stderr.contains("a.jpg ("),
        "{ended:?}"
    );

    let strict = run(["predict", text(&photos), "--json", "--quiet", "--strict"]);
    let found = lines(&strict);
    assert_eq!((strict.code, found.len()), (Some(1), 3), "{strict:?}");
    assert_eq!(found[0]["kind"], "decode");
    assert!(found[0]["error"].as_str().unwrap().starts_with("the image is damaged: "), "{}", found[0]["error"]);

    // PaddleX's form has PaddleX's fields
    let saved = folder.path().join("saved");
    run(["predict", text(&photos), "--save", text(&saved)]).good();
    let saved: Value = serde_json::from_slice(&std::fs::read(saved.join("cup/a_res.json")).unwrap()).unwrap();
    assert_eq!(saved.as_object().unwrap().keys().collect::<Vec<_>>(), ["feature", "input_path", "page_index"]);
}

#[test]
fn files_without_their_end_are_damaged() {
    let folder = temp_dir::TempDir::new().unwrap();
    let end_marks =
        [("plain.gif", 1), ("lossless.webp", 0), ("rle8_no_end.bmp", 0), ("baseline_no_end.jpg", 0), ("rgb24.bmp", 1)];
    for (name, cut) in end_marks {
        let path = folder.path().join(name);
        let mut bytes = file(name);
        if name.ends_with(".webp") {
            // two bytes more are announced than there are
            bytes[4] += 2;
        }
        bytes.truncate(bytes.len() - cut);
        std::fs::write(&path, bytes).unwrap();
        let ended = run(["predict", text(&path), "--json"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(lines(&ended)[0]["damaged"].is_string(), "{name}: {ended:?}");
    }
}

#[test]
fn galleries_and_metrics_tell_damage_each_time() {
    let folder = photos();
    let (photos, gallery) = (folder.path().join("photos"), folder.path().join("a.safetensors"));
    let gallery = text(&gallery);
    let built = run(["gallery", "build", text(&photos), "--output", gallery, "--quiet"]);
    assert_eq!(built.code, Some(0), "{built:?}");
    assert!(built.stderr.contains("1 of 3 images is damaged"), "{built:?}");
    let strict = run(["gallery", "build", text(&photos), "--output", gallery, "--force", "--strict"]);
    assert_eq!(strict.code, Some(1), "{strict:?}");
    assert!(strict.stderr.contains("the image is damaged") && strict.stderr.contains("2 images in"), "{strict:?}");
    let added = run(["gallery", "add", gallery, text(&photos.join("cup")), "--quiet"]);
    assert!(added.stderr.contains("damaged"), "{added:?}");
    let found = run(["gallery", "search", gallery, text(&photos.join("cup/a.jpg")), "--strict"]);
    assert_eq!(found.code, Some(1), "{found:?}");

    let rows = "cup/a.jpg 0\ncup/b.jpg 0\ntea/c.png 1\n";
    for list in ["train", "gallery", "query"] {
        std::fs::write(photos.join(format!("{list}.txt")), rows).unwrap();
    }
    for _ in 0..2 {
        let evaluated = run(["evaluate", text(&photos), "--quiet", "--recall", "1"]);
        assert_eq!(evaluated.code, Some(0), "{evaluated:?}");
        assert!(evaluated.stderr.contains("1 of "), "{evaluated:?}");
        let strict = run(["evaluate", text(&photos), "--quiet", "--recall", "1", "--strict"]);
        assert_eq!(strict.code, Some(1), "{strict:?}");
    }
}

/// A `.tar.gz` of the photos, whose checksum is wrong.
fn wrong_checksum(folder: &Path, name: &str, entries: &[(&str, Vec<u8>)]) -> PathBuf {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar.into_inner().unwrap()).unwrap();
    let mut bytes = gz.finish().unwrap();
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_wrong_checksum_of_an_archive_is_told() {
    let folder = temp_dir::TempDir::new().unwrap();
    let (first, second) = (file("rgb8.png"), file("baseline_444.jpg"));
    let rows = b"images/a.png 0\nimages/b.jpg 1\n".to_vec();
    let entries = [
        ("images/a.png", first),
        ("images/b.jpg", second),
        ("gallery.txt", rows.clone()),
        ("query.txt", rows.clone()),
        ("train.txt", rows),
    ];
    let path = wrong_checksum(folder.path(), "photos.tar.gz", &entries);
    let ended = run(["predict", text(&path), "--json", "--quiet"]);
    let found = lines(&ended);
    assert_eq!((ended.code, found.len()), (Some(1), 3), "{ended:?}");
    assert!(found[2]["error"].as_str().unwrap().contains("checksum over the whole is wrong"), "{}", found[2]);
    let gallery = folder.path().join("a.safetensors");
    let built = run(["gallery", "build", text(&path), "--output", text(&gallery)]);
    assert_eq!(built.code, Some(1), "{built:?}");
    assert!(built.stderr.contains("checksum") && built.stderr.contains("2 images in"), "{built:?}");
    let evaluated = run(["evaluate", text(&path), "--quiet", "--no-cache", "--recall", "1"]);
    assert_eq!(evaluated.code, Some(1), "{evaluated:?}");
    assert!(evaluated.stderr.contains("warning: ") && evaluated.stderr.contains("checksum"), "{evaluated:?}");

    let default = folder.path().join("model.safetensors");
    run(["model", "convert", "default", "--output", text(&default)]);
    if let Ok(model) = std::fs::read(&default) {
        let model = wrong_checksum(folder.path(), "model.tar.gz", &[("model.safetensors", model)]);
        let ended = run(["predict", text(&folder.path().join("photos.tar.gz")), "--model", text(&model)]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("model.tar.gz") && ended.stderr.contains("checksum"), "{ended:?}");
    }
}

#[test]
fn photos_are_turned_as_by_opencv_or_as_wanted() {
    let folder = temp_dir::TempDir::new().unwrap();
    let turned = folder.path().join("turned.webp");
    std::fs::write(&turned, file("turned_chunk.webp")).unwrap();
    let feature = |arguments: &[&str]| {
        let ended = run(["predict", text(&turned), "--json", "--quiet"].iter().chain(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        lines(&ended)[0]["feature"].clone()
    };
    let usual = feature(&[]);
    assert_eq!(usual, feature(&["--orientation", "opencv"]));
    assert_eq!(usual, feature(&["--orientation", "none"]));
    assert_ne!(usual, feature(&["--orientation", "exif"]));
    run(["predict", text(&turned), "--orientation", "up"]).fails(2, &["`up` is not opencv, exif or none"]);

    // a gallery and its queries follow the same rule
    let gallery = folder.path().join("a.safetensors");
    run(["gallery", "build", text(&turned), "--output", text(&gallery), "--orientation", "exif"]).good();
    let score = |rule: &str| {
        let found = run(["gallery", "search", text(&gallery), text(&turned), "--json", "--orientation", rule]).good();
        serde_json::from_str::<Value>(&found).unwrap()["hits"][0]["score"].as_f64().unwrap()
    };
    assert!(score("exif") > 0.9999, "{}", score("exif"));
    assert!(score("none") < 0.999, "{}", score("none"));
}

#[test]
fn tiles_that_the_edge_cuts_are_no_bug() {
    let folder = temp_dir::TempDir::new().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, file("tiled_planar_rgb8.tif")).unwrap();
    let ended = run(["predict", text(&path)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let heic = folder.path().join("b.jpg");
    std::fs::write(&heic, b"\0\0\0\x1cftypheic\0\0\0\0mif1heic").unwrap();
    run(["predict", text(&heic)]).fails(1, &["this is a HEIC image", "convert it to JPEG or PNG"]);
}
