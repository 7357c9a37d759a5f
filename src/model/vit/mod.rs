//! PP-ShiTuV2_rec_CLIP_vit_base and _large: CLIP's vision transformer and one linear layer (PaddleClas
//! `foundation_vit.py`; Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021).

mod config;
#[cfg(feature = "burn")]
mod network;

pub(crate) use config::EPSILON;
pub use config::VitConfig;
#[cfg(feature = "burn")]
pub use network::Vit;
