//! Plans: the steps of a model and the values between them, the same for every device.

pub(super) mod arena;
mod builder;
mod check;
mod efficientnet_lite;
mod lcnet_v2;
mod operation;
mod picodet;
mod quantize;
mod table;
mod vit;

pub use self::builder::PlanBuilder;
pub use self::operation::{Activation, Affine, GateFunction, Operation, QuantizedWeights, Weights};

use crate::Result;
use crate::model::lcnet_v2::Form;
use crate::model::{ModelDescription, Network};
use crate::tensors::Tensors;

/// A model compiled to steps, each with its weights. BatchNorms and constant factors are folded into the weights.
///
/// Every plan has passed [`check`](Self::check), and nothing outside this crate's engine can change it: sizes of
/// weights, shapes and the order of the steps fit together.
///
/// [`compile`](Self::compile) makes the plan of a model, [`builder`](Self::builder) makes one step by step. Printed, a
/// plan is a table of its steps with their shapes, weights and work:
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
    name: String,
    values: Vec<Value>,
    steps: Vec<Step>,
    /// The values that a plan of maps gives; nothing where it gives a feature.
    maps: Option<Vec<ValueId>>,
}

/// A value of a plan: a map of pixels. A vector is a map of one pixel, a transformer's tokens are a map of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    name: String,
    shape: Shape,
}

impl Value {
    /// A value of a shape. Its name is that of the step that makes it.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        Value { name: name.into(), shape }
    }

    /// The name of the step that makes the value.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sizes of the value for one image.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// The sizes of a map for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Numbers of a pixel.
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

    /// The map that a convolution gives of this one: its side is odd, and it is padded by half of its side.
    fn strided(self, stride: usize, channels: usize) -> Shape {
        Shape { height: self.height.div_ceil(stride), width: self.width.div_ceil(stride), channels }
    }
}

/// The number of a value: its index in [`Plan::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

/// One step of a plan: an operation that makes a value from others.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    name: String,
    operation: Operation,
    input: ValueId,
    output: ValueId,
}

/// The steps between which a value must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The step that makes it; 0 for the input.
    pub from: usize,
    /// The last step that reads it; the number of steps for the output.
    pub to: usize,
}

impl Plan {
    /// Makes a plan from its parts: the input's value, then one value for each step in the order of the steps.
    ///
    /// [`builder`](Self::builder) numbers the values itself.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn new(name: impl Into<String>, values: Vec<Value>, steps: Vec<Step>) -> Result<Self> {
        let plan = Plan { name: name.into(), values, steps, maps: None };
        plan.check()?;
        Ok(plan)
    }

    /// The same steps, but for the maps that they make on the way: a run gives these, in this order, and no feature.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    ///
    /// ```
    /// use image_feature::engine::{Activation, Operation, Plan, Shape};
    ///
    /// let shape = Shape { height: 8, width: 8, channels: 1 };
    /// let mut plan = Plan::builder("twice", shape);
    /// let weights = vec![0., 0., 0., 0., 2., 0., 0., 0., 0.];
    /// let operation =
    ///     Operation::Convolution { side: 3, before: 1, stride: 1, weights, bias: vec![0.0], activation: Activation::None };
    /// let twice = plan.push("twice", operation, plan.input(), shape);
    /// let plan = plan.finish_maps(vec![twice])?;
    /// assert_eq!(plan.outputs(), [twice]);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn with_maps(mut self, maps: Vec<ValueId>) -> Result<Self> {
        self.maps = Some(maps);
        self.check()?;
        Ok(self)
    }

    /// Begins a plan for images of a shape.
    pub fn builder(name: impl Into<String>, input: Shape) -> PlanBuilder {
        PlanBuilder::new(name.into(), input)
    }

    /// Compiles a model. The plan of a detector gives maps, those of the other networks a feature.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than the
    /// description says, or the description's sizes do not fit together.
    pub fn compile(description: &ModelDescription, form: Form, tensors: &Tensors) -> Result<Self> {
        let tensors = description.network.deploy_form(form, tensors)?;
        match &description.network {
            Network::LcNetV2(config) => lcnet_v2::compile(&description.name, config, &tensors),
            Network::Vit(config) => vit::compile(&description.name, config, &tensors),
            Network::EfficientNetLite(config) => efficientnet_lite::compile(&description.name, config, &tensors),
            Network::PicoDet(config) => picodet::compile(&description.name, config, &tensors),
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every value in the order in which they are made. The first is the input; step `n` makes value `n + 1`.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The network's input, which only the first step reads. Its channels are planes, one after the other, not
    /// interleaved.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// The last step's output. In a plan of a feature it holds the feature, one pixel large and not yet of length 1.
    pub fn output(&self) -> ValueId {
        ValueId(self.steps.len())
    }

    /// The values that a run gives: the feature, or the maps of [`with_maps`](Self::with_maps).
    pub fn outputs(&self) -> Vec<ValueId> {
        self.maps.clone().unwrap_or_else(|| vec![self.output()])
    }

    /// Whether a run gives a value.
    pub(super) fn gives(&self, value: ValueId) -> bool {
        self.maps.as_ref().map_or(value == self.output(), |maps| maps.contains(&value))
    }

    /// Numbers that a run gives for one image: those of all outputs.
    pub(super) fn output_len(&self) -> usize {
        self.outputs().into_iter().map(|output| self.shape(output).len()).fold(0, usize::saturating_add)
    }

    /// The shape of a value.
    ///
    /// # Panics
    /// Where the plan has no such value.
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
        // the caller reads the outputs after the last step
        for output in self.outputs() {
            lifetimes[output.0].to = self.steps.len();
        }
        lifetimes
    }

    /// Multiply-accumulate operations for one image.
    pub fn macs(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(self.step_macs(step)))
    }

    /// Multiply-accumulate operations of one step for one image.
    ///
    /// # Panics
    /// Where the plan has no such value as the step makes.
    pub fn step_macs(&self, step: &Step) -> u64 {
        let output = self.shape(step.output);
        let (pixels, per_pixel) = match &step.operation {
            Operation::Convolution { weights, .. } | Operation::Depthwise { weights, .. } => {
                (output.pixels(), weights.len())
            }
            Operation::Pointwise { weights, .. } => (output.pixels(), weights.len()),
            Operation::Gate { reduce, expand, .. } => (output.pixels(), reduce.len() + expand.len()),
            Operation::Attention { .. } => (2 * output.pixels(), output.len()),
            // the class token is no patch
            Operation::Patches { weights, .. } => (output.pixels() - 1, weights.len()),
            Operation::Normalize { .. }
            | Operation::Mean { .. }
            | Operation::Upsample { .. }
            | Operation::Concat { .. } => (0, 0),
        };
        (pixels as u64).saturating_mul(per_pixel as u64)
    }

    /// The plan without its last layer, and that layer, where it works on one pixel: it is then faster for many images
    /// at once.
    ///
    /// The last layer is a plan of one step whose input is a vector, not an image. All rules of [`check`](Self::check)
    /// hold for it but that for the first step.
    pub(super) fn split_head(mut self) -> (Plan, Option<Plan>) {
        let last = self.steps.len() - 1;
        let Step { operation, input, .. } = &self.steps[last];
        let alone = matches!(operation, Operation::Pointwise { gate: None, residual: None, .. }) && self.maps.is_none();
        // the layer reads the output of the step before it
        if last == 0 || !alone || input.0 != last || self.shape(*input).pixels() != 1 {
            return (self, None);
        }
        let input = self.values[last].clone();
        let (Some(mut step), Some(output)) = (self.steps.pop(), self.values.pop()) else { return (self, None) };
        (step.input, step.output) = (ValueId(0), ValueId(1));
        let head = Plan { name: self.name.clone(), values: vec![input, output], steps: vec![step], maps: None };
        (self, Some(head))
    }

    /// Frees the f32 weights of a step after a device has packed them. Afterwards only the shapes of the plan are usable.
    pub(super) fn release_weights(&mut self, step: usize) {
        match &mut self.steps[step].operation {
            Operation::Pointwise { weights: Weights::F32(weights), .. } | Operation::Patches { weights, .. } => {
                *weights = Vec::new();
            }
            _ => {}
        }
    }
}

