//! The detector beside the real PaddleX: weights, activations by stage, boxes, and Paddle's choice among boxes.
//!
//! The golden weights follow a closed formula (`../shared/golden/scripts/detweights_det.py`); `model.rs` makes Paddle's file
//! of them. Where `../shared` is absent the tests that need it say so and pass.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

#[path = "../common/mod.rs"]
mod common;

mod boxes;
mod files;
mod model;
#[cfg(feature = "gallery")]
mod pipeline;
mod stages;
mod suppress;
