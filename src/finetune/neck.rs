//! The layers that learn, from the pooled vector to the feature.

use super::matrix::{length, rows_by_rows};
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::lcnet_v2::{DROPOUT, EPSILON, Form};
use crate::model::{ModelDescription, Network};
use crate::tensors::{Tensor, Tensors};
use crate::weights::Model;
use crate::{Error, Result};

/// The last layers of a model. They turn a pooled vector, as from [`Extractor::pooled_async`](crate::Extractor::pooled_async), into a
/// feature.
///
/// - LCNetV2: `backbone.last_conv`, dropout, and the BatchNorm `neck.feat_bn`
/// - EfficientNet-Lite: the same without dropout
/// - a vision transformer: the linear layer `neck.fc`
#[cfg_attr(feature = "default-model", doc = "```")]
#[cfg_attr(not(feature = "default-model"), doc = "```ignore")]
/// use image_feature::Model;
/// use image_feature::finetune::Neck;
///
/// let model = Model::bundled()?;
/// let neck = Neck::of(&model)?;
/// let feature = neck.features(&vec![1.0; model.description.pooled_len()]);
/// assert_eq!(feature.len(), neck.dimension());
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Neck {
    /// Length of a pooled vector.
    pub(super) input: usize,
    /// The linear layer, with a row for each value of the feature: `[features, input]`.
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// `None` in a vision transformer.
    pub(super) norm: Option<Norm>,
    /// The share of values that dropout keeps: 1 where there is none. Outside of training all values are multiplied by it.
    pub(super) keep: f32,
}

/// A BatchNorm after dropout; each vector has a value for each value of the feature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// Names of the tensors in the state dict.
const CONVOLUTION: [&str; 2] = ["backbone.last_conv.weight", "backbone.last_conv.bias"];
const NORM: [&str; 4] = ["neck.feat_bn.weight", "neck.feat_bn.bias", "neck.feat_bn._mean", "neck.feat_bn._variance"];
const LINEAR: [&str; 2] = ["neck.fc.weight", "neck.fc.bias"];

