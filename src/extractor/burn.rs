//! The network on one of Burn's devices.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Context;
use crate::model::AnyNetwork;
use crate::model::Norms;
use crate::model::lcnet_v2::Form;
use crate::weights::Model;
use crate::{Error, Result};

/// A network and its device.
pub(super) struct BurnNetwork {
    network: AnyNetwork,
    device: Device,
}

impl BurnNetwork {
    /// Puts a model on a device.
    pub fn new(model: &Model, device: Device) -> Result<Self> {
        let description = &model.description;
        let tensors = description.network.deploy_form(model.form, &model.tensors)?;
        let network = AnyNetwork::new(&description.network, Form::Deploy, None, Norms::Folded, &tensors, &device);
        Ok(BurnNetwork { network: network.context(|| description.name.clone())?, device })
    }

    /// Features of `count` images of this height and width, not normalised.
    pub async fn run(&self, input: Vec<f32>, count: usize, size: [usize; 2]) -> Result<Vec<f32>> {
        read(self.network.forward(self.images(input, count, size))).await
    }

    /// Pooled vectors of `count` images of this height and width.
    pub async fn pooled(&self, input: Vec<f32>, count: usize, size: [usize; 2]) -> Result<Vec<f32>> {
        read(self.network.pooled(self.images(input, count, size))).await
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
