//! Archives as trees of files: each fault is reported, and the rest is read.
//!
//! The planted faults are read once more in a browser, from Blobs: `crates/wasm/tests/archives`.
#![cfg(all(feature = "dataset", not(target_arch = "wasm32")))]

mod build;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod hostile;
mod torture;
mod trees;

/// The source of an archive of `hostile`: here, memory.
fn source(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}
