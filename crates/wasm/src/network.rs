//! The network on the CPU.

use image_feature::{DeviceRequest, Error, Extractor, ExtractorOptions};
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

use crate::ModelFile;
use crate::values::{image_count, network_info, to_js};

/// A network on the CPU, from preprocessed images to features.
#[wasm_bindgen]
pub struct Network {
    extractor: Extractor,
}

#[wasm_bindgen]
impl Network {
    /// Puts a model on the CPU. `options` is `{ threads, dtype }`, both optional: in the shared-memory build, how many of
    /// the page's workers compute together, this one included; and the type to compute in, by default the file's own.
    pub async fn load(model: &ModelFile, options: JsValue) -> Result<Network, JsValue> {
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
        let extractor = Extractor::open_async(&model.model, options).await.map_err(to_js)?;
        Ok(Network { extractor })
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