impl Neck {
    /// The last layers of a model.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model): a tensor is missing or has another shape;
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): the network has no such layers;
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the model is a detector.
    pub fn of(model: &Model) -> Result<Self> {
        let Model { description, tensors, .. } = model;
        let (input, features) = (description.pooled_len(), description.dimension());
        let read = |name: &str, shape: &[usize]| Ok::<_, Error>(tensors.expect(name, shape)?.values.clone());
        description.expect_features()?;
        Ok(match &description.network {
            Network::PicoDet(_) => return Err(Error::internal("a detector was refused before")),
            Network::EfficientNetLite(EfficientNetLiteConfig { embedding: None, .. }) => {
                return Err(Error::unsupported(format!(
                    "{} ends with its pooled vector and has no last layer that could learn; `Neck::whitened` makes one",
                    description.name
                )));
            }
            network @ (Network::LcNetV2(_) | Network::EfficientNetLite(_)) => {
                let [scale, shift, mean, variance] = NORM;
                let vector = |name| read(name, &[features]);
                Neck {
                    input,
                    weights: read(CONVOLUTION[0], &[features, input, 1, 1])?,
                    bias: vector(CONVOLUTION[1])?,
                    norm: Some(Norm {
                        scale: vector(scale)?,
                        shift: vector(shift)?,
                        mean: vector(mean)?,
                        variance: vector(variance)?,
                    }),
                    keep: if let Network::LcNetV2(_) = network { KEEP } else { 1.0 },
                }
            }
            Network::Vit(_) => Neck {
                input,
                weights: transposed(&read(LINEAR[0], &[input, features])?, features),
                bias: read(LINEAR[1], &[features])?,
                norm: None,
                keep: 1.0,
            },
        })
    }

    /// The model with these last layers, instead of its own where it has some, and a new name, in the fused form, without a classification head.
    /// It keeps a calibration, which is about the layers before.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model): a value is not finite, or the layers are those of another network.
    pub fn put_into(&self, model: &Model, name: &str) -> Result<Model> {
        let network = &self.network_with(&model.description.network);
        let mut tensors = Tensors::new();
        let fused = network.deploy_form(model.form, &model.tensors)?;
        let own = self.named();
        for parameter in network.parameters(Form::Deploy, None) {
            let is_own = own.iter().any(|(name, _)| *name == parameter.name);
            let tensor = match is_own && fused.get(&parameter.name).is_none() {
                // a layer that the model lacked
                true => Tensor { values: vec![0.0; parameter.len()], shape: parameter.shape },
                false => fused.expect(&parameter.name, &parameter.shape)?.clone(),
            };
            tensors.insert(parameter.name, tensor);
        }
        for (name, values) in own {
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::model(format!(
                    "fine-tuning ended with a value of {value} in `{name}`; take a lower learning rate"
                )));
            }
            let shape = tensors
                .get(name)
                .map(|tensor| tensor.shape.clone())
                .filter(|shape| shape.iter().product::<usize>() == values.len())
                .ok_or_else(|| Error::model(format!("the last layers are of another network: see `{name}`")))?;
            tensors.insert(name, Tensor { shape, values });
        }
        let description = ModelDescription { name: name.into(), network: network.clone(), ..model.description.clone() };
        let mut tuned = Model::new(description, Form::Deploy, None, &tensors)?;
        tuned.calibration = model.calibration.clone();
        Ok(tuned)
    }

    /// The network with these layers: where it had none, it has them now.
    fn network_with(&self, network: &Network) -> Network {
        match network {
            Network::EfficientNetLite(config @ EfficientNetLiteConfig { embedding: None, .. }) => {
                let embedding = Some(self.dimension());
                Network::EfficientNetLite(EfficientNetLiteConfig { embedding, ..config.clone() })
            }
            other => other.clone(),
        }
    }

    /// The tensors with their names, in the layout of a model file.
    fn named(&self) -> Vec<(&'static str, Vec<f32>)> {
        match &self.norm {
            Some(Norm { scale, shift, mean, variance }) => {
                let norm = NORM.into_iter().zip([scale, shift, mean, variance].map(Clone::clone));
                let linear = CONVOLUTION.into_iter().zip([self.weights.clone(), self.bias.clone()]);
                linear.chain(norm).collect()
            }
            None => vec![(LINEAR[0], transposed(&self.weights, self.input)), (LINEAR[1], self.bias.clone())],
        }
    }

    /// Length of a feature.
    pub fn dimension(&self) -> usize {
        self.bias.len()
    }

    /// The factor for this layer's learning rate with which a step turns the features of `pooled`, `[n, input]`, as far as it
    /// turns a row of the head of length 1. The lengths of pooled vectors and features differ between models by orders of
    /// magnitude, and the factor makes up for it.
    pub(super) fn reach(&self, pooled: &[f32]) -> f32 {
        let mean_square = |values: &[f32], width: usize| {
            values.iter().map(|x| x * x).sum::<f32>() * width as f32 / values.len() as f32
        };
        let dimension = self.dimension();
        let gain = match &self.norm {
            Some(Norm { scale, variance, .. }) => {
                let squares =
                    scale.iter().zip(variance).map(|(scale, variance)| scale * scale / (variance + EPSILON as f32));
                squares.sum::<f32>() / dimension as f32
            }
            None => 1.0,
        };
        let reach = mean_square(&self.outputs(pooled), dimension) / (mean_square(pooled, self.input) * gain);
        // without a signal any factor will do
        if reach.is_finite() && reach > 0.0 { reach } else { 1.0 }
    }

    /// The features of pooled vectors, as the model gives them: each of length 1, or all zeros.
    ///
    /// # Panics
    /// If the length of `pooled` is not a multiple of the pooled vector's length.
    pub fn features(&self, pooled: &[f32]) -> Vec<f32> {
        let mut features = self.outputs(pooled);
        for feature in features.chunks_exact_mut(self.dimension()) {
            let length = length(feature);
            if length > 0.0 {
                feature.iter_mut().for_each(|value| *value /= length);
            }
        }
        features
    }

    /// Features before they are normalised to length 1.
    pub(super) fn outputs(&self, pooled: &[f32]) -> Vec<f32> {
        assert!(pooled.len().is_multiple_of(self.input), "whole vectors");
        let mut outputs = rows_by_rows(pooled, &self.weights, self.input);
        for feature in outputs.chunks_exact_mut(self.dimension()) {
            feature.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
            if let Some(Norm { scale, shift, mean, variance }) = &self.norm {
                for (at, value) in feature.iter_mut().enumerate() {
                    let normal = (self.keep * *value - mean[at]) / (variance[at] + EPSILON as f32).sqrt();
                    *value = normal * scale[at] + shift[at];
                }
            }
        }
        outputs
    }
}

/// The share of values that LCNetV2's dropout keeps.
const KEEP: f32 = 1.0 - DROPOUT as f32;

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    (0..matrix.len()).map(|at| matrix[at % rows * columns + at / rows]).collect()
}
