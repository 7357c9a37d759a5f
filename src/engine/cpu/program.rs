//! A plan lowered for the CPU: steps joined where that saves a pass over memory, weights packed, memory laid out.
//!
//! Tasks work on pointers without further checks. The rules that they rely on are those of [`Plan::check`] and, where
//! only the CPU needs them, errors of [`Program::new`] in this file.

use super::kernels::{self, Kernels};
use super::memory::Place;
use super::pack;
use super::tasks::{
    Attention, Concat, Convolve, Depth, DepthwiseLayer, Gate, Mean, Normalize, PackedWeights, Patches, Planes, Point,
    PointwiseLayer, Quantize, Scale, Separable, Task, Upsample,
};
use crate::engine::plan::{
    Activation, Affine, Lifetime, Operation, Plan, QuantizedWeights, Shape, Step, ValueId, Weights, arena,
};
use crate::{Error, Result};

/// Weights of a 1x1 convolution, in bytes, up to which it is joined with the depthwise convolution before it: each band
/// of rows reads all of them, so they must stay in the second-level cache.
const JOINED_WEIGHTS: usize = 256 << 10;

/// The most values that memory can hold: more bytes than `isize::MAX` cannot be allocated or pointed into.
const MOST_VALUES: usize = isize::MAX as usize / size_of::<f32>();

/// Tasks in order, and the memory they work in.
pub(super) struct Program {
    pub tasks: Vec<NamedTask>,
    /// Values of the arena, at most [`MOST_VALUES`].
    pub memory: usize,
    /// Values of memory that each thread needs for itself, at most [`MOST_VALUES`].
    pub scratch: usize,
    /// Where the input lies, unless it is an image, which the first task copies.
    pub input: Place,
    /// Where the outputs lie, each with its shape.
    pub outputs: Vec<(Place, Shape)>,
    /// Numbers of all outputs of an image: the length of a feature, or of all maps.
    pub dimension: usize,
}

/// A task and its name in a profile.
pub(super) struct NamedTask {
    pub task: Box<dyn Task>,
    /// The layers that it computes.
    pub name: String,
    /// Multiply-accumulate operations for one image.
    pub macs: u64,
}

impl Program {
    /// Lowers a plan that was checked, or a part of one that [`Plan::split_head`] made, for at most `images` at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a step has a size for which there is no kernel, or the
    /// values are larger than memory can be.
    pub fn new(plan: Plan, kernels: &Kernels, images: usize) -> Result<Self> {
        let joined = (0..plan.steps().len()).map(|index| joined(&plan, index)).collect();
        Self::lower(plan, kernels, images, joined)
    }

    /// Lowers a plan that was checked for one image at a time, each step to tasks of its own: every map then lies whole
    /// in memory.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unjoined(plan: Plan, kernels: &Kernels) -> Result<Self> {
        let joined = vec![false; plan.steps().len()];
        Self::lower(plan, kernels, 1, joined)
    }

    fn lower(mut plan: Plan, kernels: &Kernels, images: usize, joined: Vec<bool>) -> Result<Self> {
        let layout = Layout::new(&plan, images, joined)?;
        let mut tasks = Vec::new();
        for index in 0..plan.steps().len() {
            let mut lowering = Lowering { plan: &plan, kernels, layout: &layout, tasks };
            lowering.step(index)?;
            tasks = lowering.tasks;
            // packed now; all of them at once would need the memory twice
            plan.release_weights(index);
        }
        Ok(Program {
            scratch: fitting(&plan, tasks.iter().map(|named| named.task.scratch()).max().unwrap_or(0))?,
            tasks,
            memory: layout.len,
            input: layout.places[plan.input().0],
            outputs: plan
                .outputs()
                .into_iter()
                .map(|ValueId(id)| (layout.places[id], plan.shape(ValueId(id))))
                .collect(),
            dimension: plan.output_len(),
        })
    }

    /// Copies an image's outputs out of the arena: map after map, each pixel after pixel, without padding and margins.
    pub fn copy_outputs(&self, arena: &[f32], image: usize, to: &mut [f32]) {
        let mut rest = to;
        for &(place, Shape { height, width, channels }) in &self.outputs {
            for pixel in 0..height * width {
                let (here, behind) = std::mem::take(&mut rest).split_at_mut(channels);
                here.copy_from_slice(&arena[place.pixel(image, pixel / width, pixel % width)..][..channels]);
                rest = behind;
            }
        }
    }

    /// The tasks without their names.
    pub fn tasks(&self) -> Vec<&dyn Task> {
        self.tasks.iter().map(|named| &*named.task).collect()
    }
}

