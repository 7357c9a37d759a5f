//! The loss of fine-tuning with its gradients, in plain Rust.

use super::matrix::{dot, length, rows_by_rows, sums_by_column, sums_of_rows};

/// The ArcFace loss: cross-entropy of the angles between features and classes. During training the angle to the own class
/// is widened by a margin (Deng et al., "ArcFace", 2019; PaddleClas `arcmargin.py`). The CLIP models are trained with it.
///
/// ```
/// use image_feature::finetune::ArcMargin;
///
/// let head = [1.0, 0.0, 0.0, 1.0]; // two classes of two values
/// let near = ArcMargin::default().loss_and_gradient(&[0.9, 0.1], 2, &head, &[0]);
/// let far = ArcMargin::default().loss_and_gradient(&[0.9, 0.1], 2, &head, &[1]);
/// assert!(near.loss < far.loss);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArcMargin {
    /// The margin, as an angle in radians.
    pub margin: f64,
    /// The factor of the cosines.
    pub scale: f64,
}

impl Default for ArcMargin {
    /// The values for the CLIP models.
    fn default() -> Self {
        ArcMargin { margin: 0.2, scale: 30.0 }
    }
}

/// A loss, with its gradients by the features and by the head.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadLoss {
    /// The mean over the batch.
    pub loss: f64,
    /// The gradient by the features, in their shape.
    pub by_features: Vec<f32>,
    /// The gradient by the head, in its shape.
    pub by_head: Vec<f32>,
}

impl ArcMargin {
    /// The loss of features, `[n, width]`, and a head, `[classes, width]`, both of any length. The labels are rows of `head`.
    ///
    /// # Panics
    /// If there are not as many labels as features, or a label is not a row of `head`.
    pub fn loss_and_gradient(&self, features: &[f32], width: usize, head: &[f32], labels: &[usize]) -> HeadLoss {
        let classes = head.len() / width;
        let (units, lengths) = directions(features, width);
        let (class_units, class_lengths) = directions(head, width);
        let mut scores = rows_by_rows(&units, &class_units, width);
        // derivatives of the scores by the cosines
        let mut slopes = vec![self.scale as f32; scores.len()];
        let (sin_margin, cos_margin) = self.margin.sin_cos();
        for (row, &label) in labels.iter().enumerate() {
            let at = row * classes + label;
            let cosine = f64::from(scores[at]);
            let sine = (1.0 - cosine * cosine + 1e-6).sqrt();
            // where angle and margin together exceed half a turn, the score goes on with a constant slope
            let (wider, slope) = match cosine <= -cos_margin {
                true => (cosine - sin_margin * self.margin, 1.0),
                false => (cosine * cos_margin - sine * sin_margin, cos_margin + sin_margin * cosine / sine),
            };
            scores[at] = wider as f32;
            slopes[at] = (self.scale * slope) as f32;
        }
        scores.iter_mut().for_each(|score| *score *= self.scale as f32);
        let (loss, mut by_cosines) = cross_entropy(&scores, classes, labels);
        by_cosines.iter_mut().zip(&slopes).for_each(|(by, slope)| *by *= slope);
        let mut by_features = sums_of_rows(&by_cosines, &class_units, width);
        by_rows(&mut by_features, &units, &lengths, width);
        let mut by_head = sums_by_column(&by_cosines, classes, &units, width);
        by_rows(&mut by_head, &class_units, &class_lengths, width);
        HeadLoss { loss, by_features, by_head }
    }
}

/// The cross-entropy of class scores, `[n, classes]`, after a softmax, averaged over the batch, and its gradient.
fn cross_entropy(scores: &[f32], classes: usize, labels: &[usize]) -> (f64, Vec<f32>) {
    assert!(scores.len() == labels.len() * classes, "a label for each row");
    let (mut loss, count) = (0.0, labels.len() as f64);
    let mut gradient = Vec::with_capacity(scores.len());
    for (scores, &label) in scores.chunks_exact(classes).zip(labels) {
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        loss -= f64::from(scores[label] - largest) - sum.ln();
        gradient.extend(exponentials.iter().enumerate().map(|(class, exponential)| {
            let target = f64::from(u8::from(class == label));
            ((exponential / sum - target) / count) as f32
        }));
    }
    (loss / count, gradient)
}

/// Rows scaled to length 1, and their lengths before.
fn directions(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let lengths: Vec<f32> = rows.chunks_exact(width).map(length).collect();
    let units = rows.chunks_exact(width).zip(&lengths).flat_map(|(row, length)| row.iter().map(move |x| x / length));
    (units.collect(), lengths)
}

/// Turns the gradient by the scaled rows into the gradient by the rows.
fn by_rows(by_directions: &mut [f32], directions: &[f32], lengths: &[f32], width: usize) {
    let rows = by_directions.chunks_exact_mut(width).zip(directions.chunks_exact(width)).zip(lengths);
    for ((gradient, direction), length) in rows {
        let along = dot(gradient, direction);
        gradient.iter_mut().zip(direction).for_each(|(gradient, x)| *gradient = (*gradient - along * x) / length);
    }
}
