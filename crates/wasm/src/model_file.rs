//! Models from the user's files, and the preprocessing of images for them.

use js_sys::{Array, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use crate::values::{to_js, to_object};
use image_feature::error::Context;
use image_feature::finetune;
use image_feature::weights::ModelId;
use image_feature::{DecodeOptions, Decoded, Dtype, Error, Model, Result, RgbImage, Roi, decode_with};

/// A model read from files. [`Network`](crate::Network) computes with it.
#[wasm_bindgen]
pub struct ModelFile {
    pub(crate) model: Model,
}

/// The input of the network for one image.
#[wasm_bindgen]
pub struct Preprocessed {
    values: Vec<f32>,
    damage: Option<String>,
}

#[wasm_bindgen]
impl Preprocessed {
    /// What is wrong with the file, where only a part of the image could be decoded.
    #[wasm_bindgen(getter)]
    pub fn damage(&self) -> Option<String> {
        self.damage.clone()
    }

    /// The values. They leave the WebAssembly's memory.
    #[wasm_bindgen(js_name = intoValues)]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

#[wasm_bindgen]
impl ModelFile {
    /// Reads a model from one archive, `.safetensors` or `.pdparams`, or from the loose files of an exported model.
    #[wasm_bindgen(js_name = fromFiles)]
    pub fn from_files(names: Vec<String>, contents: Array) -> Result<ModelFile, JsValue> {
        let bytes = contents.iter().map(|content| {
            content.dyn_into::<Uint8Array>().map_err(|_| Error::usage("each file's content must be a Uint8Array"))
        });
        let contents =
            bytes.map(|bytes| bytes.map(|bytes| bytes.to_vec())).collect::<Result<Vec<_>>>().map_err(to_js)?;
        if names.len() != contents.len() {
            return Err(to_js(Error::usage(format!("{} names for {} files", names.len(), contents.len()))));
        }
        let model = Model::from_files(names.into_iter().zip(contents).collect()).map_err(to_js)?;
        Ok(ModelFile { model })
    }

    /// The model's name, format, sizes, tensors and notes.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        to_object(&self.model.info())
    }

    /// `{name, hash}`, by which a gallery knows the maker of its vectors. Reads all weights.
    pub fn id(&self) -> Result<JsValue, JsValue> {
        to_object(&ModelId::of(&self.model))
    }

    /// The model as safetensors; `dtype` is `f32`, `f16` or, of a calibrated model, `i8`.
    #[wasm_bindgen(js_name = toSafetensors)]
    pub fn to_safetensors(&self, dtype: &str) -> Result<Vec<u8>, JsValue> {
        let dtype = dtype.parse::<Dtype>().map_err(to_js)?;
        self.model.to_safetensors(dtype).map_err(to_js)
    }

    /// Decodes an image, crops it to `roi`, resizes and normalises it: 3 x height x width values for each of `views` views. The
    /// first view is the image itself. Of an array of rois, the views of one come after the other. `orientation` is `opencv`, `exif` or `none`.
    #[wasm_bindgen(js_name = preprocessBytes)]
    pub fn preprocess_bytes(
        &self,
        bytes: &[u8],
        roi: JsValue,
        views: usize,
        orientation: &str,
    ) -> Result<Preprocessed, JsValue> {
        let read = || {
            let options = DecodeOptions { orient: orientation.parse()?, ..DecodeOptions::default() };
            let Decoded { image, damage, .. } = decode_with(bytes, &options)?;
            Ok(Preprocessed { values: self.prepare(image, roi, views)?, damage })
        };
        read().map_err(to_js)
    }

    /// The same for RGBA pixels (of a canvas or a video frame). Alpha is ignored.
    #[wasm_bindgen(js_name = preprocessRgba)]
    pub fn preprocess_rgba(
        &self,
        rgba: &[u8],
        width: usize,
        height: usize,
        roi: JsValue,
        views: usize,
    ) -> Result<Vec<f32>, JsValue> {
        RgbImage::from_rgba(width, height, rgba).and_then(|image| self.prepare(image, roi, views)).map_err(to_js)
    }

    fn prepare(&self, image: RgbImage, roi: JsValue, views: usize) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for roi in read_rois(roi)? {
            let part = match roi {
                Some(roi) => &image.crop(roi)?,
                None => &image,
            };
            values.extend(finetune::views(&self.model.description, part, views)?);
        }
        Ok(values)
    }
}

/// Reads a part of an image, or an array of parts.
fn read_rois(value: JsValue) -> Result<Vec<Option<Roi>>> {
    match value.dyn_ref::<Array>() {
        Some(parts) => parts.iter().map(read_roi).collect(),
        None => Ok(vec![read_roi(value)?]),
    }
}

/// Reads `{ x, y, width, height }` in whole pixels, `undefined` or `null`.
fn read_roi(value: JsValue) -> Result<Option<Roi>> {
    #[derive(Deserialize)]
    struct Fields {
        x: usize,
        y: usize,
        width: usize,
        height: usize,
    }
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let Fields { x, y, width, height } = serde_wasm_bindgen::from_value(value)
        .map_err(|error| Error::usage(error.to_string()))
        .context(|| "roi must be { x, y, width, height } in whole pixels".into())?;
    Ok(Some(Roi { x, y, width, height }))
}
