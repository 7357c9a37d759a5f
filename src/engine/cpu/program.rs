//! A plan made ready for the CPU: steps joined where that saves a pass over memory, weights packed, memory laid out.

use super::kernels::{self, Kernels};
use super::memory::Place;
use super::pack;
use super::tasks::{
    Attention, Convolve, Depth, DepthwiseLayer, Gate, Mean, Normalize, PackedWeights, Patches, Planes, Point,
    PointwiseLayer, Quantize, Scale, Separable, Task,
};
use crate::engine::plan::{
    Activation, Affine, Lifetime, Operation, Plan, QuantizedWeights, Shape, Step, ValueId, Weights, arena,
};
use crate::{Error, Result};

/// Weights of a 1x1 convolution, in bytes, up to which it is joined with the depthwise convolution before it: each band
/// of rows reads all of them, so they must stay in the second-level cache.
const JOINED_WEIGHTS: usize = 256 << 10;

/// Tasks in order, and the memory they work in.
pub(super) struct Program {
    pub tasks: Vec<NamedTask>,
    /// Values of memory.
    pub memory: usize,
    /// Values of memory each thread needs for itself.
    pub scratch: usize,
    /// Where the input lies, unless it is planes, which a task lays out.
    pub input: Place,
    pub output: Place,
    /// Length of a feature.
    pub dimension: usize,
}

/// A task, and what it is called where it is timed.
pub(super) struct NamedTask {
    pub task: Box<dyn Task>,
    /// The layers it does.
    pub name: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
}

impl Program {
    /// Lowers a plan for at most `images` at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a step has a size for which there is no kernel.
    pub fn new(plan: Plan, kernels: &Kernels, images: usize) -> Result<Self> {
        let joined = (0..plan.steps.len()).map(|index| joined(&plan, index)).collect();
        Self::lower(plan, kernels, images, joined)
    }

    /// Lowers a plan for one image at a time, each step to tasks of its own: every map then lies whole in memory.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unjoined(plan: Plan, kernels: &Kernels) -> Result<Self> {
        let joined = vec![false; plan.steps.len()];
        Self::lower(plan, kernels, 1, joined)
    }

    fn lower(mut plan: Plan, kernels: &Kernels, images: usize, joined: Vec<bool>) -> Result<Self> {
        let layout = Layout::new(&plan, images, joined);
        let mut tasks = Vec::new();
        for index in 0..plan.steps.len() {
            let mut lowering = Lowering { plan: &plan, kernels, layout: &layout, tasks };
            lowering.step(index)?;
            tasks = lowering.tasks;
            // packed now; all of them at once would need the memory twice
            plan.steps[index].release_weights();
        }
        Ok(Program {
            scratch: tasks.iter().map(|named| named.task.scratch()).max().unwrap_or(0),
            tasks,
            memory: layout.len,
            input: layout.places[plan.input().0],
            output: layout.places[plan.output().0],
            dimension: plan.shape(plan.output()).len(),
        })
    }

    /// The tasks without their names.
    pub fn tasks(&self) -> Vec<&dyn Task> {
        self.tasks.iter().map(|named| &*named.task).collect()
    }
}

/// Every step that reads a value.
fn readers(plan: &Plan, value: ValueId) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(move |step| step.reads().any(|read| read == value))
}

/// Whether a step is a depthwise convolution that is done together with the step after it.
fn joined(plan: &Plan, index: usize) -> bool {
    let Some(next) = plan.steps.get(index + 1) else { return false };
    let step = &plan.steps[index];
    match (&step.operation, &next.operation) {
        (Operation::Depthwise { .. }, Operation::Pointwise { weights, gate: None, .. }) => {
            next.input == step.output && readers(plan, step.output).count() == 1 && weights.bytes() <= JOINED_WEIGHTS
        }
        _ => false,
    }
}

