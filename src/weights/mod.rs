//! Files to named tensors to a model, and back to our own safetensors. Every file is untrusted input.

mod archive;
#[cfg(feature = "default-model")]
mod bundled;
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
#[cfg(feature = "default-model")]
pub use bundled::DEFAULT_MODEL;
pub use dtype::Dtype;
pub use info::{ModelInfo, PreprocessInfo, TensorInfo};
#[cfg(feature = "train")]
pub(crate) use limits::check_input;
pub use loader::ModelLoader;
pub use model::{Model, SkippedTensor};
pub use paddle::parse_yaml;
#[cfg(feature = "train")]
pub(crate) use paddle::{checkpoint, dump_yaml};

use crate::image::{Preprocess, Resize};
use crate::model::vit::VitConfig;
use crate::model::{ModelDescription, Network};

/// Name of the published model; those of its sisters begin with it.
const PUBLISHED: &str = "PP-ShiTuV2_rec";
/// How the names of the published vision transformers begin.
const PUBLISHED_VIT: &str = "PP-ShiTuV2_rec_CLIP_vit";

/// The published model of the description's kind.
fn published(description: &ModelDescription) -> &str {
    match description.network {
        Network::LcNetV2(_) => PUBLISHED,
        Network::Vit(_) => &description.name,
    }
}

/// The published model of this name.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for another name.
#[cfg(feature = "train")]
pub(crate) fn published_description(name: &str) -> crate::Result<ModelDescription> {
    let networks =
        [Network::LcNetV2(Default::default()), Network::Vit(VitConfig::base()), Network::Vit(VitConfig::large())];
    let mut known = networks.into_iter().map(default_description);
    known.find(|description| description.name == name).ok_or_else(|| {
        crate::Error::usage(format!(
            "unknown model `{name}`; known are {PUBLISHED}, {PUBLISHED_VIT}_base and {PUBLISHED_VIT}_large"
        ))
    })
}

/// What a network is called and fed with where its file does not say.
fn default_description(network: Network) -> ModelDescription {
    let name = match &network {
        Network::LcNetV2(config) if config.scale == 1.0 => PUBLISHED.into(),
        Network::LcNetV2(config) => format!("{PUBLISHED}_x{}", config.scale),
        Network::Vit(config) if *config == VitConfig::base() => format!("{PUBLISHED_VIT}_base"),
        Network::Vit(config) if *config == VitConfig::large() => format!("{PUBLISHED_VIT}_large"),
        Network::Vit(config) => format!("{PUBLISHED_VIT}_{}x{}", config.depth, config.width),
    };
    let [height, width] = network.input_size();
    let preprocess = Preprocess { resize: Resize::Stretch { width, height }, ..Preprocess::default() };
    ModelDescription { name, network, preprocess }
}
