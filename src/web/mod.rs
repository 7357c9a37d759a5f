//! The browser's face of the crate: JS values in, JS values out, no logic.
//!
//! Four kinds of artefact are built from it. `cpu` (feature `cpu`) decodes, preprocesses, reads model files and computes
//! on the CPU; with feature `threads`, on several threads. `gpu` (feature `webgpu` alone) holds only the network on WebGPU
//! and takes what `cpu` prepared. `dataset` (feature `dataset` alone) works on data sets, for those who have one, `gallery`
//! (feature `gallery` alone) on galleries: it has the CPU's kernels, and leaves models and images to `cpu`.

#[cfg(any(feature = "dataset", feature = "gallery"))]
mod blobs;
mod console;
#[cfg(feature = "dataset")]
mod dataset;
#[cfg(all(feature = "cpu", not(feature = "gallery")))]
mod fine_tune;
#[cfg(feature = "gallery")]
mod gallery;
#[cfg(all(feature = "cpu", not(feature = "gallery")))]
mod model_file;
#[cfg(any(all(feature = "cpu", not(feature = "gallery")), feature = "burn"))]
mod network;
#[cfg(feature = "threads")]
mod threads;
#[cfg(all(feature = "cpu", not(feature = "gallery")))]
mod warm_up;

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use crate::Error;

#[cfg(any(feature = "dataset", feature = "gallery"))]
pub use blobs::{BlobFolder, BlobSource, guessing_name_decoder, name_decoder};

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
    console::install();
}

/// An error as JavaScript sees it: an `Error` with the property `kind`.
fn to_js(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // setting a plain property on a fresh object cannot fail
    let _ = Reflect::set(&js, &"kind".into(), &error.kind().as_str().into());
    js.into()
}

/// A serialisable value as a plain JS object, absent values as `null`.
#[cfg(any(all(feature = "cpu", not(feature = "gallery")), feature = "burn"))]
fn to_object(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|error| to_js(Error::internal(error.to_string())))
}
