//! The element types that this crate writes and computes in.

use std::str::FromStr;

use crate::{Error, Result};

/// Type of the numbers in a file to write, or to compute in.
///
/// ```
/// use image_feature::Dtype;
///
/// assert_eq!("f16".parse::<Dtype>()?, Dtype::F16);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floats: the full precision.
    #[default]
    F32,
    /// 16-bit floats: half the size, about three decimal digits.
    F16,
    /// 8-bit integers with a scale for each output channel: a quarter of the size.
    ///
    /// Only a model with a [`Calibration`](crate::model::Calibration) can be written so. It is then computed in 8 bits, too.
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
