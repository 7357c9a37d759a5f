//! A network in training.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::loss::cross_entropy;
use super::optimizer::{Momentum, Rule};
use super::recipe::{Objective, Recipe};
use crate::model::Norms;
use crate::model::lcnet_v2::{Form, KEEP};
use crate::model::{AnyNetwork, ModelDescription, Parameter};
use crate::random::SplitMix64;
use crate::tensors::{Tensor as Values, Tensors};
use crate::weights::Model;
use crate::{Error, Result};

/// Normalised images with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The network's input, `[n, 3, height, width]`.
    pub images: Vec<f32>,
    /// The column of the head for each image.
    pub labels: Vec<usize>,
}

/// The losses of a batch by PaddleClas's names, the total last.
pub type Losses = Vec<(&'static str, f32)>;

/// A network on a device, with its optimiser.
///
/// ```
/// use burn::tensor::Device;
/// use image_feature::model::lcnet_v2::LcNetV2Config;
/// use image_feature::model::{ModelDescription, Network};
/// use image_feature::train::{Batch, Learner, Recipe};
/// use image_feature::{Preprocess, Resize};
///
/// # use image_feature::model::lcnet_v2::Form;
/// # use image_feature::weights::{Tensor, Tensors};
/// let network = Network::LcNetV2(LcNetV2Config { scale: 0.25, input: [32, 32], embedding: 16 });
/// let preprocess = Preprocess { resize: Resize::Stretch { width: 32, height: 32 }, ..Preprocess::default() };
/// let recipe = Recipe::new(ModelDescription { name: "small".into(), network, preprocess }, 2);
/// let mut tensors = Tensors::new();
/// for parameter in recipe.model.network.parameters(Form::Training, Some(recipe.classes)) {
///     let values = (0..parameter.len()).map(|at| 0.01 * (at % 7) as f32 + 0.1).collect();
///     tensors.insert(parameter.name, Tensor { shape: parameter.shape, values });
/// }
/// let mut learner = Learner::new(&recipe, &tensors, &Device::flex())?;
/// let images = (0..8 * 3 * 32 * 32).map(|at| (at % 31) as f32 / 31.0).collect();
/// let losses = learner.step(Batch { images, labels: vec![0, 0, 0, 0, 1, 1, 1, 1] }, 0.01, 0)?;
/// assert_eq!(losses.last().map(|(name, _)| *name), Some("loss"));
/// assert_eq!(learner.model()?.classes, Some(2));
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Learner {
    network: AnyNetwork,
    /// The parameters in the order in which Burn visits them.
    parameters: Vec<Parameter>,
    /// Tensors of the state dict that the network does not use: PaddleClas's fused convolutions.
    spares: Tensors,
    /// The optimiser's velocity of each parameter; `None` before its first step.
    velocities: Vec<Option<Tensor<1>>>,
    model: ModelDescription,
    classes: usize,
    objective: Objective,
    optimizer: Momentum,
    seed: u64,
    device: Device,
}

impl Learner {
    /// Puts a network with these weights on a device. `tensors` has the tensors of
    /// [`Network::parameters`](crate::model::Network::parameters) in the training form, with the head. Unstable: the device
    /// follows Burn's version.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model): a tensor is missing or has another shape.
    pub fn new(recipe: &Recipe, tensors: &Tensors, device: &Device) -> Result<Self> {
        let device = device.clone().autodiff();
        let classes = Some(recipe.classes);
        let network = &recipe.model.network;
        let network = AnyNetwork::new(network, Form::Training, classes, Norms::Separate, tensors, &device)?;
        let (mut parameters, mut spares) = (Vec::new(), Tensors::new());
        for parameter in recipe.model.network.parameters(Form::Training, classes) {
            if recipe.model.network.is_spare(&parameter) {
                let tensor = tensors.expect(&parameter.name, &parameter.shape)?.clone();
                spares.insert(parameter.name, tensor);
            } else {
                parameters.push(parameter);
            }
        }
        let learner = Learner {
            velocities: vec![None; parameters.len()],
            network,
            parameters,
            spares,
            model: recipe.model.clone(),
            classes: recipe.classes,
            objective: recipe.objective,
            optimizer: Momentum { momentum: recipe.momentum, decay: recipe.weight_decay },
            seed: recipe.seed,
            device,
        };
        Ok(learner)
    }

    /// Learns from one batch and gives its losses. `iteration` counts from the start of the run; it seeds dropout.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): the number of values does not fit the labels, a label is not a column
    /// of the head, or the objective needs other labels (see
    /// [`TripletAngularMargin::loss`](super::loss::TripletAngularMargin::loss)).
    pub fn step(&mut self, batch: Batch, learning_rate: f64, iteration: u64) -> Result<Losses> {
        let (gradients, losses) = self.gradients(batch, iteration, 0)?;
        self.apply(gradients, learning_rate);
        Ok(losses)
    }

    /// The gradients and losses of a batch. `place` is the number of the device; it seeds dropout, too.
    pub(super) fn gradients(&self, batch: Batch, iteration: u64, place: u64) -> Result<(Flat, Losses)> {
        let (total, losses) = self.losses(batch, iteration, place)?;
        let mut collect = Collect { gradients: total.backward(), flat: Vec::with_capacity(self.parameters.len()) };
        match &self.network {
            AnyNetwork::LcNetV2(network) => network.visit(&mut collect),
            AnyNetwork::Vit(network) => network.visit(&mut collect),
            AnyNetwork::EfficientNetLite(network) => network.visit(&mut collect),
        }
        Ok((collect.flat, losses))
    }

    /// Takes one step along these gradients.
    pub(super) fn apply(&mut self, gradients: Flat, learning_rate: f64) {
        let mut step = Step {
            parameters: self.parameters.iter(),
            velocities: self.velocities.iter_mut(),
            gradients: gradients.into_iter(),
            optimizer: self.optimizer,
            learning_rate,
        };
        match &mut self.network {
            AnyNetwork::LcNetV2(network) => **network = network.as_ref().clone().map(&mut step),
            AnyNetwork::Vit(network) => **network = network.as_ref().clone().map(&mut step),
            AnyNetwork::EfficientNetLite(network) => **network = network.as_ref().clone().map(&mut step),
        }
    }

    /// The total loss of a batch as a tensor for automatic differentiation, and all losses as numbers.
    fn losses(&self, batch: Batch, iteration: u64, place: u64) -> Result<(Tensor<1>, Losses)> {
        let Batch { images, labels } = batch;
        let [height, width] = self.model.input_size();
        let count = labels.len();
        if count == 0 || images.len() != count * 3 * height * width {
            return Err(Error::usage(format!(
                "{} values do not make {count} images of {width}x{height} pixels",
                images.len()
            )));
        }
        if let Some(label) = labels.iter().find(|&&label| label >= self.classes) {
            return Err(Error::usage(format!("there is a label {label}, but the head has {} classes", self.classes)));
        }
        let images = Tensor::<4>::from_data(TensorData::new(images, [count, 3, height, width]), &self.device);
        let missing = || Error::internal("a network in training has a head");
        Ok(match (&self.network, self.objective) {
            (network, Objective::Linear { smoothing, triplet }) => {
                let (features, logits) = match network {
                    AnyNetwork::LcNetV2(network) => {
                        let features = network.forward_training(images, self.kept(count, iteration, place));
                        (features.clone(), network.logits(features))
                    }
                    AnyNetwork::EfficientNetLite(network) => {
                        let features = network.forward(images);
                        (features.clone(), network.logits(features))
                    }
                    AnyNetwork::Vit(_) => return Err(Error::internal("network and objective do not belong together")),
                };
                let classified = cross_entropy(logits.ok_or_else(missing)?, &labels, smoothing);
                let apart = triplet.loss(features, &labels)?.mul_scalar(triplet.weight);
                let total = classified.clone().add(apart.clone());
                let losses = vec![
                    ("CELoss", number(classified)),
                    ("TripletAngularMarginLoss", number(apart)),
                    ("loss", number(total.clone())),
                ];
                (total, losses)
            }
            (network, Objective::Angles(angles)) => {
                let (features, directions) = match network {
                    AnyNetwork::Vit(network) => (network.forward(images), network.directions()),
                    AnyNetwork::EfficientNetLite(network) => (network.forward(images), network.directions()),
                    AnyNetwork::LcNetV2(network) => {
                        (network.forward_training(images, self.kept(count, iteration, place)), network.directions())
                    }
                };
                let directions = directions.ok_or_else(missing)?;
                let total = cross_entropy(angles.logits(features, directions, &labels), &labels, 0.0);
                let loss = number(total.clone());
                (total, vec![("CELoss", loss), ("loss", loss)])
            }
        })
    }

    /// The mask of dropout: 1 for values that are kept, else 0.
    fn kept(&self, count: usize, iteration: u64, place: u64) -> Tensor<2> {
        let which = if place == 0 { &[iteration][..] } else { &[iteration, place] };
        let mut random = SplitMix64::for_purpose(self.seed, "dropout", which);
        let dimension = self.model.dimension();
        let values: Vec<f32> = (0..count * dimension).map(|_| f32::from(u8::from(random.chance(KEEP)))).collect();
        Tensor::from_data(TensorData::new(values, [count, dimension]), &self.device)
    }

    /// The current weights, in the training form and with the head.
    ///
    /// # Errors
    /// [`ErrorKind::Device`](crate::ErrorKind::Device): the device failed.
    pub fn model(&self) -> Result<Model> {
        let mut read = Read { parameters: self.parameters.iter(), tensors: Tensors::new(), failed: None };
        // `valid` gives the network without autodiff, with the statistics of the last batch
        match &self.network {
            AnyNetwork::LcNetV2(network) => network.valid().visit(&mut read),
            AnyNetwork::Vit(network) => network.valid().visit(&mut read),
            AnyNetwork::EfficientNetLite(network) => network.valid().visit(&mut read),
        }
        if let Some(error) = read.failed {
            return Err(error);
        }
        let mut tensors = read.tensors;
        self.spares.iter().for_each(|(name, tensor)| tensors.insert(name, tensor.clone()));
        Model::new(self.model.clone(), self.model.network.training_form(), Some(self.classes), &tensors)
    }

    /// The state of the optimiser: velocities by the names of their parameters.
    ///
    /// # Errors
    /// Those of [`model`](Self::model).
    pub fn velocities(&self) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        for (parameter, velocity) in self.parameters.iter().zip(&self.velocities) {
            if let Some(velocity) = velocity {
                tensors.insert(
                    &parameter.name,
                    Values { shape: parameter.shape.clone(), values: values(velocity.clone())? },
                );
            }
        }
        Ok(tensors)
    }

    /// Sets the state of the optimiser. Parameters without a velocity start at 0.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model): a velocity has another shape than its parameter.
    pub fn set_velocities(&mut self, velocities: &Tensors) -> Result<()> {
        let device = self.device.clone().without_autodiff();
        for (parameter, velocity) in self.parameters.iter().zip(&mut self.velocities) {
            *velocity = match velocities.get(&parameter.name) {
                None => None,
                Some(_) => {
                    let values = velocities.expect(&parameter.name, &parameter.shape)?.values.clone();
                    Some(Tensor::from_data(TensorData::new(values, [parameter.len()]), &device))
                }
            };
        }
        Ok(())
    }
}

