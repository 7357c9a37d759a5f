//! What training makes small.

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};

pub use crate::finetune::ArcMargin;
use crate::{Error, Result};

/// Larger than any difference of cosines: what is pushed that far is never the nearest or the farthest.
const FAR: f64 = 8.0;

/// Softmax and cross-entropy of class scores, `[n, classes]`, averaged over the batch. Of each target `smoothing` is shared
/// out evenly among all classes (PaddleClas's `CELoss` with `epsilon`).
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
/// Where there are not as many labels as rows, or one is no column.
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize], smoothing: f64) -> Tensor<1> {
    let [count, classes] = logits.dims();
    assert!(labels.len() == count && labels.iter().all(|&label| label < classes), "a label for each row, and no other");
    let device = logits.device();
    let log_probabilities = log_softmax(logits, 1);
    let own = log_probabilities.clone().gather(1, column(labels, &device));
    let all = log_probabilities.mean_dim(1);
    own.mul_scalar(1.0 - smoothing).add(all.mul_scalar(smoothing)).mean().neg()
}

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

impl TripletAngularMargin {
    /// The loss of features, `[n, embedding]`, which need not be of length 1.
    ///
    /// PaddleClas adds 1 for each image that keeps the distance to other classes. That is an oversight there and changes no
    /// gradient; it is kept, so that losses can be compared.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the labels are not all equally frequent, as in PaddleClas, or all
    /// are the same.
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
    /// Class scores in training: `[n, embedding]` and `[embedding, classes]` to `[n, classes]`.
    ///
    /// # Panics
    /// Where there are not as many labels as features.
    pub fn logits(&self, features: Tensor<2>, directions: Tensor<2>, labels: &[usize]) -> Tensor<2> {
        let device = features.device();
        let cosine = cosines(features, directions);
        let [count, classes] = cosine.dims();
        assert_eq!(labels.len(), count, "a label for each feature");
        let (sin_margin, cos_margin) = self.margin.sin_cos();
        let sine = cosine.clone().mul(cosine.clone()).neg().add_scalar(1.0 + 1e-6).sqrt();
        let wider = cosine.clone().mul_scalar(cos_margin).sub(sine.mul_scalar(sin_margin));
        // where the angle and the margin are more than half a turn together
        let beyond = cosine.clone().lower_equal_elem(-cos_margin);
        let wider = wider.mask_where(beyond, cosine.clone().sub_scalar(sin_margin * self.margin));
        let mut own = vec![0.0f32; count * classes];
        labels.iter().enumerate().for_each(|(row, &label)| own[row * classes + label] = 1.0);
        let own = Tensor::<2>::from_data(TensorData::new(own, [count, classes]), &device);
        let others = own.clone().neg().add_scalar(1.0);
        own.mul(wider).add(others.mul(cosine)).mul_scalar(self.scale)
    }
}

/// Says whether labels are all equally frequent, and not all the same.
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

/// The cosine of each feature to each class: `[n, embedding]` and `[embedding, classes]` to `[n, classes]`.
pub fn cosines(features: Tensor<2>, directions: Tensor<2>) -> Tensor<2> {
    let features = features.clone().div(length(features, 1));
    let directions = directions.clone().div(length(directions, 0));
    features.matmul(directions)
}

fn length(x: Tensor<2>, dimension: usize) -> Tensor<2> {
    x.clone().mul(x).sum_dim(dimension).sqrt()
}

fn column(labels: &[usize], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    Tensor::from_data(TensorData::new(values, [labels.len(), 1]), device)
}
