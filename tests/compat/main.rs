//! `dataset::compat` against goldens of the real PaddleX, CPython's shuffle, and the traps that PaddleX has.
#![cfg(feature = "dataset")]

mod cases;
mod golden;
#[cfg(not(target_arch = "wasm32"))]
mod pillow;
mod random;
mod traps;

#[cfg(not(target_arch = "wasm32"))]
#[path = "../common/mod.rs"]
mod common;
