//! The rules that hold for every plan.
//!
//! Devices rely on them where they take pointers into weights and values: a rule that a kernel needs on any device is
//! here, and one that a single device needs is where that device lowers plans.

use std::collections::HashSet;
use std::fmt::Display;

use super::{Affine, Operation, Plan, QuantizedWeights, Shape, Step, ValueId, Weights};
use crate::error::Context;
use crate::model::quantization::is_scale;
use crate::{Error, Result};

impl Plan {
    /// Checks that the parts of the plan fit together. Every way to make a plan does so already.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model), naming the step, what is wrong with it, and what was expected,
    /// where one of these rules does not hold:
    ///
    /// - There is a step, and no two steps have the same name.
    /// - The first value is the input; step `n` makes value `n + 1` and reads only values before it.
    /// - The first step, and no other, reads the input; it is a convolution or a cut into patches, since the input's
    ///   channels are planes.
    /// - The last value, the feature, has one pixel; or the plan gives maps: at least one, each made by a step, none twice.
    /// - No size is 0, and no value has more numbers than the machine can address.
    /// - Weights, biases, scales and positions are as long as the shapes of the step's input and output ask for; the
    ///   output's shape is the one that the operation gives of the input's.
    /// - The side of a kernel is odd, and no more than half of it lies beyond an edge of the input; heads divide the channels; patches divide the image; a mean leaves pixels over.
    /// - A gate has one pixel and the input's channels; a residual has the output's shape.
    /// - Scales are finite numbers above 0, and so are their reciprocals.
    pub fn check(&self) -> Result<()> {
        self.check_steps().context(|| format!("plan `{}`", self.name))
    }