/// Whether a gate wants the sums of this step's output.
fn gated(plan: &Plan, step: &Step) -> bool {
    readers(plan, step.output).any(|reader| matches!(reader.operation, Operation::Gate { .. }))
}

/// Where a map is kept as bytes by the layer that makes it: what 1 stands for in each channel.
///
/// That is where a product of bytes is all that reads it. Other maps are made bytes where they lie.
fn byte_scales(plan: &Plan, value: ValueId) -> Option<&[f32]> {
    let maker = plan.steps.iter().find(|step| step.output == value)?;
    let makes_bytes = match &maker.operation {
        Operation::Depthwise { .. } => true,
        Operation::Pointwise { weights, .. } => matches!(weights, Weights::I8(_)),
        _ => false,
    };
    let mut readers = readers(plan, value);
    match (makes_bytes, readers.next(), readers.next()) {
        (true, Some(reader), None) if reader.reads().filter(|&read| read == value).count() == 1 => {
            reader.quantized_input().filter(|_| reader.input == value && !reader.is_gated())
        }
        _ => None,
    }
}

/// How far around a map its readers look.
fn margin(plan: &Plan, value: ValueId) -> usize {
    let reach = |step: &Step| match step.operation {
        Operation::Depthwise { side, .. } | Operation::Convolution { side, .. } if step.input == value => side / 2,
        _ => 0,
    };
    readers(plan, value).map(reach).max().unwrap_or(0)
}

/// Where everything lies.
struct Layout {
    /// For each value, its place.
    places: Vec<Place>,
    /// For each value, where the sums of its chunks lie, if it has any.
    sums: Vec<usize>,
    /// For each step, whether it is done together with the step after it.
    joined: Vec<bool>,
    len: usize,
}

impl Layout {
    fn new(plan: &Plan, images: usize, joined: Vec<bool>) -> Self {
        let mut places: Vec<Place> = (0..plan.values.len())
            .map(ValueId)
            .map(|value| match byte_scales(plan, value) {
                Some(_) => Place::bytes(plan.shape(value)),
                None => Place::new(plan.shape(value), margin(plan, value)),
            })
            .collect();
        let mut sizes: Vec<usize> = places.iter().map(|place| images * place.image()).collect();
        let mut lifetimes: Vec<Lifetime> = plan.lifetimes();
        let input = plan.input();
        match plan.steps[0].operation {
            Operation::Convolution { .. } => {
                sizes[input.0] = images * planes(plan, &places[input.0]).plane() * plan.shape(input).channels;
            }
            // read from where the caller has it
            Operation::Patches { .. } => sizes[input.0] = 0,
            _ => {}
        }
        let mut sums = vec![0; plan.values.len()];
        for (index, step) in plan.steps.iter().enumerate() {
            if joined[index] {
                // never whole; and what follows is written while the input is still read
                sizes[step.output.0] = 0;
                lifetimes[plan.steps[index + 1].output.0].from = index;
            }
            if gated(plan, step) {
                let place = &places[step.output.0];
                sums[step.output.0] = sizes.len();
                sizes.push(images * Depth::bands(place) * place.channels);
                lifetimes.push(lifetimes[step.output.0]);
            }
        }
        let arena = arena::assign(&sizes, &lifetimes);
        for (place, &offset) in places.iter_mut().zip(&arena.offsets) {
            place.offset = offset;
        }
        sums.iter_mut().for_each(|area| *area = arena.offsets[*area]);
        Layout { places, sums, joined, len: arena.len }
    }
}

/// The task that lays the input out: its map is planes, not interleaved channels.
fn planes(plan: &Plan, place: &Place) -> Planes {
    let Shape { height, width, channels } = plan.shape(plan.input());
    Planes { offset: place.offset, planes: channels, height, width, margin: place.margin }
}

struct Lowering<'a> {
    plan: &'a Plan,
    kernels: &'a Kernels,
    layout: &'a Layout,
    tasks: Vec<NamedTask>,
}

