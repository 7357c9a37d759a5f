//! Our own model format: a safetensors file whose metadata key `image_feature` holds the description as JSON.

use std::borrow::Cow;
use std::collections::HashMap;

use half::f16;
use safetensors::tensor::{Metadata, View};
use serde::{Deserialize, Serialize};

use super::element::{Element, RawTensor};
use super::info::form_name;
use super::limits;
use super::model::{Format, Model, Origin};
use super::named;
use super::{Dtype, Tensor};
use crate::image::{Normalize, Preprocess, Resize};
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::{ModelDescription, Network};
use crate::{Error, Result};

/// Metadata key of the description.
const KEY: &str = "image_feature";
const VERSION: u32 = 1;
/// Bytes of the header; the largest model of the family needs some 40 kB.
const HEADER_BYTES: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    name: String,
    network: NetworkEntry,
    form: FormEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    preprocess: PreprocessEntry,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum NetworkEntry {
    LcnetV2 { scale: f64, input: [usize; 2], embedding: usize },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormEntry {
    Training,
    Deploy,
}

#[derive(Serialize, Deserialize)]
struct PreprocessEntry {
    resize: ResizeEntry,
    scale: f64,
    mean: [f64; 3],
    std: [f64; 3],
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResizeEntry {
    Stretch { width: usize, height: usize },
    ShortSide(usize),
}

impl Description {
    fn of(model: &Model) -> Self {
        let Network::LcNetV2(config) = &model.description.network;
        let Preprocess { resize, normalize } = &model.description.preprocess;
        Description {
            version: VERSION,
            name: model.description.name.clone(),
            network: NetworkEntry::LcnetV2 { scale: config.scale, input: config.input, embedding: config.embedding },
            form: match model.form {
                Form::Training => FormEntry::Training,
                Form::Deploy => FormEntry::Deploy,
            },
            classes: model.classes,
            preprocess: PreprocessEntry {
                resize: match *resize {
                    Resize::Stretch { width, height } => ResizeEntry::Stretch { width, height },
                    Resize::ShortSide(side) => ResizeEntry::ShortSide(side),
                },
                scale: normalize.scale,
                mean: normalize.mean,
                std: normalize.std,
            },
        }
    }
}

/// Reads a model. `keep_head` keeps the classification head of a training checkpoint.
pub(super) fn read(bytes: &[u8], keep_head: bool) -> Result<Model> {
    let (metadata, data) = split(bytes)?;
    let mut raw = Vec::new();
    for name in metadata.offset_keys() {
        // Tensors lie one behind the other from the start of the data: the library has checked that.
        limits::check_name(&name)?;
        let info = metadata.info(&name).ok_or_else(|| Error::internal("a tensor without an entry"))?;
        let (start, end) = info.data_offsets;
        let tensor = RawTensor::new(info.shape.clone(), element(&name, info.dtype)?, &data[start..end])
            .map_err(|error| error.context(format!("tensor `{name}`")))?;
        raw.push((name, tensor));
    }
    let by_name: HashMap<&str, &RawTensor> = raw.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let identified = named::identify(&by_name)?;
    let mut origin = Origin::new(Format::Safetensors);
    let description = match metadata.metadata().as_ref().and_then(|entries| entries.get(KEY)) {
        Some(json) => check(json, &identified).map_err(|error| error.context(format!("metadata `{KEY}`")))?,
        None => {
            origin.notes.push(format!(
                "the file has no metadata `{KEY}`: the network was told from the names and shapes of its tensors, \
                 name and preprocessing are those of PP-ShiTuV2_rec"
            ));
            super::default_description(identified.config.clone())
        }
    };
    let tensors = named::collect(&by_name, &identified, keep_head, &mut origin)?;
    let classes = identified.classes.filter(|_| keep_head);
    Ok(Model { description, form: identified.form, classes, tensors, origin })
}

/// Header and data. The header's offsets lie within the data.
fn split(bytes: &[u8]) -> Result<(Metadata, &[u8])> {
    let truncated = || Error::model("the safetensors file is truncated");
    let (length, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    let length = u64::from_le_bytes(*length);
    limits::check_size("the header", length, HEADER_BYTES)?;
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(truncated)?;
    // Not `SafeTensors::deserialize`: it adds offsets unchecked, which a hostile header can make overflow.
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
        other => {
            return Err(Error::unsupported(format!(
                "tensor `{name}` holds {other} values; F32, F16, BF16 and F64 are read"
            )));
        }
    })
}

/// The description in the metadata, as far as the tensors bear it out.
fn check(json: &str, identified: &named::Identified) -> Result<ModelDescription> {
    let header: serde_json::Value = serde_json::from_str(json).map_err(|error| Error::model(error.to_string()))?;
    match header.get("version").and_then(|version| version.as_u64()) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(Error::unsupported(format!(
                "version {version} is not known; this program reads version {VERSION}"
            )));
        }
        None => return Err(Error::model("`version` is missing")),
    }
    let description: Description = serde_json::from_value(header).map_err(|error| Error::model(error.to_string()))?;
    limits::check_name(&description.name)?;
    let NetworkEntry::LcnetV2 { scale, input, embedding } = description.network;
    // The scale stands for the widths, which the shapes have told already. Bounded before it is computed with.
    let told = &identified.config;
    let sizes_agree = (0.001..=100.0).contains(&scale)
        && embedding == told.embedding
        && LcNetV2Config { scale, ..told.clone() }.blocks() == told.blocks();
    if !sizes_agree {
        return Err(Error::model(format!(
            "a network of scale {scale} and embedding {embedding} is described; the tensors have scale {} and embedding {}",
            told.scale, told.embedding
        )));
    }
    let form = match description.form {
        FormEntry::Training => Form::Training,
        FormEntry::Deploy => Form::Deploy,
    };
    if form != identified.form {
        return Err(Error::model(format!(
            "the {} form is described; the tensors have the {} form",
            form_name(form),
            form_name(identified.form)
        )));
    }
    if description.classes.is_some() && description.classes != identified.classes {
        return Err(Error::model(format!(
            "a head of {} classes is described; the tensors have {}",
            description.classes.unwrap_or_default(),
            identified.classes.map_or("none".into(), |classes| classes.to_string())
        )));
    }
    let PreprocessEntry { resize, scale: pixel_scale, mean, std } = description.preprocess;
    let preprocess = Preprocess {
        resize: match resize {
            ResizeEntry::Stretch { width, height } => Resize::Stretch { width, height },
            ResizeEntry::ShortSide(side) => Resize::ShortSide(side),
        },
        normalize: Normalize { scale: pixel_scale, mean, std },
    };
    limits::check_preprocess(&preprocess)?;
    limits::check_input(input)?;
    Ok(ModelDescription {
        name: description.name,
        network: Network::LcNetV2(LcNetV2Config { scale, input, embedding }),
        preprocess,
    })
}

