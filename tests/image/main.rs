//! Decoding, resizing and normalising against the results of OpenCV and PaddleX for the same files.
//!
//! `tests/image/make_files.py` makes the files in `tests/image/files`, `tests/image/opencv_reference.py` the tables;
//! their headers describe how.
#![cfg(not(target_arch = "wasm32"))]

mod damage;
mod decode;
mod limits;
mod orientation;
mod preprocess;
mod resize;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The folder of golden data and test images; `None` where the checkout has none.
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !path.is_dir() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A file or folder beside these tests.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/image").join(name)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of a table beside these tests, without its header.
fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(beside(name)).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Fails with all messages, if there are any.
fn report(complaints: Vec<String>, cases: usize) {
    assert!(complaints.is_empty(), "{} of {cases} cases failed:\n{}", complaints.len(), complaints.join("\n"));
}
