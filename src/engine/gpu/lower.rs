//! Plans to programs.

use super::memory::{Life, assign};
use super::pack::{self, TILE, padded};
use super::program::{Adapter, Dispatch, Pipeline, Program, Source, Tensor, Vectors};
use super::shaders::{MAX_SIDE, Shader, WIDE};
use super::shapes::Shapes;
use crate::engine::{Activation, GateFunction, Operation, Plan, Shape, Step, ValueId, Weights};
use crate::error::Context;
use crate::{Error, Result};

/// The most bytes of a buffer that a shader may see, by the default limits of WebGPU.
const MAX_BINDING_BYTES: usize = 128 << 20;

/// The most workgroups in a direction, by the default limits of WebGPU.
const MAX_GROUPS: usize = 65535;

/// The most channels of a head of attention: a thread has four of 64 threads' shares.
const MAX_HEAD: usize = 256;

/// Maps of at most this many pixels go through the shader whose threads share each sum.
const FEW_PIXELS: usize = 2;

/// The code of a sigmoid in shaders, which is no [`Activation`] of plans.
const SIGMOID: u32 = 4;
/// The code of a hard sigmoid.
const HARD_SIGMOID: u32 = 6;

impl Program {
    /// Lowers a plan for runs of at most `batch` images on an adapter of a kind. Where buffers for so many images would be
    /// larger than a GPU must allow, [`batch`](Self::batch) is smaller.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where `batch` is 0, [`ErrorKind::Model`](crate::ErrorKind::Model)
    /// where the plan gives maps or a step has no shader (8-bit weights among them), [`ErrorKind::Limit`](crate::ErrorKind::Limit) where weights or
    /// maps of a step are larger than 128 MiB. The error names the step.
    pub fn new(mut plan: Plan, batch: usize, adapter: Adapter) -> Result<Self> {
        if batch == 0 {
            return Err(Error::usage("a batch has at least one image"));
        }
        plan.check()?;
        if !plan.gives(plan.output()) || plan.shape(plan.output()).pixels() != 1 {
            return Err(Error::model("the plan gives maps, which no GPU driver reads; run it on the CPU"));
        }
        let mut lowering = Lowering::new(&plan, adapter);
        for index in 0..plan.steps().len() {
            let step = &plan.steps()[index];
            lowering.step(&plan, step).context(|| format!("step {index} `{}`", step.name()))?;
            // the packed copy is enough
            plan.release_weights(index);
        }
        lowering.finish(&plan, batch)
    }
}

/// A map between dispatches, and how it lies in memory.
#[derive(Clone, Copy)]
struct Map {
    shape: Shape,
    /// From a pixel to the next.
    pixel: usize,
    /// From a channel to the next.
    channel: usize,
    /// The numbers of an image.
    len: usize,
}

impl Map {
    fn planes(shape: Shape) -> Self {
        Map { shape, pixel: 1, channel: shape.pixels(), len: shape.len() }
    }

    fn interleaved(shape: Shape) -> Self {
        let pixel = padded(shape.channels);
        Map { shape, pixel, channel: 1, len: shape.pixels() * pixel }
    }
}

/// A dispatch whose maps have no buffers yet: numbers are those of [`Lowering::maps`].
struct Draft {
    step: String,
    shader: Shader,
    groups: [usize; 2],
    shapes: Shapes,
    input: usize,
    weights: Option<usize>,
    gate: Option<usize>,
    residual: Option<Source>,
}

struct Lowering {
    adapter: Adapter,
    /// The input, then the output of each dispatch.
    maps: Vec<Map>,
    /// The map of each value of the plan.
    places: Vec<usize>,
    tensors: Vec<Tensor>,
    drafts: Vec<Draft>,
}

impl Lowering {
    fn new(plan: &Plan, adapter: Adapter) -> Self {
        let input = Map::planes(plan.shape(plan.input()));
        Lowering { adapter, maps: vec![input], places: vec![0], tensors: Vec::new(), drafts: Vec::new() }
    }

