//! The vision transformer of PP-ShiTuV2_rec_CLIP_vit_base and _large: CLIP's, with a linear layer after it (PaddleClas
//! `foundation_vit.py`; Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021).
//!
//! ```
//! use image_feature::model::vit::VitConfig;
//!
//! let config = VitConfig::base();
//! assert_eq!(config.patches(), 14 * 14);
//! assert_eq!(config.tokens(), 14 * 14 + 1); // and the class token
//! ```

mod config;
#[cfg(feature = "burn")]
mod network;

pub(crate) use config::EPSILON;
pub use config::VitConfig;
#[cfg(feature = "burn")]
pub use network::Vit;
