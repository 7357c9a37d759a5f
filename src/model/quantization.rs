//! Quantization: weights and activations as 8-bit integers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The largest quantized weight. -128 is not used, so that the range is symmetric.
pub(crate) const LARGEST_WEIGHT: f32 = 127.0;
/// The largest quantized activation: 7 bits. The sum of two products then fits into the 16 bits that many processors
/// and WebAssembly have for it, and results are the same everywhere.
#[cfg(feature = "cpu")]
pub(crate) const LARGEST_ACTIVATION: f32 = 127.0;
/// The integer that stands for 0 among activations that may be negative: those are from -64 to 63.
#[cfg(feature = "cpu")]
pub(crate) const SIGNED_ZERO: u8 = 64;

/// Scales of the activations that enter a network's 1x1 convolutions, measured on images. Computing in 8-bit integers
/// needs them.
///
/// `engine::cpu::Calibrator` makes one. Safetensors files of type `i8` store it.
///
/// ```
/// use image_feature::model::Calibration;
///
/// let calibration = Calibration::from_json(r#"{ "backbone.stem.1.pw_conv": [0.031, 0.017] }"#)?;
/// assert_eq!(calibration.scales("backbone.stem.1.pw_conv"), Some(&[0.031, 0.017][..]));
/// assert!(Calibration::from_json(r#"{ "backbone.stem.1.pw_conv": [0.031, -1] }"#).is_err());
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    layers: BTreeMap<String, Vec<f32>>,
}

impl Calibration {
    /// A calibration from the scales of each layer, by the layer's name: one scale for each channel of its input.
    ///
    /// Activations are divided by their scale, rounded and clamped to 0..=127; where they may be negative, to -64..=63.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the layer, where a scale is not a finite number above 0,
    /// or is too small to divide by.
    pub fn new(layers: BTreeMap<String, Vec<f32>>) -> Result<Self> {
        for (layer, scales) in &layers {
            if let Some(scale) = scales.iter().find(|&&scale| !is_scale(scale)) {
                return Err(Error::model(format!(
                    "the calibration of layer `{layer}` has a scale of {scale}; a finite number above 0 is needed"
                )));
            }
        }
        Ok(Calibration { layers })
    }

    /// Reads a JSON object of layers' names and scales.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where `json` is not such an object, and as [`new`](Self::new).
    pub fn from_json(json: &str) -> Result<Self> {
        let calibration: Calibration = serde_json::from_str(json)
            .map_err(|error| Error::model(format!("the calibration is damaged: {error}")).with_source(error))?;
        Self::new(calibration.layers)
    }

    /// The calibration as a JSON object of layers' names and scales.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and finite numbers are JSON")
    }

    /// The scales of a layer's input, one for each channel; `None` for a layer without a calibration.
    pub fn scales(&self, layer: &str) -> Option<&[f32]> {
        self.layers.get(layer).map(Vec::as_slice)
    }

    /// The layers' names and scales.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.layers.iter().map(|(layer, scales)| (layer.as_str(), scales.as_slice()))
    }
}

/// Whether a number is a usable scale: a normal number above 0 with a finite reciprocal.
pub(crate) fn is_scale(scale: f32) -> bool {
    scale > 0.0 && scale.is_normal() && scale.recip().is_finite()
}

/// Quantizes rows of `row` values to integers from -127 to 127, each row with a scale of its own.
///
/// Quantizing the result of [`dequantize`] again gives the same integers.
pub(crate) fn quantize(values: &[f32], row: usize) -> (Vec<i8>, Vec<f32>) {
    let mut quantized = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / row);
    for row in values.chunks_exact(row) {
        let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / LARGEST_WEIGHT;
        // a row of zeros, or of numbers too small to divide by, becomes zeros
        let scale = if is_scale(scale) { scale } else { f32::MIN_POSITIVE.sqrt() };
        let cut = |value: f32| (value / scale).round_ties_even().clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT);
        // by way of i32: vector instructions convert to that type only
        quantized.extend(row.iter().map(|&value| cut(value) as i32 as i8));
        scales.push(scale);
    }
    (quantized, scales)
}

/// The values of quantized rows: each integer times the scale of its row.
pub(crate) fn dequantize(quantized: &[i8], scales: &[f32]) -> Vec<f32> {
    let row = quantized.len() / scales.len().max(1);
    let mut values: Vec<f32> = quantized.iter().map(|&value| f32::from(value)).collect();
    for (row, scale) in values.chunks_exact_mut(row.max(1)).zip(scales) {
        row.iter_mut().for_each(|value| *value *= scale);
    }
    values
}

/// Multiplies each row by `factors`, value by value. This moves the scales of the input into the weights, or out of
/// them.
pub(crate) fn scale_columns(values: &mut [f32], factors: impl Iterator<Item = f32> + Clone, row: usize) {
    for row in values.chunks_exact_mut(row) {
        row.iter_mut().zip(factors.clone()).for_each(|(value, factor)| *value *= factor);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_numbers_are_near_and_stay(rows in 1usize..5, row in 1usize..40, seed in any::<u32>(), exponent in -20i32..20) {
            let value = |at: usize| {
                let hash = seed.wrapping_add(at as u32).wrapping_mul(0x9E37_79B9).rotate_left(15).wrapping_mul(0x85EB_CA6B);
                (hash as f32 / u32::MAX as f32 - 0.5) * 2f32.powi(exponent)
            };
            let values: Vec<f32> = (0..rows * row).map(value).collect();
            let (quantized, scales) = quantize(&values, row);
            let back = dequantize(&quantized, &scales);
            for (at, (&was, &is)) in values.iter().zip(&back).enumerate() {
                prop_assert!((was - is).abs() <= 0.501 * scales[at / row], "{was} became {is}");
            }
            prop_assert_eq!(quantize(&back, row).0, quantized);
        }
    }

    #[test]
    fn rows_of_zeros_are_kept() {
        let (quantized, scales) = quantize(&[0.0; 6], 3);
        assert_eq!(quantized, [0; 6]);
        assert!(scales.iter().all(|&scale| is_scale(scale)));
    }

    #[test]
    fn scales_must_be_usable() {
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-42] {
            let error = Calibration::new([("a layer".to_string(), vec![1.0, wrong])].into()).unwrap_err();
            assert!(error.is_model() && error.to_string().contains("a layer"), "{error}");
        }
        assert!(Calibration::from_json("[]").unwrap_err().is_model());
        let calibration = Calibration::new([("x".into(), vec![0.125]), ("y".into(), vec![3e-3, 0.1])].into()).unwrap();
        assert_eq!(Calibration::from_json(&calibration.to_json()).unwrap(), calibration);
    }
}
