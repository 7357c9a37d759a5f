//! The network on a device of Burn's.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Context;
use crate::model::Network;
use crate::model::lcnet_v2::{Form, LcNetV2, Norms, deploy_form};
use crate::weights::Model;
use crate::{Error, Result};

/// A network and the device it is on.
pub(super) struct BurnNetwork {
    network: LcNetV2,
    device: Device,
}

impl BurnNetwork {
    /// Puts a model on a device.
    pub fn new(model: &Model, device: Device) -> Result<Self> {
        let Network::LcNetV2(config) = &model.description.network;
        let tensors = deploy_form(config, model.form, &model.tensors)?;
        let network = LcNetV2::new(config, Form::Deploy, None, Norms::Folded, &tensors, &device)
            .context(|| model.description.name.clone())?;
        Ok(BurnNetwork { network, device })
    }

    /// Features of `count` images of a size, not yet of length 1.
    pub async fn run(&self, input: Vec<f32>, count: usize, [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let images = Tensor::<4>::from_data(TensorData::new(input, [count, 3, height, width]), &self.device);
        let data = self
            .network
            .forward(images)
            .into_data_async()
            .await
            .map_err(|error| Error::device(format!("the network failed to run: {error:?}")))?;
        data.try_to_vec::<f32>().map_err(|error| Error::internal(format!("features are no f32: {error:?}")))
    }
}
