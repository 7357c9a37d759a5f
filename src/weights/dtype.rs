//! The element types we write.

use std::str::FromStr;

use crate::{Error, Result};

/// Type of the numbers in a file that we write, or compute with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floats, as they are.
    #[default]
    F32,
    /// 16-bit floats: half the size, about three decimal digits.
    F16,
    /// 8-bit whole numbers with a scale for each output channel: a quarter of the size. Written only of a model with a
    /// [`Calibration`](crate::model::Calibration), with which it is also computed in 8 bits.
    I8,
}

impl FromStr for Dtype {
    type Err = Error;

    /// Reads `f32`, `f16` or `i8`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Dtype::F32),
            "f16" => Ok(Dtype::F16),
            "i8" => Ok(Dtype::I8),
            _ => Err(Error::usage(format!("`{text}` is not a type of numbers; f32, f16 and i8 are"))),
        }
    }
}