/// A loss as a number; NaN if the device failed, which ends the run.
fn number(loss: Tensor<1>) -> f32 {
    loss.inner().try_into_scalar::<f32>().unwrap_or(f32::NAN)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|error| Error::device(format!("the device failed: {error:?}")))?;
    data.try_to_vec::<f32>().map_err(|error| Error::internal(format!("weights are not f32: {error:?}")))
}

/// Reads every parameter.
struct Read<'a> {
    parameters: std::slice::Iter<'a, Parameter>,
    tensors: Tensors,
    failed: Option<Error>,
}

impl ModuleVisitor for Read<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let parameter = self.parameters.next().expect("the network has the parameters of its config");
        match values(param.val()) {
            Ok(values) => self.tensors.insert(&parameter.name, Values { shape: parameter.shape.clone(), values }),
            Err(error) => self.failed = Some(error),
        }
    }
}

/// A gradient for each parameter, flat and without autodiff; `None` if the loss does not depend on the parameter.
pub(super) type Flat = Vec<Option<Tensor<1>>>;

/// Collects the gradient of each parameter.
struct Collect {
    gradients: Gradients,
    flat: Flat,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(&mut self.gradients);
        self.flat.push(gradient.map(|gradient| {
            let len = gradient.shape().num_elements();
            gradient.reshape([len])
        }));
    }
}

/// Moves each parameter along its gradient.
struct Step<'a> {
    parameters: std::slice::Iter<'a, Parameter>,
    velocities: std::slice::IterMut<'a, Option<Tensor<1>>>,
    gradients: std::vec::IntoIter<Option<Tensor<1>>>,
    optimizer: Momentum,
    learning_rate: f64,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let next = (self.parameters.next(), self.velocities.next(), self.gradients.next());
        let (Some(parameter), Some(velocity), Some(gradient)) = next else {
            unreachable!("the network has the parameters of its config")
        };
        let Some(rule) = Rule::of(parameter) else { return param };
        let Some(gradient) = gradient else { return param };
        let (id, tensor, mapper) = param.consume();
        let gradient = gradient.reshape(tensor.shape());
        let (value, moved) = self.optimizer.step(rule, tensor.inner(), gradient, velocity.take(), self.learning_rate);
        *velocity = Some(moved);
        Param::from_mapped_value(id, Tensor::from_inner(value).require_grad(), mapper)
    }
}
