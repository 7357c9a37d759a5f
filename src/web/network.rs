//! A network on a device.

use js_sys::Float32Array;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::{to_js, to_object};
use crate::Extractor;
#[cfg(feature = "cpu")]
use crate::ExtractorOptions;
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
    /// Instruction set of the CPU's kernels.
    simd: Option<&'a str>,
    /// Threads that compute on the CPU.
    threads: Option<usize>,
    dtype: &'a str,
}

#[cfg(feature = "cpu")]
#[wasm_bindgen]
impl Network {
    /// Puts a model on the CPU. `options` is `{ threads, dtype }`: in the shared-memory build, how many of the page's
    /// workers compute together, this one included; and what to compute in, by default what the file is made for.
    pub async fn load(model: &super::model_file::ModelFile, options: JsValue) -> Result<Network, JsValue> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Fields {
            threads: Option<usize>,
            dtype: Option<String>,
        }
        let Fields { threads, dtype } = match options.is_undefined() || options.is_null() {
            true => Fields::default(),
            false => serde_wasm_bindgen::from_value(options).map_err(|error| to_js(Error::usage(error.to_string())))?,
        };
        let dtype = dtype.map(|dtype| dtype.parse()).transpose().map_err(to_js)?;
        let options = ExtractorOptions { device: DeviceRequest::Cpu, threads, dtype };
        let extractor = Extractor::load(&model.model, options).await.map_err(to_js)?;
        Ok(Network { extractor })
    }
}

#[cfg(not(feature = "cpu"))]
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
    /// `{ device, adapter, simd, threads, dtype }`
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let info = self.extractor.info();
        to_object(&NetworkInfo {
            device: info.device,
            adapter: info.adapter.as_deref(),
            simd: info.simd,
            threads: info.threads,
            dtype: info.dtype,
        })
    }

    /// Features of `count` preprocessed images, one after the other, each of length 1.
    pub async fn run(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
        let features = self.extractor.forward(input, whole(count)?).await.map_err(to_js)?;
        Ok(Float32Array::from(features.as_slice()))
    }

    /// What the last layers are given for `count` preprocessed images, one after the other: what fine-tuning learns from.
    pub async fn pooled(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
        let pooled = self.extractor.pooled(input, whole(count)?).await.map_err(to_js)?;
        Ok(Float32Array::from(pooled.as_slice()))
    }

    /// The feature of the self-test's input.
    pub async fn probe(&self) -> Result<Float32Array, JsValue> {
        let feature = self.extractor.probe().await.map_err(to_js)?;
        Ok(Float32Array::from(feature.as_slice()))
    }
}

fn whole(count: f64) -> Result<usize, JsValue> {
    if count < 1.0 || count.fract() != 0.0 || count > f64::from(u32::MAX) {
        return Err(to_js(Error::usage(format!("count must be a whole number from 1, got {count}"))));
    }
    Ok(count as usize)
}