    fn check_steps(&self) -> Result<()> {
        if self.steps.is_empty() {
            return Err(Error::model("there is no step; expected at least one"));
        }
        equal("the number of values, the input and one of each step,", self.values.len(), self.steps.len() + 1)?;
        for value in &self.values {
            addressable(value.shape).context(|| format!("value `{}`", value.name))?;
        }
        let mut names = HashSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            let name_is_new = names.insert(step.name.as_str());
            let checked = if name_is_new {
                self.check_values(index, step).and_then(|()| self.check_operation(step))
            } else {
                Err(Error::model("an earlier step has the same name; expected a name of its own"))
            };
            checked.context(|| format!("step {index} `{}`", step.name))?;
        }
        match &self.maps {
            None => {
                equal("the number of pixels of the last value, the feature,", self.shape(self.output()).pixels(), 1)
            }
            Some(maps) => self.check_maps(maps),
        }
    }

    fn check_maps(&self, maps: &[ValueId]) -> Result<()> {
        if maps.is_empty() {
            return Err(Error::model("the plan gives no map; expected at least one"));
        }
        let mut seen = HashSet::new();
        for &ValueId(map) in maps {
            if !(1..=self.steps.len()).contains(&map) {
                return Err(Error::model(format!(
                    "the plan gives value {map}, which no step makes; expected 1 to {}",
                    self.steps.len()
                )));
            }
            if !seen.insert(map) {
                return Err(Error::model(format!("the plan gives value {map} twice; expected each once")));
            }
        }
        Ok(())
    }

    /// The values that a step makes and reads are there, in order.
    fn check_values(&self, index: usize, step: &Step) -> Result<()> {
        equal("the value it makes", step.output.0, index + 1)?;
        for ValueId(read) in step.reads() {
            if read > index {
                return Err(Error::model(format!(
                    "it reads value {read}, which no earlier step makes; expected at most {index}"
                )));
            }
            if read == 0 && index > 0 {
                return Err(Error::model("it reads value 0, the input; expected only the first step to read it"));
            }
        }
        let reads_planes = matches!(step.operation, Operation::Convolution { .. } | Operation::Patches { .. });
        if index == 0 && !reads_planes {
            return Err(Error::model(format!(
                "it is the first step and is `{step}`; expected a convolution or a cut into patches"
            )));
        }
        Ok(())
    }

    /// The weights and shapes of a step fit its operation.
    fn check_operation(&self, step: &Step) -> Result<()> {
        let (input, output) = (self.shape(step.input), self.shape(step.output));
        match &step.operation {
            Operation::Convolution { side, before, stride, weights, bias, .. } => {
                kernel(*side, *before, *stride)?;
                equal("the output's shape", output, input.strided(*stride, output.channels))?;
                equal(
                    "the number of weights",
                    weights.len(),
                    product(&[output.channels, input.channels, *side, *side])?,
                )?;
                equal("the length of the bias", bias.len(), output.channels)?;
                within_margin(input, output, *side, *before, *stride)
            }
            Operation::Depthwise { side, before, stride, weights, bias, .. } => {
                kernel(*side, *before, *stride)?;
                equal("the output's shape", output, input.strided(*stride, input.channels))?;
                equal("the number of weights", weights.len(), product(&[input.channels, *side, *side])?)?;
                equal("the length of the bias", bias.len(), output.channels)?;
                within_margin(input, output, *side, *before, *stride)
            }
            Operation::Pointwise { weights, bias, gate, residual, .. } => {
                equal("the output's shape", output, Shape { channels: output.channels, ..input })?;
                matrix(weights, input.channels, output.channels)?;
                equal("the length of the bias", bias.len(), output.channels)?;
                if let Some(gate) = gate {
                    equal("the gate's shape", self.shape(*gate), vector(input.channels))?;
                }
                residual.map_or(Ok(()), |residual| equal("the residual's shape", self.shape(residual), output))
            }
            Operation::Patches { side, weights, added } => {
                let Shape { height, width, channels } = input;
                if *side == 0 || !height.is_multiple_of(*side) || !width.is_multiple_of(*side) {
                    return Err(Error::model(format!(
                        "patches have a side of {side}; expected a divisor of {height} and of {width}"
                    )));
                }
                let tokens =
                    Shape { height: 1, width: 1 + (height / side) * (width / side), channels: output.channels };
                equal("the output's shape", output, tokens)?;
                equal("the number of weights", weights.len(), product(&[output.channels, channels, *side, *side])?)?;
                equal("the number of values added", added.len(), output.len())
            }
            Operation::Normalize { epsilon, affine } => {
                equal("the output's shape", output, input)?;
                if !(epsilon.is_finite() && *epsilon >= 0.0) {
                    return Err(Error::model(format!("epsilon is {epsilon}; expected a finite number of at least 0")));
                }
                affine.as_ref().map_or(Ok(()), |Affine { scale, shift }| {
                    equal("the length of the scale", scale.len(), input.channels)?;
                    equal("the length of the shift", shift.len(), input.channels)
                })
            }
            Operation::Attention { heads } => {
                let channels = product(&[3, output.channels])?;
                equal("the input's shape", input, Shape { channels, ..output })?;
                if *heads == 0 || !output.channels.is_multiple_of(*heads) {
                    return Err(Error::model(format!(
                        "there are {heads} heads; expected a divisor of {} channels",
                        output.channels
                    )));
                }
                Ok(())
            }
            Operation::Gate { reduce, reduce_bias, expand, expand_bias, .. } => {
                equal("the output's shape", output, vector(input.channels))?;
                let hidden = reduce_bias.len();
                if hidden == 0 {
                    return Err(Error::model("the length of the first bias is 0; expected at least 1"));
                }
                let weights = product(&[hidden, input.channels])?;
                equal("the number of weights of the first layer", reduce.len(), weights)?;
                equal("the number of weights of the second layer", expand.len(), weights)?;
                equal("the length of the second bias", expand_bias.len(), input.channels)
            }
            Operation::Mean { skip } => {
                equal("the output's shape", output, vector(input.channels))?;
                if *skip >= input.width {
                    return Err(Error::model(format!(
                        "the mean leaves {skip} pixels out; expected less than a row of {}",
                        input.width
                    )));
                }
                Ok(())
            }
            Operation::Upsample { factor } => {
                if *factor == 0 {
                    return Err(Error::model("the factor is 0; expected at least 1"));
                }
                let Shape { height, width, channels } = input;
                let larger =
                    Shape { height: product(&[height, *factor])?, width: product(&[width, *factor])?, channels };
                equal("the output's shape", output, larger)
            }
            Operation::Concat { others } => {
                let mut channels = input.channels;
                for &other in others {
                    let other = self.shape(other);
                    equal("the shape of a map to join", other, Shape { channels: other.channels, ..input })?;
                    channels = channels.saturating_add(other.channels);
                }
                equal("the output's shape", output, Shape { channels, ..input })
            }
        }
    }
}

