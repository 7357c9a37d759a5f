//! Safetensors files to models.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::Metadata;

use super::{INPUT_SCALE, KEY, SCALE, WEIGHT, description};
use crate::model::{Calibration, quantization};
use crate::weights::element::{Element, RawTensor, to_bytes};
use crate::weights::model::Model;
use crate::weights::origin::{Format, Origin};
use crate::weights::{limits, named, published};
use crate::{Error, Result};

/// Largest header in bytes; that of the largest model of the family has some 40 kB.
const HEADER_BYTES: u64 = 4 << 20;

/// Reads a model. `keep_head` keeps the classification head of a training checkpoint.
pub(in crate::weights) fn read(bytes: &[u8], keep_head: bool) -> Result<Model> {
    let (metadata, data) = split(bytes)?;
    let (entries, calibration) = entries(&metadata, data)?.dequantize()?;
    let by_name: HashMap<&str, &RawTensor> =
        entries.plain.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let in_metadata = |error: Error| error.context(format!("metadata `{KEY}`"));
    let described = match metadata.metadata().as_ref().and_then(|entries| entries.get(KEY)) {
        Some(json) => Some(description::described(json).map_err(in_metadata)?),
        None => None,
    };
    let identified = named::identify(&by_name, described.as_ref().map(|(_, network)| network))?;
    let mut origin = Origin::new(Format::Safetensors);
    let description = match described {
        Some((description, network)) => description::check(description, network, &identified).map_err(in_metadata)?,
        None => {
            origin.notes.push(format!(
                "the file has no metadata `{KEY}`: the network was told from the names and shapes of its tensors, \
                 name and preprocessing are those of PP-ShiTuV2_rec"
            ));
            published::default_description(identified.network.clone())
        }
    };
    let tensors = named::collect(&by_name, &identified, keep_head, &mut origin)?;
    for name in entries.quantized.iter().filter(|name| tensors.get(name).is_some()) {
        origin.remember_element(name, Element::Int8);
    }
    let classes = identified.classes.filter(|_| keep_head);
    Ok(Model { description, form: identified.form, classes, tensors, calibration, origin })
}

/// The tensors of a file, by kind.
#[derive(Default)]
struct Entries<'a> {
    plain: Vec<(String, RawTensor<'a>)>,
    /// Tensors of I8 integers.
    quantized: Vec<(String, RawTensor<'a>)>,
    /// The scales of each layer's input, by layer.
    input_scales: BTreeMap<String, Vec<f32>>,
}

fn entries<'a>(metadata: &Metadata, data: &'a [u8]) -> Result<Entries<'a>> {
    let mut entries = Entries::default();
    for name in metadata.offset_keys() {
        limits::check_name(&name)?;
        let info = metadata.info(&name).ok_or_else(|| Error::internal("a tensor without an entry"))?;
        // `split` has checked that tensors follow each other from the start of the data to its end
        let (start, end) = info.data_offsets;
        let tensor = RawTensor::new(info.shape.clone(), element(&name, info.dtype)?, &data[start..end])
            .map_err(|error| error.context(format!("tensor `{name}`")))?;
        match name.strip_suffix(INPUT_SCALE) {
            Some(layer) => {
                let scales = scales(&tensor).map_err(of_tensor(&name))?;
                entries.input_scales.insert(layer.into(), scales);
            }
            None if tensor.element == Element::Int8 => entries.quantized.push((name, tensor)),
            None => entries.plain.push((name, tensor)),
        }
    }
    Ok(entries)
}

/// The tensors of a file as floats.
struct Dequantized<'a> {
    plain: Vec<(String, RawTensor<'a>)>,
    /// Names of the tensors that are I8 in the file.
    quantized: Vec<String>,
}

impl<'a> Entries<'a> {
    fn dequantize(self) -> Result<(Dequantized<'a>, Option<Calibration>)> {
        let Entries { mut plain, quantized, input_scales } = self;
        let names: Vec<String> = quantized.iter().map(|(name, _)| name.clone()).collect();
        for (name, tensor) in quantized {
            let at = plain.iter().position(|(other, _)| other.strip_suffix(SCALE) == Some(&name));
            let scales = at.map(|at| plain.swap_remove(at).1);
            let input = name.strip_suffix(WEIGHT).and_then(|layer| input_scales.get(layer));
            let widened = dequantized(&tensor, scales.as_ref(), input).map_err(of_tensor(&name))?;
            plain.push((name, widened));
        }
        let is_quantized = |layer: &str| names.iter().any(|name| name.strip_suffix(WEIGHT) == Some(layer));
        if let Some(layer) = input_scales.keys().find(|layer| !is_quantized(layer)) {
            return Err(Error::model(format!(
                "tensor `{layer}{INPUT_SCALE}` scales the input of a layer whose `{layer}{WEIGHT}` holds no whole numbers"
            )));
        }
        let calibration = if input_scales.is_empty() { None } else { Some(Calibration::new(input_scales)?) };
        Ok((Dequantized { plain, quantized: names }, calibration))
    }
}

