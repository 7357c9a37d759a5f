//! The network on the CPU.

use image_feature::{DeviceRequest, Error, Extractor, ExtractorOptions};
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

use crate::ModelFile;
use crate::network_methods::network_methods;
use crate::values::{image_count, network_info, to_js};

/// A network on the CPU, from preprocessed images to features.
#[wasm_bindgen]
pub struct Network {
    extractor: Extractor,
}

#[wasm_bindgen]
impl Network {
    /// Loads a model on the CPU. `options` is `{ threads, dtype }`, both optional. `threads` counts the workers that compute
    /// together in the shared-memory build, with this one. `dtype` is the type to compute in, by default the file's.
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
}

network_methods!(Network);
