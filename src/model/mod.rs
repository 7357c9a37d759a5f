//! Networks: their sizes, their parameters, and the preprocessing of their input.
//!
//! [`ModelDescription`] holds everything about a model but its weights. It needs no tensor library. With the feature
//! `burn`, [`lcnet_v2`], [`vit`] and [`efficientnet_lite`] hold the networks themselves, too, written on Burn for every device.
//!
//! ```
//! use image_feature::Preprocess;
//! use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
//! use image_feature::model::{ModelDescription, Network};
//!
//! let description = ModelDescription {
//!     name: "PP-ShiTuV2_rec".into(),
//!     network: Network::LcNetV2(LcNetV2Config::default()),
//!     preprocess: Preprocess::default(),
//! };
//! assert_eq!(description.input_size(), [224, 224]);
//! assert_eq!(description.dimension(), 512);
//! let parameters = description.network.parameters(Form::Deploy, None);
//! assert_eq!(parameters[0].name, "backbone.stem.0.conv.weight");
//! assert_eq!(parameters[0].shape, [32, 3, 3, 3]);
//! ```

#[cfg(feature = "burn")]
mod any;
#[cfg(feature = "burn")]
mod burn_layers;
mod description;
pub mod efficientnet_lite;
pub mod lcnet_v2;
pub(crate) mod norm;
mod parameter;
pub mod picodet;
pub(crate) mod quantization;
mod views;
pub mod vit;

#[cfg(feature = "burn")]
pub(crate) use any::AnyNetwork;
#[cfg(feature = "burn")]
pub use burn_layers::Norms;
pub use description::{ModelDescription, Network};
pub use parameter::{Parameter, Role};
pub use quantization::Calibration;
pub use views::views;
