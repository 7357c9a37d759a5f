//! Any of the networks on Burn.

use burn::tensor::{Device, Tensor};

use super::Network;
use super::burn_layers::Norms;
use super::efficientnet_lite::EfficientNetLite;
use super::lcnet_v2::{Form, LcNetV2};
use super::vit::Vit;
use crate::tensors::Tensors;
use crate::{Error, Result};

/// A network of one of the architectures, on one of Burn's devices.
pub(crate) enum AnyNetwork {
    LcNetV2(Box<LcNetV2>),
    Vit(Box<Vit>),
    EfficientNetLite(Box<EfficientNetLite>),
}

impl AnyNetwork {
    /// Puts the weights of a network on a device. `form` matters to LCNetV2 only; `norms` does not matter to
    /// vision transformers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than the network's;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a detector.
    pub fn new(
        network: &Network,
        form: Form,
        classes: Option<usize>,
        norms: Norms,
        tensors: &Tensors,
        device: &Device,
    ) -> Result<Self> {
        Ok(match network {
            Network::LcNetV2(config) => {
                AnyNetwork::LcNetV2(Box::new(LcNetV2::new(config, form, classes, norms, tensors, device)?))
            }
            Network::Vit(config) => AnyNetwork::Vit(Box::new(Vit::new(config, classes, tensors, device)?)),
            Network::EfficientNetLite(config) => {
                AnyNetwork::EfficientNetLite(Box::new(EfficientNetLite::new(config, classes, norms, tensors, device)?))
            }
            Network::PicoDet(_) => {
                return Err(Error::unsupported("a detector does not run on Burn; open it with `Detector`, on the CPU"));
            }
        })
    }

    /// Features of a batch, not normalised: `[n, 3, height, width]` to `[n, dimension]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            AnyNetwork::LcNetV2(network) => network.forward(images),
            AnyNetwork::Vit(network) => network.forward(images),
            AnyNetwork::EfficientNetLite(network) => network.forward(images),
        }
    }

    /// Pooled vectors of a batch, the input of the last layers: `[n, 3, height, width]` to `[n, pooled_len]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            AnyNetwork::LcNetV2(network) => network.pooled(images),
            AnyNetwork::Vit(network) => network.pooled(images),
            AnyNetwork::EfficientNetLite(network) => network.pooled(images),
        }
    }
}