/// Every step that reads a value.
fn readers(plan: &Plan, value: ValueId) -> impl Iterator<Item = &Step> {
    plan.steps().iter().filter(move |step| step.reads().any(|read| read == value))
}

/// How often a step reads a value: as its input, its gate and its residual.
fn reads(step: &Step, value: ValueId) -> usize {
    step.reads().filter(|&read| read == value).count()
}

/// Whether a step is a depthwise convolution that is computed together with the step after it.
fn joined(plan: &Plan, index: usize) -> bool {
    let Some(next) = plan.steps().get(index + 1) else { return false };
    let step = &plan.steps()[index];
    match (step.operation(), next.operation()) {
        (Operation::Depthwise { .. }, Operation::Pointwise { weights, gate: None, .. }) => {
            let value = step.output();
            // the map between the two is never whole, so nothing else may read it
            let alone = next.input() == value
                && reads(next, value) == 1
                && readers(plan, value).count() == 1
                && !plan.gives(value);
            let signed = next.quantized().is_some_and(|quantized| quantized.input_zero > 0);
            alone && !signed && weights.bytes() <= JOINED_WEIGHTS
        }
        _ => false,
    }
}

/// Whether a gate reads the sums of this step's output.
fn gated(plan: &Plan, step: &Step) -> bool {
    readers(plan, step.output()).any(|reader| matches!(reader.operation(), Operation::Gate { .. }))
}

/// The scale of each channel of a map that the layer before it stores as bytes.
///
/// That is done where a product of bytes is all that reads the map. Other maps are converted in place.
fn byte_scales(plan: &Plan, value: ValueId) -> Option<&[f32]> {
    let maker = &plan.steps()[value.0.checked_sub(1)?];
    if plan.gives(value) {
        return None;
    }
    let makes_bytes = match maker.operation() {
        Operation::Depthwise { .. } => true,
        Operation::Pointwise { weights, .. } => matches!(weights, Weights::I8(_)),
        _ => false,
    };
    let mut readers = readers(plan, value);
    match (makes_bytes, readers.next(), readers.next()) {
        (true, Some(reader), None) if reads(reader, value) == 1 => {
            let unsigned = reader.quantized().filter(|quantized| quantized.input_zero == 0);
            let scales = unsigned.map(|quantized| &quantized.input_scales[..]);
            scales.filter(|_| reader.input() == value && !reader.is_gated())
        }
        _ => None,
    }
}

/// Pixels beside a map that its readers read: half of the largest kernel.
fn margin(plan: &Plan, value: ValueId) -> usize {
    let reach = |step: &Step| match step.operation() {
        Operation::Depthwise { side, .. } | Operation::Convolution { side, .. } if step.input() == value => side / 2,
        _ => 0,
    };
    readers(plan, value).map(reach).max().unwrap_or(0)
}

/// The place of every value in the arena.
struct Layout {
    /// For each value, its place.
    places: Vec<Place>,
    /// For each value, where the sums of its bands lie, if a gate reads them.
    sums: Vec<Option<usize>>,
    /// For each step, the place of its input as bytes, if they do not overwrite the input.
    bytes: Vec<Option<Place>>,
    /// For each step, whether it is computed together with the step after it.
    joined: Vec<bool>,
    /// Values of the arena.
    len: usize,
}

