//! The element types we write.

use std::str::FromStr;

use crate::{Error, Result};

/// Type of the numbers in a file that we write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floats, as they are.
    #[default]
    F32,
    /// 16-bit floats: half the size, about three decimal digits.
    F16,
}

impl Dtype {
    pub(super) fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
        }
    }
}

impl FromStr for Dtype {
    type Err = Error;

    /// Reads `f32` or `f16`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" => Ok(Dtype::F32),
            "f16" => Ok(Dtype::F16),
            _ => Err(Error::usage(format!("`{text}` is not a type of numbers; f32 and f16 are"))),
        }
    }
}
