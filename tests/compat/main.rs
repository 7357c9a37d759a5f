//! `dataset::compat` against goldens of PaddleX, CPython's shuffle, and other data sets that PaddleX refuses.
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