impl Layout {
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where all values together are larger than memory can be.
    fn new(plan: &Plan, images: usize, joined: Vec<bool>) -> Result<Self> {
        let mut places: Vec<Place> = (0..plan.values().len())
            .map(ValueId)
            .map(|value| match byte_scales(plan, value) {
                Some(_) => Place::bytes(plan.shape(value)),
                None => Place::new(plan.shape(value), margin(plan, value)),
            })
            .collect();
        let mut sizes: Vec<usize> = places.iter().map(|place| place.values(images)).collect();
        // with those that do not lie in the arena: no product of their sizes may overflow either
        fitting(plan, sizes.iter().copied().fold(0, usize::saturating_add))?;
        let mut lifetimes = plan.lifetimes();
        let input = plan.input();
        match plan.steps()[0].operation() {
            Operation::Convolution { .. } => {
                sizes[input.0] = planes(plan, &places[input.0]).values(images);
            }
            // read from the caller's slice
            Operation::Patches { .. } => sizes[input.0] = 0,
            _ => {}
        }
        let mut sums = vec![None; plan.values().len()];
        for (index, step) in plan.steps().iter().enumerate() {
            let output = step.output().0;
            if joined[index] {
                // never whole; and the output of the next step is written while the input is still read
                sizes[output] = 0;
                lifetimes[output + 1].from = index;
            }
            if gated(plan, step) {
                let place = &places[output];
                sums[output] = Some(sizes.len());
                sizes.push(images.saturating_mul(Depth::bands(place)).saturating_mul(place.channels));
                lifetimes.push(lifetimes[output]);
            }
        }
        let mut bytes = vec![None; plan.steps().len()];
        for (index, step) in plan.steps().iter().enumerate() {
            if step.quantized().is_some_and(|quantized| quantized.input_zero > 0) {
                let place = Place::bytes(plan.shape(step.input()));
                bytes[index] = Some((sizes.len(), place));
                sizes.push(place.values(images));
                lifetimes.push(Lifetime { from: index, to: index });
            }
        }
        fitting(plan, sizes.iter().copied().fold(0, usize::saturating_add))?;
        let arena = arena::assign(&sizes, &lifetimes);
        for (place, &offset) in places.iter_mut().zip(&arena.offsets) {
            place.offset = offset;
        }
        let sums = sums.into_iter().map(|area| area.map(|area: usize| arena.offsets[area])).collect();
        let bytes = bytes.into_iter();
        let bytes =
            bytes.map(|area| area.map(|(area, place): (usize, Place)| Place { offset: arena.offsets[area], ..place }));
        Ok(Layout { places, sums, bytes: bytes.collect(), joined, len: arena.len })
    }
}

/// Passes on a number of values that memory can hold.
fn fitting(plan: &Plan, values: usize) -> Result<usize> {
    if values > MOST_VALUES {
        return Err(Error::model(format!("the values of plan `{}` are larger than memory can be", plan.name())));
    }
    Ok(values)
}

