//! Values as Python and numpy write them, because scripts read the output of PaddleX.

mod decimal;
pub mod numpy;
pub mod python;
pub mod value;