/// One tensor on its way into a file.
struct Written<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
}

impl View for Written<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        match self.dtype {
            Dtype::F32 => safetensors::Dtype::F32,
            Dtype::F16 => safetensors::Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensor.values.iter();
        match self.dtype {
            Dtype::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
            Dtype::F16 => values.flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        }
    }

    fn data_len(&self) -> usize {
        self.tensor.values.len() * self.dtype.size()
    }
}

/// The bytes of a safetensors file. They depend on the model only.
pub(super) fn write(model: &Model, dtype: Dtype) -> Result<Vec<u8>> {
    if dtype == Dtype::F16 {
        for (name, tensor) in model.tensors.iter() {
            if let Some(value) =
                tensor.values.iter().find(|&&value| value.is_finite() && !f16::from_f32(value).is_finite())
            {
                return Err(Error::model(format!(
                    "tensor `{name}` holds {value}, which f16 cannot hold (largest: 65504); write f32"
                )));
            }
        }
    }
    let json = serde_json::to_string(&Description::of(model))
        .map_err(|error| Error::internal(format!("the description: {error}")))?;
    let metadata = [(KEY.to_string(), json)].into_iter().collect();
    let tensors = model.tensors.iter().map(|(name, tensor)| (name, Written { tensor, dtype }));
    safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::internal(format!("safetensors: {error}")).with_source(error))
}
