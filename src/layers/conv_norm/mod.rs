//! Convolution, BatchNorm and ReLU in training on the CPU, as one operation with its own gradient.
//!
//! Burn computes the gradient of a depthwise convolution as one convolution for each channel, and reads memory a dozen times
//! for a BatchNorm. Here a layer is one node of Burn's graph: convolutions of the same input, BatchNorm of each with the
//! statistics of the batch, their sum, ReLU. The order of additions does not depend on the number of threads, so a run can be
//! repeated exactly.

#[macro_use]
mod vectorized;

mod convolution;
mod dense;
mod depthwise;
mod norm;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, BackendTypes, DType, Flex, TensorMetadata};
use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData};

use convolution::Convolution;
use norm::{Moments, Norm};

/// The sum of convolutions of the same input, each followed by its BatchNorm; then ReLU where `activate`.
///
/// Input and output are `[n, channels, height, width]`; the stride divides height and width. The running statistics of the
/// BatchNorms are updated.
///
/// `None` where `x` is not on the CPU with autodiff, or there is no kernel for the layer: take Burn's operations then.
pub(crate) fn forward(x: &Tensor<4>, branches: &[(&Conv2d, &BatchNorm)], activate: bool) -> Option<Tensor<4>> {
    let device = x.device();
    if !device.is_autodiff() || branches.iter().any(|(_, norm)| !norm.training.is_enabled()) {
        return None;
    }
    let [images, channels, height, width] = x.dims();
    let convolutions: Vec<Convolution> = branches
        .iter()
        .map(|(conv, _)| Convolution::new(conv, images, [channels, height, width]))
        .collect::<Option<_>>()?;
    let input = x.clone().try_into_primitive::<Autodiff<Flex>>().ok().filter(|x| x.dtype() == DType::F32)?;
    let tracked = |tensor: Option<FloatTensor>| tensor.filter(|tensor| tensor.dtype() == DType::F32);
    let mut weights = Vec::new();
    for (conv, norm) in branches {
        weights.push([
            tracked(conv.weight.val().try_into_primitive::<Autodiff<Flex>>().ok())?,
            tracked(norm.gamma.val().try_into_primitive::<Autodiff<Flex>>().ok())?,
            tracked(norm.beta.val().try_into_primitive::<Autodiff<Flex>>().ok())?,
        ]);
    }

    let layer = Layer { convolutions, activate };
    let inner = contiguous(input.primitive());
    let mut norms = Vec::new();
    let mut outputs = Vec::new();
    for ((convolution, [weight, gamma, beta]), (_, norm)) in layer.convolutions.iter().zip(&weights).zip(branches) {
        let z = convolution.forward(values(&inner), values(&contiguous(weight.primitive())));
        let moments = Moments::of(&z, convolution.output());
        remember(norm, &moments, &device);
        let (gamma, beta) = (contiguous(gamma.primitive()), contiguous(beta.primitive()));
        norms.push(Norm::new(moments, values(&gamma), values(&beta), norm.epsilon as f32));
        outputs.push(z);
    }
    let output = layer.convolutions[0].output();
    let y = tensor(norm::apply(&outputs, &norms, output, activate), output.dims());

    let mut guards = vec![input.node()];
    guards.extend(weights.iter().flatten().map(FloatTensor::node));
    let state = State {
        layer,
        input: inner,
        weights: weights.iter().map(|[weight, ..]| contiguous(weight.primitive())).collect(),
        outputs: outputs.into_iter().map(|z| tensor(z, output.dims())).collect(),
        norms,
        y: y.clone(),
    };
    let y = match branches.len() {
        1 => register::<4>(guards, state, y),
        2 => register::<7>(guards, state, y),
        3 => register::<10>(guards, state, y),
        _ => return None,
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(y?))
}

type FloatTensor = <Autodiff<Flex> as BackendTypes>::FloatTensorPrimitive;

