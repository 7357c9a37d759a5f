//! What a model is: its network and what is done to an image before it.

use super::lcnet_v2::LcNetV2Config;
use crate::Result;
use crate::image::{Preprocess, RgbImage};

/// Everything about a model but its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelDescription {
    /// The model's name, as PaddleX knows it: `PP-ShiTuV2_rec`.
    pub name: String,
    /// The network and its sizes.
    pub network: Network,
    /// What is done to an image before it enters the network.
    pub preprocess: Preprocess,
}

/// A network architecture with its sizes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Network {
    /// PPLCNetV2_base_ShiTu with a BNNeck.
    LcNetV2(LcNetV2Config),
}

impl ModelDescription {
    /// Length of the feature vector.
    pub fn dimension(&self) -> usize {
        match &self.network {
            Network::LcNetV2(config) => config.embedding,
        }
    }

    /// Height and width of the network's input, in pixels.
    pub fn input_size(&self) -> [usize; 2] {
        match &self.network {
            Network::LcNetV2(config) => config.input,
        }
    }

    /// The network's input for an image: 3 x height x width numbers, of [`input_size`](Self::input_size).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the image, resized by its shorter side as the model asks, has
    /// another shape than the network takes: crop it to that shape first.
    pub fn network_input(&self, image: &RgbImage) -> Result<Vec<f32>> {
        let [height, width] = self.input_size();
        let mut input = vec![0.0; 3 * height * width];
        self.preprocess.apply_into(image, &mut input)?;
        Ok(input)
    }
}
