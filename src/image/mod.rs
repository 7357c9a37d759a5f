//! Image files to RGB pixels, and pixels to the network's input, with OpenCV's and PaddleX's results.

mod bicubic;
mod bicubic_float;
mod bmp;
mod budget;
mod decode;
mod exif;
mod format;
mod gif;
mod info;
mod jpeg;
mod limits;
mod options;
mod orientation;
mod pfm;
mod pnm;
mod preprocess;
mod raster;
mod resize;
mod rgb;
pub(crate) mod structure;
mod sun_raster;
mod tiff;

pub use budget::{DecodeBudget, DecodeShare};
#[cfg(feature = "dataset")]
pub(crate) use decode::decode_noting_damage;
pub use decode::{Decoded, decode, decode_with, probe, probe_with};
pub use format::ImageFormat;
pub(crate) use format::known_but_unread;
pub use info::ImageInfo;
pub use limits::DecodeLimits;
pub use options::{DecodeOptions, Orient};
pub use preprocess::{Normalize, Preprocess, Resize};
pub use rgb::{RgbImage, Roi};
