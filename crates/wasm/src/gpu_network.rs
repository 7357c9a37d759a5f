//! The network on WebGPU.

use image_feature::{DeviceRequest, Extractor, Model};
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

use crate::network_methods::network_methods;
use crate::values::{image_count, network_info, to_js};

/// A network on WebGPU, from preprocessed images to features.
#[wasm_bindgen]
pub struct GpuNetwork {
    extractor: Extractor,
}

#[wasm_bindgen]
impl GpuNetwork {
    /// Opens WebGPU and loads a model (safetensors) on it. `expected` is the `probe()` of the network on the CPU. A GPU that
    /// gives another result is refused with kind `device`.
    pub async fn load(safetensors: Vec<u8>, expected: Vec<f32>) -> Result<GpuNetwork, JsValue> {
        let model = Model::from_safetensors(&safetensors).map_err(to_js)?;
        drop(safetensors);
        let extractor =
            Extractor::open_verified_async(&model, DeviceRequest::WebGpu, &expected).await.map_err(to_js)?;
        Ok(GpuNetwork { extractor })
    }
}

network_methods!(GpuNetwork);
