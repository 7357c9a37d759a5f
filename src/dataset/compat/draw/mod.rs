//! The pictures of a check: samples with their label drawn on, and the histogram. Content and sizes are PaddleX's, the
//! pixels are not: it draws with a font that it downloads.

mod canvas;
mod histogram;
mod label;
mod save;

pub use histogram::histogram;
pub use label::with_label;
pub use save::encode;
