//! PP-ShiTuV2_rec: PPLCNetV2_base_ShiTu and a BNNeck (PaddleClas `pp_lcnet_v2.py`; Cui et al., "PP-LCNet", 2021).

mod config;
mod fuse;
#[cfg(feature = "burn")]
mod network;

pub use config::{BlockConfig, Form, LcNetV2Config};
pub(crate) use config::{DROPOUT, EPSILON};
#[cfg(feature = "cpu")]
pub(crate) use fuse::{NormFactors, fold_norm};
pub use fuse::{deploy_form, fuse};
#[cfg(feature = "train")]
pub(crate) use network::KEEP;
#[cfg(feature = "burn")]
pub use network::{LcNetV2, Norms};
