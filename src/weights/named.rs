//! Finds a network and its tensors among tensors with PaddleClas's structured names (`.pdparams`, safetensors).

use std::collections::HashMap;

use super::element::RawTensor;
use super::identify;
use super::origin::{Origin, SkippedTensor};
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::{Network, Parameter, Role};
use crate::tensors::{Tensor, Tensors};
use crate::{Error, Result};

const LAST_CONV: &str = "backbone.last_conv.weight";
const PATCH_EMBEDDING: &str = "backbone.patch_embed.proj.weight";

/// The last layer of a detector's first level.
const DETECTOR_HEAD: &str = "head.head_cls0.weight";
/// The last layer of its backbone.
const DETECTOR_BACKBONE: &str = "backbone.blocks6.1.pw_conv.conv.weight";

/// A network, as names and shapes of tensors show it.
pub(super) struct Identified {
    pub network: Network,
    pub form: Form,
    /// Classes of the classification head, where there is one.
    pub classes: Option<usize>,
}

/// Name of a network's classification head.
pub(super) fn head(network: &Network) -> &'static str {
    match network {
        // a detector has no such head, nor a tensor of this name
        Network::LcNetV2(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => "head.fc.weight",
        Network::Vit(_) => "head.weight",
    }
}

/// Finds the network that these tensors belong to, or the most similar one: [`collect`] then reports the difference.
///
/// `described` is the network that the file describes, where it does. Weights do not show all sizes of a vision
/// transformer.
pub(super) fn identify(tensors: &HashMap<&str, &RawTensor>, described: Option<&Network>) -> Result<Identified> {
    let shape = |name: &str| tensors.get(name).map(|tensor| &tensor.shape[..]);
    let (network, form) = match (shape(PATCH_EMBEDDING), described) {
        (None, Some(network @ Network::PicoDet(_))) => (network.clone(), Form::Deploy),
        (None, _) if shape(DETECTOR_HEAD).is_some() => (picodet(tensors)?, Form::Deploy),
        (Some(_), Some(network @ Network::Vit(_))) => (network.clone(), Form::Deploy),
        (Some(patches), _) => (vit(patches)?, Form::Deploy),
        (None, Some(network @ Network::EfficientNetLite(_))) => (network.clone(), Form::Deploy),
        (None, _) => lcnet_v2(tensors)?,
    };
    let (head, embedding) = (head(&network), network.dimension());
    let classes = match shape(head) {
        None => None,
        Some(&[rows, classes]) if rows == embedding && classes > 0 => Some(classes),
        Some(other) => {
            return Err(Error::model(format!(
                "tensor `{head}` has shape {other:?}; expected [{embedding}, number of classes]"
            )));
        }
    };
    Ok(Identified { network, form, classes })
}

fn vit(patches: &[usize]) -> Result<Network> {
    identify::vit(patches).map(Network::Vit).ok_or_else(|| {
        Error::unsupported(format!(
            "a vision transformer with a `{PATCH_EMBEDDING}` of shape {patches:?}; known are [768, 3, 16, 16] of \
             PP-ShiTuV2_rec_CLIP_vit_base and [1024, 3, 14, 14] of _large"
        ))
    })
}

fn picodet(tensors: &HashMap<&str, &RawTensor>) -> Result<Network> {
    let shape = |name: &str| match tensors.get(name) {
        Some(tensor) => Ok(&tensor.shape[..]),
        None => Err(Error::model(format!("tensor `{name}` is missing; expected that of PP-ShiTuV2_det"))),
    };
    identify::picodet(shape(DETECTOR_BACKBONE)?, shape(DETECTOR_HEAD)?).map(Network::PicoDet)
}

