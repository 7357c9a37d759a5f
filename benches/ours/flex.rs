//! The network on Burn's CPU backend as a contender.

use burn::tensor::{Device, Tensor, TensorData};
use image_feature::Model;
use image_feature::model::Network;
use image_feature::model::Norms;
use image_feature::model::lcnet_v2::{Form, LcNetV2, deploy_form};
use serde_json::json;

use crate::{Result, protocol};

/// Answers requests with features. `threads` is only checked: rayon reads `RAYON_NUM_THREADS` when its pool starts.
pub fn serve(model: &str, inputs: &str, batch: usize, threads: usize) -> Result<()> {
    if std::env::var("RAYON_NUM_THREADS").ok().as_deref() != Some(&threads.to_string()) {
        return Err(format!("set RAYON_NUM_THREADS={threads}: flex takes its threads from rayon's global pool").into());
    }
    let model = Model::open(model)?;
    let Network::LcNetV2(config) = &model.description.network else {
        return Err("flex runs PP-ShiTuV2_rec alone".into());
    };
    let tensors = deploy_form(config, model.form, &model.tensors)?;
    let device = Device::flex();
    let network = LcNetV2::new(config, Form::Deploy, None, Norms::Folded, &tensors, &device)?;
    let [height, width] = model.description.input_size();
    let images = protocol::read_inputs(inputs, batch, 3 * height * width)?;
    let infer = || {
        let data = TensorData::new(images.clone(), [batch, 3, height, width]);
        let features = network.forward(Tensor::<4>::from_data(data, &device));
        features.into_data().try_to_vec::<f32>().map_err(|error| format!("features are no f32: {error:?}").into())
    };
    infer()?;
    protocol::serve(json!({ "version": "burn 0.22.1", "threads": threads }), infer)
}
