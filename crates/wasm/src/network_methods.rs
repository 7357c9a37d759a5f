//! The methods that networks on all devices have.

/// Exports the methods of a network with a field `extractor`. The bindings' macro takes no generic code.
macro_rules! network_methods {
    ($network:ident) => {
        #[wasm_bindgen]
        impl $network {
            /// `{ device, adapter, simd, threads, dtype }`
            pub fn info(&self) -> Result<JsValue, JsValue> {
                network_info(self.extractor.info())
            }

            /// Features of `count` preprocessed images, one after the other, each of length 1.
            pub async fn run(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
                let features = self.extractor.run_async(input, image_count(count)?).await.map_err(to_js)?;
                Ok(Float32Array::from(features.as_slice()))
            }

            /// The input of the last layers for `count` preprocessed images, one after the other. Fine-tuning learns from it.
            pub async fn pooled(&self, input: Vec<f32>, count: f64) -> Result<Float32Array, JsValue> {
                let pooled = self.extractor.pooled_async(input, image_count(count)?).await.map_err(to_js)?;
                Ok(Float32Array::from(pooled.as_slice()))
            }

            /// The feature of the self-test's input image.
            pub async fn probe(&self) -> Result<Float32Array, JsValue> {
                let feature = self.extractor.probe_async().await.map_err(to_js)?;
                Ok(Float32Array::from(feature.as_slice()))
            }
        }
    };
}
pub(crate) use network_methods;
