//! Tensors as a file stores them: borrowed bytes with a shape and an element type, widened to `f32` on demand.

use std::borrow::Cow;

use half::{bf16, f16};

use crate::tensors::Tensor;
use crate::{Error, Result};

/// Type of a tensor's elements in a file, with the names Paddle and NumPy use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    Uint8,
    Int8,
    Int16,
    Int32,
    Int64,
    Float16,
    Bfloat16,
    Float32,
    Float64,
    Complex64,
    Complex128,
}

impl Element {
    pub fn name(self) -> &'static str {
        match self {
            Element::Bool => "bool",
            Element::Uint8 => "uint8",
            Element::Int8 => "int8",
            Element::Int16 => "int16",
            Element::Int32 => "int32",
            Element::Int64 => "int64",
            Element::Float16 => "float16",
            Element::Bfloat16 => "bfloat16",
            Element::Float32 => "float32",
            Element::Float64 => "float64",
            Element::Complex64 => "complex64",
            Element::Complex128 => "complex128",
        }
    }

    fn size(self) -> usize {
        match self {
            Element::Bool | Element::Uint8 | Element::Int8 => 1,
            Element::Int16 | Element::Float16 | Element::Bfloat16 => 2,
            Element::Int32 | Element::Float32 => 4,
            Element::Int64 | Element::Float64 | Element::Complex64 => 8,
            Element::Complex128 => 16,
        }
    }

    /// Size of a tensor of this shape in bytes; `None` where the size overflows.
    pub fn byte_len(self, shape: &[usize]) -> Option<usize> {
        shape.iter().try_fold(self.size(), |product, &side| product.checked_mul(side))
    }
}

/// A tensor in C order, little endian. Its bytes may be borrowed from the file.
#[derive(Clone, Debug)]
pub(crate) struct RawTensor<'a> {
    pub shape: Vec<usize>,
    pub element: Element,
    /// Exactly `element.byte_len(&shape)` bytes.
    bytes: Cow<'a, [u8]>,
}

impl<'a> RawTensor<'a> {
    /// A tensor from its bytes.
    ///
    /// # Errors
    /// Where the number of bytes does not agree with shape and type.
    pub fn new(shape: Vec<usize>, element: Element, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if element.byte_len(&shape) != Some(bytes.len()) {
            return Err(Error::model(format!(
                "{} bytes do not make a {} tensor of shape {shape:?}",
                bytes.len(),
                element.name()
            )));
        }
        Ok(RawTensor { shape, element, bytes })
    }

    /// The values of a tensor of [`Element::Int8`].
    pub fn whole_numbers(&self) -> Vec<i8> {
        debug_assert_eq!(self.element, Element::Int8);
        self.bytes.iter().map(|byte| byte.cast_signed()).collect()
    }

    /// The values as `f32`.
    ///
    /// # Errors
    /// Where the elements are not floating point: weights always are.
    pub fn widen(&self) -> Result<Tensor> {
        let bytes = &self.bytes[..];
        let values = match self.element {
            Element::Float32 if cfg!(target_endian = "little") => bytemuck::pod_collect_to_vec(bytes),
            Element::Float32 => elements(bytes, f32::from_le_bytes),
            Element::Float64 => elements(bytes, |b| f64::from_le_bytes(b) as f32),
            Element::Float16 => elements(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Element::Bfloat16 => elements(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            other => {
                return Err(Error::model(format!(
                    "holds {} values; weights are float32, float16, bfloat16 or float64",
                    other.name()
                )));
            }
        };
        Ok(Tensor { shape: self.shape.clone(), values })
    }
}

/// Values as little-endian bytes.
pub(super) fn to_bytes(values: &[f32]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        return bytemuck::pod_collect_to_vec(values);
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn elements<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&chunk| read(chunk)).collect()
}
