//! A summary of a model, as `image-feature model info` prints it.

use serde::Serialize;

use super::model::Model;
use super::named;
use super::origin::SkippedTensor;
use crate::image::{Preprocess, Resize};
use crate::model::Network;
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::lcnet_v2::Form;
use crate::model::vit::VitConfig;

/// A summary of a [`Model`], for people and for JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The model's name, such as `PP-ShiTuV2_rec`.
    pub name: String,
    /// The format of its file.
    pub format: &'static str,
    /// `training` (parallel branches) or `deploy` (fused).
    pub form: &'static str,
    /// The network and its width.
    pub network: String,
    /// Length of the feature vector; 0 for a detector.
    pub dimension: usize,
    /// Height and width of the network's input in pixels.
    pub input_size: [usize; 2],
    /// Number of classes that it was trained on, where the file holds the classification head.
    pub classes: Option<usize>,
    /// Number of weights.
    pub parameters: usize,
    /// Size of its files in bytes, unpacked.
    pub bytes: u64,
    /// The preprocessing of an image.
    pub preprocess: PreprocessInfo,
    /// The tensors, in the network's order.
    pub tensors: Vec<TensorInfo>,
    /// Tensors of the file that were left out.
    pub skipped: Vec<SkippedTensor>,
    /// Assumptions made while reading, and other remarks.
    pub notes: Vec<String>,
}

/// The preprocessing of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PreprocessInfo {
    /// The resize in words: `stretch to 224x224`.
    pub resize: String,
    /// Factor of the pixel values.
    pub scale: f64,
    /// Mean of each RGB channel, subtracted after the factor.
    pub mean: [f64; 3],
    /// Divisor of each RGB channel, after the mean is subtracted.
    pub std: [f64; 3],
}

/// Name, shape and type of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TensorInfo {
    /// PaddleClas's structured name.
    pub name: String,
    /// Its shape, in Paddle's layout.
    pub shape: Vec<usize>,
    /// Its element type in the file, with NumPy's name.
    pub dtype: &'static str,
}

impl Model {
    /// A summary of the model: network, sizes, tensors, and the file it was read from.
    pub fn info(&self) -> ModelInfo {
        let network = &self.description.network;
        let tensors: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, tensor)| TensorInfo {
                name: name.into(),
                shape: tensor.shape.clone(),
                dtype: self.origin.elements.get(name).copied().unwrap_or("float32"),
            })
            .collect();
        let skipped_head = || {
            let name = named::head(network);
            let head = self.origin.skipped.iter().find(|tensor| tensor.name == name)?;
            head.shape.last().copied()
        };
        ModelInfo {
            name: self.description.name.clone(),
            format: self.origin.format.describe(),
            form: form_name(self.form),
            network: network_text(network),
            dimension: self.description.dimension(),
            input_size: self.description.input_size(),
            classes: self.classes.or_else(skipped_head),
            parameters: self.tensors.iter().map(|(_, tensor)| tensor.values.len()).sum(),
            bytes: self.origin.bytes,
            preprocess: PreprocessInfo::of(&self.description.preprocess),
            tensors,
            skipped: self.origin.skipped.clone(),
            notes: self.origin.notes.clone(),
        }
    }
}

impl PreprocessInfo {
    fn of(preprocess: &Preprocess) -> Self {
        PreprocessInfo {
            resize: match preprocess.resize {
                Resize::Stretch { width, height } => format!("stretch to {width}x{height}"),
                Resize::StretchCubic { width, height } => format!("stretch to {width}x{height}, bicubic"),
                Resize::ShortSide(side) => format!("scale the shorter side to {side}"),
            },
            scale: preprocess.normalize.scale,
            mean: preprocess.normalize.mean,
            std: preprocess.normalize.std,
        }
    }
}

fn network_text(network: &Network) -> String {
    match network {
        Network::LcNetV2(config) => format!("PPLCNetV2_base_ShiTu + BNNeck, scale {}", config.scale),
        Network::EfficientNetLite(EfficientNetLiteConfig { width, depth, kept_blocks, embedding, .. }) => format!(
            "EfficientNet-Lite{}, width {width}, depth {depth}{}",
            if embedding.is_some() { " + BNNeck" } else { "" },
            kept_blocks.map_or(String::new(), |blocks| format!(", the first {blocks} blocks"))
        ),
        Network::PicoDet(config) => format!(
            "PicoDet on PP-LCNet, scale {}, {} channels, finds {}",
            config.scale,
            config.neck,
            config.labels.join(", ")
        ),
        Network::Vit(VitConfig { patch, width, depth, heads, .. }) => format!(
            "CLIP vision transformer + FC, patches of {patch}x{patch}, {depth} blocks of {width} channels, {heads} heads"
        ),
    }
}

pub(super) fn form_name(form: Form) -> &'static str {
    match form {
        Form::Training => "training",
        Form::Deploy => "deploy",
    }
}
