//! The losses of training, on Burn's tensors.
//!
//! Unstable: the functions take Burn's types, so they follow Burn's version.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use image_feature::train::loss::{TripletAngularMargin, cross_entropy};
//!
//! let features = Tensor::<2>::from_floats([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], &Device::flex());
//! let labels = [0, 0, 1, 1];
//! let apart: f32 = TripletAngularMargin::default().loss(features.clone(), &labels)?.into_scalar();
//! let classified: f32 = cross_entropy(features, &labels, 0.0).into_scalar();
//! assert!((apart - 0.1).abs() < 1e-6 && classified < 0.5);
//! # Ok::<(), image_feature::Error>(())
//! ```

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};

pub use crate::finetune::ArcMargin;
use crate::{Error, Result};

/// More than any difference of cosines: an image moved by it is never the nearest or the farthest.
const FAR: f64 = 8.0;

/// The cross-entropy of class scores, `[n, classes]`, after a softmax, averaged over the batch.
///
/// With label smoothing: the share `smoothing` of each target is spread evenly over all classes (PaddleClas's `CELoss`
/// with `epsilon`). Unstable: follows Burn's version.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use image_feature::train::loss::cross_entropy;
///
/// let scores = Tensor::<2>::from_floats([[0.0, 0.0]], &Device::flex());
/// let loss: f32 = cross_entropy(scores, &[1], 0.1).into_scalar();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If there are not as many labels as rows, or a label is not a column.
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize], smoothing: f64) -> Tensor<1> {
    let [count, classes] = logits.dims();
    assert!(labels.len() == count && labels.iter().all(|&label| label < classes), "a label for each row, and no other");
    let device = logits.device();
    let log_probabilities = log_softmax(logits, 1);
    let own = log_probabilities.clone().gather(1, column(labels, &device));
    let all = log_probabilities.mean_dim(1);
    own.mul_scalar(1.0 - smoothing).add(all.mul_scalar(smoothing)).mean().neg()
}

/// PaddleClas's `TripletAngularMarginLoss`.
///
/// For each image it compares the cosine to the farthest image of its class with the cosine to the nearest image of
/// another class. It has a margin between the two, and a bound for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletAngularMargin {
    /// The difference of the two cosines to reach.
    pub margin: f64,
    /// The cosine to the own class to reach.
    pub same: f64,
    /// The cosine to other classes to stay below.
    pub other: f64,
    /// The weight of the two bounds.
    pub absolute_weight: f64,
    /// The weight of the whole loss beside cross-entropy.
    pub weight: f64,
}

impl Default for TripletAngularMargin {
    /// The values for PP-ShiTuV2_rec.
    fn default() -> Self {
        TripletAngularMargin { margin: 0.5, same: 0.8, other: 0.4, absolute_weight: 0.1, weight: 1.0 }
    }
}

impl TripletAngularMargin {
    /// The loss of features, `[n, embedding]`, of any length. Unstable: follows Burn's version.
    ///
    /// PaddleClas adds 1 for each image that keeps its distance to other classes. That is a mistake there, without effect
    /// on the gradient. It is kept so that losses can be compared.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage): there are fewer than two classes, or classes have different numbers
    /// of images.
    pub fn loss(&self, features: Tensor<2>, labels: &[usize]) -> Result<Tensor<1>> {
        check_balance(labels)?;
        let device = features.device();
        let count = labels.len();
        let features = features.clone().div(length(features, 1));
        let cosines = features.clone().matmul(features.transpose());
        let far = |same: bool| {
            let values =
                labels.iter().flat_map(|a| labels.iter().map(move |b| if (a == b) == same { FAR } else { 0.0 }));
            let values: Vec<f32> = values.map(|value| value as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [count, count]), &device)
        };
        let same = cosines.clone().add(far(false)).min_dim(1);
        let other = cosines.sub(far(true)).max_dim(1);
        let ranking = relu(other.clone().sub(same.clone()).add_scalar(self.margin)).mean();
        let too_far = relu(same.neg().add_scalar(self.same)).mean();
        let too_near = other.sub_scalar(self.other);
        let kept = too_near.clone().lower_equal_elem(0.0);
        let too_near = too_near.mask_fill(kept, 1.0).mean();
        Ok(ranking.add(too_near.add(too_far).mul_scalar(self.absolute_weight)))
    }
}

impl ArcMargin {
    /// Class scores for training, from features, `[n, embedding]`, and `[embedding, classes]` to `[n, classes]`. The
    /// angle to the own class is widened by the margin. Unstable: follows Burn's version.
    ///
    /// # Panics
    /// If there are not as many labels as features.
    pub fn logits(&self, features: Tensor<2>, directions: Tensor<2>, labels: &[usize]) -> Tensor<2> {
        let device = features.device();
        let cosine = cosines(features, directions);
        let [count, classes] = cosine.dims();
        assert_eq!(labels.len(), count, "a label for each feature");
        let (sin_margin, cos_margin) = self.margin.sin_cos();
        let sine = cosine.clone().mul(cosine.clone()).neg().add_scalar(1.0 + 1e-6).sqrt();
        let wider = cosine.clone().mul_scalar(cos_margin).sub(sine.mul_scalar(sin_margin));
        // angle and margin together exceed half a turn
        let beyond = cosine.clone().lower_equal_elem(-cos_margin);
        let wider = wider.mask_where(beyond, cosine.clone().sub_scalar(sin_margin * self.margin));
        let mut own = vec![0.0f32; count * classes];
        labels.iter().enumerate().for_each(|(row, &label)| own[row * classes + label] = 1.0);
        let own = Tensor::<2>::from_data(TensorData::new(own, [count, classes]), &device);
        let others = own.clone().neg().add_scalar(1.0);
        own.mul(wider).add(others.mul(cosine)).mul_scalar(self.scale)
    }
}

/// Checks that there are two or more classes with the same number of images each.
fn check_balance(labels: &[usize]) -> Result<()> {
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

/// The cosine of each feature to each class: `[n, embedding]` and `[embedding, classes]` to `[n, classes]`. Unstable:
/// follows Burn's version.
pub fn cosines(features: Tensor<2>, directions: Tensor<2>) -> Tensor<2> {
    let features = features.clone().div(length(features, 1));
    let directions = directions.clone().div(length(directions, 0));
    features.matmul(directions)
}

/// Lengths of the vectors along a dimension.
fn length(x: Tensor<2>, dimension: usize) -> Tensor<2> {
    x.clone().mul(x).sum_dim(dimension).sqrt()
}

fn column(labels: &[usize], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    Tensor::from_data(TensorData::new(values, [labels.len(), 1]), device)
}
