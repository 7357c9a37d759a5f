//! This crate's own model format: a safetensors file whose metadata holds the description of the model as JSON.
//!
//! The metadata key is `image_feature`.
//!
//! In a file of type i8:
//!
//! - The weights of 1x1 convolutions are I8, `[out, in, 1, 1]`.
//! - `LAYER.conv.weight_scale`, F32 `[out]`, is the scale of each output channel.
//! - `LAYER.input_scale`, F32 `[in]`, is the scale of each input channel. Only a layer that is computed in 8 bits has it.
//!   It is part of the weights: `weight = I8 * weight_scale / input_scale`.
//! - The weights of other convolutions are F16, all other tensors F32.

mod description;
mod read;
mod write;

#[cfg(feature = "model-id")]
use description::Description;
pub(super) use read::read;

use super::Dtype;
use super::model::Model;
use crate::Result;

/// Metadata key of the description.
const KEY: &str = "image_feature";

/// The name of the scales of an I8 tensor is the tensor's name and this.
const SCALE: &str = "_scale";
/// The name of the scales of a layer's input is the layer's name and this.
const INPUT_SCALE: &str = ".input_scale";
/// The name of a layer's weights is the layer's name and this.
const WEIGHT: &str = ".conv.weight";

impl Model {
    /// Reads a model from the bytes of a `.safetensors` file, and from no other format.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Model> {
        read(bytes, false)
    }

    /// The model as a safetensors file: its tensors, and the description as JSON in the header's metadata.
    ///
    /// The same model always gives the same bytes. Reading them back gives the same model, to the precision of `dtype`.
    ///
    /// [`Dtype::I8`] writes the fused form without a classification head, and the calibration. The other types leave
    /// the calibration out.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model), naming the tensor, where a value is too large for `f16`;
    /// [`Usage`](crate::ErrorKind::Usage) for `i8` where the model has no calibration.
    pub fn to_safetensors(&self, dtype: Dtype) -> Result<Vec<u8>> {
        write::write(self, dtype)
    }

    /// Everything that the model's features depend on beside its tensors, as JSON: network, form, preprocessing, and
    /// whether it computes in 8 bits. The same model always gives the same text.
    #[cfg(feature = "model-id")]
    pub(crate) fn essence(&self) -> String {
        let Description { network, form, preprocess, .. } = Description::of(self);
        serde_json::json!([network, form, preprocess, self.calibration.is_some()]).to_string()
    }
}
