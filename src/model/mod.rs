//! The networks: what they are ([`ModelDescription`], free of any tensor library), and, with the feature `burn`,
//! the networks themselves, written once on Burn for every device.

#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
mod conv_norm;
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
mod conv_shape;
mod description;
#[cfg(all(feature = "train", not(target_arch = "wasm32"), any(test, feature = "webgpu", feature = "cuda")))]
mod gpu;
pub mod lcnet_v2;
mod parameter;
pub(crate) mod quantization;
mod views;
pub mod vit;

pub use description::{ModelDescription, Network};
pub use parameter::{Parameter, Role};
pub use quantization::Calibration;
pub use views::views;
