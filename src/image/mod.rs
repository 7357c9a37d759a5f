//! Bytes to RGB pixels to network input, the way OpenCV and PaddleX do it.

#[cfg(feature = "train")]
mod bicubic;
mod bmp;
#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
mod budget;
mod decode;
mod format;
mod gif;
mod jpeg;
mod limits;
mod orientation;
mod pnm;
mod preprocess;
mod raster;
mod resize;
mod rgb;
mod tiff;
mod webp;

#[cfg(all(feature = "dataset", not(target_arch = "wasm32")))]
pub(crate) use budget::{DecodeBudget, Share};
#[cfg(feature = "dataset")]
pub(crate) use decode::decode_noting_damage;
pub use decode::{ImageInfo, decode, probe};
pub use format::ImageFormat;
pub use limits::DecodeLimits;
pub use preprocess::{Normalize, Preprocess, Resize};
pub use rgb::{RgbImage, Roi};
