//! EfficientNet-Lite, the family of networks that Google published for phones: EfficientNet without
//! squeeze-and-excitation and with ReLU6 (<https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>).
//! The blocks are MobileNetV2's.
//!
//! [`EfficientNetLiteConfig`] has the sizes and the parameters' names. With the feature `burn`, `EfficientNetLite` is the
//! network itself.
//!
//! ```
//! use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
//!
//! let config = EfficientNetLiteConfig::default();
//! assert_eq!((config.blocks().len(), config.head_channels()), (16, 1280));
//! ```

mod config;
#[cfg(feature = "burn")]
mod network;

#[cfg(any(feature = "cpu", feature = "whitening"))]
pub(crate) use config::NECK_EPSILON;
pub use config::{BlockConfig, EfficientNetLiteConfig};
#[cfg(feature = "cpu")]
pub(crate) use config::{EPSILON, before};
#[cfg(feature = "burn")]
pub use network::EfficientNetLite;
