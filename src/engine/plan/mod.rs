//! What a device has to compute: steps over buffers, free of anything a particular device needs.

pub(super) mod arena;
mod lcnet_v2;
mod table;
mod vit;

use crate::Result;
use crate::model::lcnet_v2::Form;
use crate::model::{ModelDescription, Network};
use crate::tensors::Tensors;

/// A model, compiled to steps. Each step's BatchNorms and constant factors are folded into its weights.
///
/// Printed, it is a table of its steps with their shapes, weights and work.
///
/// ```no_run,ignore-wasm32
/// use image_feature::{Model, engine::Plan};
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
/// println!("{}", Plan::compile(&model.description, model.form, &model.tensors)?);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The model's name.
    pub name: String,
    /// Everything that is computed, in the order of its making; the first is the input.
    pub values: Vec<Value>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A map of pixels. Vectors are maps of one pixel, and a transformer's tokens are a map of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The name of the step that makes it.
    pub name: String,
    pub shape: Shape,
}

/// The sizes of a map for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Shape {
    /// Height times width.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Pixels times channels.
    #[allow(clippy::len_without_is_empty)] // a map is never empty
    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }
}

/// Index into [`Plan::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

/// One step: an operation on values.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The layer it comes from: `backbone.stages.2.0.pw_conv_1`.
    pub name: String,
    pub operation: Operation,
    pub input: ValueId,
    pub output: ValueId,
}

/// What follows a sum of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    /// Negative values become 0.
    Relu,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
}

/// Weights of a matrix product, `[out, in]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    F32(Vec<f32>),
    I8(QuantizedWeights),
}

/// Weights of a product of whole numbers: each channel of the input, which is never negative, is divided by its scale,
/// rounded and cut to 0..=127, multiplied with `values`, and the sum of an output channel is multiplied by its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// `[out, in]`, from -127 to 127.
    pub values: Vec<i8>,
    /// What 1 stands for in each output channel's sum of products.
    pub scales: Vec<f32>,
    /// What 1 stands for in each channel of the input.
    pub input_scales: Vec<f32>,
}

impl Weights {
    /// Number of weights.
    #[allow(clippy::len_without_is_empty)] // a layer has weights
    pub fn len(&self) -> usize {
        match self {
            Weights::F32(values) => values.len(),
            Weights::I8(quantized) => quantized.values.len(),
        }
    }

    /// What they take in memory, with their scales.
    pub fn bytes(&self) -> usize {
        match self {
            Weights::F32(values) => 4 * values.len(),
            Weights::I8(QuantizedWeights { values, scales, input_scales }) => {
                values.len() + 4 * (scales.len() + input_scales.len())
            }
        }
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Dense convolution, padded by `side / 2` zeros: weights `[out, in, side, side]`.
    Convolution { side: usize, stride: usize, weights: Vec<f32>, bias: Vec<f32>, activation: Activation },
    /// Convolution of each channel for itself, padded by `side / 2` zeros: weights `[channels, side, side]`.
    Depthwise { side: usize, stride: usize, weights: Vec<f32>, bias: Vec<f32>, activation: Activation },
    /// A matrix product at each pixel: weights `[out, in]`.
    Pointwise {
        weights: Weights,
        bias: Vec<f32>,
        activation: Activation,
        /// A factor for each channel of the input, one pixel large.
        gate: Option<ValueId>,
        /// What is added after the activation.
        residual: Option<ValueId>,
    },
    /// An image's patches as tokens, row after row, behind a class token: each patch, `[in, side, side]`, through a layer
    /// without bias, plus what `added` holds for the token, which for the class token is all there is.
    ///
    /// Weights `[out, in, side, side]`; `added` is `[tokens, out]`.
    Patches { side: usize, weights: Vec<f32>, added: Vec<f32> },
    /// LayerNorm: each pixel's channels less their mean and divided by the square root of their variance plus `epsilon`;
    /// then, where there is `affine`, scaled and shifted channel by channel.
    Normalize { epsilon: f32, affine: Option<Affine> },
    /// Attention of each pixel to all: the input's channels are queries, keys and values, one behind the other and each of
    /// all heads. Of each head's values the means, weighted by the softmax of the query's products with the keys.
    Attention { heads: usize },
    /// A squeeze-and-excitation's factors: the mean over the pixels through two layers, with ReLU between them and a
    /// sigmoid at the end. Weights `[hidden, in]` and `[in, hidden]`.
    Gate { reduce: Vec<f32>, reduce_bias: Vec<f32>, expand: Vec<f32>, expand_bias: Vec<f32> },
    /// The mean over the pixels, but for the first `skip` of the first row.
    Mean { skip: usize },
}

/// A factor for each channel, and what is added after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

/// The steps between which a value must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The step that makes it; 0 for the input.
    pub from: usize,
    /// The last step that reads it.
    pub to: usize,
}

impl Plan {
    /// Compiles a model.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than the description
    /// says, or the description's sizes do not fit together.
    pub fn compile(description: &ModelDescription, form: Form, tensors: &Tensors) -> Result<Self> {
        let tensors = description.network.deploy_form(form, tensors)?;
        match &description.network {
            Network::LcNetV2(config) => lcnet_v2::compile(&description.name, config, &tensors),
            Network::Vit(config) => vit::compile(&description.name, config, &tensors),
        }
    }

