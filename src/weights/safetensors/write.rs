//! Models to safetensors files.

use std::borrow::Cow;

use half::f16;
use safetensors::tensor::View;

use super::description::{Description, FormEntry};
use super::{INPUT_SCALE, KEY, SCALE, WEIGHT};
use crate::model::lcnet_v2::Form;
use crate::model::{Calibration, Network, Role, quantization};
use crate::tensors::Tensor;
use crate::weights::Dtype;
use crate::weights::element::to_bytes;
use crate::weights::model::Model;
use crate::{Error, Result};

/// A tensor to be written.
struct Written<'a> {
    shape: Cow<'a, [usize]>,
    values: Values<'a>,
}

enum Values<'a> {
    F32(Cow<'a, [f32]>),
    F16(&'a [f32]),
    I8(Vec<i8>),
}

impl View for Written<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        match self.values {
            Values::F32(_) => safetensors::Dtype::F32,
            Values::F16(_) => safetensors::Dtype::F16,
            Values::I8(_) => safetensors::Dtype::I8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Values::F32(values) => to_bytes(values).into(),
            Values::F16(values) => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
            Values::I8(values) => values.iter().map(|value| value.cast_unsigned()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        match &self.values {
            Values::F32(values) => 4 * values.len(),
            Values::F16(values) => 2 * values.len(),
            Values::I8(values) => values.len(),
        }
    }
}

/// The bytes of a safetensors file.
pub(super) fn write(model: &Model, dtype: Dtype) -> Result<Vec<u8>> {
    match dtype {
        Dtype::I8 => write_quantized(model),
        Dtype::F16 => serialize(&Description::of(model), model.tensors.iter().map(half).collect::<Result<_>>()?),
        Dtype::F32 => serialize(&Description::of(model), model.tensors.iter().map(full).collect()),
    }
}

fn full<'a>((name, tensor): (&str, &'a Tensor)) -> (String, Written<'a>) {
    let values = Values::F32(Cow::Borrowed(&tensor.values));
    (name.into(), Written { shape: Cow::Borrowed(&tensor.shape), values })
}

fn half<'a>((name, tensor): (&str, &'a Tensor)) -> Result<(String, Written<'a>)> {
    if let Some(value) = tensor.values.iter().find(|&&value| value.is_finite() && !f16::from_f32(value).is_finite()) {
        return Err(Error::model(format!(
            "tensor `{name}` holds {value}, which f16 cannot hold (largest: 65504); write f32"
        )));
    }
    Ok((name.into(), Written { shape: Cow::Borrowed(&tensor.shape), values: Values::F16(&tensor.values) }))
}

/// A file of type i8: the fused form, which is the form that runs, without a classification head.
fn write_quantized(model: &Model) -> Result<Vec<u8>> {
    if let Network::Vit(_) = model.description.network {
        return Err(Error::usage(format!(
            "{} is a vision transformer, for which there is no i8: its layers' inputs may be negative; write f16",
            model.description.name
        )));
    }
    let calibration = model.calibration.as_ref().ok_or_else(|| {
        Error::usage(format!(
            "{} has not been calibrated, which a file of type i8 needs: `image-feature model convert` does so with \
             `--calibrate IMAGES`, a program with `cpu::Calibrator`",
            model.description.name
        ))
    })?;
    let network = &model.description.network;
    let tensors = network.deploy_form(model.form, &model.tensors)?;
    let mut written = Vec::new();
    for parameter in network.parameters(Form::Deploy, None) {
        let name = parameter.name;
        let tensor = tensors.expect(&name, &parameter.shape)?;
        match (parameter.role, &tensor.shape[..]) {
            (Role::ConvWeight, &[channels, inner, 1, 1]) => {
                written.extend(quantized(name, tensor, [channels, inner], calibration)?);
            }
            (Role::ConvWeight, _) => written.push(half((&name, tensor))?),
            _ => written.push(full((&name, tensor))),
        }
    }
    let stranger = calibration
        .iter()
        .find(|(layer, _)| !written.iter().any(|(name, _)| name.strip_suffix(INPUT_SCALE) == Some(layer)));
    if let Some((layer, _)) = stranger {
        return Err(Error::model(format!(
            "the calibration is of another network: it has a layer `{layer}`, which {} does not have",
            model.description.name
        )));
    }
    serialize(&Description { form: FormEntry::Deploy, classes: None, ..Description::of(model) }, written)
}

/// A layer's weights as integers, and their scales.
fn quantized<'a>(
    name: String,
    tensor: &'a Tensor,
    [channels, inner]: [usize; 2],
    calibration: &'a Calibration,
) -> Result<Vec<(String, Written<'a>)>> {
    let mut written = Vec::new();
    let mut weights = Cow::Borrowed(&tensor.values);
    let layer = name.strip_suffix(WEIGHT).unwrap_or(&name);
    if let Some(scales) = calibration.scales(layer) {
        if scales.len() != inner {
            return Err(Error::model(format!(
                "the calibration of layer `{layer}` has {} scales for an input of {inner} channels",
                scales.len()
            )));
        }
        quantization::scale_columns(weights.to_mut(), scales.iter().copied(), inner);
        written.push((format!("{layer}{INPUT_SCALE}"), vector(Cow::Borrowed(scales))));
    }
    let (values, scales) = quantization::quantize(&weights, inner);
    debug_assert_eq!(scales.len(), channels);
    written.push((format!("{name}{SCALE}"), vector(Cow::Owned(scales))));
    written.push((name, Written { shape: Cow::Borrowed(&tensor.shape), values: Values::I8(values) }));
    Ok(written)
}

fn vector(values: Cow<[f32]>) -> Written {
    Written { shape: Cow::Owned(vec![values.len()]), values: Values::F32(values) }
}

fn serialize(description: &Description, tensors: Vec<(String, Written)>) -> Result<Vec<u8>> {
    let json =
        serde_json::to_string(description).map_err(|error| Error::internal(format!("the description: {error}")))?;
    let metadata = [(KEY.to_string(), json)].into_iter().collect();
    safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::internal(format!("safetensors: {error}")).with_source(error))
}
