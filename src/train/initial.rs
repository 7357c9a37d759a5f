//! Random initial weights.

use crate::model::lcnet_v2::Form;
use crate::model::{ModelDescription, Network, Parameter, Role};
use crate::random::SplitMix64;
use crate::tensors::{Tensor, Tensors};
use crate::{Model, Result};

/// Standard deviation of the linear head.
const HEAD: f64 = 0.001;
/// Standard deviation of the positions and linear layers of vision transformers.
const TRANSFORMER: f64 = 0.02;

/// A model with random weights, distributed as at the start of training. It is a baseline for trained models.
///
/// # Errors
/// Those of [`Model::new`].
///
/// ```
/// use image_feature::model::lcnet_v2::LcNetV2Config;
/// use image_feature::model::{ModelDescription, Network};
/// use image_feature::{Preprocess, train};
///
/// let network = Network::LcNetV2(LcNetV2Config { scale: 0.25, embedding: 32, ..Default::default() });
/// let description = ModelDescription { name: "untrained".into(), network, preprocess: Preprocess::default() };
/// assert_eq!(train::untrained(description, 0)?.description.dimension(), 32);
/// # Ok::<(), image_feature::Error>(())
/// ```
pub fn untrained(description: ModelDescription, seed: u64) -> Result<Model> {
    let form = description.network.training_form();
    let tensors = drawn(&description.network, form, None, seed);
    Model::new(description, form, None, &tensors)
}

/// Random weights for a network and its head, distributed as in PaddleClas.
pub(super) fn initial(network: &Network, classes: usize, seed: u64) -> Tensors {
    drawn(network, Form::Training, Some(classes), seed)
}

fn drawn(network: &Network, form: Form, classes: Option<usize>, seed: u64) -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in network.parameters(form, classes) {
        let tensor = value(network, &parameter, seed);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

fn value(network: &Network, parameter: &Parameter, seed: u64) -> Tensor {
    let mut random = SplitMix64::for_purpose(seed, &parameter.name, &[]);
    let values = match distribution(network, parameter) {
        Distribution::Constant(value) => vec![value; parameter.len()],
        Distribution::Normal(deviation) => (0..parameter.len()).map(|_| (deviation * random.normal()) as f32).collect(),
        Distribution::Truncated(deviation) => {
            let within = |random: &mut SplitMix64| loop {
                let value = random.normal();
                if value.abs() <= 2.0 {
                    return (deviation * value) as f32;
                }
            };
            (0..parameter.len()).map(|_| within(&mut random)).collect()
        }
    };
    Tensor { shape: parameter.shape.clone(), values }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Distribution {
    Constant(f32),
    Normal(f64),
    /// Normal, drawn again beyond two standard deviations.
    Truncated(f64),
}

fn distribution(network: &Network, parameter: &Parameter) -> Distribution {
    let Parameter { name, shape, role } = parameter;
    let is_transformer = matches!(network, Network::Vit(_));
    match role {
        Role::NormScale | Role::NormVariance => Distribution::Constant(1.0),
        Role::NormShift | Role::NormMean | Role::ConvBias | Role::LinearBias => Distribution::Constant(0.0),
        Role::Embedding => Distribution::Truncated(TRANSFORMER),
        // He initialisation by the inputs of a filter; the same as Paddle's, for depthwise and for ungrouped convolutions
        Role::ConvWeight => Distribution::Normal((2.0 / shape[1..].iter().product::<usize>() as f64).sqrt()),
        Role::LinearWeight if !is_transformer => Distribution::Normal(HEAD),
        Role::LinearWeight if name == "backbone.proj" => Distribution::Normal((shape[0] as f64).powf(-0.5)),
        Role::LinearWeight if name.starts_with("backbone.") => Distribution::Truncated(TRANSFORMER),
        // Xavier
        Role::LinearWeight => Distribution::Normal((2.0 / (shape[0] + shape[1]) as f64).sqrt()),
    }
}
