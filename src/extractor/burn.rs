//! The network on a device of Burn's.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Context;
use crate::model::Network;
use crate::model::lcnet_v2::{Form, LcNetV2, Norms};
use crate::model::vit::Vit;
use crate::weights::Model;
use crate::{Error, Result};

/// A network and the device it is on.
pub(super) struct BurnNetwork {
    network: Kind,
    device: Device,
}

enum Kind {
    LcNetV2(Box<LcNetV2>),
    Vit(Box<Vit>),
}

impl BurnNetwork {
    /// Puts a model on a device.
    pub fn new(model: &Model, device: Device) -> Result<Self> {
        let tensors = model.description.network.deploy_form(model.form, &model.tensors)?;
        let network = match &model.description.network {
            Network::LcNetV2(config) => LcNetV2::new(config, Form::Deploy, None, Norms::Folded, &tensors, &device)
                .map(|network| Kind::LcNetV2(Box::new(network))),
            Network::Vit(config) => {
                Vit::new(config, None, &tensors, &device).map(|network| Kind::Vit(Box::new(network)))
            }
        };
        Ok(BurnNetwork { network: network.context(|| model.description.name.clone())?, device })
    }

    /// Features of `count` images of a size, not yet of length 1.
    pub async fn run(&self, input: Vec<f32>, count: usize, size: [usize; 2]) -> Result<Vec<f32>> {
        let images = self.images(input, count, size);
        let features = match &self.network {
            Kind::LcNetV2(network) => network.forward(images),
            Kind::Vit(network) => network.forward(images),
        };
        read(features).await
    }

    /// What the last layers are given for `count` images of a size.
    pub async fn pooled(&self, input: Vec<f32>, count: usize, size: [usize; 2]) -> Result<Vec<f32>> {
        let images = self.images(input, count, size);
        let pooled = match &self.network {
            Kind::LcNetV2(network) => network.pooled(images),
            Kind::Vit(network) => network.pooled(images),
        };
        read(pooled).await
    }

    fn images(&self, input: Vec<f32>, count: usize, [height, width]: [usize; 2]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(input, [count, 3, height, width]), &self.device)
    }
}

async fn read(rows: Tensor<2>) -> Result<Vec<f32>> {
    let data =
        rows.into_data_async().await.map_err(|error| Error::device(format!("the network failed to run: {error:?}")))?;
    data.try_to_vec::<f32>().map_err(|error| Error::internal(format!("features are no f32: {error:?}")))
}
