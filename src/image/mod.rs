//! Bytes to RGB pixels to network input, the way OpenCV and PaddleX do it.

#[cfg(feature = "train")]
mod bicubic;
mod bmp;
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

pub use budget::{DecodeBudget, DecodeShare};
#[cfg(feature = "dataset")]
pub use decode::decode_noting_damage;
pub use decode::{ImageInfo, decode, probe};
pub use format::ImageFormat;
pub use limits::DecodeLimits;
pub use preprocess::{Normalize, Preprocess, Resize};
pub use rgb::{RgbImage, Roi};
