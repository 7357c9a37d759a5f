use burn::module::{Param, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData, Tolerance};

use super::*;
use crate::random::SplitMix64;

/// A layer and its input.
struct Case {
    images: usize,
    channels: [usize; 2],
    size: [usize; 2],
    kernels: &'static [usize],
    stride: usize,
    depthwise: bool,
    activate: bool,
}

fn values(random: &mut SplitMix64, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.between(-1.0, 1.0) as f32).collect()
}

fn layer(case: &Case, kernel: usize, random: &mut SplitMix64, device: &Device) -> (Conv2d, BatchNorm) {
    let [input, out] = case.channels;
    let groups = if case.depthwise { input } else { 1 };
    let shape = [out, input / groups, kernel, kernel];
    let pad = kernel / 2;
    let parameter = |values: Vec<f32>| Param::<Tensor<1>>::from_data(TensorData::new(values, [out]), device);
    let running = |value: f32| RunningState::new(Tensor::from_data(TensorData::new(vec![value; out], [out]), device));
    let weight = values(random, shape.iter().product());
    let conv = Conv2d {
        weight: Param::from_data(TensorData::new(weight, shape), device),
        bias: None,
        stride: [case.stride; 2],
        kernel_size: [kernel; 2],
        dilation: [1; 2],
        groups,
        padding: PaddingConfig2d::Explicit(pad, pad, pad, pad),
    };
    let norm = BatchNorm {
        gamma: parameter(values(random, out)),
        beta: parameter(values(random, out)),
        training: Param::from_bool(true),
        running_mean: running(0.5),
        running_var: running(2.0),
        momentum: 0.1,
        epsilon: 1e-5,
    };
    (conv, norm)
}

/// The same with Burn's own operations.
fn reference(x: &Tensor<4>, branches: &[(&Conv2d, &BatchNorm)], activate: bool) -> Tensor<4> {
    let sum = branches.iter().map(|(conv, norm)| norm.forward(conv.forward(x.clone()))).reduce(Tensor::add).unwrap();
    if activate { relu(sum) } else { sum }
}

/// The output, the gradients of the input and of every parameter, and the running statistics.
fn results(case: &Case, ours: bool) -> Vec<TensorData> {
    let device = Device::flex().autodiff();
    let mut random = SplitMix64::new(7);
    let [height, width] = case.size;
    let shape = [case.images, case.channels[0], height, width];
    let x = Tensor::<4>::from_data(TensorData::new(values(&mut random, shape.iter().product()), shape), &device)
        .require_grad();
    let layers: Vec<_> = case.kernels.iter().map(|&kernel| layer(case, kernel, &mut random, &device)).collect();
    let branches: Vec<_> = layers.iter().map(|(conv, norm)| (conv, norm)).collect();
    let y = match ours {
        true => forward(&x, &branches, case.activate).expect("a layer of the network"),
        false => reference(&x, &branches, case.activate),
    };
    let factors = Tensor::from_data(TensorData::new(values(&mut random, y.shape().num_elements()), y.dims()), &device);
    let gradients = y.clone().mul(factors).sum().backward();
    let mut results = vec![y.into_data(), x.grad(&gradients).unwrap().into_data()];
    for (conv, norm) in &layers {
        results.push(conv.weight.val().grad(&gradients).unwrap().into_data());
        results.push(norm.gamma.val().grad(&gradients).unwrap().into_data());
        results.push(norm.beta.val().grad(&gradients).unwrap().into_data());
        results.push(norm.running_mean.value_sync().into_data());
        results.push(norm.running_var.value_sync().into_data());
    }
    results
}

fn compare(case: &Case) {
    let (ours, reference) = (results(case, true), results(case, false));
    assert_eq!(ours.len(), reference.len());
    for (ours, reference) in ours.iter().zip(&reference) {
        ours.assert_approx_eq::<f32>(reference, Tolerance::rel_abs(1e-3, 1e-3));
    }
}

#[test]
fn depthwise_layers_equal_burns_own() {
    for kernels in [&[3][..], &[5], &[1], &[3, 1], &[5, 3, 1]] {
        for stride in [1, 2] {
            for (size, images) in [([7, 7], 5), ([4, 5], 3), ([14, 9], 2), ([1, 2], 6), ([33, 40], 1)] {
                let case = Case { images, channels: [8, 8], size, kernels, stride, depthwise: true, activate: true };
                compare(&case);
            }
        }
    }
}

#[test]
fn dense_layers_equal_burns_own() {
    for (kernel, stride) in [(&[1][..], 1), (&[3], 2), (&[3], 1), (&[1], 2)] {
        for (size, images) in [([7, 7], 9), ([4, 4], 17), ([15, 16], 2), ([9, 5], 4)] {
            for activate in [false, true] {
                let case =
                    Case { images, channels: [3, 10], size, kernels: kernel, stride, depthwise: false, activate };
                compare(&case);
            }
        }
    }
}

#[test]
fn a_step_can_be_repeated_to_the_bit() {
    let case = Case {
        images: 23,
        channels: [16, 16],
        size: [14, 14],
        kernels: &[5, 3, 1],
        stride: 1,
        depthwise: true,
        activate: true,
    };
    let with_threads = |count: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(|| results(&case, true))
    };
    let once = with_threads(1);
    for threads in [2, 3, 7] {
        assert_eq!(with_threads(threads), once);
    }
    let dense = Case { kernels: &[1], channels: [16, 24], depthwise: false, ..case };
    let with_threads = |count: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(|| results(&dense, true))
    };
    assert_eq!(with_threads(1), with_threads(5));
}

#[test]
fn other_layers_are_left_to_burn() {
    let device = Device::flex().autodiff();
    let mut random = SplitMix64::new(1);
    let case =
        Case { images: 1, channels: [4, 4], size: [5, 5], kernels: &[3], stride: 1, depthwise: true, activate: true };
    let x = Tensor::<4>::zeros([1, 4, 5, 5], &device);
    let (conv, norm) = layer(&case, 3, &mut random, &device);
    assert!(forward(&x, &[(&conv, &norm)], true).is_some());
    let dilated = Conv2d { dilation: [2; 2], ..conv.clone() };
    assert!(forward(&x, &[(&dilated, &norm)], true).is_none());
    let grouped = Conv2d { groups: 2, ..conv.clone() };
    assert!(forward(&x, &[(&grouped, &norm)], true).is_none());
    let large = layer(&case, 7, &mut random, &device).0;
    assert!(forward(&x, &[(&large, &norm)], true).is_none());
    assert!(forward(&x.clone().inner(), &[(&conv, &norm)], true).is_none(), "evaluation takes the running statistics");
}
