//! Our own model format: a safetensors file whose metadata key `image_feature` holds the description as JSON.
//!
//! In a file of type i8 the weights of 1x1 convolutions are I8, `[out, in, 1, 1]`, with what 1 stands for in each output
//! channel beside them (`LAYER.conv.weight_scale`, F32, `[out]`). Where the layer is computed in 8 bits too, what 1 stands for in
//! each channel of its input (`LAYER.input_scale`, F32, `[in]`) is part of the weights: `weight = I8 * weight_scale / input_scale`.
//! The weights of other convolutions are F16, all else is F32.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::tensor::{Metadata, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::element::{Element, RawTensor, to_bytes};
use super::info::form_name;
use super::limits;
use super::model::{Format, Model, Origin};
use super::named;
use super::{Dtype, Tensor};
use crate::image::{Normalize, Preprocess, Resize};
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::vit::VitConfig;
use crate::model::{Calibration, ModelDescription, Network, Role, quantization};
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
    network: Value,
    form: FormEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
    preprocess: PreprocessEntry,
}

const LCNET_V2: &str = "lcnet_v2";
const VIT: &str = "vit";

/// A network as JSON. Read and written by hand: derived, it takes several times as much of what a browser downloads.
fn network_entry(network: &Network) -> Value {
    let mut entry = serde_json::Map::new();
    let mut set = |name: &str, value: Value| {
        entry.insert(name.into(), value);
    };
    let [height, width] = network.input_size();
    set("input", vec![height, width].into());
    set("embedding", network.dimension().into());
    match network {
        Network::LcNetV2(config) => {
            set("type", LCNET_V2.into());
            set("scale", config.scale.into());
        }
        Network::Vit(config) => {
            set("type", VIT.into());
            set("average_class_token", config.average_class_token.into());
            for (name, size) in vit_sizes(&mut config.clone()) {
                set(name, (*size).into());
            }
        }
    }
    Value::Object(entry)
}

/// The sizes of a vision transformer but for those that all networks have, by their names.
fn vit_sizes(config: &mut VitConfig) -> [(&'static str, &mut usize); 6] {
    [
        ("patch", &mut config.patch),
        ("width", &mut config.width),
        ("depth", &mut config.depth),
        ("heads", &mut config.heads),
        ("hidden", &mut config.hidden),
        ("projection", &mut config.projection),
    ]
}

/// The network of an entry, its sizes checked: its parameters can be asked for and are not many.
fn network(entry: &Value) -> Result<Network> {
    let missing =
        |name: &str| Error::model(format!("`network.{name}` is missing or of another kind than it should be"));
    let whole = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok());
    let size = |name: &str| entry.get(name).and_then(whole).ok_or_else(|| missing(name));
    let input = entry.get("input").and_then(Value::as_array).filter(|sides| sides.len() == 2);
    let input = input.and_then(|sides| Some([whole(&sides[0])?, whole(&sides[1])?])).ok_or_else(|| missing("input"))?;
    let embedding = size("embedding")?;
    match entry.get("type").and_then(Value::as_str) {
        Some(LCNET_V2) => {
            let scale = entry.get("scale").and_then(Value::as_f64).ok_or_else(|| missing("scale"))?;
            limits::check_input(input)?;
            Ok(Network::LcNetV2(LcNetV2Config { scale, input, embedding }))
        }
        Some(VIT) => {
            let average = entry.get("average_class_token").and_then(Value::as_bool);
            let average_class_token = average.ok_or_else(|| missing("average_class_token"))?;
            let mut config = VitConfig { input, average_class_token, embedding, ..VitConfig::base() };
            for (name, value) in vit_sizes(&mut config) {
                *value = size(name)?;
            }
            limits::check_vit(&config)?;
            Ok(Network::Vit(config))
        }
        Some(other) => Err(Error::model(format!("a network of type `{other}`; `{LCNET_V2}` and `{VIT}` are known"))),
        None => Err(missing("type")),
    }
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
        let Preprocess { resize, normalize } = &model.description.preprocess;
        Description {
            version: VERSION,
            name: model.description.name.clone(),
            network: network_entry(&model.description.network),
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

/// What a model's features depend on beside its tensors, as JSON: network, form, preprocessing, and whether it computes in 8 bits.
#[cfg(feature = "gallery")]
pub(super) fn essence(model: &Model) -> String {
    let Description { network, form, preprocess, .. } = Description::of(model);
    serde_json::json!([network, form, preprocess, model.calibration.is_some()]).to_string()
}

/// What follows the name of a tensor of whole numbers in that of its scales.
const SCALE: &str = "_scale";
/// What follows the name of a layer in that of the scales of its input.
const INPUT_SCALE: &str = ".input_scale";
/// What follows the name of a layer in that of its weights.
const WEIGHT: &str = ".conv.weight";

/// Reads a model. `keep_head` keeps the classification head of a training checkpoint.
pub(super) fn read(bytes: &[u8], keep_head: bool) -> Result<Model> {
    let (metadata, data) = split(bytes)?;
    let mut raw = Vec::new();
    let mut quantized = Quantized::default();
    for name in metadata.offset_keys() {
        // Tensors lie one behind the other from the start of the data: the library has checked that.
        limits::check_name(&name)?;
        let info = metadata.info(&name).ok_or_else(|| Error::internal("a tensor without an entry"))?;
        let (start, end) = info.data_offsets;
        let tensor = RawTensor::new(info.shape.clone(), element(&name, info.dtype)?, &data[start..end])
            .map_err(|error| error.context(format!("tensor `{name}`")))?;
        match name.strip_suffix(INPUT_SCALE) {
            Some(layer) => quantized.add_input_scales(layer, &name, &tensor)?,
            None if tensor.element == Element::Int8 => quantized.tensors.push((name, tensor)),
            None => raw.push((name, tensor)),
        }
    }
    let Quantized { tensors, input_scales } = quantized;
    let quantized_names: Vec<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
    for (name, tensor) in tensors {
        let at = raw.iter().position(|(other, _)| other.strip_suffix(SCALE) == Some(&name));
        let scales = at.map(|at| raw.swap_remove(at).1);
        let input = name.strip_suffix(WEIGHT).and_then(|layer| input_scales.get(layer));
        let widened = dequantized(&tensor, scales.as_ref(), input)
            .map_err(|error| Error::model(format!("tensor `{name}` {}", error.message())))?;
        raw.push((name, widened));
    }
    let is_quantized = |layer: &str| quantized_names.iter().any(|name| name.strip_suffix(WEIGHT) == Some(layer));
    if let Some(layer) = input_scales.keys().find(|layer| !is_quantized(layer)) {
        return Err(Error::model(format!(
            "tensor `{layer}{INPUT_SCALE}` scales the input of a layer whose `{layer}{WEIGHT}` holds no whole numbers"
        )));
    }
    let calibration = if input_scales.is_empty() { None } else { Some(Calibration::new(input_scales)?) };
    let by_name: HashMap<&str, &RawTensor> = raw.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let in_metadata = |error: Error| error.context(format!("metadata `{KEY}`"));
    let described = match metadata.metadata().as_ref().and_then(|entries| entries.get(KEY)) {
        Some(json) => Some(described(json).map_err(in_metadata)?),
        None => None,
    };
    let identified = named::identify(&by_name, described.as_ref().map(|(_, network)| network))?;
    let mut origin = Origin::new(Format::Safetensors);
    let description = match described {
        Some((description, network)) => check(description, network, &identified).map_err(in_metadata)?,
        None => {
            origin.notes.push(format!(
                "the file has no metadata `{KEY}`: the network was told from the names and shapes of its tensors, \
                 name and preprocessing are those of PP-ShiTuV2_rec"
            ));
            super::default_description(identified.network.clone())
        }
    };
    let tensors = named::collect(&by_name, &identified, keep_head, &mut origin)?;
    for name in quantized_names.iter().filter(|name| tensors.get(name).is_some()) {
        origin.remember_element(name, Element::Int8);
    }
    let classes = identified.classes.filter(|_| keep_head);
    Ok(Model { description, form: identified.form, classes, tensors, calibration, origin })
}

/// What a file of type i8 holds beside other tensors.
#[derive(Default)]
struct Quantized<'a> {
    /// The tensors of whole numbers.
    tensors: Vec<(String, RawTensor<'a>)>,
    /// By layer, what 1 stands for in each channel of its input.
    input_scales: BTreeMap<String, Vec<f32>>,
}

impl Quantized<'_> {
    fn add_input_scales(&mut self, layer: &str, name: &str, tensor: &RawTensor) -> Result<()> {
        let scales = scales(tensor).map_err(|error| Error::model(format!("tensor `{name}` {}", error.message())))?;
        self.input_scales.insert(layer.into(), scales);
        Ok(())
    }
}

/// Scales, checked. The message of an error follows the tensor's name.
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

/// A tensor of whole numbers, in what they stand for. The message of an error follows the tensor's name.
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
        safetensors::Dtype::I8 => Element::Int8,
        other => {
            return Err(Error::unsupported(format!(
                "tensor `{name}` holds {other} values; F32, F16, BF16, F64 and I8 are read"
            )));
        }
    })
}

