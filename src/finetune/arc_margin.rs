//! What fine-tuning makes small, and in which direction: a loss with its gradients, free of any tensor library.

use super::matrix::{dot, length, rows_by_rows, sums_by_column, sums_of_rows};

/// A classification head of directions: the angle to the own class is made wider by a margin while training
/// (Deng et al., "ArcFace", 2019; PaddleClas `arcmargin.py`). The CLIP
/// models are trained with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArcMargin {
    /// The margin, as an angle in radians.
    pub margin: f64,
    /// By what the cosines are multiplied.
    pub scale: f64,
}

impl Default for ArcMargin {
    /// As the CLIP models are trained.
    fn default() -> Self {
        ArcMargin { margin: 0.2, scale: 30.0 }
    }
}

/// A loss of features and a head's rows, with its gradients by both.
pub struct HeadLoss {
    pub loss: f64,
    /// As the features.
    pub by_features: Vec<f32>,
    /// As the head.
    pub by_head: Vec<f32>,
}

impl ArcMargin {
    /// Cross-entropy of the angles between features, `[n, width]`, and the directions of classes, `[classes, width]`; the labels
    /// are rows of `head`. Neither needs to be of length 1.
    ///
    /// # Panics
    /// Where there are not as many labels as features, or one is no row of `head`.
    pub fn loss_and_gradient(&self, features: &[f32], width: usize, head: &[f32], labels: &[usize]) -> HeadLoss {
        let classes = head.len() / width;
        let (units, lengths) = directions(features, width);
        let (class_units, class_lengths) = directions(head, width);
        let mut scores = rows_by_rows(&units, &class_units, width);
        // by how much a score changes with its cosine
        let mut slopes = vec![self.scale as f32; scores.len()];
        let (sin_margin, cos_margin) = self.margin.sin_cos();
        for (row, &label) in labels.iter().enumerate() {
            let at = row * classes + label;
            let cosine = f64::from(scores[at]);
            let sine = (1.0 - cosine * cosine + 1e-6).sqrt();
            // where the angle and the margin are more than half a turn together, the slope stays
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

/// Softmax and cross-entropy of class scores, `[n, classes]`, averaged over the batch, with its gradient by the scores.
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

/// Rows of length 1, and the lengths they had.
fn directions(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let lengths: Vec<f32> = rows.chunks_exact(width).map(length).collect();
    let units = rows.chunks_exact(width).zip(&lengths).flat_map(|(row, length)| row.iter().map(move |x| x / length));
    (units.collect(), lengths)
}

/// The gradient by rows, from that by their directions.
fn by_rows(by_directions: &mut [f32], directions: &[f32], lengths: &[f32], width: usize) {
    let rows = by_directions.chunks_exact_mut(width).zip(directions.chunks_exact(width)).zip(lengths);
    for ((gradient, direction), length) in rows {
        let along = dot(gradient, direction);
        gradient.iter_mut().zip(direction).for_each(|(gradient, x)| *gradient = (*gradient - along * x) / length);
    }
}
