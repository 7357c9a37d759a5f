//! Archives, folders and loose files: each gives the same model, and an error where a part is missing.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image_feature::weights::Tensors;
use image_feature::{Dtype, ErrorKind, Model, Result};

use super::pickles::pickled;
use super::support::{expect_error, golden, pir, report};
use super::{small, support};

type Files = Vec<(String, Vec<u8>)>;

fn tar(files: &Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // Not `set_path`, which refuses the names that a hostile archive has.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    gz_with(bytes, flate2::Compression::fast())
}

fn gz_with(bytes: &[u8], level: flate2::Compression) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &Files, method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn deflated(files: &Files) -> Vec<u8> {
    zip(files, zip::CompressionMethod::Deflated)
}

fn small_files(folder: &str) -> Option<Files> {
    let files = small::exported()?.files().into_iter();
    Some(files.map(|(name, bytes)| (format!("{folder}{name}"), bytes)).collect())
}

#[test]
fn archives_hold_the_model() {
    let Some(plain) = small_files("PP-ShiTuV2_rec_infer/") else { return };
    let mut crowded = vec![
        ("__MACOSX/PP-ShiTuV2_rec_infer/inference.json".into(), b"shadow".to_vec()),
        ("PP-ShiTuV2_rec_infer/._inference.pdiparams".into(), b"shadow".to_vec()),
        ("README.md".into(), b"read me".to_vec()),
        ("PP-ShiTuV2_rec_infer/inference.pdiparams.info".into(), b"\x80\x04}.".to_vec()),
        ("config.json".into(), b"{}".to_vec()),
    ];
    crowded.extend(plain.clone());
    let deep = small_files("../../a/b/c/").unwrap();
    let windows: Files = plain.iter().map(|(name, bytes)| (name.replace('/', "\\"), bytes.clone())).collect();
    let stored = zip(&plain, zip::CompressionMethod::Stored);
    let cases = [
        ("tar", tar(&plain)),
        ("tar.gz", gz(&tar(&plain))),
        ("zip", deflated(&plain)),
        ("stored zip", stored),
        ("crowded tar", tar(&crowded)),
        ("crowded tar.gz", gz(&tar(&crowded))),
        ("crowded zip", deflated(&crowded)),
        ("deep tar", tar(&deep)),
        ("deep zip", deflated(&deep)),
        ("zip from Windows", deflated(&windows)),
    ];
    let expected = small::deploy();
    report(cases.into_iter().map(|(case, bytes)| match Model::from_bytes("x", &bytes) {
        Ok(model) => (model.tensors != expected).then(|| format!("{case}: other tensors")),
        Err(error) => Some(format!("{case}: {error}")),
    }));
}

#[test]
fn archives_hold_the_other_formats() {
    let model = small::training(None);
    let formats: [(&str, Vec<u8>); 2] = [
        ("best_model/best_model.pdparams", pickled(&model.tensors)),
        ("model.safetensors", model.to_safetensors(Dtype::F32).unwrap()),
    ];
    for (name, bytes) in formats {
        let files = vec![(name.to_string(), bytes)];
        for archive in [tar(&files), gz(&tar(&files)), deflated(&files)] {
            assert!(Model::from_bytes("x", &archive).unwrap().tensors == model.tensors, "{name}");
        }
        // the content of a file tells its format, whatever its name
        assert!(Model::from_files(vec![("download".into(), files[0].1.clone())]).unwrap().tensors == model.tensors);
    }
}

#[test]
fn golden_model_comes_out_of_every_archive() {
    let (Some(model), Some(folder)) = (pir(), golden("PP-ShiTuV2_rec_infer_pir")) else { return };
    let read = |name: &str| (format!("PP-ShiTuV2_rec_infer/{name}"), std::fs::read(folder.join(name)).unwrap());
    let files = ["inference.json", "inference.pdiparams", "inference.yml"].map(read).to_vec();
    let tar = tar(&files);
    // fast compression: the test is about reading
    let gz = gz_with(&tar, flate2::Compression::none());
    for archive in [gz, tar, zip(&files, zip::CompressionMethod::Stored)] {
        let unpacked = Model::from_bytes("PP-ShiTuV2_rec_infer", &archive).unwrap();
        assert!(unpacked.tensors == model.tensors);
        assert_eq!(unpacked.description, model.description);
    }
}