    /// A plan of no steps yet, for images of a size.
    fn of_images(name: &str, [height, width]: [usize; 2]) -> Self {
        let input = Value { name: "input".into(), shape: Shape { height, width, channels: 3 } };
        Plan { name: name.into(), values: vec![input], steps: Vec::new() }
    }

    /// The network's input: its channels are planes, one after the other, not interleaved.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// The value that holds the features, not yet of length 1.
    pub fn output(&self) -> ValueId {
        self.steps.last().expect("a plan has steps").output
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.values[value.0].shape
    }

    /// For each value, the steps between which it must be kept.
    pub fn lifetimes(&self) -> Vec<Lifetime> {
        let mut lifetimes = vec![Lifetime { from: 0, to: 0 }; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            lifetimes[step.output.0] = Lifetime { from: index, to: index };
            for read in step.reads() {
                lifetimes[read.0].to = index;
            }
        }
        // whoever runs the plan reads the output after the last step
        lifetimes[self.output().0].to = self.steps.len();
        lifetimes
    }

    /// Multiply-accumulate operations for one image.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|step| self.step_macs(step)).sum()
    }

    /// Multiply-accumulate operations of one step for one image.
    pub fn step_macs(&self, step: &Step) -> u64 {
        let output = self.shape(step.output);
        let per_pixel = match &step.operation {
            Operation::Convolution { weights, .. } | Operation::Depthwise { weights, .. } => weights.len(),
            Operation::Pointwise { weights, .. } => weights.len(),
            Operation::Gate { reduce, expand, .. } => reduce.len() + expand.len(),
            Operation::Attention { .. } => 2 * output.len(),
            // the class token is no patch
            Operation::Patches { weights, .. } => return ((output.pixels() - 1) * weights.len()) as u64,
            Operation::Normalize { .. } | Operation::Mean { .. } => 0,
        };
        (output.pixels() * per_pixel) as u64
    }

    /// The plan up to the last layer, and that layer, where it works on one pixel and so gains from many images at once.
    pub(super) fn split_head(mut self) -> (Plan, Option<Plan>) {
        let last = self.steps.len() - 1;
        let Step { operation, input, output, .. } = &self.steps[last];
        let alone = matches!(operation, Operation::Pointwise { gate: None, residual: None, .. });
        if last == 0 || !alone || self.shape(*input).pixels() != 1 || self.steps[last - 1].output != *input {
            return (self, None);
        }
        let values = vec![self.values[input.0].clone(), self.values[output.0].clone()];
        let mut step = self.steps.remove(last);
        (step.input, step.output) = (ValueId(0), ValueId(1));
        let head = Plan { name: self.name.clone(), values, steps: vec![step] };
        (self, Some(head))
    }

    fn push(&mut self, name: String, operation: Operation, input: ValueId, shape: Shape) -> ValueId {
        let output = ValueId(self.values.len());
        self.values.push(Value { name: name.clone(), shape });
        self.steps.push(Step { name, operation, input, output });
        output
    }
}

impl Step {
    /// Every value the step reads.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        let (gate, residual) = match self.operation {
            Operation::Pointwise { gate, residual, .. } => (gate, residual),
            _ => (None, None),
        };
        [Some(self.input), gate, residual].into_iter().flatten()
    }

    /// What 1 stands for in each channel of the input, where the step multiplies whole numbers.
    pub fn quantized_input(&self) -> Option<&[f32]> {
        match &self.operation {
            Operation::Pointwise { weights: Weights::I8(quantized), .. } => Some(&quantized.input_scales),
            _ => None,
        }
    }

    /// Whether the input is multiplied by a gate's factors first.
    pub fn is_gated(&self) -> bool {
        matches!(self.operation, Operation::Pointwise { gate: Some(_), .. })
    }

    /// What weights and biases take in memory, with the scales of whole numbers, in bytes.
    pub fn parameter_bytes(&self) -> usize {
        match &self.operation {
            Operation::Pointwise { weights, bias, .. } => weights.bytes() + 4 * bias.len(),
            _ => 4 * self.parameters(),
        }
    }

    /// Weights and biases, in values.
    pub fn parameters(&self) -> usize {
        match &self.operation {
            Operation::Convolution { weights, bias, .. } | Operation::Depthwise { weights, bias, .. } => {
                weights.len() + bias.len()
            }
            Operation::Pointwise { weights, bias, .. } => weights.len() + bias.len(),
            Operation::Gate { reduce, reduce_bias, expand, expand_bias } => {
                reduce.len() + reduce_bias.len() + expand.len() + expand_bias.len()
            }
            Operation::Patches { weights, added, .. } => weights.len() + added.len(),
            Operation::Normalize { affine, .. } => affine.as_ref().map_or(0, |affine| 2 * affine.scale.len()),
            Operation::Attention { .. } | Operation::Mean { .. } => 0,
        }
    }

    /// Lets go of f32 weights, once they are packed elsewhere.
    pub(super) fn release_weights(&mut self) {
        match &mut self.operation {
            Operation::Pointwise { weights: Weights::F32(weights), .. } | Operation::Patches { weights, .. } => {
                *weights = Vec::new();
            }
            _ => {}
        }
    }
}
