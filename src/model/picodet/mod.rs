//! PicoDet, the detector of PP-ShiTuV2: PP-LCNet as backbone, CSP-PAN as neck, PicoHead as head
//! (<https://arxiv.org/abs/2111.00902>). It finds the main bodies of an image, the things that a picture is about.
//!
//! [`PicoDetConfig`] has the sizes and the parameters' names.
//!
//! ```
//! use image_feature::model::picodet::PicoDetConfig;
//!
//! let config = PicoDetConfig::default();
//! let boxes: usize = config.levels().iter().map(|level| level.height * level.width).sum();
//! assert_eq!((config.input, boxes), ([640, 640], 8500));
//! ```

mod config;

pub use config::{BlockConfig, Level, Nms, PicoDetConfig};
#[cfg(feature = "cpu")]
pub(crate) use config::{EPSILON, TOWER};
