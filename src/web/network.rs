//! A network on a device.

use js_sys::Float32Array;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::{to_js, to_object};
use crate::extractor::Extractor;
use crate::{DeviceRequest, Error};

/// A network on a device, from preprocessed images to features.
#[wasm_bindgen]
pub struct Network {
    extractor: Extractor,
}

#[derive(Serialize)]
struct NetworkInfo<'a> {
    device: &'a str,
    adapter: Option<&'a str>,
    /// Whether the CPU kernels were compiled with SIMD.
    simd: bool,
}

#[cfg(feature = "flex")]
#[wasm_bindgen]
impl Network {
    /// Puts a model on the CPU.
    pub async fn load(model: &super::model_file::ModelFile) -> Result<Network, JsValue> {
        let extractor = Extractor::load(&model.model, DeviceRequest::Cpu).await.map_err(to_js)?;
        Ok(Network { extractor })
    }
}

#[cfg(not(feature = "flex"))]
#[wasm_bindgen]
impl Network {
    /// Opens WebGPU and puts a model (safetensors) on it. `expected` is the CPU network's `probe()`: a GPU whose
    /// own differs is refused with kind `device`.
    pub async fn load(safetensors: Vec<u8>, expected: Vec<f32>) -> Result<Network, JsValue> {
        let model = crate::weights::Model::from_safetensors(&safetensors).map_err(to_js)?;
        drop(safetensors);
        let extractor = Extractor::load_verified(&model, DeviceRequest::WebGpu, &expected).await.map_err(to_js)?;
        Ok(Network { extractor })
    }
}

#[wasm_bindgen]
impl Network {
    /// `{ device, adapter, simd }`
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let info = self.extractor.info();
        to_object(&NetworkInfo {
            device: info.device,
            adapter: info.adapter.as_deref(),
            simd: cfg!(target_feature = "simd128"),
        })
    }

    /// Features of `count` preprocessed images, one after the other, each of length 1.
    pub async fn run(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
        if count < 1.0 || count.fract() != 0.0 || count > f64::from(u32::MAX) {
            return Err(to_js(Error::usage(format!("count must be a whole number from 1, got {count}"))));
        }
        let features = self.extractor.forward(input, count as usize).await.map_err(to_js)?;
        Ok(Float32Array::from(features.as_slice()))
    }

    /// The feature of the self-test's input.
    pub async fn probe(&self) -> Result<Float32Array, JsValue> {
        let feature = self.extractor.probe().await.map_err(to_js)?;
        Ok(Float32Array::from(feature.as_slice()))
    }
}