#[test]
fn broken_and_hostile_archives_are_refused() {
    let Some(plain) = small_files("") else { return };
    let two: Files = [small_files("a/").unwrap(), small_files("b/").unwrap()].concat();
    let without = |gone: &str| -> Files { plain.iter().filter(|(name, _)| name != gone).cloned().collect() };
    let bomb: Files = vec![("inference.json".into(), vec![b' '; 40 << 20])];
    let hidden_bomb: Files = vec![("notes.txt".into(), vec![0; 40 << 20])];
    let nothing: Files = vec![("photo.jpg".into(), vec![1, 2, 3])];
    let gzipped = gz(&tar(&plain));
    let zipped = deflated(&plain);
    let tarred = tar(&plain);
    let cut = |bytes: &[u8], share: f64| bytes[..(bytes.len() as f64 * share) as usize].to_vec();
    let mut flipped = zipped.clone();
    flipped[2000] ^= 0x55;
    let endless = {
        // the member's header says eight gigabytes
        let mut header = tar::Header::new_gnu();
        header.set_path("inference.pdiparams").unwrap();
        header.set_size(8 << 30);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &[&str])> = vec![
        ("two models, tar", tar(&two), ErrorKind::Model, &["2 models: `x/a/inference.json`, `x/b/inference.json`"]),
        ("two models, zip", deflated(&two), ErrorKind::Model, &["2 models"]),
        (
            "no graph",
            deflated(&without("inference.json")),
            ErrorKind::Model,
            &["`x/inference.json` (or `x/inference.pdmodel`) is missing"],
        ),
        ("no weights", tar(&without("inference.pdiparams")), ErrorKind::Model, &["`x/inference.pdiparams` is missing"]),
        ("no model", tar(&nothing), ErrorKind::Model, &["no model among the archive's 1 members, such as `photo.jpg`"]),
        ("empty zip", deflated(&vec![]), ErrorKind::Model, &["the archive is empty"]),
        ("tar.gz bomb", gz(&tar(&bomb)), ErrorKind::Limit, &["100-fold"]),
        ("bomb nobody wants", gz(&tar(&hidden_bomb)), ErrorKind::Limit, &["100-fold"]),
        ("zip bomb", deflated(&bomb), ErrorKind::Limit, &["100-fold"]),
        ("eight gigabytes, tar", endless.clone(), ErrorKind::Limit, &["8589934592 bytes"]),
        ("eight gigabytes, tar.gz", gz(&endless), ErrorKind::Limit, &["8589934592 bytes"]),
        ("cut tar", cut(&tarred, 0.9), ErrorKind::Model, &["x: "]),
        ("cut tar.gz", cut(&gzipped, 0.9), ErrorKind::Model, &["the archive is damaged"]),
        ("cut zip", cut(&zipped, 0.9), ErrorKind::Model, &["the archive is damaged"]),
        ("flipped zip", flipped, ErrorKind::Model, &["the archive is damaged"]),
        ("gzip of something", gz(&[7; 5000]), ErrorKind::Model, &["the archive is damaged"]),
        ("xz", b"\xfd7zXZ\0\0\0".to_vec(), ErrorKind::Unsupported, &["an xz archive, which is not read"]),
        ("7z", b"7z\xbc\xaf\x27\x1c\0".to_vec(), ErrorKind::Unsupported, &["a 7z archive, which is not read"]),
        ("nothing", vec![], ErrorKind::Unsupported, &["no model among `x`"]),
        ("a text", b"hello".to_vec(), ErrorKind::Unsupported, &["no model among `x`", ".tar.gz"]),
    ];
    report(
        cases
            .into_iter()
            .map(|(case, bytes, kind, parts)| expect_error(case, Model::from_bytes("x", &bytes), kind, parts)),
    );
}