impl Step {
    /// A step that makes `output` from `input`.
    pub fn new(name: impl Into<String>, operation: Operation, input: ValueId, output: ValueId) -> Self {
        Step { name: name.into(), operation, input, output }
    }

    /// The layer that the step comes from: `backbone.stages.2.0.pw_conv_1`. No two steps of a plan have the same.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operation of the step, with its weights.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The value that the operation is applied to. [`reads`](Self::reads) has the others, too.
    pub fn input(&self) -> ValueId {
        self.input
    }

    /// The value that the step makes.
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// Every value the step reads.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        let (gate, residual) = match self.operation {
            Operation::Pointwise { gate, residual, .. } => (gate, residual),
            _ => (None, None),
        };
        let others = match &self.operation {
            Operation::Concat { others } => &others[..],
            _ => &[],
        };
        [Some(self.input), gate, residual].into_iter().flatten().chain(others.iter().copied())
    }

    /// The scale of each channel of the input, where the step multiplies 8-bit numbers.
    pub fn quantized_input(&self) -> Option<&[f32]> {
        self.quantized().map(|quantized| &quantized.input_scales[..])
    }

    /// The weights of 8-bit numbers.
    pub(super) fn quantized(&self) -> Option<&QuantizedWeights> {
        match &self.operation {
            Operation::Pointwise { weights: Weights::I8(quantized), .. } => Some(quantized),
            _ => None,
        }
    }

    /// Whether the input is multiplied by a gate's factors first.
    pub fn is_gated(&self) -> bool {
        matches!(self.operation, Operation::Pointwise { gate: Some(_), .. })
    }

    /// Memory of weights and biases, with the scales of 8-bit numbers, in bytes.
    pub fn parameter_bytes(&self) -> usize {
        match &self.operation {
            Operation::Pointwise { weights, bias, .. } => weights.bytes() + 4 * bias.len(),
            _ => 4 * self.parameters(),
        }
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        match &self.operation {
            Operation::Convolution { weights, bias, .. } | Operation::Depthwise { weights, bias, .. } => {
                weights.len() + bias.len()
            }
            Operation::Pointwise { weights, bias, .. } => weights.len() + bias.len(),
            Operation::Gate { reduce, reduce_bias, expand, expand_bias, .. } => {
                reduce.len() + reduce_bias.len() + expand.len() + expand_bias.len()
            }
            Operation::Patches { weights, added, .. } => weights.len() + added.len(),
            Operation::Normalize { affine, .. } => affine.as_ref().map_or(0, |affine| 2 * affine.scale.len()),
            Operation::Attention { .. }
            | Operation::Mean { .. }
            | Operation::Upsample { .. }
            | Operation::Concat { .. } => 0,
        }
    }
}
