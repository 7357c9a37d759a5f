//! The networks: what they are ([`ModelDescription`], free of any tensor library), and, with the feature `burn`,
//! the networks themselves, written once on Burn for every device.

mod description;
pub mod lcnet_v2;

pub use description::{ModelDescription, Network};
