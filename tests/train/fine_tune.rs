//! The hand-written gradients of fine-tuning against automatic differentiation in training.

use burn::tensor::{Device, Tensor, TensorData};
use image_feature::finetune::{ArcMargin, HeadLoss};
use image_feature::train::loss::cross_entropy;

use crate::common::max_abs_diff;

const CLASSES: usize = 5;
const EACH: usize = 4;
const WIDTH: usize = 37;

/// Pseudorandom numbers from -1 to 1.
fn drawn(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|at| (((at + seed) * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn labels() -> Vec<usize> {
    (0..CLASSES * EACH).map(|row| row % CLASSES).collect()
}

fn variable(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &Device::flex().autodiff()).require_grad()
}

fn features(seed: usize) -> Vec<f32> {
    // images of a class are somewhat alike, so that all cases of the losses occur
    let classes = drawn(CLASSES * WIDTH, 1000 + seed);
    let noise = drawn(labels().len() * WIDTH, seed);
    let row = |(row, label): (usize, usize)| {
        let own = classes[label * WIDTH..][..WIDTH].iter().zip(&noise[row * WIDTH..]);
        own.map(|(own, noise)| own + 1.2 * noise).collect::<Vec<_>>()
    };
    labels().into_iter().enumerate().flat_map(row).collect()
}

fn assert_same(what: &str, by_hand: &[f32], derived: Option<Tensor<2>>) {
    let derived: Vec<f32> = derived.unwrap().into_data().try_to_vec().unwrap();
    let largest = derived.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!(largest > 1e-3, "{what}: there is something to compare");
    let difference = max_abs_diff(by_hand, &derived);
    assert!(difference <= 1e-5 * largest.max(1.0), "{what} differs by {difference}, of {largest}");
}

#[test]
fn gradients_by_hand_are_those_of_automatic_differentiation() {
    for seed in 0..4 {
        let (values, head) = (features(seed), drawn(CLASSES * WIDTH, 50 + seed));
        let shape = [labels().len(), WIDTH];

        let margin = ArcMargin::default();
        let (x, w) = (variable(&values, shape), variable(&head, [CLASSES, WIDTH]));
        let loss = cross_entropy(margin.logits(x.clone(), w.clone().transpose(), &labels()), &labels(), 0.0);
        let HeadLoss { loss: own, by_features, by_head } = margin.loss_and_gradient(&values, WIDTH, &head, &labels());
        assert!((own as f32 - loss.clone().into_scalar::<f32>()).abs() < 1e-4);
        let gradients = loss.backward();
        assert_same("angles by features", &by_features, x.grad(&gradients));
        assert_same("angles by the head", &by_head, w.grad(&gradients));
    }
}
