//! The browser's face of the crate: JS values in, JS values out, no logic.
//!
//! Three kinds of artefact are built from it. `cpu` (feature `cpu`) decodes, preprocesses, reads model files and computes
//! on the CPU; with feature `threads`, on several threads. `gpu` (feature `webgpu` alone) holds only the network on WebGPU
//! and takes what `cpu` prepared. `dataset` (feature `dataset` alone) works on data sets, for those who have one.

#[cfg(feature = "dataset")]
mod blobs;
mod console;
#[cfg(feature = "dataset")]
mod dataset;
#[cfg(feature = "cpu")]
mod model_file;
#[cfg(any(feature = "cpu", feature = "burn"))]
mod network;
#[cfg(feature = "threads")]
mod threads;
#[cfg(feature = "cpu")]
mod warm_up;

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use crate::Error;

#[cfg(feature = "dataset")]
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
#[cfg(any(feature = "cpu", feature = "burn"))]
fn to_object(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|error| to_js(Error::internal(error.to_string())))
}
