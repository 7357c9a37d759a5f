//! The golden files, and models that many tests share.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use image_feature::{ErrorKind, Model, Result};

/// A golden file or folder; `None`, with a message, where it is absent.
pub fn golden(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/models").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

/// A golden file's bytes.
pub fn golden_bytes(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(golden(name)?).unwrap())
}

/// The golden PIR model, read once.
pub fn pir() -> Option<&'static Model> {
    static MODEL: LazyLock<Option<Model>> =
        LazyLock::new(|| Some(Model::open(&golden("PP-ShiTuV2_rec_infer_pir")?).unwrap()));
    MODEL.as_ref()
}

/// Checks the error of one case of a table: its kind, and the texts in its message. Returns a complaint, if there is
/// one.
pub fn expect_error(case: &str, result: Result<Model>, kind: ErrorKind, parts: &[&str]) -> Option<String> {
    let error = match result {
        Ok(_) => return Some(format!("{case}: is read without an error")),
        Err(error) => error,
    };
    let text = error.to_string();
    let missing: Vec<_> = parts.iter().filter(|part| !text.contains(**part)).collect();
    (error.kind() != kind || !missing.is_empty())
        .then(|| format!("{case}: {:?} error {text:?}; expected {kind:?} with {missing:?}", error.kind()))
}

/// Fails if there are complaints, and prints all of them.
pub fn report(complaints: impl IntoIterator<Item = Option<String>>) {
    let complaints: Vec<String> = complaints.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{} cases fail:\n{}", complaints.len(), complaints.join("\n"));
}