    fn step(&mut self, plan: &Plan, step: &Step) -> Result<()> {
        let input = self.places[step.input().0];
        let output = plan.shape(step.output());
        let name = step.name();
        match step.operation() {
            Operation::Convolution { side, before, stride, weights, bias, activation } => {
                let (packed, place) = pack::convolution(weights, bias, side * side, padded(output.channels));
                let sizes = window(*side, *before, *stride, *activation, place)?;
                self.strips(name, Shader::Convolution, input, output, packed, sizes)?;
            }
            Operation::Depthwise { side, before, stride, weights, bias, activation } => {
                if *side > MAX_SIDE || *stride > MAX_SIDE {
                    return Err(Error::model(format!(
                        "no GPU shader for a kernel of {side}x{side} with stride {stride}; {MAX_SIDE} is the most"
                    )));
                }
                let (packed, place) = pack::convolution(weights, bias, side * side, padded(output.channels));
                let sizes = window(*side, *before, *stride, *activation, place)?;
                let shader = Shader::Depthwise { side: *side, stride: *stride };
                self.strips(name, shader, input, output, packed, sizes)?;
            }
            Operation::Pointwise { weights, bias, activation, gate, residual } => {
                let Weights::F32(weights) = weights else {
                    return Err(Error::model("no GPU shader for 8-bit weights; compile the plan in f32"));
                };
                let gate = gate.map(|ValueId(gate)| self.places[gate]);
                let residual = residual.map(|ValueId(residual)| Source::Buffer(self.places[residual]));
                self.product(name, input, output, (weights, bias), code(*activation), gate, residual)?;
            }
            Operation::Patches { side, weights, added } => self.patches(name, input, output, *side, weights, added)?,
            Operation::Normalize { epsilon, affine } => {
                let stride = padded(output.channels);
                let packed = affine.as_ref().map(|affine| {
                    let rows = [&affine.scale[..], &affine.shift[..]].concat();
                    pack::rows(&rows, output.channels, stride)
                });
                let sizes = Shapes {
                    extra: epsilon.to_bits(),
                    bias: word(stride)?,
                    has_affine: u32::from(packed.is_some()),
                    ..Shapes::default()
                };
                let weights = packed.map(|packed| self.tensor(name, packed)).transpose()?;
                let draft =
                    Draft { weights, ..self.draft(name, Shader::Normalize, [1, output.pixels()], input, sizes) };
                self.push(draft, output)?;
            }
            Operation::Attention { heads } => {
                if output.channels / heads > MAX_HEAD {
                    return Err(Error::model(format!("no GPU shader for heads of more than {MAX_HEAD} channels")));
                }
                let sizes = Shapes { extra: word(*heads)?, ..Shapes::default() };
                let groups = [*heads, output.pixels().div_ceil(4)];
                self.push(self.draft(name, Shader::Attention, groups, input, sizes), output)?;
            }
            Operation::Upsample { .. } | Operation::Concat { .. } => {
                return Err(Error::model(format!("no GPU shader for {step}; run the plan on the CPU")));
            }
            Operation::Gate { function, reduce, reduce_bias, expand, expand_bias } => {
                let mean = self.mean(name, input, 0)?;
                let hidden = Shape { channels: reduce_bias.len(), ..output };
                let relu = code(Activation::Relu);
                let hidden = self.product(name, mean, hidden, (reduce, reduce_bias), relu, None, None)?;
                let last = match function {
                    GateFunction::Sigmoid => SIGMOID,
                    GateFunction::HardSigmoid => HARD_SIGMOID,
                };
                self.product(name, hidden, output, (expand, expand_bias), last, None, None)?;
            }
            Operation::Mean { skip } => {
                self.mean(name, input, *skip)?;
            }
        }
        self.places.push(self.maps.len() - 1);
        Ok(())
    }

    /// A convolution whose threads have four pixels of a row, and four channels or, depthwise, one.
    fn strips(
        &mut self,
        name: &str,
        shader: Shader,
        input: usize,
        output: Shape,
        packed: Vec<f32>,
        sizes: Shapes,
    ) -> Result<usize> {
        let weights = Some(self.tensor(name, packed)?);
        let rows = output.width.div_ceil(4) * output.height;
        let rows_of_a_group = if shader == Shader::Convolution { 16 } else { 4 };
        let groups = [padded(output.channels).div_ceil(16), rows.div_ceil(rows_of_a_group)];
        self.push(Draft { weights, ..self.draft(name, shader, groups, input, sizes) }, output)
    }