/// Puts a tensor's name in front of an error's message.
fn of_tensor(name: &str) -> impl Fn(Error) -> Error {
    move |error| Error::model(format!("tensor `{name}` {}", error.message()))
}

/// The values of a tensor of scales. The message of an error follows the tensor's name.
fn scales(tensor: &RawTensor) -> Result<Vec<f32>> {
    if tensor.element != Element::Float32 || tensor.shape.len() != 1 {
        return Err(Error::model(format!(
            "is {} of shape {:?}; scales are float32 of one dimension",
            tensor.element.name(),
            tensor.shape
        )));
    }
    let scales = tensor.widen()?.values;
    match scales.iter().find(|&&scale| !quantization::is_scale(scale)) {
        Some(scale) => Err(Error::model(format!("holds a scale of {scale}; a finite number above 0 is needed"))),
        None => Ok(scales),
    }
}

/// A tensor of integers as the values that they stand for. The message of an error follows the tensor's name.
fn dequantized<'a>(
    tensor: &RawTensor,
    channels: Option<&RawTensor>,
    input: Option<&Vec<f32>>,
) -> Result<RawTensor<'a>> {
    let channels = channels.ok_or_else(|| Error::model("holds whole numbers, but the file lacks its `…_scale`"))?;
    let channels =
        scales(channels).map_err(|error| Error::model(format!("has scales whose tensor {}", error.message())))?;
    let expected = [Some(channels.len()), input.map(Vec::len)];
    let [out, inner, ..] = tensor.shape[..] else {
        return Err(Error::model(format!("holds whole numbers of shape {:?}; expected [out, in, 1, 1]", tensor.shape)));
    };
    if expected[0] != Some(out)
        || expected[1].is_some_and(|len| len != inner)
        || tensor.shape[2..].iter().any(|&n| n != 1)
    {
        return Err(Error::model(format!(
            "has shape {:?}, with {} scales of output channels{}; expected [out, in, 1, 1] and as many scales",
            tensor.shape,
            channels.len(),
            input.map_or(String::new(), |input| format!(" and {} of input channels", input.len()))
        )));
    }
    let mut values = quantization::dequantize(&tensor.whole_numbers(), &channels);
    if let Some(input) = input {
        quantization::scale_columns(&mut values, input.iter().map(|scale| scale.recip()), inner);
    }
    RawTensor::new(tensor.shape.clone(), Element::Float32, to_bytes(&values))
}

/// Splits a file into header and data. The header's offsets lie within the data.
fn split(bytes: &[u8]) -> Result<(Metadata, &[u8])> {
    let truncated = || Error::model("the safetensors file is truncated");
    let (length, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    let length = u64::from_le_bytes(*length);
    limits::check_size("the header", length, HEADER_BYTES)?;
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(truncated)?;
    // not `SafeTensors::deserialize`: it adds offsets unchecked, which a hostile header can make overflow
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|error| Error::model(format!("the safetensors header is damaged: {error}")).with_source(error))?;
    if metadata.data_len() != data.len() {
        return Err(Error::model(format!(
            "the safetensors file holds {} bytes of tensors; its header says {}",
            data.len(),
            metadata.data_len()
        )));
    }
    Ok((metadata, data))
}

fn element(name: &str, dtype: safetensors::Dtype) -> Result<Element> {
    Ok(match dtype {
        safetensors::Dtype::F32 => Element::Float32,
        safetensors::Dtype::F16 => Element::Float16,
        safetensors::Dtype::BF16 => Element::Bfloat16,
        safetensors::Dtype::F64 => Element::Float64,
        safetensors::Dtype::I8 => Element::Int8,
        other => {
            return Err(Error::unsupported(format!(
                "tensor `{name}` holds {other} values; F32, F16, BF16, F64 and I8 are read"
            )));
        }
    })
}
