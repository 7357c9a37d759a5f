//! The network on Burn against activations recorded in Paddle.
//!
//! `golden/features/*_acts_chelsea.safetensors` was made by PaddleClas with the weights of a closed formula (see
//! `golden/scripts/golden_features.py`), which `common` repeats, so that no model file is needed here.
#![cfg(all(feature = "flex", not(target_arch = "wasm32")))]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{formula_tensors, golden, max_abs_diff};
use image_feature::model::Norms;
use image_feature::model::lcnet_v2::{Form, LcNetV2, LcNetV2Config, fuse};
use image_feature::weights::Tensors;

fn network(config: &LcNetV2Config, form: Form, norms: Norms, tensors: &Tensors) -> LcNetV2 {
    LcNetV2::new(config, form, None, norms, tensors, &Device::flex()).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Every stage, in the training form and in both deploy forms, within 1e-5 of the stage's own scale.
#[test]
fn every_stage_equals_paddle() {
    let Some(golden) = golden("features/PP-ShiTuV2_rec_acts_chelsea.safetensors") else { return };
    let config = LcNetV2Config::default();
    let training = formula_tensors(&config, Form::Training, None);
    let deploy = fuse(&config, &training).unwrap();
    // our names to the golden names; the output of a stage is that of its last block
    let stages = [
        ("stem.1", "stem"),
        ("stages.0.1", "stage0"),
        ("stages.1.1", "stage1"),
        ("stages.2.0", "stage2.0"),
        ("stages.2.1", "stage2.1"),
        ("stages.2.2", "stage2.2"),
        ("stages.2.3", "stage2.3"),
        ("stages.2.4", "stage2.4"),
        ("stages.2.5", "stage2.5"),
        ("stages.3.1", "stage3"),
        ("avg_pool", "avg_pool"),
        ("last_conv", "last_conv"),
        ("backbone", "backbone"),
        ("neck", "neck"),
    ];
    let mut failures = Vec::new();
    for (case, form, norms, tensors) in [
        ("training", Form::Training, Norms::Separate, &training),
        ("deploy", Form::Deploy, Norms::Separate, &deploy),
        ("deploy, folded", Form::Deploy, Norms::Folded, &deploy),
    ] {
        let input = Tensor::<4>::from_data(TensorData::new(golden["input"].clone(), [1, 3, 224, 224]), &Device::flex());
        let mut outputs = std::collections::BTreeMap::new();
        let neck = network(&config, form, norms, tensors).forward_observed(input, |name, output| {
            outputs.insert(name.to_string(), values(output));
        });
        outputs.insert("neck".into(), values(neck));
        for (ours, theirs) in stages {
            let expected = &golden[theirs];
            let scale = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            // the golden file holds only the first values of the two largest stages
            let difference = max_abs_diff(&outputs[ours][..expected.len()], expected);
            let within = difference <= 1e-5 * scale.max(1.0);
            if !within {
                failures.push(format!("{case}, {theirs}: differs by {difference} at a scale of {scale}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Widths and input sizes are parameters: each form of a small sibling gives the same features, alone and in a batch.
#[test]
fn siblings_agree_between_forms_and_batches() {
    for (scale, side, embedding) in [(0.25, 32, 64), (0.5, 48, 128), (0.35, 65, 96)] {
        let config = LcNetV2Config { scale, input: [side, side + 7], embedding };
        let training = formula_tensors(&config, Form::Training, Some(5));
        let deploy = fuse(&config, &training).unwrap();
        let len = 3 * side * (side + 7);
        let input: Vec<f32> = (0..2 * len).map(|index| ((index * 7919) % 1009) as f32 / 252.0 - 2.0).collect();
        let run = |form, norms, tensors, input: &[f32], count| {
            let data = TensorData::new(input.to_vec(), [count, 3, side, side + 7]);
            values(network(&config, form, norms, tensors).forward(Tensor::from_data(data, &Device::flex())))
        };
        let reference = run(Form::Training, Norms::Separate, &training, &input, 2);
        assert_eq!(reference.len(), 2 * embedding);
        let folded = run(Form::Deploy, Norms::Folded, &deploy, &input, 2);
        let second = run(Form::Deploy, Norms::Folded, &deploy, &input[len..], 1);
        let scale = reference.iter().fold(1.0f32, |most, value| most.max(value.abs()));
        assert!(max_abs_diff(&reference, &folded) <= 2e-5 * scale, "scale {scale}: fused differs");
        assert!(max_abs_diff(&reference[embedding..], &second) <= 2e-5 * scale, "scale {scale}: batch differs");
        let different = max_abs_diff(&reference[..embedding], &reference[embedding..]);
        assert!(different > 1e-3 * scale, "two different images must not give one feature");
    }
}

/// The head is a matrix product with the neck's features.
#[test]
fn logits_are_features_times_the_head() {
    let config = LcNetV2Config { scale: 0.25, input: [32, 32], embedding: 32 };
    let tensors = formula_tensors(&config, Form::Training, Some(3));
    let device = Device::flex();
    let network = LcNetV2::new(&config, Form::Training, Some(3), Norms::Separate, &tensors, &device).unwrap();
    let features: Vec<f32> = (0..32).map(|index| index as f32 / 32.0).collect();
    let logits = network.logits(Tensor::from_data(TensorData::new(features.clone(), [1, 32]), &device)).unwrap();
    let weight = &tensors.get("head.fc.weight").unwrap().values;
    let expected: Vec<f32> = (0..3).map(|class| (0..32).map(|i| features[i] * weight[i * 3 + class]).sum()).collect();
    assert!(max_abs_diff(&values(logits), &expected) < 1e-5);
    assert!(
        self::network(&config, Form::Training, Norms::Separate, &tensors)
            .logits(Tensor::zeros([1, 32], &device))
            .is_none()
    );
}

/// A wrong shape is an error that names the tensor and both shapes.
#[test]
fn a_wrong_shape_names_the_tensor() {
    let config = LcNetV2Config { scale: 0.25, input: [32, 32], embedding: 32 };
    let mut tensors = formula_tensors(&config, Form::Deploy, None);
    let mut wrong = tensors.get("backbone.stages.2.3.se.conv1.weight").unwrap().clone();
    wrong.shape[0] += 1;
    tensors.insert("backbone.stages.2.3.se.conv1.weight", wrong);
    let error = LcNetV2::new(&config, Form::Deploy, None, Norms::Folded, &tensors, &Device::flex()).unwrap_err();
    assert!(error.is_model());
    let text = error.to_string();
    assert!(
        text.contains("backbone.stages.2.3.se.conv1.weight") && text.contains("expected [32, 128, 1, 1]"),
        "{text}"
    );
}
