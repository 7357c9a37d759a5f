//! The published models: their names, and the defaults for a file that does not describe itself.

use crate::image::{Normalize, Preprocess, Resize};
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::vit::VitConfig;
use crate::model::{ModelDescription, Network};

/// Name of the published LCNetV2. The names of the vision transformers begin with it.
pub(super) const PUBLISHED: &str = "PP-ShiTuV2_rec";
/// Beginning of the names of the published vision transformers.
pub(super) const PUBLISHED_VIT: &str = "PP-ShiTuV2_rec_CLIP_vit";

/// Name of the published detector.
pub(super) const PUBLISHED_DETECTOR: &str = "PP-ShiTuV2_det";

/// The name of the published model with the same architecture.
pub(super) fn published_name(description: &ModelDescription) -> &str {
    match description.network {
        Network::LcNetV2(_) => PUBLISHED,
        Network::PicoDet(_) => PUBLISHED_DETECTOR,
        Network::Vit(_) | Network::EfficientNetLite(_) => &description.name,
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

/// The description of a network without one: the name and the preprocessing of the published models.
pub(super) fn default_description(network: Network) -> ModelDescription {
    let name = match &network {
        Network::LcNetV2(config) if config.scale == 1.0 => PUBLISHED.into(),
        Network::LcNetV2(config) => format!("{PUBLISHED}_x{}", config.scale),
        Network::PicoDet(config) if config.scale == 2.5 => PUBLISHED_DETECTOR.into(),
        Network::PicoDet(config) => format!("{PUBLISHED_DETECTOR}_x{}", config.scale),
        Network::Vit(config) if *config == VitConfig::base() => format!("{PUBLISHED_VIT}_base"),
        Network::Vit(config) if *config == VitConfig::large() => format!("{PUBLISHED_VIT}_large"),
        Network::Vit(config) => format!("{PUBLISHED_VIT}_{}x{}", config.depth, config.width),
        Network::EfficientNetLite(config) => (0..5)
            .find(|&number| {
                EfficientNetLiteConfig::lite(number)
                    .is_some_and(|lite| (lite.width, lite.depth) == (config.width, config.depth))
            })
            .map_or("EfficientNet-Lite".into(), |number| format!("EfficientNet-Lite{number}")),
    };
    let [height, width] = network.input_size();
    let normalize = match &network {
        Network::EfficientNetLite(_) => Normalize { scale: 1.0, mean: [127.0; 3], std: [128.0; 3] },
        Network::LcNetV2(_) | Network::Vit(_) | Network::PicoDet(_) => Normalize::default(),
    };
    let resize = match &network {
        Network::PicoDet(_) => Resize::StretchCubic { width, height },
        _ => Resize::Stretch { width, height },
    };
    let preprocess = Preprocess { resize, normalize };
    ModelDescription { name, network, preprocess }
}
