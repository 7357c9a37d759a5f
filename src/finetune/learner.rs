//! Fine-tunes the last layers and a head, one batch after another.

use std::ops::Range;

use super::Tuning;
use super::arc_margin::{ArcMargin, HeadLoss};
use super::matrix::{length, rows_by_rows, sums_by_column};
use super::neck::{Neck, Norm};
use crate::model::lcnet_v2::EPSILON;
use crate::random::SplitMix64;

/// A batch of pooled vectors.
pub(super) struct Batch {
    /// The vectors, `[n, input]`.
    pub pooled: Vec<f32>,
    /// The row of the head for each vector.
    pub labels: Vec<usize>,
    /// The vectors of each data set, with the rows of the head for its classes. A class is told apart from those of its own
    /// set.
    pub sets: Vec<Part>,
    /// The mask of dropout, `[n, features]`: 1 for values that are kept, else 0. Unused if the neck has no BatchNorm.
    pub kept: Vec<f32>,
}

/// The part of a batch that belongs to one data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub vectors: Range<usize>,
    pub classes: Range<usize>,
}

/// The layers that learn.
#[derive(Clone)]
pub(super) struct Layers {
    pub neck: Neck,
    /// A row for each class: `[classes, features]`.
    pub head: Vec<f32>,
}

/// The gradients of [`Layers`]. A BatchNorm's shift does not learn, as in PaddleClas.
pub(super) struct Gradients {
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub scale: Vec<f32>,
    pub head: Vec<f32>,
}

impl Layers {
    /// The given neck with an imprinted head (Qi et al., "Low-Shot Learning with Imprinted Weights", 2018): the row of a class
    /// is the direction of its images' mean, less the mean of all classes, which does not tell them apart. `pooled` is
    /// `[n, input]`.
    pub fn new(neck: Neck, pooled: &[f32], labels: &[usize], classes: usize) -> Self {
        let dimension = neck.dimension();
        let mut head = vec![0.0; classes * dimension];
        for (feature, &label) in neck.features(pooled).chunks_exact(dimension).zip(labels) {
            head[label * dimension..][..dimension].iter_mut().zip(feature).for_each(|(sum, value)| *sum += value);
        }
        let make_units = |rows: &mut [f32]| {
            for row in rows.chunks_exact_mut(dimension) {
                let length = length(row);
                if length > 0.0 {
                    row.iter_mut().for_each(|value| *value /= length);
                }
            }
        };
        make_units(&mut head);
        let mut mean = vec![0.0; dimension];
        for row in head.chunks_exact(dimension) {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / classes as f32);
        }
        for row in head.chunks_exact_mut(dimension) {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
        make_units(&mut head);
        Layers { neck, head }
    }