impl Lowering<'_> {
    fn place(&self, value: ValueId) -> Place {
        self.layout.places[value.0]
    }

    fn push(&mut self, task: impl Task + 'static, name: String, macs: u64) {
        self.tasks.push(NamedTask { task: Box::new(task), name, macs });
    }

    /// Adds what a step needs.
    fn step(&mut self, index: usize) -> Result<()> {
        let step = &self.plan.steps[index];
        let macs = self.plan.step_macs(step);
        match &step.operation {
            Operation::Convolution { .. } => self.convolution(step, macs)?,
            Operation::Depthwise { .. } if self.layout.joined[index] => {
                let next = &self.plan.steps[index + 1];
                let task = Separable {
                    depthwise: self.depthwise(step)?,
                    between: self.place(step.output),
                    pointwise: self.pointwise(next)?,
                };
                let name = format!("{} + {}", step.name, next.name.rsplit('.').next().unwrap_or_default());
                self.push(task, name, macs + self.plan.step_macs(next));
            }
            Operation::Depthwise { .. } => {
                let sums = gated(self.plan, step).then(|| self.layout.sums[step.output.0]);
                let task = Depth { layer: self.depthwise(step)?, output: self.place(step.output), sums };
                self.push(task, step.name.clone(), macs);
            }
            Operation::Pointwise { .. } if index > 0 && self.layout.joined[index - 1] => {}
            Operation::Pointwise { weights, gate, .. } => {
                let input = self.place(step.input);
                let tile = match weights {
                    Weights::F32(_) => self.kernels.tile_rows,
                    Weights::I8(_) => self.kernels.product_i8.tile_rows,
                };
                match step.quantized_input() {
                    Some(scales) if byte_scales(self.plan, step.input).is_none() => {
                        self.quantize(step, *gate, scales)?
                    }
                    Some(_) => {}
                    None => gate.map_or(Ok(()), |gate| self.scale(step, gate))?,
                }
                if input.margin > 0 {
                    return Err(unsupported(step, "a 1x1 convolution of a map that a depthwise convolution reads too"));
                }
                let task = Point { layer: self.pointwise(step)?, input, tile };
                self.push(task, step.name.clone(), macs);
            }
            Operation::Gate { .. } => self.gate(step, macs),
            &Operation::Mean { skip } => {
                let input = self.place(step.input);
                if skip >= input.width {
                    return Err(unsupported(step, "a mean that leaves out a whole row"));
                }
                self.push(Mean { input, skip, output: self.place(step.output) }, step.name.clone(), macs);
            }
            Operation::Patches { side, weights, added } => {
                let task = self.patches(step, *side, weights, added)?;
                self.push(task, step.name.clone(), macs);
            }
            Operation::Normalize { epsilon, affine } => {
                let padded = |Affine { scale, shift }: &Affine| [pack::vector(scale), pack::vector(shift)];
                let task = Normalize {
                    input: self.place(step.input),
                    output: self.without_margin(step)?,
                    channels: self.plan.shape(step.input).channels,
                    epsilon: *epsilon,
                    affine: affine.as_ref().map(padded),
                };
                self.push(task, step.name.clone(), macs);
            }
            &Operation::Attention { heads } => {
                let task = self.attention(step, heads)?;
                self.push(task, step.name.clone(), macs);
            }
        }
        Ok(())
    }

    fn convolution(&mut self, step: &Step, macs: u64) -> Result<()> {
        let Operation::Convolution { side, stride, weights, bias, activation } = &step.operation else { return Ok(()) };
        if step.input != self.plan.input() {
            return Err(unsupported(step, "a dense convolution that is not the first layer"));
        }
        if !matches!(stride, 1 | 2) {
            return Err(unsupported(step, &format!("a dense convolution of stride {stride}")));
        }
        let planes = planes(self.plan, &self.place(step.input));
        let (row, plane) = (planes.row(), planes.plane());
        let taps: Vec<usize> = (0..planes.planes)
            .flat_map(|channel| (0..*side).flat_map(move |y| (0..*side).map(move |x| channel * plane + y * row + x)))
            .collect();
        let task = Convolve {
            input: planes.offset,
            input_image: planes.planes * plane,
            input_row: row,
            stride: *stride,
            weights: pack::panels(weights, taps.len(), self.kernels.panel),
            taps,
            bias: pack::vector(bias),
            output: self.place(step.output),
            activation: simple(step, *activation)?,
        };
        self.push(planes, "input".into(), 0);
        self.push(task, step.name.clone(), macs);
        Ok(())
    }

    fn depthwise(&self, step: &Step) -> Result<DepthwiseLayer> {
        let Operation::Depthwise { side, stride, weights, bias, activation } = &step.operation else {
            return Err(Error::internal(format!("{} is no depthwise convolution", step.name)));
        };
        if !matches!((side, stride), (3 | 5, 1 | 2)) {
            return Err(unsupported(step, &format!("a depthwise convolution of {side}x{side} with stride {stride}")));
        }
        Ok(DepthwiseLayer {
            input: self.place(step.input),
            side: *side,
            stride: *stride,
            weights: pack::taps(weights, side * side),
            bias: pack::vector(bias),
            activation: simple(step, *activation)?,
            byte_factors: byte_scales(self.plan, step.output).map(byte_factors),
        })
    }

    /// The layer of a step that is a 1x1 convolution.
    ///
    /// # Errors
    /// Where a GELU is followed by anything but whole rows of values.
    fn pointwise(&self, step: &Step) -> Result<PointwiseLayer> {
        let Operation::Pointwise { weights, bias, activation, residual, .. } = &step.operation else {
            unreachable!("only called for 1x1 convolutions")
        };
        let inner = self.plan.shape(step.input).channels;
        let output = self.place(step.output);
        let byte_factors = byte_scales(self.plan, step.output).map(byte_factors);
        let gelu = *activation == Activation::Gelu;
        if gelu && (residual.is_some() || byte_factors.is_some() || output.margin > 0) {
            return Err(unsupported(
                step,
                "a 1x1 convolution with GELU whose output is added to, has a margin or is bytes",
            ));
        }
        Ok(PointwiseLayer {
            inner,
            weights: match weights {
                Weights::F32(weights) => PackedWeights::F32(pack::panels(weights, inner, self.kernels.panel)),
                Weights::I8(QuantizedWeights { values, scales, .. }) => PackedWeights::I8 {
                    values: pack::quads(values, inner, self.kernels.product_i8.panel),
                    scales: pack::vector(scales),
                },
            },
            bias: pack::vector(bias),
            output,
            byte_factors,
            residual: residual.map(|residual| self.place(residual)),
            activation: if gelu { kernels::Activation::None } else { simple(step, *activation)? },
            gelu,
        })
    }

    /// Where a step's output lies, which no convolution may read.
    fn without_margin(&self, step: &Step) -> Result<Place> {
        match self.place(step.output) {
            place if place.margin == 0 => Ok(place),
            _ => Err(unsupported(step, "a layer whose output a convolution reads")),
        }
    }

    fn patches(&self, step: &Step, side: usize, weights: &[f32], added: &[f32]) -> Result<Patches> {
        if step.input != self.plan.input() {
            return Err(unsupported(step, "a cut into patches that is not the first layer"));
        }
        let Shape { height, width, channels } = self.plan.shape(step.input);
        let output = self.plan.shape(step.output);
        let fits = side > 0
            && [height, width].iter().all(|size| size.is_multiple_of(side))
            && (output.height, output.width) == (1, 1 + height * width / (side * side))
            && weights.len() == output.channels * channels * side * side
            && added.len() == output.len();
        if !fits {
            return Err(unsupported(step, "a cut into patches whose sizes do not fit together"));
        }
        let inner = channels * side * side;
        Ok(Patches {
            planes: [height, width],
            channels,
            side,
            weights: pack::panels(weights, inner, self.kernels.panel),
            bias: vec![0.0; pack::padded(output.channels)],
            added: added.chunks_exact(output.channels).flat_map(pack::vector).collect(),
            output: self.without_margin(step)?,
            tile: self.kernels.tile_rows,
        })
    }

    fn attention(&self, step: &Step, heads: usize) -> Result<Attention> {
        let (input, output) = (self.plan.shape(step.input), self.plan.shape(step.output));
        let fits = heads > 0
            && output.channels.is_multiple_of(heads)
            && input == Shape { channels: 3 * output.channels, ..output }
            && input.height == 1;
        if !fits {
            return Err(unsupported(step, "attention whose sizes do not fit together"));
        }
        let channels = output.channels / heads;
        Ok(Attention {
            heads,
            channels,
            input: self.place(step.input),
            output: self.without_margin(step)?,
            tile: self.kernels.tile_rows,
            panel: self.kernels.panel,
            mask: Attention::mask(input.width),
            zeros: vec![0.0; pack::padded(channels)],
        })
    }

    /// What changes a step's input in place must not take it from others.
    fn alone(&self, step: &Step, gate: Option<ValueId>, what: &str) -> Result<()> {
        let others = readers(self.plan, step.input)
            .filter(|reader| reader.output != step.output && Some(reader.output) != gate)
            .count();
        if others > 0 { Err(unsupported(step, &format!("{what} a map that other layers read"))) } else { Ok(()) }
    }

    fn quantize(&mut self, step: &Step, gate: Option<ValueId>, scales: &[f32]) -> Result<()> {
        self.alone(step, gate, "a product of bytes of")?;
        let gate = gate.map(|gate| self.place(gate));
        let task = Quantize { pixels: self.place(step.input), gate, factors: byte_factors(scales) };
        self.push(task, format!("{} (bytes)", step.name), 0);
        Ok(())
    }

    fn scale(&mut self, step: &Step, gate: ValueId) -> Result<()> {
        self.alone(step, Some(gate), "a gate on")?;
        let task = Scale { pixels: self.place(step.input), factors: self.place(gate) };
        self.push(task, format!("{} (gate)", step.name), 0);
        Ok(())
    }

    fn gate(&mut self, step: &Step, macs: u64) {
        let Operation::Gate { reduce, reduce_bias, expand, expand_bias } = &step.operation else { return };
        let input = self.place(step.input);
        let hidden = reduce_bias.len();
        let inner = self.plan.shape(step.input).channels;
        let task = Gate {
            sums: self.layout.sums[step.input.0],
            chunks: Depth::bands(&input),
            pixels: input.pixels(),
            inner,
            channels: input.channels,
            hidden,
            reduce: pack::panels(reduce, inner, self.kernels.panel),
            reduce_bias: pack::vector(reduce_bias),
            expand: pack::panels(expand, hidden, self.kernels.panel),
            expand_bias: pack::vector(expand_bias),
            output: self.place(step.output),
        };
        self.push(task, step.name.clone(), macs);
    }
}

/// An activation that kernels take along.
fn simple(step: &Step, activation: Activation) -> Result<kernels::Activation> {
    match activation {
        Activation::None => Ok(kernels::Activation::None),
        Activation::Relu => Ok(kernels::Activation::Relu),
        Activation::Gelu => Err(unsupported(step, "a convolution with GELU")),
    }
}

/// What makes a channel's values whole numbers. What pads the channels is zero, and remains so.
fn byte_factors(scales: &[f32]) -> Vec<f32> {
    pack::vector(&scales.iter().map(|scale| scale.recip()).collect::<Vec<_>>())
}

fn unsupported(step: &Step, what: &str) -> Error {
    Error::model(format!("layer `{}` is {what}, for which there is no CPU kernel", step.name))
}
