//! Archives and folders that are read from the browser's Blobs.
//!
//! The planted faults are those of `tests/archives` in the repository's root.
#![cfg(all(target_arch = "wasm32", feature = "dataset"))]

mod blobs;
#[path = "../../../../tests/archives/build.rs"]
mod build;
#[path = "../../../../tests/archives/hostile.rs"]
mod hostile;

use image_feature_wasm::BlobSource;
use js_sys::{Array, Uint8Array};
use web_sys::Blob;

// Blobs are read synchronously, which browsers allow in workers only
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn blob(bytes: &[u8]) -> Blob {
    Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes))).unwrap()
}

/// An archive of `hostile` as it is read here: from a Blob.
fn source(bytes: Vec<u8>) -> BlobSource {
    BlobSource::new(blob(&bytes))
}
