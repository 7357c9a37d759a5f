//! The WebAssembly bindings of `image-feature`: they convert JavaScript values to Rust values and back, and hold no logic.
//!
//! Each feature exports one set of classes; `scripts/wasm.sh` has the features of each artefact.
//!
//! - `network`: [`ModelFile`] and [`Network`], from files and images to features on the CPU; [`GpuProgram`], the network as
//!   a program for WebGPU, which JavaScript runs; [`Detector`], from images to boxes; `warmUp`; fine-tuning.
//! - `threads`: `network` on several threads of shared memory.
//! - `gpu`: [`GpuNetwork`], the network on Burn, on WebGPU. It takes images that `network` preprocessed.
//! - `dataset`: data sets.
//! - `gallery`: galleries and metrics.
#![cfg(target_arch = "wasm32")]

#[cfg(any(feature = "dataset", feature = "gallery"))]
mod blobs;
mod console;
#[cfg(feature = "dataset")]
mod dataset;
#[cfg(feature = "network")]
mod detector;
#[cfg(feature = "network")]
mod fine_tune;
#[cfg(feature = "gallery")]
mod gallery;
#[cfg(feature = "gpu")]
mod gpu_network;
#[cfg(feature = "network")]
mod gpu_program;
#[cfg(feature = "network")]
mod model_file;
#[cfg(feature = "network")]
mod network;
#[cfg(any(feature = "network", feature = "gpu"))]
mod network_methods;
#[cfg(feature = "threads")]
mod threads;
#[cfg(any(feature = "network", feature = "gpu", feature = "dataset", feature = "gallery"))]
mod values;

use wasm_bindgen::prelude::*;

#[cfg(any(feature = "dataset", feature = "gallery"))]
pub use blobs::{BlobFolder, BlobSource, guessing_name_decoder, name_decoder};
#[cfg(feature = "network")]
pub use detector::Detector;
#[cfg(feature = "gpu")]
pub use gpu_network::GpuNetwork;
#[cfg(feature = "network")]
pub use gpu_program::GpuProgram;
#[cfg(feature = "network")]
pub use model_file::ModelFile;
#[cfg(feature = "network")]
pub use network::Network;

/// Runs a small network and touches `memory` bytes, so that the browser compiles the kernels before a model is loaded.
#[cfg(feature = "network")]
#[wasm_bindgen(js_name = warmUp)]
pub fn warm_up(memory: f64) -> Result<(), JsValue> {
    image_feature::warm_up(memory as usize).map_err(values::to_js)
}

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
    console::install();
}
