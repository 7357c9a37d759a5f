//! The pictures of PaddleX's check: samples with their label drawn on, and the histogram; and boxes of a detector.
//!
//! Content and sizes are PaddleX's. The pixels are not: PaddleX downloads another font.
//!
//! ```
//! use image_feature::dataset::compat::{Counts, SampleFormat, draw};
//! use image_feature::{ImageFormat, RgbImage, probe};
//!
//! let sample = draw::with_label(&RgbImage::new(40, 30, vec![0; 40 * 30 * 3])?, "7")?;
//! let file = draw::encode(&sample, SampleFormat::Bmp)?.unwrap();
//! assert_eq!(probe(&file)?.format(), ImageFormat::Bmp);
//! let histogram = draw::histogram(&[Counts { images: 24, classes: 12 }; 3])?;
//! assert_eq!(probe(&histogram)?.width(), 1920);
//! # Ok::<(), image_feature::Error>(())
//! ```

mod boxes;
mod canvas;
mod histogram;
mod label;
mod save;

pub use boxes::{LabelledBox, with_boxes};
pub use histogram::histogram;
pub use label::with_label;
pub use save::encode;