#[test]
fn loose_files_find_each_other() {
    let Some(exported) = small::exported() else { return };
    let expected = small::deploy();
    let program = support::golden_bytes("PP-ShiTuV2_rec_infer_pdmodel/inference.pdmodel").unwrap();
    let named = |graph: &str, params: &str| -> Files {
        exported
            .files()
            .into_iter()
            .map(|(name, bytes)| (if name.ends_with("json") { graph } else { params }.into(), bytes))
            .collect()
    };
    // with the graphs of two exports the PIR one is taken, as in PaddleX 3
    let both = [exported.files(), vec![("inference.pdmodel".into(), program)]].concat();
    let photo = [exported.files(), vec![("cat.jpg".into(), vec![0xff])]].concat();
    let cases = [
        ("both graphs", both),
        ("a photo too", photo),
        ("downloaded twice", named("inference (1).json", "inference.pdiparams")),
        ("in a folder", named("model/inference.json", "model/inference.pdiparams")),
        ("on Windows", named("model\\inference.json", "model\\inference.pdiparams")),
    ];
    report(cases.into_iter().map(|(case, files)| match Model::from_files(files) {
        Ok(model) => (model.tensors != expected).then(|| format!("{case}: other tensors")),
        Err(error) => Some(format!("{case}: {error}")),
    }));

    let of =
        |wanted: &str| -> Files { exported.files().into_iter().filter(|(name, _)| name.ends_with(wanted)).collect() };
    let cases: [(&str, Files, ErrorKind, &[&str]); 4] = [
        ("graph only", of("json"), ErrorKind::Model, &["`inference.pdiparams` is missing"]),
        ("weights only", of("pdiparams"), ErrorKind::Model, &["`inference.json` (or `inference.pdmodel`) is missing"]),
        ("no files", vec![], ErrorKind::Unsupported, &["no model among no files"]),
        (
            "settings only",
            vec![("inference.yml".into(), vec![])],
            ErrorKind::Unsupported,
            &["no model among `inference.yml`"],
        ),
    ];
    report(
        cases.into_iter().map(|(case, files, kind, parts)| expect_error(case, Model::from_files(files), kind, parts)),
    );
}

/// A folder that is deleted after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("image-feature-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tensors(result: Result<Model>) -> std::result::Result<Tensors, String> {
    result.map(|model| model.tensors).map_err(|error| error.to_string())
}

#[test]
fn folders_are_searched_where_paddlex_puts_models() {
    let Some(exported) = small::exported() else { return };
    let training = small::training(None);

    let export = Folder::new("export");
    for (name, bytes) in exported.files() {
        export.write(&format!("inference/{name}"), &bytes);
    }
    assert_eq!(tensors(Model::open(&export.0)), Ok(small::deploy()));
    assert_eq!(tensors(Model::open(export.0.join("inference/inference.pdiparams"))), Ok(small::deploy()));
    export.write("model.tar", &tar(&exported.files()));
    assert_eq!(tensors(Model::open(export.0.join("model.tar"))), Ok(small::deploy()));

    let run = Folder::new("run");
    run.write("train.log", b"");
    run.write("best_model/best_model.info.json", b"{}");
    run.write("best_model/best_model.pdparams", &pickled(&training.tensors));
    assert_eq!(tensors(Model::open(&run.0)), Ok(training.tensors.clone()));
    run.write("best_model/epoch_1.pdparams", b"");
    let error = Model::open(&run.0).unwrap_err().to_string();
    assert!(error.contains("2 models: `best_model.pdparams`, `epoch_1.pdparams`"), "{error}");

    let empty = Folder::new("empty");
    let missing = |path: &Path| Model::open(path).unwrap_err();
    assert_eq!(missing(&empty.0).kind(), ErrorKind::Model);
    assert!(missing(&empty.0).to_string().contains("no model in this folder"));
    assert_eq!(missing(&empty.0.join("gone.tar")).kind(), ErrorKind::Io);
    assert!(missing(&empty.0.join("gone.tar")).to_string().contains("gone.tar"));
}
