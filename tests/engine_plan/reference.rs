//! The operations of a plan as plain loops in 64 bits.

use image_feature::engine::{Activation, GateFunction, Operation, Plan, Shape, ValueId, Weights};

/// The feature of an image, or its maps; nothing for plans of 8 bits.
pub fn run(plan: &Plan, image: &[f32]) -> Option<Vec<f64>> {
    let Shape { height, width, channels } = plan.shape(plan.input());
    // planes to interleaved channels
    let pixel = |index: usize| f64::from(image[index % channels * height * width + index / channels]);
    let mut values: Vec<Vec<f64>> = vec![(0..image.len()).map(pixel).collect()];
    for step in plan.steps() {
        let (from, shape) = (&values[step.input().0], plan.shape(step.input()));
        let to = plan.shape(step.output());
        let mut output = match step.operation() {
            Operation::Convolution { side, before, stride, weights, bias, activation } => {
                let sums = |y: usize, x: usize, channel: usize| {
                    let weights = &weights[channel * shape.channels * side * side..];
                    let taps = (0..shape.channels * side * side).map(|tap| {
                        let (k, y, x) = (tap / (side * side), y * stride + tap / side % side, x * stride + tap % side);
                        f64::from(weights[tap]) * at(from, shape, y, x, *before, k)
                    });
                    activate(*activation, taps.sum::<f64>() + f64::from(bias[channel]))
                };
                each(to, sums)
            }
            Operation::Depthwise { side, before, stride, weights, bias, activation } => {
                let sums = |y: usize, x: usize, channel: usize| {
                    let weights = &weights[channel * side * side..];
                    let taps = (0..side * side).map(|tap| {
                        let (y, x) = (y * stride + tap / side, x * stride + tap % side);
                        f64::from(weights[tap]) * at(from, shape, y, x, *before, channel)
                    });
                    activate(*activation, taps.sum::<f64>() + f64::from(bias[channel]))
                };
                each(to, sums)
            }
            Operation::Pointwise { weights: Weights::F32(weights), bias, activation, gate, .. } => {
                let factor = |k: usize| gate.map_or(1.0, |gate| values[gate.0][k]);
                let gated: Vec<f64> =
                    from.iter().enumerate().map(|(index, value)| value * factor(index % shape.channels)).collect();
                let sums = |y: usize, x: usize, channel: usize| {
                    activate(
                        *activation,
                        layer(&gated[(y * shape.width + x) * shape.channels..], weights, bias, channel),
                    )
                };
                each(to, sums)
            }
            Operation::Pointwise { weights: Weights::I8(_), .. } => return None,
            Operation::Patches { side, weights, added } => each(to, |_, token, channel| {
                let mut sum = f64::from(added[token * to.channels + channel]);
                if let Some(patch) = token.checked_sub(1) {
                    let columns = shape.width / side;
                    for tap in 0..shape.channels * side * side {
                        let (k, y, x) = (tap / (side * side), tap / side % side, tap % side);
                        let (y, x) = (patch / columns * side + y, patch % columns * side + x);
                        sum += f64::from(weights[channel * shape.channels * side * side + tap])
                            * at(from, shape, y, x, 0, k);
                    }
                }
                sum
            }),
            Operation::Normalize { epsilon, affine } => each(to, |y, x, channel| {
                let pixel = &from[(y * shape.width + x) * shape.channels..][..shape.channels];
                let mean = pixel.iter().sum::<f64>() / pixel.len() as f64;
                let variance = pixel.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / pixel.len() as f64;
                let normal = (pixel[channel] - mean) / (variance + f64::from(*epsilon)).sqrt();
                let affine = affine.as_ref();
                affine.map_or(normal, |by| normal * f64::from(by.scale[channel]) + f64::from(by.shift[channel]))
            }),
            Operation::Attention { heads } => {
                let (width, head_width) = (to.channels, to.channels / heads);
                let part = |token: usize, part: usize, channel: usize| from[token * 3 * width + part * width + channel];
                each(to, |_, query, channel| {
                    let first = channel / head_width * head_width;
                    let score = |key: usize| -> f64 {
                        (first..first + head_width).map(|k| part(query, 0, k) * part(key, 1, k)).sum()
                    };
                    let powers: Vec<f64> = (0..to.width).map(|key| score(key).exp()).collect();
                    let mean = powers.iter().enumerate().map(|(key, power)| power * part(key, 2, channel)).sum::<f64>();
                    mean / powers.iter().sum::<f64>()
                })
            }
            Operation::Gate { function, reduce, reduce_bias, expand, expand_bias } => {
                let mean: Vec<f64> = (0..shape.channels).map(|channel| mean(from, shape, channel, 0)).collect();
                let hidden: Vec<f64> =
                    (0..reduce_bias.len()).map(|to| layer(&mean, reduce, reduce_bias, to).max(0.0)).collect();
                each(to, |_, _, channel| {
                    let sum = layer(&hidden, expand, expand_bias, channel);
                    match function {
                        GateFunction::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
                        GateFunction::HardSigmoid => (sum / 6.0 + 0.5).clamp(0.0, 1.0),
                    }
                })
            }
            Operation::Mean { skip } => each(to, |_, _, channel| mean(from, shape, channel, *skip)),
            Operation::Upsample { factor } => {
                each(to, |y, x, channel| from[(y / factor * shape.width + x / factor) * shape.channels + channel])
            }
            Operation::Concat { .. } => each(to, |y, x, channel| {
                let mut channel = channel;
                for part in step.reads() {
                    let channels = plan.shape(part).channels;
                    if channel < channels {
                        return values[part.0][(y * shape.width + x) * channels + channel];
                    }
                    channel -= channels;
                }
                unreachable!("the output has the parts' channels")
            }),
        };
        if let Operation::Pointwise { residual: Some(residual), .. } = step.operation() {
            output.iter_mut().zip(&values[residual.0]).for_each(|(output, residual)| *output += residual);
        }
        values.push(output);
    }
    Some(plan.outputs().into_iter().flat_map(|ValueId(output)| values[output].clone()).collect())
}

fn each(shape: Shape, value: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let Shape { width, channels, .. } = shape;
    (0..shape.len()).map(|at| value(at / channels / width, at / channels % width, at % channels)).collect()
}

/// A channel of a pixel, counted from `margin` pixels above and left of the map, and zero outside of it.
fn at(values: &[f64], shape: Shape, y: usize, x: usize, margin: usize, channel: usize) -> f64 {
    match (y.checked_sub(margin), x.checked_sub(margin)) {
        (Some(y), Some(x)) if y < shape.height && x < shape.width => {
            values[(y * shape.width + x) * shape.channels + channel]
        }
        _ => 0.0,
    }
}

fn layer(input: &[f64], weights: &[f32], bias: &[f32], output: usize) -> f64 {
    let inner = weights.len() / bias.len();
    let products =
        weights[output * inner..][..inner].iter().zip(input).map(|(&weight, value)| f64::from(weight) * value);
    products.sum::<f64>() + f64::from(bias[output])
}

fn mean(values: &[f64], shape: Shape, channel: usize, skip: usize) -> f64 {
    let sum: f64 = (skip..shape.pixels()).map(|pixel| values[pixel * shape.channels + channel]).sum();
    sum / (shape.pixels() - skip) as f64
}

fn activate(activation: Activation, value: f64) -> f64 {
    match activation {
        Activation::None => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
        Activation::HardSwish => value * (value / 6.0 + 0.5).clamp(0.0, 1.0),
        // the form with tanh differs by less than 5e-4
        Activation::Gelu => {
            value / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (value + 0.044715 * value.powi(3))).tanh())
        }
    }
}
