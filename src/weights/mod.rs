//! Files to named tensors to a model, and back to our own safetensors. Every file is untrusted input.

mod archive;
mod dtype;
mod element;
mod files;
mod identify;
mod info;
mod limits;
mod loader;
mod model;
mod named;
mod paddle;
mod safetensors;

pub use crate::tensors::{Tensor, Tensors};
pub use dtype::Dtype;
pub use info::{ModelInfo, PreprocessInfo, TensorInfo};
pub use loader::ModelLoader;
pub use model::{Model, SkippedTensor};

use crate::image::Preprocess;
use crate::model::lcnet_v2::LcNetV2Config;
use crate::model::{ModelDescription, Network};

/// Name of the published model.
const PUBLISHED: &str = "PP-ShiTuV2_rec";

/// What a network is called and fed with where its file does not say.
fn default_description(config: LcNetV2Config) -> ModelDescription {
    let name = match config.scale {
        1.0 => PUBLISHED.into(),
        scale => format!("{PUBLISHED}_x{scale}"),
    };
    ModelDescription { name, network: Network::LcNetV2(config), preprocess: Preprocess::default() }
}
