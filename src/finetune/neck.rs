//! The layers that learn: what is between the pooled vector and the feature.

use super::matrix::{length, rows_by_rows};
use crate::model::lcnet_v2::{DROPOUT, EPSILON, Form};
use crate::model::{ModelDescription, Network};
use crate::tensors::{Tensor, Tensors};
use crate::weights::Model;
use crate::{Error, Result};

/// A model's last layers, from the pooled vector that [`Extractor::pooled`](crate::Extractor::pooled) gives to the feature.
///
/// - LCNetV2: `backbone.last_conv`, dropout, and the BatchNorm `neck.feat_bn`
/// - a vision transformer: the linear layer `neck.fc`
#[derive(Clone, Debug, PartialEq)]
pub struct Neck {
    /// Length of a pooled vector.
    pub(super) input: usize,
    /// A row for each number of the feature: `[features, input]`.
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// None in a vision transformer.
    pub(super) norm: Option<Norm>,
}

/// A BatchNorm after dropout.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// Names of the tensors.
const CONVOLUTION: [&str; 2] = ["backbone.last_conv.weight", "backbone.last_conv.bias"];
const NORM: [&str; 4] = ["neck.feat_bn.weight", "neck.feat_bn.bias", "neck.feat_bn._mean", "neck.feat_bn._variance"];
const LINEAR: [&str; 2] = ["neck.fc.weight", "neck.fc.bias"];

impl Neck {
    /// A model's own last layers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape.
    pub fn of(model: &Model) -> Result<Self> {
        let Model { description, tensors, .. } = model;
        let (input, features) = (description.pooled_len(), description.dimension());
        let read = |name: &str, shape: &[usize]| Ok::<_, Error>(tensors.expect(name, shape)?.values.clone());
        Ok(match &description.network {
            Network::LcNetV2(_) => {
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
                }
            }
            Network::Vit(_) => Neck {
                input,
                weights: transposed(&read(LINEAR[0], &[input, features])?, features),
                bias: read(LINEAR[1], &[features])?,
                norm: None,
            },
        })
    }

    /// The model with these last layers instead of its own, in the fused form and without a classification head. A
    /// calibration stays valid: it is of the layers before.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a value is not finite, or these are the layers of another network.
    pub fn put_into(&self, model: &Model, name: &str) -> Result<Model> {
        let network = &model.description.network;
        let mut tensors = Tensors::new();
        let fused = network.deploy_form(model.form, &model.tensors)?;
        for parameter in network.parameters(Form::Deploy, None) {
            let tensor = fused.expect(&parameter.name, &parameter.shape)?.clone();
            tensors.insert(parameter.name, tensor);
        }
        for (name, values) in self.named() {
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
        let description = ModelDescription { name: name.into(), ..model.description.clone() };
        let mut tuned = Model::new(description, Form::Deploy, None, &tensors)?;
        tuned.calibration = model.calibration.clone();
        Ok(tuned)
    }

    /// The values as the model's file names and orders them.
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

    /// The learning rate for this layer at which a gradient turns the features of `pooled`, `[n, input]`, as far as it turns a
    /// direction of length 1: models differ by orders of magnitude in how long their vectors are.
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
        // where there is nothing to learn from, any rate is good
        if reach.is_finite() && reach > 0.0 { reach } else { 1.0 }
    }

    /// Features of pooled vectors, as the model gives them: each of length 1, or of zeros where it has no length.
    ///
    /// # Panics
    /// Where `pooled` is no whole number of pooled vectors.
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

    /// Features before they are made as long as 1.
    fn outputs(&self, pooled: &[f32]) -> Vec<f32> {
        assert!(pooled.len().is_multiple_of(self.input), "whole vectors");
        let mut outputs = rows_by_rows(pooled, &self.weights, self.input);
        for feature in outputs.chunks_exact_mut(self.dimension()) {
            feature.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
            if let Some(Norm { scale, shift, mean, variance }) = &self.norm {
                for (at, value) in feature.iter_mut().enumerate() {
                    let normal = (KEEP * *value - mean[at]) / (variance[at] + EPSILON as f32).sqrt();
                    *value = normal * scale[at] + shift[at];
                }
            }
        }
        outputs
    }
}

/// Share of the values that dropout lets through, by which they are multiplied where there is none.
pub(super) const KEEP: f32 = 1.0 - DROPOUT as f32;

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    (0..matrix.len()).map(|at| matrix[at % rows * columns + at / rows]).collect()
}