/// The task that copies the input: its map is planes, not interleaved channels.
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

    /// Adds the tasks of a step.
    fn step(&mut self, index: usize) -> Result<()> {
        let plan = self.plan;
        let step = &plan.steps()[index];
        let (name, macs) = (step.name().to_string(), plan.step_macs(step));
        match step.operation() {
            Operation::Convolution { .. } => self.convolution(step, macs)?,
            Operation::Depthwise { .. } if self.layout.joined[index] => {
                let next = &plan.steps()[index + 1];
                let task = Separable {
                    depthwise: self.depthwise(step)?,
                    between: self.place(step.output()),
                    pointwise: self.pointwise(next)?,
                };
                let name = format!("{name} + {}", next.name().rsplit('.').next().unwrap_or_default());
                self.push(task, name, macs.saturating_add(plan.step_macs(next)));
            }
            Operation::Depthwise { .. } => {
                let output = step.output();
                let sums = self.layout.sums[output.0];
                let task = Depth { layer: self.depthwise(step)?, output: self.place(output), sums };
                self.push(task, name, macs);
            }
            // a part of the task of the step before
            Operation::Pointwise { .. } if index > 0 && self.layout.joined[index - 1] => {}
            Operation::Pointwise { weights, gate, .. } => {
                let mut input = self.place(step.input());
                let tile = match weights {
                    Weights::F32(_) => self.kernels.tile_rows,
                    Weights::I8(_) => self.kernels.product_i8.tile_rows,
                };
                match step.quantized() {
                    Some(quantized) => match self.layout.bytes[index] {
                        Some(bytes) => {
                            self.quantize_beside(step, *gate, quantized, bytes);
                            input = bytes;
                        }
                        None if byte_scales(plan, step.input()).is_none() => {
                            self.quantize(step, *gate, &quantized.input_scales)?;
                        }
                        None => {}
                    },
                    None => gate.map_or(Ok(()), |gate| self.scale(step, gate))?,
                }
                let task = Point { layer: self.pointwise(step)?, input, tile };
                self.push(task, name, macs);
            }
            Operation::Gate { .. } => {
                let task = self.gate(step)?;
                self.push(task, name, macs);
            }
            &Operation::Mean { skip } => {
                let task = Mean { input: self.place(step.input()), skip, output: self.without_margin(step)? };
                self.push(task, name, macs);
            }
            Operation::Patches { side, weights, added } => {
                let task = self.patches(step, *side, weights, added)?;
                self.push(task, name, macs);
            }
            Operation::Normalize { epsilon, affine } => {
                let padded = |Affine { scale, shift }: &Affine| [pack::vector(scale), pack::vector(shift)];
                let task = Normalize {
                    input: self.place(step.input()),
                    output: self.without_margin(step)?,
                    channels: plan.shape(step.input()).channels,
                    epsilon: *epsilon,
                    affine: affine.as_ref().map(padded),
                };
                self.push(task, name, macs);
            }
            &Operation::Attention { heads } => {
                let task = self.attention(step, heads)?;
                self.push(task, name, macs);
            }
            &Operation::Upsample { factor } => {
                let task = Upsample { input: self.place(step.input()), factor, output: self.place(step.output()) };
                self.push(task, name, macs);
            }
            Operation::Concat { .. } => {
                let part = |value| (self.place(value), plan.shape(value).channels);
                let task = Concat { parts: step.reads().map(part).collect(), output: self.place(step.output()) };
                self.push(task, name, macs);
            }
        }
        Ok(())
    }

    fn convolution(&mut self, step: &Step, macs: u64) -> Result<()> {
        let Operation::Convolution { side, before, stride, weights, bias, activation } = step.operation() else {
            return Ok(());
        };
        if step.input() != self.plan.input() {
            return Err(unsupported(step, "a dense convolution that is not the first layer"));
        }
        if !matches!(stride, 1 | 2) {
            return Err(unsupported(step, &format!("a dense convolution of stride {stride}")));
        }
        let planes = planes(self.plan, &self.place(step.input()));
        let (row, plane) = (planes.row(), planes.plane());
        let taps: Vec<usize> = (0..planes.planes)
            .flat_map(|channel| (0..*side).flat_map(move |y| (0..*side).map(move |x| channel * plane + y * row + x)))
            .collect();
        let task = Convolve {
            // the margin is as wide as half the kernel; less of it may lie before the first pixel
            input: planes.offset + (planes.margin - before) * (row + 1),
            input_image: planes.planes * plane,
            input_row: row,
            stride: *stride,
            weights: pack::panels(weights, taps.len(), self.kernels.panel),
            taps,
            bias: pack::vector(bias),
            output: self.place(step.output()),
            activation: simple(step, *activation)?,
        };
        self.push(planes, "input".into(), 0);
        self.push(task, step.name().into(), macs);
        Ok(())
    }

    fn depthwise(&self, step: &Step) -> Result<DepthwiseLayer> {
        let Operation::Depthwise { side, before, stride, weights, bias, activation } = step.operation() else {
            return Err(Error::internal(format!("{} is no depthwise convolution", step.name())));
        };
        if !matches!((side, stride), (3 | 5, 1 | 2)) {
            return Err(unsupported(step, &format!("a depthwise convolution of {side}x{side} with stride {stride}")));
        }
        Ok(DepthwiseLayer {
            input: self.place(step.input()),
            side: *side,
            before: *before,
            stride: *stride,
            weights: pack::taps(weights, side * side),
            bias: pack::vector(bias),
            activation: simple(step, *activation)?,
            byte_factors: byte_scales(self.plan, step.output()).map(byte_factors),
        })
    }

    /// The layer of a step that is a 1x1 convolution.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) for an activation for which there is no kernel.
    fn pointwise(&self, step: &Step) -> Result<PointwiseLayer> {
        let Operation::Pointwise { weights, bias, activation, residual, .. } = step.operation() else {
            unreachable!("only called for 1x1 convolutions")
        };
        let inner = self.plan.shape(step.input()).channels;
        let output = self.place(step.output());
        let byte_factors = byte_scales(self.plan, step.output()).map(byte_factors);
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

    /// The place of a step's output that no convolution reads: the step's task does not clear margins.
    fn without_margin(&self, step: &Step) -> Result<Place> {
        match self.place(step.output()) {
            place if place.margin == 0 => Ok(place),
            _ => Err(unsupported(step, "a layer whose output a convolution reads")),
        }
    }

    fn patches(&self, step: &Step, side: usize, weights: &[f32], added: &[f32]) -> Result<Patches> {
        if step.input() != self.plan.input() {
            return Err(unsupported(step, "a cut into patches that is not the first layer"));
        }
        let Shape { height, width, channels } = self.plan.shape(step.input());
        let output = self.plan.shape(step.output());
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
        let (input, output) = (self.plan.shape(step.input()), self.plan.shape(step.output()));
        if input.height != 1 {
            return Err(unsupported(step, "attention among more than one row of pixels"));
        }
        let channels = output.channels / heads;
        Ok(Attention {
            heads,
            channels,
            input: self.place(step.input()),
            output: self.without_margin(step)?,
            tile: self.kernels.tile_rows,
            panel: self.kernels.panel,
            mask: Attention::mask(input.width),
            zeros: vec![0.0; pack::padded(channels)],
        })
    }

    /// Whether a step's input may be changed in place: nothing but the step's own product may read it afterwards. A
    /// gate has read it before.
    fn alone(&self, step: &Step, gate: Option<ValueId>, what: &str) -> Result<()> {
        let others = readers(self.plan, step.input())
            .filter(|reader| reader.output() != step.output() && Some(reader.output()) != gate)
            .count();
        if others > 0 || reads(step, step.input()) > 1 || self.plan.gives(step.input()) {
            return Err(unsupported(step, &format!("{what} a map that other layers read")));
        }
        Ok(())
    }

    fn quantize(&mut self, step: &Step, gate: Option<ValueId>, scales: &[f32]) -> Result<()> {
        self.alone(step, gate, "a product of bytes of")?;
        let gate = gate.map(|gate| self.place(gate));
        let pixels = self.place(step.input());
        let task = Quantize { pixels, gate, factors: byte_factors(scales), zero: 0, bytes: pixels };
        self.push(task, format!("{} (bytes)", step.name()), 0);
        Ok(())
    }

    /// Converts the input to bytes in memory of their own. Others may still read it.
    fn quantize_beside(&mut self, step: &Step, gate: Option<ValueId>, weights: &QuantizedWeights, bytes: Place) {
        let task = Quantize {
            pixels: self.place(step.input()),
            gate: gate.map(|gate| self.place(gate)),
            factors: byte_factors(&weights.input_scales),
            zero: weights.input_zero,
            bytes,
        };
        self.push(task, format!("{} (bytes)", step.name()), 0);
    }

    fn scale(&mut self, step: &Step, gate: ValueId) -> Result<()> {
        self.alone(step, Some(gate), "a gate on")?;
        let task = Scale { pixels: self.place(step.input()), factors: self.place(gate) };
        self.push(task, format!("{} (gate)", step.name()), 0);
        Ok(())
    }

    fn gate(&self, step: &Step) -> Result<Gate> {
        let Operation::Gate { function, reduce, reduce_bias, expand, expand_bias } = step.operation() else {
            return Err(Error::internal(format!("{} is no gate", step.name())));
        };
        let maker = step.input().0.checked_sub(1).map(|index| self.plan.steps()[index].operation());
        let (Some(Operation::Depthwise { .. }), Some(sums)) = (maker, self.layout.sums[step.input().0]) else {
            return Err(unsupported(step, "a gate after another layer than a depthwise convolution"));
        };
        let input = self.place(step.input());
        let hidden = reduce_bias.len();
        let inner = self.plan.shape(step.input()).channels;
        Ok(Gate {
            sums,
            chunks: Depth::bands(&input),
            pixels: input.pixels(),
            inner,
            channels: input.channels,
            hidden,
            reduce: pack::panels(reduce, inner, self.kernels.panel),
            reduce_bias: pack::vector(reduce_bias),
            expand: pack::panels(expand, hidden, self.kernels.panel),
            expand_bias: pack::vector(expand_bias),
            function: *function,
            output: self.without_margin(step)?,
        })
    }
}

/// An activation that kernels apply themselves.
fn simple(step: &Step, activation: Activation) -> Result<kernels::Activation> {
    match activation {
        Activation::None => Ok(kernels::Activation::None),
        Activation::Relu => Ok(kernels::Activation::Relu),
        Activation::Relu6 => Ok(kernels::Activation::Relu6),
        Activation::HardSwish => Ok(kernels::Activation::HardSwish),
        Activation::Gelu => Err(unsupported(step, "a convolution with GELU")),
    }
}

/// The factor of each channel that makes its values whole numbers. The padding is zero and remains so.
fn byte_factors(scales: &[f32]) -> Vec<f32> {
    pack::vector(&scales.iter().map(|scale| scale.recip()).collect::<Vec<_>>())
}

fn unsupported(step: &Step, what: &str) -> Error {
    Error::model(format!("layer `{}` is {what}, for which there is no CPU kernel", step.name()))
}
