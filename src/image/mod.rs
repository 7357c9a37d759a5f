//! Image files to RGB pixels, and pixels to the network's input, with OpenCV's and PaddleX's results.

#[cfg(feature = "train")]
mod bicubic;
mod bmp;
mod budget;
mod decode;
mod format;
mod gif;
mod info;
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
pub use decode::{decode, probe};
pub use format::ImageFormat;
pub(crate) use format::known_but_unread;
pub use info::ImageInfo;
pub use limits::DecodeLimits;
pub use preprocess::{Normalize, Preprocess, Resize};
pub use rgb::{RgbImage, Roi};