    #[allow(clippy::too_many_arguments)] // the parts of a product
    fn product(
        &mut self,
        name: &str,
        input: usize,
        output: Shape,
        (weights, bias): (&[f32], &[f32]),
        activation: u32,
        gate: Option<usize>,
        residual: Option<Source>,
    ) -> Result<usize> {
        let (packed, place) = pack::product(weights, bias, self.maps[input].pixel);
        let residual_image = match residual {
            Some(Source::Buffer(map)) => self.maps[map].len,
            _ => 0,
        };
        let sizes = Shapes {
            activation,
            bias: word(place)?,
            has_residual: u32::from(residual.is_some()),
            residual_image: word(residual_image)?,
            has_gate: u32::from(gate.is_some()),
            ..Shapes::default()
        };
        let weights = Some(self.tensor(name, packed)?);
        let (pixels, tiles) = (output.pixels(), output.channels.div_ceil(TILE));
        let gated = gate.is_some();
        let (shader, groups) = match self.adapter {
            _ if pixels <= FEW_PIXELS => (Shader::Few, [tiles, pixels]),
            Adapter::Hardware => (Shader::Pointwise { gated }, [tiles, pixels.div_ceil(4 * 16)]),
            Adapter::Software => (Shader::Wide { gated }, [tiles.div_ceil(WIDE[1]), pixels.div_ceil(4 * WIDE[0])]),
        };
        let mut draft = Draft { weights, gate, residual, ..self.draft(name, shader, groups, input, sizes) };
        // the map is one column
        (draft.shapes.out_height, draft.shapes.out_width) = (word(pixels)?, 1);
        self.push(draft, output)
    }

    /// A cut into patches: they become rows of a matrix, and positions are a residual that all images share.
    fn patches(
        &mut self,
        name: &str,
        input: usize,
        output: Shape,
        side: usize,
        weights: &[f32],
        added: &[f32],
    ) -> Result<()> {
        let inner = self.maps[input].shape.channels * side * side;
        let rows = Shape { channels: inner, ..output };
        let sizes = Shapes { side: word(side)?, ..Shapes::default() };
        let groups = [padded(inner).div_ceil(64), output.pixels()];
        let unfolded = self.push(self.draft(name, Shader::Unfold, groups, input, sizes), rows)?;
        let positions = pack::rows(added, output.channels, padded(output.channels));
        let positions = Some(Source::Tensor(self.tensor(name, positions)?));
        let bias = vec![0.0; output.channels];
        self.product(name, unfolded, output, (weights, &bias), code(Activation::None), None, positions)?;
        Ok(())
    }

    fn mean(&mut self, name: &str, input: usize, skip: usize) -> Result<usize> {
        let output = Shape { height: 1, width: 1, channels: self.maps[input].shape.channels };
        let sizes = Shapes { extra: word(skip)?, ..Shapes::default() };
        let groups = [padded(output.channels).div_ceil(16), 1];
        self.push(self.draft(name, Shader::Mean, groups, input, sizes), output)
    }

    fn draft(&self, name: &str, shader: Shader, groups: [usize; 2], input: usize, shapes: Shapes) -> Draft {
        Draft { step: name.into(), shader, groups, shapes, input, weights: None, gate: None, residual: None }
    }

    fn tensor(&mut self, step: &str, values: Vec<f32>) -> Result<usize> {
        if values.len() > MAX_BINDING_BYTES / 4 {
            return Err(too_large("weights", values.len()));
        }
        self.tensors.push(Tensor { step: step.into(), values });
        Ok(self.tensors.len() - 1)
    }

    /// Adds a dispatch and gives back the map that it makes.
    fn push(&mut self, mut draft: Draft, output: Shape) -> Result<usize> {
        let (from, to) = (self.maps[draft.input], Map::interleaved(output));
        if to.len > MAX_BINDING_BYTES / 4 {
            return Err(too_large("a map", to.len));
        }
        if let Some(most) = draft.groups.iter().find(|&&groups| groups > MAX_GROUPS) {
            return Err(Error::limit(format!("the map needs {most} workgroups in a row; a GPU allows {MAX_GROUPS}")));
        }
        let one_column = draft.shapes.out_width == 1;
        let shapes = &mut draft.shapes;
        (shapes.height, shapes.width) = (word(from.shape.height)?, word(from.shape.width)?);
        (shapes.pixel, shapes.channel) = (word(from.pixel)?, word(from.channel)?);
        (shapes.image, shapes.channels) = (word(from.len)?, word(from.shape.channels)?);
        (shapes.out_pixel, shapes.out_image) = (word(to.pixel)?, word(to.len)?);
        if !one_column {
            (shapes.out_height, shapes.out_width) = (word(output.height)?, word(output.width)?);
        }
        self.drafts.push(draft);
        self.maps.push(to);
        Ok(self.maps.len() - 1)
    }

