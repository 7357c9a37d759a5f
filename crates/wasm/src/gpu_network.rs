//! The network on WebGPU.

use image_feature::{DeviceRequest, Extractor, Model};
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

use crate::values::{image_count, network_info, to_js};

/// A network on WebGPU, from preprocessed images to features.
#[wasm_bindgen]
pub struct GpuNetwork {
    extractor: Extractor,
}

#[wasm_bindgen]
impl GpuNetwork {
    /// Opens WebGPU and puts a model (safetensors) on it. `expected` is the CPU network's `probe()`: a GPU whose
    /// own differs is refused with kind `device`.
    pub async fn load(safetensors: Vec<u8>, expected: Vec<f32>) -> Result<GpuNetwork, JsValue> {
        let model = Model::from_safetensors(&safetensors).map_err(to_js)?;
        drop(safetensors);
        let extractor =
            Extractor::open_verified_async(&model, DeviceRequest::WebGpu, &expected).await.map_err(to_js)?;
        Ok(GpuNetwork { extractor })
    }

    /// `{ device, adapter, simd, threads, dtype }`
    pub fn info(&self) -> Result<JsValue, JsValue> {
        network_info(self.extractor.info())
    }

    /// Features of `count` preprocessed images, one after the other, each of length 1.
    pub async fn run(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
        let features = self.extractor.run_async(input, image_count(count)?).await.map_err(to_js)?;
        Ok(Float32Array::from(features.as_slice()))
    }

    /// The input of the last layers for `count` preprocessed images, one after the other: fine-tuning learns from it.
    pub async fn pooled(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
        let pooled = self.extractor.pooled_async(input, image_count(count)?).await.map_err(to_js)?;
        Ok(Float32Array::from(pooled.as_slice()))
    }

    /// The feature of the self-test's input.
    pub async fn probe(&self) -> Result<Float32Array, JsValue> {
        let feature = self.extractor.probe_async().await.map_err(to_js)?;
        Ok(Float32Array::from(feature.as_slice()))
    }
}