    /// The loss and the gradients of a batch.
    pub fn gradients(&self, batch: &Batch, angles: ArcMargin) -> (f64, Gradients) {
        let Neck { input, weights, bias, norm, .. } = &self.neck;
        let dimension = bias.len();
        let mut outputs = rows_by_rows(&batch.pooled, weights, *input);
        for row in outputs.chunks_exact_mut(dimension) {
            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        let normal = norm.as_ref().map(|norm| {
            outputs.iter_mut().zip(&batch.kept).for_each(|(value, kept)| *value *= kept);
            norm.normalize(&outputs)
        });
        let features = match (&normal, norm) {
            (Some(normal), Some(norm)) => norm.scaled(normal),
            _ => outputs,
        };
        let HeadLoss { loss, by_features: mut by_outputs, by_head: head } = self.head_loss(&features, batch, angles);
        let mut scale = Vec::new();
        if let (Some(normal), Some(norm)) = (&normal, norm) {
            scale = sums_of_products(&by_outputs, normal, dimension);
            norm.back(&mut by_outputs);
            by_outputs.iter_mut().zip(&batch.kept).for_each(|(by, kept)| *by *= kept);
        }
        let weights = sums_by_column(&by_outputs, dimension, &batch.pooled, *input);
        let mut bias = vec![0.0; dimension];
        for row in by_outputs.chunks_exact(dimension) {
            bias.iter_mut().zip(row).for_each(|(sum, by)| *sum += by);
        }
        (loss, Gradients { weights, bias, scale, head })
    }
}

impl Layers {
    /// The mean loss of all sets, with its gradients by the features and by the whole head.
    fn head_loss(&self, features: &[f32], batch: &Batch, angles: ArcMargin) -> HeadLoss {
        let dimension = self.neck.dimension();
        let values = |rows: &Range<usize>| rows.start * dimension..rows.end * dimension;
        let share = 1.0 / batch.sets.len() as f32;
        let (mut loss, mut by_features) = (0.0, Vec::with_capacity(features.len()));
        let mut by_head = vec![0.0; self.head.len()];
        for Part { vectors, classes } in &batch.sets {
            let labels: Vec<usize> = batch.labels[vectors.clone()].iter().map(|label| label - classes.start).collect();
            let (features, head) = (&features[values(vectors)], &self.head[values(classes)]);
            let part = angles.loss_and_gradient(features, dimension, head, &labels);
            loss += part.loss * f64::from(share);
            by_features.extend(part.by_features.iter().map(|by| by * share));
            by_head[values(classes)].iter_mut().zip(&part.by_head).for_each(|(sum, by)| *sum += by * share);
        }
        HeadLoss { loss, by_features, by_head }
    }
}

/// For each column, the sum of the products of two matrices' values in it.
fn sums_of_products(a: &[f32], b: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for (a, b) in a.chunks_exact(columns).zip(b.chunks_exact(columns)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums
}

impl Norm {
    fn deviations(&self) -> impl Iterator<Item = f32> {
        self.variance.iter().map(|variance| (variance + EPSILON as f32).sqrt())
    }

    /// Rows with the mean subtracted, divided by the deviation.
    fn normalize(&self, rows: &[f32]) -> Vec<f32> {
        let by_column: Vec<(f32, f32)> = self.mean.iter().copied().zip(self.deviations()).collect();
        let row = |row: &[f32]| {
            row.iter().zip(&by_column).map(|(value, (mean, deviation))| (value - mean) / deviation).collect::<Vec<_>>()
        };
        rows.chunks_exact(by_column.len()).flat_map(row).collect()
    }

    /// The output for normalised rows.
    fn scaled(&self, normal: &[f32]) -> Vec<f32> {
        let row = |row: &[f32]| {
            let scaled = row.iter().zip(self.scale.iter().zip(&self.shift));
            scaled.map(|(value, (scale, shift))| value * scale + shift).collect::<Vec<_>>()
        };
        normal.chunks_exact(self.scale.len()).flat_map(row).collect()
    }

    /// Turns the gradient by the output into the gradient by the input.
    fn back(&self, gradient: &mut [f32]) {
        let factors: Vec<f32> =
            self.scale.iter().zip(self.deviations()).map(|(scale, deviation)| scale / deviation).collect();
        for row in gradient.chunks_exact_mut(factors.len()) {
            row.iter_mut().zip(&factors).for_each(|(by, factor)| *by *= factor);
        }
    }
}

/// The optimiser: Momentum with weight decay towards the initial weights.
pub(super) struct Optimizer {
    /// The initial weights.
    start: Layers,
    velocity: Gradients,
    /// The factor of the neck's learning rate.
    reach: f32,
}

impl Optimizer {
    /// An optimiser at rest. `pooled`, `[n, input]`, are images to measure the neck's learning rate on.
    pub fn new(layers: &Layers, pooled: &[f32]) -> Self {
        let zeros = |len: usize| vec![0.0; len];
        let Neck { weights, bias, norm, .. } = &layers.neck;
        let scale = norm.as_ref().map_or(0, |norm| norm.scale.len());
        let velocity = Gradients {
            weights: zeros(weights.len()),
            bias: zeros(bias.len()),
            scale: zeros(scale),
            head: zeros(layers.head.len()),
        };
        Optimizer { start: layers.clone(), velocity, reach: layers.neck.reach(pooled) }
    }

    /// One step, as Paddle's `Momentum` does it, but the weights decay to their initial values and not to 0 (Li et al.,
    /// "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", 2018).
    pub fn step(&mut self, layers: &mut Layers, gradients: &Gradients, rate: f64, tuning: &Tuning) {
        let (momentum, decay) = (tuning.momentum as f32, tuning.decay as f32);
        let step = |values: &mut [f32], start: &[f32], gradient: &[f32], velocity: &mut [f32], rate: f32| {
            for (((value, start), by), velocity) in values.iter_mut().zip(start).zip(gradient).zip(velocity) {
                *velocity = momentum * *velocity + rate * (by + decay * (*value - start));
                *value -= *velocity;
            }
        };
        let (neck, start, velocity) = (&mut layers.neck, &self.start.neck, &mut self.velocity);
        let of_neck = rate as f32 * self.reach;
        step(&mut neck.weights, &start.weights, &gradients.weights, &mut velocity.weights, of_neck);
        step(&mut neck.bias, &start.bias, &gradients.bias, &mut velocity.bias, of_neck);
        if let (Some(norm), Some(start)) = (&mut neck.norm, &start.norm) {
            step(&mut norm.scale, &start.scale, &gradients.scale, &mut velocity.scale, of_neck);
        }
        step(&mut layers.head, &self.start.head, &gradients.head, &mut velocity.head, rate as f32);
    }
}

/// A random mask of dropout: 1 for values that are kept, which are `share` of all, else 0.
pub(super) fn kept(values: usize, share: f32, random: &mut SplitMix64) -> Vec<f32> {
    (0..values).map(|_| f32::from(u8::from(random.chance(f64::from(share))))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: usize = 7;
    const FEATURES: usize = 5;
    const CLASSES: usize = 4;
    const EACH: usize = 2;

    fn drawn(len: usize, random: &mut SplitMix64) -> Vec<f32> {
        (0..len).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()
    }

    fn layers(norm: bool, random: &mut SplitMix64) -> Layers {
        let positive = |values: Vec<f32>| values.into_iter().map(|value| value.abs() + 0.5).collect::<Vec<f32>>();
        let norm = norm.then(|| Norm {
            scale: positive(drawn(FEATURES, random)),
            shift: drawn(FEATURES, random),
            mean: drawn(FEATURES, random),
            variance: positive(drawn(FEATURES, random)),
        });
        let weights = drawn(FEATURES * INPUT, random);
        let keep = if norm.is_some() { 0.8 } else { 1.0 };
        let neck = Neck { input: INPUT, weights, bias: drawn(FEATURES, random), norm, keep };
        Layers { neck, head: drawn(CLASSES * FEATURES, random) }
    }

    /// Each gradient agrees with the difference of the loss for a small change of the weight.
    #[test]
    fn gradients_are_finite_differences() {
        let angles = ArcMargin { margin: 0.2, scale: 4.0 };
        for norm in [true, false] {
            let mut random = SplitMix64::for_purpose(3, "finite differences", &[]);
            let layers = layers(norm, &mut random);
            let rows = CLASSES * EACH;
            let batch = Batch {
                pooled: drawn(rows * INPUT, &mut random),
                labels: (0..rows).map(|row| row / EACH).collect(),
                sets: vec![Part { vectors: 0..4, classes: 0..2 }, Part { vectors: 4..rows, classes: 2..CLASSES }],
                kept: kept(rows * FEATURES, 0.8, &mut random),
            };
            let (_, gradients) = layers.gradients(&batch, angles);
            type Values = fn(&mut Layers) -> &mut Vec<f32>;
            let kinds: [(&str, &[f32], Values); 4] = [
                ("weights", &gradients.weights, |layers| &mut layers.neck.weights),
                ("bias", &gradients.bias, |layers| &mut layers.neck.bias),
                ("scale", &gradients.scale, |layers| &mut layers.neck.norm.as_mut().unwrap().scale),
                ("head", &gradients.head, |layers| &mut layers.head),
            ];
            for (what, gradient, values) in kinds {
                assert!(norm || what == "scale" || !gradient.is_empty());
                for (at, &by) in gradient.iter().enumerate() {
                    let loss = |step: f32| {
                        let mut moved = layers.clone();
                        values(&mut moved)[at] += step;
                        moved.gradients(&batch, angles).0
                    };
                    let step = 1e-3;
                    let difference = (loss(step) - loss(-step)) / f64::from(2.0 * step);
                    assert!(
                        (difference - f64::from(by)).abs() < 2e-3,
                        "{what} {at}: {by}, by differences {difference}"
                    );
                }
            }
        }
    }
}