    fn finish(self, plan: &Plan, batch: usize) -> Result<Program> {
        let feature = self.maps.len() - 1;
        let pooled = if ends_in_a_layer(plan) { self.places[plan.steps().len() - 1] } else { feature };
        let (buffers, sizes) = assign(&self.lives(feature, pooled));
        let vectors = |map: usize| {
            let Map { shape, pixel, .. } = self.maps[map];
            Vectors { buffer: buffers[map], len: shape.channels, stride: pixel }
        };
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let batch = batch.min(MAX_BINDING_BYTES / 4 / largest);
        if batch == 0 {
            return Err(too_large("an image", largest));
        }
        let mut shaders: Vec<Shader> = Vec::new();
        let mut dispatches = Vec::with_capacity(self.drafts.len());
        for (index, draft) in self.drafts.into_iter().enumerate() {
            let pipeline = shaders.iter().position(|&shader| shader == draft.shader).unwrap_or_else(|| {
                shaders.push(draft.shader);
                shaders.len() - 1
            });
            dispatches.push(Dispatch {
                pipeline,
                groups: [word(draft.groups[0])?, word(draft.groups[1])?],
                shapes: draft.shapes,
                input: buffers[draft.input],
                weights: draft.weights,
                gate: draft.gate.map(|map| buffers[map]),
                residual: draft.residual.map(|residual| match residual {
                    Source::Buffer(map) => Source::Buffer(buffers[map]),
                    tensor => tensor,
                }),
                output: buffers[index + 1],
                step: draft.step,
            });
        }
        let pipelines =
            shaders.into_iter().map(|shader| Pipeline { name: shader.name(), source: shader.source() }).collect();
        let (feature, pooled) = (vectors(feature), vectors(pooled));
        let name = plan.name().to_string();
        Ok(Program { name, batch, buffers: sizes, tensors: self.tensors, pipelines, dispatches, feature, pooled })
    }

    /// The dispatches between which each map must be kept. What is read after the last one is kept to the end.
    fn lives(&self, feature: usize, pooled: usize) -> Vec<Life> {
        let mut lives: Vec<Life> = (self.maps.iter().enumerate())
            .map(|(index, map)| Life { len: map.len, from: index.saturating_sub(1), to: index.saturating_sub(1) })
            .collect();
        for (index, draft) in self.drafts.iter().enumerate() {
            let residual = match draft.residual {
                Some(Source::Buffer(map)) => Some(map),
                _ => None,
            };
            for map in [Some(draft.input), draft.gate, residual].into_iter().flatten() {
                lives[map].to = index;
            }
        }
        // the first buffer takes the next batch's images while a run is under way, so nothing else may lie there
        for map in [0, feature, pooled] {
            lives[map].to = self.drafts.len();
        }
        lives
    }
}

/// Whether the last step is a layer of one pixel: its input is then the pooled vector.
fn ends_in_a_layer(plan: &Plan) -> bool {
    let Some(step) = plan.steps().last() else { return false };
    let alone = matches!(step.operation(), Operation::Pointwise { gate: None, residual: None, .. });
    alone && plan.shape(step.input()).pixels() == 1 && step.input().0 + 1 == step.output().0 && step.input().0 > 0
}

fn window(side: usize, before: usize, stride: usize, activation: Activation, bias: usize) -> Result<Shapes> {
    Ok(Shapes {
        side: word(side)?,
        before: word(before)?,
        stride: word(stride)?,
        activation: code(activation),
        bias: word(bias)?,
        ..Shapes::default()
    })
}

/// The code of an activation in shaders.
fn code(activation: Activation) -> u32 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
        Activation::Gelu => 3,
        Activation::HardSwish => 5,
    }
}

/// A size as shaders read it. They compute with signed numbers, too.
fn word(size: usize) -> Result<u32> {
    match u32::try_from(size) {
        Ok(word) if word <= i32::MAX as u32 => Ok(word),
        _ => Err(Error::limit(format!("a size is {size}; a GPU counts to {}", i32::MAX))),
    }
}

fn too_large(what: &str, numbers: usize) -> Error {
    let mebibytes = |bytes: usize| bytes as f64 / 1048576.0;
    Error::limit(format!(
        "{what} takes {:.0} MiB; a shader sees at most {:.0} MiB",
        mebibytes(4 * numbers),
        mebibytes(MAX_BINDING_BYTES)
    ))
}