fn equal<T: PartialEq + Display>(what: &str, found: T, expected: T) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::model(format!("{what} is {found}; expected {expected}"))) }
}

fn vector(channels: usize) -> Shape {
    Shape { height: 1, width: 1, channels }
}

fn product(factors: &[usize]) -> Result<usize> {
    let product = factors.iter().try_fold(1usize, |product, &factor| product.checked_mul(factor));
    product.ok_or_else(|| Error::model(format!("the product of the sizes {factors:?} is too large for this machine")))
}

/// No size is 0, and the value's numbers, in bytes, can be counted and pointed at.
fn addressable(shape: Shape) -> Result<()> {
    let Shape { height, width, channels } = shape;
    let bytes = product(&[height, width, channels, size_of::<f32>()])?;
    if bytes == 0 {
        return Err(Error::model(format!("the shape is {shape}; expected no size of 0")));
    }
    if isize::try_from(bytes).is_err() {
        return Err(Error::model(format!("the shape is {shape}; expected one that fits into memory")));
    }
    Ok(())
}

fn kernel(side: usize, before: usize, stride: usize) -> Result<()> {
    if side.is_multiple_of(2) {
        return Err(Error::model(format!("the kernel's side is {side}; expected an odd number")));
    }
    if before > side / 2 {
        return Err(Error::model(format!(
            "{before} rows of the kernel are above the input; expected at most {}",
            side / 2
        )));
    }
    if stride == 0 {
        return Err(Error::model("the stride is 0; expected at least 1"));
    }
    Ok(())
}

/// The kernel at the last output pixel reaches no further beyond the input than half its side: devices keep as many zeros
/// there.
fn within_margin(input: Shape, output: Shape, side: usize, before: usize, stride: usize) -> Result<()> {
    for (input, output) in [(input.height, output.height), (input.width, output.width)] {
        let end = ((output - 1) as u128 * stride as u128 + side as u128).saturating_sub(before as u128);
        if end > input as u128 + (side / 2) as u128 {
            return Err(Error::model(format!(
                "the kernel ends {} pixels behind the input of {input}; expected at most {}",
                end - input as u128,
                side / 2
            )));
        }
    }
    Ok(())
}

/// The weights of a matrix product, with their scales.
fn matrix(weights: &Weights, input: usize, output: usize) -> Result<()> {
    equal("the number of weights", weights.len(), product(&[output, input])?)?;
    let Weights::I8(QuantizedWeights { scales, input_scales, input_zero, .. }) = weights else { return Ok(()) };
    if *input_zero > 127 {
        return Err(Error::model(format!("the number for 0 in the input is {input_zero}; expected at most 127")));
    }
    equal("the number of scales", scales.len(), output)?;
    equal("the number of input scales", input_scales.len(), input)?;
    match scales.iter().chain(input_scales).find(|&&scale| !is_scale(scale)) {
        Some(scale) => Err(Error::model(format!("a scale is {scale}; expected a finite number above 0"))),
        None => Ok(()),
    }
}