/// The description in the metadata, and its network.
fn described(json: &str) -> Result<(Description, Network)> {
    let header: Value = serde_json::from_str(json).map_err(|error| Error::model(error.to_string()))?;
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
    let network = network(&description.network)?;
    Ok((description, network))
}

/// What is described, as far as the tensors bear it out.
fn check(description: Description, network: Network, identified: &named::Identified) -> Result<ModelDescription> {
    match (&network, &identified.network) {
        (&Network::LcNetV2(LcNetV2Config { scale, embedding, .. }), Network::LcNetV2(told)) => {
            // The scale stands for the widths, which the shapes have told already. Bounded before it is computed with.
            let sizes_agree = (0.001..=100.0).contains(&scale)
                && embedding == told.embedding
                && LcNetV2Config { scale, ..told.clone() }.blocks() == told.blocks();
            if !sizes_agree {
                return Err(Error::model(format!(
                    "a network of scale {scale} and embedding {embedding} is described; the tensors have scale {} and \
                     embedding {}",
                    told.scale, told.embedding
                )));
            }
        }
        (described, told) if described == told => {}
        _ => return Err(Error::model("the network described is of another kind than the tensors")),
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
    Ok(ModelDescription { name: description.name, network, preprocess })
}

/// One tensor on its way into a file.
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

/// The bytes of a safetensors file. They depend on the model only.
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

/// A file of type i8: the fused form, which is the one that runs, without a classification head.
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
            }
            (Role::ConvWeight, _) => written.push(half((&name, tensor))?),
            _ => written.push(full((&name, tensor))),
        }
    }
    let strangers = calibration
        .iter()
        .find(|(layer, _)| !written.iter().any(|(name, _)| name.strip_suffix(INPUT_SCALE) == Some(layer)));
    if let Some((layer, _)) = strangers {
        return Err(Error::model(format!(
            "the calibration is of another network: it has a layer `{layer}`, which {} has not",
            model.description.name
        )));
    }
    serialize(&Description { form: FormEntry::Deploy, classes: None, ..Description::of(model) }, written)
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
