//! What fine-tuning makes small, and in which direction: the losses of training with their gradients, free of any tensor library.

use super::matrix::{dot, length, rows_by_rows, sums_by_column, sums_of_rows};
use crate::{Error, Result};

/// `TripletAngularMarginLoss` of PaddleClas: the farthest image of the same class shall be nearer than the nearest of another,
/// and both have bounds of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletAngularMargin {
    /// By how much the cosine to the farthest of the own class shall exceed that to the nearest of another.
    pub margin: f64,
    /// What the cosine to the own class shall reach.
    pub same: f64,
    /// What the cosine to other classes shall stay below.
    pub other: f64,
    /// How much these two bounds count.
    pub absolute_weight: f64,
    /// How much the loss counts beside cross-entropy.
    pub weight: f64,
}

impl Default for TripletAngularMargin {
    /// As PP-ShiTuV2_rec is trained.
    fn default() -> Self {
        TripletAngularMargin { margin: 0.5, same: 0.8, other: 0.4, absolute_weight: 0.1, weight: 1.0 }
    }
}

/// The classification head of the CLIP models: the angle to the own class is made wider by a margin while training
/// (Deng et al., "ArcFace", 2019; PaddleClas `arcmargin.py`).
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

/// Says whether labels are all equally frequent, and not all the same.
pub(crate) fn check_balance(labels: &[usize]) -> Result<()> {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
    let mut each = counts.values();
    let first = each.next().copied().unwrap_or(0);
    if counts.len() < 2 || each.any(|&count| count != first) {
        return Err(Error::usage(format!(
            "TripletAngularMarginLoss needs the same number of images of each of two or more classes in a batch; here {} \
             images are of {} classes. Sample a fixed number of images per class (PKSampler)",
            labels.len(),
            counts.len()
        )));
    }
    Ok(())
}

/// Softmax and cross-entropy of class scores, `[n, classes]`, averaged over the batch, with its gradient by the scores. Of each
/// target `smoothing` is shared out evenly among all classes.
///
/// # Panics
/// Where there are not as many labels as rows, or one is no column.
pub fn cross_entropy(scores: &[f32], classes: usize, labels: &[usize], smoothing: f64) -> (f64, Vec<f32>) {
    assert!(scores.len() == labels.len() * classes, "a label for each row");
    let (mut loss, count) = (0.0, labels.len() as f64);
    let mut gradient = Vec::with_capacity(scores.len());
    for (scores, &label) in scores.chunks_exact(classes).zip(labels) {
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        let shared = smoothing / classes as f64;
        let own = f64::from(scores[label] - largest) - sum.ln();
        let all: f64 = scores.iter().map(|score| f64::from(score - largest) - sum.ln()).sum();
        loss -= (1.0 - smoothing) * own + shared * all;
        gradient.extend(exponentials.iter().enumerate().map(|(class, exponential)| {
            let target = shared + if class == label { 1.0 - smoothing } else { 0.0 };
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

impl TripletAngularMargin {
    /// The loss of features, `[n, width]`, which need not be of length 1, with its gradient by them.
    ///
    /// PaddleClas adds 1 for each image that keeps the distance to other classes. That is an oversight there and changes no
    /// gradient; it is kept, so that losses can be compared.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the labels are not all equally frequent, as in PaddleClas, or all
    /// are the same.
    pub fn loss_and_gradient(&self, features: &[f32], width: usize, labels: &[usize]) -> Result<(f64, Vec<f32>)> {
        check_balance(labels)?;
        let count = labels.len();
        let (units, lengths) = directions(features, width);
        let cosines = rows_by_rows(&units, &units, width);
        let mut by_cosines = vec![0.0f32; count * count];
        let mut loss = 0.0;
        let share = 1.0 / count as f64;
        for (image, &label) in labels.iter().enumerate() {
            let row = &cosines[image * count..][..count];
            let of_class = |same: bool| (0..count).filter(move |&other| (labels[other] == label) == same);
            let extreme = |a: Option<usize>, b: usize, better: fn(f32, f32) -> bool| match a {
                Some(a) if !better(row[b], row[a]) => Some(a),
                _ => Some(b),
            };
            let farthest = of_class(true).fold(None, |a, b| extreme(a, b, |x, than| x < than));
            let nearest = of_class(false).fold(None, |a, b| extreme(a, b, |x, than| x > than));
            let (Some(farthest), Some(nearest)) = (farthest, nearest) else { continue };
            let (same, other) = (f64::from(row[farthest]), f64::from(row[nearest]));
            let (mut by_same, mut by_other) = (0.0, 0.0);
            if other - same + self.margin > 0.0 {
                loss += share * (other - same + self.margin);
                (by_same, by_other) = (-share, share);
            }
            if same < self.same {
                loss += share * self.absolute_weight * (self.same - same);
                by_same -= share * self.absolute_weight;
            }
            if other > self.other {
                loss += share * self.absolute_weight * (other - self.other);
                by_other += share * self.absolute_weight;
            } else {
                loss += share * self.absolute_weight;
            }
            // a cosine is of two images, and both move
            for (partner, by) in [(farthest, by_same), (nearest, by_other)] {
                by_cosines[image * count + partner] += by as f32;
                by_cosines[partner * count + image] += by as f32;
            }
        }
        let mut gradient = sums_of_rows(&by_cosines, &units, width);
        by_rows(&mut gradient, &units, &lengths, width);
        Ok((loss, gradient))
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

/// Cross-entropy of a linear head: features `[n, width]`, head `[classes, width]`.
pub fn linear_head(features: &[f32], width: usize, head: &[f32], labels: &[usize], smoothing: f64) -> HeadLoss {
    let classes = head.len() / width;
    let scores = rows_by_rows(features, head, width);
    let (loss, by_scores) = cross_entropy(&scores, classes, labels, smoothing);
    let by_features = sums_of_rows(&by_scores, head, width);
    HeadLoss { loss, by_features, by_head: sums_by_column(&by_scores, classes, features, width) }
}

impl ArcMargin {
    /// Cross-entropy of the angles between features, `[n, width]`, and the directions of classes, `[classes, width]`.
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
        let (loss, mut by_cosines) = cross_entropy(&scores, classes, labels, 0.0);
        by_cosines.iter_mut().zip(&slopes).for_each(|(by, slope)| *by *= slope);
        let mut by_features = sums_of_rows(&by_cosines, &class_units, width);
        by_rows(&mut by_features, &units, &lengths, width);
        let mut by_head = sums_by_column(&by_cosines, classes, &units, width);
        by_rows(&mut by_head, &class_units, &class_lengths, width);
        HeadLoss { loss, by_features, by_head }
    }
}
