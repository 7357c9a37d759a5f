//! Losses and their gradients.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use image_feature::train::loss::{ArcMargin, TripletAngularMargin, cosines, cross_entropy};

use crate::common::{golden, max_abs_diff, shared};

struct Golden {
    tensors: BTreeMap<String, Vec<f32>>,
    numbers: serde_json::Value,
}

/// Four classes of four features each.
fn labels() -> Vec<usize> {
    (0..16).map(|row| row / 4).collect()
}

impl Golden {
    fn read() -> Option<Self> {
        let tensors = golden("train/losses.safetensors")?;
        let numbers = std::fs::read(shared("golden/train/losses_lr.json")?).unwrap();
        Some(Golden { tensors, numbers: serde_json::from_slice(&numbers).unwrap() })
    }

    fn number(&self, case: &str, name: &str) -> f32 {
        self.numbers[case][name].as_f64().unwrap() as f32
    }

    fn tensor(&self, name: &str, shape: [usize; 2]) -> Tensor<2> {
        let data = TensorData::new(self.tensors[name].clone(), shape);
        Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad()
    }

    fn assert_near(&self, name: &str, values: Tensor<2>) {
        let values: Vec<f32> = values.into_data().try_to_vec().unwrap();
        let expected = &self.tensors[name];
        let scale = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let difference = max_abs_diff(&values, expected);
        assert!(difference <= 2e-6 * scale.max(1.0), "{name} differs by {difference} at a scale of {scale}");
    }
}

fn value(loss: &Tensor<1>) -> f32 {
    loss.clone().into_scalar()
}

#[test]
fn cross_entropy_and_triplet_equal_paddleclas() {
    let Some(golden) = Golden::read() else { return };
    let (features, weight) = (golden.tensor("feat", [16, 32]), golden.tensor("w", [32, 8]));
    let classified = cross_entropy(features.clone().matmul(weight.clone()), &labels(), 0.1);
    let apart = TripletAngularMargin::default().loss(features.clone(), &labels()).unwrap();
    assert!((value(&classified) - golden.number("shituv2", "CELoss")).abs() < 1e-6);
    assert!((value(&apart) - golden.number("shituv2", "TripletAngularMarginLoss")).abs() < 1e-6);
    let total = classified.add(apart);
    assert!((value(&total) - golden.number("shituv2", "loss")).abs() < 1e-6);
    let gradients = total.backward();
    golden.assert_near("shituv2/dfeat", features.grad(&gradients).unwrap());
    golden.assert_near("shituv2/dw", weight.grad(&gradients).unwrap());
}

#[test]
fn arc_margin_equals_paddleclas() {
    let Some(golden) = Golden::read() else { return };
    let (features, weight) = (golden.tensor("feat", [16, 32]), golden.tensor("w", [32, 8]));
    golden.assert_near("arc/logits_eval", cosines(features.clone(), weight.clone()));
    let logits = ArcMargin::default().logits(features.clone(), weight.clone(), &labels());
    golden.assert_near("arc/logits", logits.clone());
    let loss = cross_entropy(logits, &labels(), 0.0);
    assert!((value(&loss) - golden.number("arcmargin_ce", "CELoss")).abs() < 1e-5);
    let gradients = loss.backward();
    golden.assert_near("arc/dfeat", features.grad(&gradients).unwrap());
    golden.assert_near("arc/dw", weight.grad(&gradients).unwrap());
}

/// PaddleClas fails with an error about a reshape; ours names the cause.
#[test]
fn batches_that_are_not_balanced_are_refused() {
    let features = || Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]], &Device::flex());
    let refused = |labels: &[usize]| TripletAngularMargin::default().loss(features(), labels).unwrap_err();
    for labels in [[0, 0, 0, 1], [0, 0, 0, 0]] {
        let error = refused(&labels);
        assert!(error.to_string().contains("same number of images"), "{error}");
    }
    TripletAngularMargin::default().loss(features(), &[0, 1, 0, 1]).unwrap();
}

/// Images that keep their distance add the constant to the loss, without a gradient.
#[test]
fn the_constant_of_the_triplet_loss_has_no_gradient() {
    let features =
        Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], &Device::flex().autodiff());
    let features = features.require_grad();
    let loss = TripletAngularMargin::default().loss(features.clone(), &[0, 0, 1, 1]).unwrap();
    assert_eq!(value(&loss), 0.1);
    let gradient: Vec<f32> = features.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
    assert_eq!(gradient, [0.0; 8]);
}
