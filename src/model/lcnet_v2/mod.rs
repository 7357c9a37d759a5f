//! LCNetV2, the network of PP-ShiTuV2_rec: PPLCNetV2_base_ShiTu with a BNNeck (PaddleClas `pp_lcnet_v2.py`; Cui et al.,
//! "PP-LCNet", 2021).
//!
//! ```
//! use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
//!
//! let half = LcNetV2Config { scale: 0.5, ..LcNetV2Config::default() };
//! assert_eq!(half.last_channels(), 512);
//! let branches = &half.blocks()[5].branches;
//! assert_eq!(branches[..], [5, 3]); // kernels of the parallel convolutions, which the deploy form fuses
//! ```

mod config;
mod fuse;
#[cfg(feature = "burn")]
mod network;

pub use config::{BlockConfig, Form, LcNetV2Config};
pub(crate) use config::{DROPOUT, EPSILON};
pub use fuse::{deploy_form, fuse};
#[cfg(feature = "train")]
pub(crate) use network::KEEP;
#[cfg(feature = "burn")]
pub use network::LcNetV2;
