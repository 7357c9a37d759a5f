//! `inference.pdiparams`: the values of the parameters, one after the other, without names.
//!
//! Each tensor is `u32` version, `u64` count of level-of-detail tables and the tables (each `u64` length and bytes),
//! `u32` version, `i32` length and bytes of a protobuf `VarType.TensorDesc`, and its elements in C order.

use prost::Message;

use super::op::Declared;
use crate::weights::element::{Element, RawTensor};
use crate::{Error, Result};

/// `VarType.TensorDesc`.
#[derive(Message)]
struct TensorDesc {
    #[prost(int32, tag = 1)]
    data_type: i32,
    #[prost(int64, repeated, packed = "false", tag = 2)]
    dims: Vec<i64>,
}

/// Largest description of a tensor in bytes: a tag and at most ten bytes for each dimension, and the type.
const DESC_BYTES: i32 = 256;

/// Reads the values of all `parameters`, which must be in the file's order.
pub(super) fn read<'a>(bytes: &'a [u8], parameters: &[Declared]) -> Result<Vec<RawTensor<'a>>> {
    let mut rest = bytes;
    let mut tensors = Vec::with_capacity(parameters.len());
    for (index, declared) in parameters.iter().enumerate() {
        let place = || format!("tensor {} of {} (`{}`)", index + 1, parameters.len(), declared.name);
        if rest.is_empty() {
            return Err(Error::model(format!("the file ends before {}; expected shape {:?}", place(), declared.shape)));
        }
        let tensor = tensor(&mut rest, &declared.shape).map_err(|error| error.context(place()))?;
        tensors.push(tensor);
    }
    if !rest.is_empty() {
        return Err(Error::model(format!(
            "{} bytes follow the last of the {} tensors that the graph declares: the two files do not belong together",
            rest.len(),
            parameters.len()
        )));
    }
    Ok(tensors)
}

fn tensor<'a>(rest: &mut &'a [u8], shape: &[usize]) -> Result<RawTensor<'a>> {
    expect_version(rest)?;
    for _ in 0..u64::from_le_bytes(take(rest)?) {
        let length = u64::from_le_bytes(take(rest)?);
        slice(rest, length)?;
    }
    expect_version(rest)?;
    let length = i32::from_le_bytes(take(rest)?);
    if !(0..=DESC_BYTES).contains(&length) {
        return Err(Error::model(format!(
            "its description has {length} bytes: the file is damaged or not a .pdiparams"
        )));
    }
    let desc = TensorDesc::decode(slice(rest, length as u64)?)
        .map_err(|error| Error::model(format!("its description is damaged: {error}")).with_source(error))?;
    let element = element(desc.data_type)?;
    if !desc.dims.iter().copied().eq(shape.iter().map(|&side| side as i64)) {
        return Err(Error::model(format!(
            "has shape {:?}; the graph declares {shape:?}: the two files do not belong together",
            desc.dims
        )));
    }
    let length = element.byte_len(shape).ok_or_else(|| Error::limit(format!("shape {shape:?} is too large")))?;
    RawTensor::new(shape.to_vec(), element, slice(rest, length as u64)?)
}

fn expect_version(rest: &mut &[u8]) -> Result<()> {
    match u32::from_le_bytes(take(rest)?) {
        0 => Ok(()),
        version => Err(Error::unsupported(format!("version {version} of the format; only version 0 is known"))),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk().ok_or_else(|| truncated(N as u64, rest.len()))?;
    *rest = after;
    Ok(*chunk)
}

fn slice<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let (chunk, after) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| truncated(length, rest.len()))?;
    *rest = after;
    Ok(chunk)
}

fn truncated(needed: u64, left: usize) -> Error {
    Error::model(format!("the file is truncated: {needed} bytes are needed, {left} are left"))
}

/// The element type of a `VarType.Type`.
fn element(data_type: i32) -> Result<Element> {
    Ok(match data_type {
        0 => Element::Bool,
        1 => Element::Int16,
        2 => Element::Int32,
        3 => Element::Int64,
        4 => Element::Float16,
        5 => Element::Float32,
        6 => Element::Float64,
        20 => Element::Uint8,
        21 => Element::Int8,
        22 => Element::Bfloat16,
        23 => Element::Complex64,
        24 => Element::Complex128,
        other => return Err(Error::model(format!("element type {other} is not known"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data_type: u8, dims: &[u8], packed: bool, data: &[u8]) -> Vec<u8> {
        let mut desc = vec![0x08, data_type];
        match packed {
            true => desc.extend([&[0x12, dims.len() as u8], dims].concat()),
            false => desc.extend(dims.iter().flat_map(|&side| [0x10, side])),
        }
        // one level-of-detail table of eight bytes, which is skipped
        let tables = [&1_u64.to_le_bytes()[..], &8_u64.to_le_bytes(), &[7; 8]].concat();
        [&[0; 4], &tables[..], &[0; 4], &(desc.len() as i32).to_le_bytes(), &desc, data].concat()
    }

    fn declared() -> Vec<Declared> {
        let shapes: [&[i64]; 3] = [&[2, 3], &[], &[4]];
        shapes.iter().zip(["a", "b", "c"]).map(|(dims, name)| Declared::new(name.into(), dims).unwrap()).collect()
    }

    fn stream() -> Vec<u8> {
        let floats: Vec<u8> = (1..=6).flat_map(|value| (value as f32).to_le_bytes()).collect();
        [
            record(5, &[2, 3], false, &floats),
            record(6, &[], false, &0.25_f64.to_le_bytes()),
            record(22, &[4], true, &[0x80, 0x3f, 0, 0x40, 0x40, 0x40, 0x80, 0xbf]),
        ]
        .concat()
    }

    #[test]
    fn reads_every_layout_of_the_header() {
        let bytes = stream();
        let tensors = read(&bytes, &declared()).unwrap();
        let values: Vec<_> = tensors.iter().map(|tensor| tensor.widen().unwrap().values).collect();
        assert_eq!(values, [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.25], vec![1.0, 2.0, 3.0, -1.0]]);
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = stream();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], &declared()).is_err(), "{cut}");
        }
    }

    #[test]
    fn every_changed_byte_is_an_error_or_changes_values_only() {
        let bytes = stream();
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                if let Ok(tensors) = read(&bytes, &declared()) {
                    let shapes: Vec<_> = tensors.iter().map(|tensor| tensor.shape.clone()).collect();
                    assert_eq!(shapes, [vec![2, 3], vec![], vec![4]], "byte {at} set to {value}");
                }
            }
        }
    }

    #[test]
    fn integers_are_read_past_but_are_no_weights() {
        let bytes = record(3, &[1], false, &7_i64.to_le_bytes());
        let tensors = read(&bytes, &[Declared::new("counter".into(), &[1]).unwrap()]).unwrap();
        assert!(tensors[0].widen().unwrap_err().to_string().contains("int64"));
    }
}
