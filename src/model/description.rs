//! The description of a model: its network and its preprocessing.

use std::borrow::Cow;

use super::Parameter;
use super::efficientnet_lite::EfficientNetLiteConfig;
use super::lcnet_v2::{self, Form, LcNetV2Config};
use super::picodet::PicoDetConfig;
use super::vit::VitConfig;
use crate::image::{Preprocess, RgbImage};
use crate::tensors::Tensors;
use crate::{Error, Result};

/// Everything about a model but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDescription {
    /// The model's name in PaddleX, such as `PP-ShiTuV2_rec`.
    pub name: String,
    /// The network and its sizes.
    pub network: Network,
    /// Resizing and normalisation of an image before the network.
    pub preprocess: Preprocess,
}

/// A network architecture with its sizes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Network {
    /// PPLCNetV2_base_ShiTu with a BNNeck.
    LcNetV2(LcNetV2Config),
    /// CLIP's vision transformer with one linear layer.
    Vit(VitConfig),
    /// EfficientNet-Lite, with a BNNeck or without.
    EfficientNetLite(EfficientNetLiteConfig),
    /// PicoDet, a detector. It gives boxes and no feature.
    PicoDet(PicoDetConfig),
}

impl Network {
    /// Length of the feature vector; 0 for a detector.
    pub fn dimension(&self) -> usize {
        match self {
            Network::PicoDet(_) => 0,
            Network::LcNetV2(config) => config.embedding,
            Network::Vit(config) => config.embedding,
            Network::EfficientNetLite(config) => config.dimension(),
        }
    }

    /// Height and width of the input, in pixels.
    pub fn input_size(&self) -> [usize; 2] {
        match self {
            Network::LcNetV2(config) => config.input,
            Network::Vit(config) => config.input,
            Network::EfficientNetLite(config) => config.input,
            Network::PicoDet(config) => config.input,
        }
    }

    /// Every parameter in state-dict order. `classes` adds a classification head for this many classes.
    pub fn parameters(&self, form: Form, classes: Option<usize>) -> Vec<Parameter> {
        match self {
            Network::LcNetV2(config) => config.parameters(form, classes),
            Network::Vit(config) => config.parameters(classes),
            Network::EfficientNetLite(config) => config.parameters(classes),
            Network::PicoDet(config) => config.parameters(),
        }
    }

    /// The tensors in the deploy form, which is the form that runs: fused where `form` is the training form, else
    /// borrowed.
    ///
    /// Other networks than LCNetV2 have nothing to fuse.
    ///
    /// # Errors
    /// As [`lcnet_v2::fuse`].
    pub fn deploy_form<'a>(&self, form: Form, tensors: &'a Tensors) -> Result<Cow<'a, Tensors>> {
        match self {
            Network::LcNetV2(config) => lcnet_v2::deploy_form(config, form, tensors),
            Network::Vit(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => Ok(Cow::Borrowed(tensors)),
        }
    }

    /// The form that training computes in.
    #[cfg(feature = "train")]
    pub(crate) fn training_form(&self) -> Form {
        match self {
            Network::LcNetV2(_) => Form::Training,
            Network::Vit(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => Form::Deploy,
        }
    }

    /// Whether a parameter of the training form is used by the deploy form only.
    #[cfg(feature = "train")]
    pub(crate) fn is_spare(&self, parameter: &Parameter) -> bool {
        match self {
            Network::LcNetV2(config) => {
                let name = parameter.name.as_str();
                let fused = [".dw_conv.weight", ".dw_conv.bias"].into_iter().find_map(|end| name.strip_suffix(end));
                fused.is_some_and(|path| {
                    config.blocks().iter().any(|block| block.path == path && !block.branches.is_empty())
                })
            }
            Network::Vit(_) | Network::EfficientNetLite(_) | Network::PicoDet(_) => false,
        }
    }

    /// The same network for images of another size.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) for a vision transformer: its positions are learnt for one size; for a
    /// detector where a side is no multiple of 32.
    pub(crate) fn with_input(self, input: [usize; 2]) -> Result<Network> {
        match self {
            Network::LcNetV2(config) => Ok(Network::LcNetV2(LcNetV2Config { input, ..config })),
            Network::EfficientNetLite(config) => {
                Ok(Network::EfficientNetLite(EfficientNetLiteConfig { input, ..config }))
            }
            Network::PicoDet(config) if input.iter().all(|side| side.is_multiple_of(32)) => {
                Ok(Network::PicoDet(PicoDetConfig { input, ..config }))
            }
            Network::PicoDet(_) => Err(Error::model(format!(
                "an input of {}x{} pixels was requested; PicoDet takes multiples of 32",
                input[1], input[0]
            ))),
            Network::Vit(config) if config.input == input => Ok(Network::Vit(config)),
            Network::Vit(config) => Err(Error::model(format!(
                "an input of {}x{} pixels was requested; this vision transformer takes {}x{} only",
                input[1], input[0], config.input[1], config.input[0]
            ))),
        }
    }
}

impl ModelDescription {
    /// Length of the feature vector; 0 for a detector.
    pub fn dimension(&self) -> usize {
        self.network.dimension()
    }

    /// Height and width of the network's input, in pixels.
    pub fn input_size(&self) -> [usize; 2] {
        self.network.input_size()
    }

    /// Whether layers follow the pooled vector. Without them the feature is the pooled vector.
    pub fn has_last_layers(&self) -> bool {
        !matches!(
            &self.network,
            Network::EfficientNetLite(EfficientNetLiteConfig { embedding: None, .. }) | Network::PicoDet(_)
        )
    }

    /// Length of a pooled vector, the input of the last layers; 0 for a detector. [`finetune`](crate::finetune) trains those layers.
    pub fn pooled_len(&self) -> usize {
        match &self.network {
            Network::LcNetV2(config) => config.last_channels(),
            Network::Vit(config) => config.projection,
            Network::EfficientNetLite(config) => config.head_channels(),
            Network::PicoDet(_) => 0,
        }
    }

    /// Whether the network finds objects in an image, and gives no feature.
    pub fn is_detector(&self) -> bool {
        matches!(self.network, Network::PicoDet(_))
    }

    /// Refuses a detector where a network of features is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a detector.
    pub(crate) fn expect_features(&self) -> Result<()> {
        if self.is_detector() {
            return Err(Error::usage(format!(
                "{} is a detector: it finds objects in images and gives no feature vectors; give a feature model such as \
                 PP-ShiTuV2_rec here",
                self.name
            )));
        }
        Ok(())
    }

    /// The network's input for an image: 3 x height x width values, for the height and width of
    /// [`input_size`](Self::input_size).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the model resizes by the shorter side and the resized
    /// image does not have the network's shape: crop the image to that shape first.
    pub fn network_input(&self, image: &RgbImage) -> Result<Vec<f32>> {
        let [height, width] = self.input_size();
        let mut input = vec![0.0; 3 * height * width];
        self.preprocess.apply_into(image, &mut input)?;
        Ok(input)
    }
}
