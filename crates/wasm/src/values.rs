//! Values of Rust as values of JavaScript, and back.

use image_feature::Error;
use js_sys::Reflect;
use wasm_bindgen::prelude::*;

/// An error as JavaScript sees it: an `Error` with the property `kind`.
pub fn to_js(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    // setting a plain property on a fresh object cannot fail
    let _ = Reflect::set(&js, &"kind".into(), &error.kind().as_str().into());
    js.into()
}

/// A serialisable value as a plain JavaScript object, absent values as `null`.
#[cfg(any(feature = "network", feature = "gpu"))]
pub fn to_object(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|error| to_js(Error::internal(error.to_string())))
}

/// A count of images: a whole number from 1.
#[cfg(any(feature = "network", feature = "gpu"))]
pub fn image_count(count: f64) -> Result<usize, JsValue> {
    if count < 1.0 || count.fract() != 0.0 || count > f64::from(u32::MAX) {
        return Err(to_js(Error::usage(format!("count must be a whole number from 1, got {count}"))));
    }
    Ok(count as usize)
}

/// What JavaScript is told of a network on a device.
#[cfg(any(feature = "network", feature = "gpu"))]
pub fn network_info(info: &image_feature::ExtractorInfo) -> Result<JsValue, JsValue> {
    #[derive(serde::Serialize)]
    struct NetworkInfo<'a> {
        device: &'a str,
        adapter: Option<&'a str>,
        /// Instruction set of the CPU's kernels.
        simd: Option<&'a str>,
        /// Threads that compute on the CPU.
        threads: Option<usize>,
        dtype: &'a str,
    }
    to_object(&NetworkInfo {
        device: info.device,
        adapter: info.adapter.as_deref(),
        simd: info.simd,
        threads: info.threads,
        dtype: info.dtype,
    })
}
