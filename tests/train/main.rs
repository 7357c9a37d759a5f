//! Training against PaddleClas (`golden/train`, made by `golden/scripts/golden_losses.py`), and whole runs on generated
//! images.
#![cfg(all(feature = "train", not(target_arch = "wasm32")))]

#[path = "../common/mod.rs"]
mod common;
mod fine_tune;
mod losses;
mod optimizer;
mod paddle;
mod runs;
mod steps;