/// A layer without its values.
#[derive(Clone, Debug)]
struct Layer {
    convolutions: Vec<Convolution>,
    activate: bool,
}

/// Values of the forward pass that the backward pass needs.
#[derive(Clone, Debug)]
struct State {
    layer: Layer,
    input: FlexTensor,
    weights: Vec<FlexTensor>,
    /// Outputs of the convolutions.
    outputs: Vec<FlexTensor>,
    norms: Vec<Norm>,
    y: FlexTensor,
}

/// The backward pass of a node. Burn's graph needs the number of its parents at compile time: the input, and three for each
/// branch.
#[derive(Debug)]
struct LayerBackward;

fn register<const N: usize>(guards: Vec<NodeGuard>, state: State, y: FlexTensor) -> Option<FloatTensor> {
    let guards: [NodeGuard; N] = guards.try_into().ok()?;
    let prepared = <LayerBackward as Backward<Flex, N>>::prepare::<NoCheckpointing>(LayerBackward, guards);
    Some(match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    })
}

impl<const N: usize> Backward<Flex, N> for LayerBackward {
    type State = State;

    fn backward(self, ops: Ops<State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let parents: Vec<Option<NodeId>> =
            ops.parents.iter().map(|parent| parent.as_ref().map(|node| node.id)).collect();
        let incoming = contiguous(&gradients.consume::<Flex>(&ops.node));
        let State { layer, input, weights, outputs, norms, y } = ops.state;
        let shape = layer.convolutions[0].output();
        let outputs: Vec<&[f32]> = outputs.iter().map(values).collect();
        let mask = layer.activate.then(|| values(&y));
        let back = norm::backward(values(&incoming), mask, &outputs, &norms, shape);
        let mut keep = |parent: Option<NodeId>, gradient: FlexTensor| {
            if let Some(id) = parent {
                gradients.register::<Flex>(id, gradient);
            }
        };
        let mut to_input = parents[0].map(|_| vec![0.0; values(&input).len()]);
        for (branch, (convolution, back)) in layer.convolutions.iter().zip(back).enumerate() {
            let weight = &weights[branch];
            let to_weight = convolution.weight_gradient(values(&input), &back.output);
            keep(parents[1 + 3 * branch], tensor(to_weight, weight.shape().to_vec()));
            let channels = [shape.channels];
            keep(parents[2 + 3 * branch], tensor(back.gamma, channels));
            keep(parents[3 + 3 * branch], tensor(back.beta, channels));
            if let Some(to_input) = &mut to_input {
                convolution.add_input_gradient(&back.output, values(weight), to_input);
            }
        }
        if let Some(to_input) = to_input {
            keep(parents[0], tensor(to_input, input.shape().to_vec()));
        }
    }
}

/// Updates the running statistics, which evaluation uses, from those of a batch. As in Paddle, the variance is the biased
/// one.
fn remember(norm: &BatchNorm, moments: &Moments, device: &Device) {
    let channels = moments.mean.len();
    let new = |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [channels]), device);
    for (running, values) in [(&norm.running_mean, &moments.mean), (&norm.running_var, &moments.variance)] {
        let old = running.value_sync().mul_scalar(1.0 - norm.momentum);
        running.update(old.add(new(values).mul_scalar(norm.momentum)).detach());
    }
}

fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor.clone() } else { tensor.to_contiguous() }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous values of f32")
}

fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// Sizes of a batch of images.
#[derive(Clone, Copy, Debug)]
struct Maps {
    images: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Maps {
    fn dims(&self) -> [usize; 4] {
        [self.images, self.channels, self.height, self.width]
    }

    /// Values of one channel of one image.
    fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Values of one image.
    fn image(&self) -> usize {
        self.channels * self.plane()
    }

    fn len(&self) -> usize {
        self.images * self.image()
    }
}

/// Number of partial sums, added up at the end. The same for every processor, so that all give the same sum.
const LANES: usize = 16;

/// The sum of the lanes, added in pairs.
#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}
