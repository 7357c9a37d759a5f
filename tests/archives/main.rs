//! Archives as trees of files: what is wrong with them is said, and the rest is read.
//!
//! `cargo test` reads them from memory and files, `wasm-pack test` the planted faults from Blobs in a browser's worker.
#![cfg(any(feature = "dataset", target_arch = "wasm32"))]

mod build;
#[cfg(not(target_arch = "wasm32"))]
#[path = "../common/mod.rs"]
mod common;
#[cfg(not(target_arch = "wasm32"))]
mod damage;
mod hostile;
#[cfg(not(target_arch = "wasm32"))]
mod torture;
#[cfg(not(target_arch = "wasm32"))]
mod trees;
#[cfg(target_arch = "wasm32")]
mod web;

// Blobs are read synchronously, which browsers allow in workers only
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