fn lcnet_v2(tensors: &HashMap<&str, &RawTensor>) -> Result<(Network, Form)> {
    let shape = |name: &str| tensors.get(name).map(|tensor| &tensor.shape[..]);
    let form = match tensors.keys().any(|name| name.contains(".dw_conv_list.")) {
        true => Form::Training,
        false => Form::Deploy,
    };
    let last_conv = shape(LAST_CONV).ok_or_else(|| not_of_the_family(tensors))?;
    let mismatches = |config: &LcNetV2Config| {
        let parameters = config.parameters(form, None);
        parameters.iter().filter(|p| shape(&p.name).is_some_and(|shape| shape != p.shape)).count()
    };
    let config = identify::lcnet_v2(last_conv, mismatches).ok_or_else(|| {
        Error::model(format!("tensor `{LAST_CONV}` has shape {last_conv:?}; expected [embedding, channels, 1, 1]"))
    })?;
    Ok((Network::LcNetV2(config), form))
}

fn not_of_the_family(tensors: &HashMap<&str, &RawTensor>) -> Error {
    let some = tensors
        .keys()
        .min()
        .map_or(String::new(), |name| format!(" (the file has {} others, such as `{name}`)", tensors.len()));
    Error::model(format!(
        "tensor `{LAST_CONV}` is missing{some}; expected the weights of a network of the PP-ShiTuV2_rec family"
    ))
}

/// The network's tensors among those of a file, in the network's order, as `f32`.
pub(super) fn collect(
    raw: &HashMap<&str, &RawTensor>,
    identified: &Identified,
    keep_head: bool,
    origin: &mut Origin,
) -> Result<Tensors> {
    let mut tensors = Tensors::new();
    let classes = identified.classes.filter(|_| keep_head);
    let mut spares = 0;
    for parameter in identified.network.parameters(identified.form, classes) {
        let name = &parameter.name;
        let Some(raw) = raw.get(name.as_str()) else {
            if identified.form == Form::Training && is_spare(name) {
                spares += 1;
                tensors.insert(
                    name.clone(),
                    Tensor { shape: parameter.shape.clone(), values: vec![0.0; parameter.len()] },
                );
                continue;
            }
            return Err(Error::model(format!(
                "tensor `{name}` is missing; expected one of shape {:?}",
                parameter.shape
            )));
        };
        tensors.insert(name.clone(), widen(&parameter, raw)?);
        origin.remember_element(name, raw.element);
    }
    if spares > 0 {
        origin
            .notes
            .push(format!("{spares} tensors of the unused fused convolutions are missing; zeros stand for them"));
    }
    let mut left: Vec<_> = raw.iter().filter(|(name, _)| tensors.get(name).is_none()).collect();
    left.sort_by_key(|(name, _)| **name);
    let head = head(&identified.network);
    for (name, raw) in left {
        origin.skipped.push(SkippedTensor {
            name: name.to_string(),
            shape: raw.shape.clone(),
            dtype: raw.element.name(),
            reason: match *name == head {
                true => "classification head: needed for training only",
                false => "not part of the network",
            },
        });
    }
    Ok(tensors)
}

/// Whether a tensor of the training form belongs to a fused convolution, which only the deploy form uses.
fn is_spare(name: &str) -> bool {
    name.ends_with(".dw_conv.weight") || name.ends_with(".dw_conv.bias")
}

/// The values of a parameter as `f32`. Shape and type are checked, and that every value is finite.
pub(super) fn widen(parameter: &Parameter, raw: &RawTensor) -> Result<Tensor> {
    let Parameter { name, shape, role } = parameter;
    if raw.shape != *shape {
        return Err(Error::model(format!("tensor `{name}` has shape {:?}; expected {shape:?}", raw.shape)));
    }
    let tensor =
        raw.widen().map_err(|error| Error::new(error.kind(), format!("tensor `{name}` {}", error.message())))?;
    let good = |value: f32| value.is_finite() && (*role != Role::NormVariance || value >= 0.0);
    // without a search that can stop at each value, which takes several times as long
    if !tensor.values.iter().fold(true, |all, &value| all & good(value))
        && let Some(index) = tensor.values.iter().position(|&value| !good(value))
    {
        let value = tensor.values[index];
        return Err(Error::model(format!("tensor `{name}` holds {value} at index {index}; the file is damaged")));
    }
    Ok(tensor)
}
