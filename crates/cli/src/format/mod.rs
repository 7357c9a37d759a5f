//! Values as Python and numpy write them: what PaddleX prints and saves, other people's scripts read back.

mod decimal;
pub mod npy;
pub mod numpy;
pub mod python;
