//! CLIP's vision transformers: the network on Burn and the CPU engine against Paddle and against each other.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{golden, golden_inputs, max_abs_diff, normalized, pixels, vit_model};
use image_feature::engine::Plan;
use image_feature::engine::cpu::{Executor, Options, instruction_sets};
use image_feature::model::vit::VitConfig;
use image_feature::{DeviceRequest, Dtype, ErrorKind, Extractor, Model, RgbImage};

/// Sizes that are no multiples of lanes or tiles, few and many tokens, heads of all widths.
fn sizes() -> Vec<VitConfig> {
    let config = |input, patch, [width, depth, heads, hidden]: [usize; 4], projection, average_class_token| VitConfig {
        input,
        patch,
        width,
        depth,
        heads,
        hidden,
        projection,
        average_class_token,
        embedding: projection + 3,
    };
    vec![
        config([32, 48], 16, [48, 2, 3, 96], 40, false),
        config([15, 10], 5, [33, 2, 3, 50], 17, true),
        // one patch: of the two tokens, the mean takes one
        config([7, 7], 7, [20, 2, 1, 8], 5, false),
        config([1, 1], 1, [1, 1, 1, 1], 1, true),
        config([28, 70], 14, [64, 2, 1, 130], 64, true),
        config([64, 72], 8, [40, 2, 5, 24], 31, false),
        config([16, 20], 4, [272, 2, 17, 520], 256, false),
    ]
}

fn plan(model: &Model) -> Plan {
    Plan::compile(&model.description, model.form, &model.tensors).unwrap()
}

fn values_of_an_image(config: &VitConfig) -> usize {
    3 * config.input[0] * config.input[1]
}

/// Every instruction set, several threads and a batch against the plain kernels.
#[test]
fn transformers_of_any_size_agree_with_the_plain_kernels() {
    for config in sizes() {
        let plan = plan(&vit_model(&config));
        let images = pixels(5 * values_of_an_image(&config));
        let run = |set, threads| {
            let options = Options { threads: Some(threads), instruction_set: Some(set) };
            let executor = Executor::new(plan.clone(), options).unwrap();
            let features = executor.run(&images, 5).unwrap();
            let alone = executor.run(&images[..images.len() / 5], 1).unwrap();
            assert_eq!(alone, features[..config.embedding], "{set}, {config:?}: a batch changes the result");
            features
        };
        let expected = normalized(&run("scalar", 1), config.embedding);
        for set in instruction_sets() {
            let on_one_thread = run(set, 1);
            for threads in [2, 7] {
                assert_eq!(run(set, threads), on_one_thread, "{set}, {config:?}: threads change the result");
            }
            for (expected, feature) in expected.iter().zip(normalized(&on_one_thread, config.embedding)) {
                let difference = max_abs_diff(&feature, expected);
                assert!(difference < 1e-5, "{set}, {config:?}: differs by {difference}");
            }
        }
    }
}

#[cfg(feature = "flex")]
mod burn_network {
    use std::collections::BTreeMap;

    use burn::tensor::{Device, Tensor, TensorData};
    use image_feature::model::vit::Vit;

    use super::*;
    use crate::common::formula_vit;

    fn images(values: &[f32], config: &VitConfig) -> Tensor<4> {
        let [height, width] = config.input;
        let count = values.len() / values_of_an_image(config);
        Tensor::from_data(TensorData::new(values.to_vec(), [count, 3, height, width]), &Device::flex())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The plan and the network on Burn, built from the same tensors, give the same features.
    #[test]
    fn transformers_of_any_size_agree_with_burn() {
        for config in sizes() {
            let model = vit_model(&config);
            let network = Vit::new(&config, None, &model.tensors, &Device::flex()).unwrap();
            let input = pixels(2 * values_of_an_image(&config));
            let expected = normalized(&values(network.forward(images(&input, &config))), config.embedding);
            let executor = Executor::new(plan(&model), Options::default()).unwrap();
            let features = normalized(&executor.run(&input, 2).unwrap(), config.embedding);
            for (feature, expected) in features.iter().zip(&expected) {
                let difference = max_abs_diff(feature, expected);
                assert!(difference < 1e-5, "{config:?}: differs by {difference}");
            }
        }
    }

    /// Each stage of the network on Burn within 1e-5 of the stage's own scale.
    fn every_stage_equals_paddle(name: &str, config: &VitConfig) {
        let Some(golden) = golden(&format!("features/PP-ShiTuV2_rec_CLIP_vit_{name}_acts_chelsea.safetensors")) else {
            return;
        };
        let network = Vit::new(config, None, &formula_vit(config), &Device::flex()).unwrap();
        let last = format!("blocks.{}", config.depth - 1);
        let stages = [
            ("patch_embed", "patch_embed"),
            ("ln_pre", "ln_pre"),
            ("blocks.0.attn", "block0.attn"),
            ("blocks.0.mlp", "block0.mlp"),
            ("blocks.0", "block0"),
            (&*last, "block_last"),
            ("norm", "norm"),
            ("neck", "neck"),
        ];
        let mut outputs = BTreeMap::new();
        let neck = network.forward_observed(images(&golden["input"], config), |stage, tokens| {
            if stages.iter().any(|(ours, _)| *ours == stage) {
                outputs.insert(stage.to_string(), values(tokens));
            }
        });
        outputs.insert("neck".into(), values(neck));
        let complaint = |(ours, theirs): (&str, &str)| {
            let expected = &golden[theirs];
            let scale = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
            let difference = max_abs_diff(&outputs[ours][..expected.len()], expected);
            // with `<` a NaN is reported
            let good = difference <= 1e-5 * scale;
            (!good).then(|| format!("{theirs} differs by {difference} at a scale of {scale}"))
        };
        let complaints: Vec<_> = stages.into_iter().filter_map(complaint).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn every_stage_of_base_equals_paddle() {
        every_stage_equals_paddle("base", &VitConfig::base());
    }

    #[test]
    #[ignore = "takes 4 GB of memory"]
    fn every_stage_of_large_equals_paddle() {
        every_stage_equals_paddle("large", &VitConfig::large());
    }

    #[test]
    fn a_wrong_shape_names_the_tensor() {
        let config = sizes().remove(0);
        let mut tensors = formula_vit(&config);
        let name = "backbone.blocks.1.mlp.fc1.weight";
        let mut tensor = tensors.get(name).unwrap().clone();
        tensor.shape.swap(0, 1);
        tensors.insert(name, tensor);
        let error = Vit::new(&config, None, &tensors, &Device::flex()).unwrap_err();
        assert!(error.is_model() && error.to_string().contains(name), "{error}");
        let error = Vit::new(&VitConfig { heads: 7, ..config }, None, &tensors, &Device::flex()).unwrap_err();
        assert!(error.to_string().contains("7 heads"), "{error}");
    }
}

/// Every photo within 2e-5 of PaddleX.
fn features_equal_paddlex(name: &str, config: &VitConfig) {
    let Some(expected) = golden(&format!("features/PP-ShiTuV2_rec_CLIP_vit_{name}_features.safetensors")) else {
        return;
    };
    let model = vit_model(config);
    let (names, inputs): (Vec<_>, Vec<_>) = golden_inputs(&model.description).into_iter().unzip();
    assert_eq!(names.len(), 7);
    let plan = plan(&model);
    drop(model);
    let executor = Executor::new(plan, Options::default()).unwrap();
    let features = normalized(&executor.run(&inputs.concat(), names.len()).unwrap(), executor.dimension());
    let complaint = |(name, feature): (&String, &Vec<f32>)| {
        let difference = max_abs_diff(feature, &expected[&format!("{name}/predict/feature")]);
        println!("{name}: differs by {difference}");
        let good = difference <= 2e-5;
        (!good).then(|| format!("{name}: differs by {difference}"))
    };
    let complaints: Vec<_> = names.iter().zip(&features).filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn features_of_base_equal_paddlex() {
    features_equal_paddlex("base", &VitConfig::base());
}

#[test]
#[ignore = "takes 4 GB of memory"]
fn features_of_large_equal_paddlex() {
    features_equal_paddlex("large", &VitConfig::large());
}

/// A printed plan shows each step with its shapes, weights and work.
#[test]
fn a_plan_can_be_read() {
    let plan = plan(&vit_model(&VitConfig { depth: 1, ..VitConfig::base() }));
    let text = plan.to_string();
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "0 patch_embed.proj patches 16x16 + positions 224x224x3 -> 1x197x768 2895.0 KiB 231.21",
        "1 ln_pre normalize + scale + shift 1x197x768 -> 1x197x768 6.0 KiB 0.00",
        "2 blocks.0.norm1 normalize 1x197x768 -> 1x197x768 0.0 KiB 0.00",
        "3 blocks.0.attn.qkv 1x1 1x197x768 -> 1x197x2304 6921.0 KiB 697.17",
        "4 blocks.0.attn attention, 12 heads 1x197x2304 -> 1x197x768 0.0 KiB 119.22",
        "5 blocks.0.attn.proj 1x1 + residual 1x197x768 -> 1x197x768 2307.0 KiB 232.39",
        "7 blocks.0.mlp.fc1 1x1 + gelu 1x197x768 -> 1x197x3072 9228.0 KiB 929.56",
        "10 mean mean but for 1 1x197x768 -> 1x1x768 0.0 KiB 0.00",
        "12 neck.fc 1x1 1x1x512 -> 1x1x512 1026.0 KiB 0.52",
    ] {
        assert!(lines.iter().any(|line| line == expected), "no line {expected:?} in\n{text}");
    }
}

fn small() -> VitConfig {
    VitConfig { input: [32, 48], ..sizes().remove(0) }
}

/// From a file to a feature, alone and in a batch. Half precision changes it by little.
#[test]
fn an_extractor_reads_the_file_it_is_given() {
    let model = vit_model(&small());
    let image = |width: usize, height: usize| {
        let pixels = (0..width * height * 3).map(|index| (index * 7 % 256) as u8).collect();
        RgbImage::new(width, height, pixels).unwrap()
    };
    let images = [image(48, 32), image(77, 130)];
    let features = |model: &Model| {
        let extractor = Extractor::open(model, DeviceRequest::Cpu).unwrap();
        assert_eq!((extractor.info().dimension, extractor.info().dtype), (43, "f32"));
        let together = extractor.embed_batch(&images).unwrap();
        assert_eq!(extractor.embed(&images[1]).unwrap(), together[1]);
        together
    };
    let reread = |dtype| Model::from_bytes("ours", &model.to_safetensors(dtype).unwrap()).unwrap();
    let expected = features(&model);
    assert_eq!(features(&reread(Dtype::F32)), expected);
    for (half, expected) in features(&reread(Dtype::F16)).iter().zip(&expected) {
        let difference = max_abs_diff(half, expected);
        assert!(difference > 0.0 && difference < 2e-3, "differs by {difference}");
    }
}

#[test]
fn there_are_no_8_bits_for_a_transformer() {
    let model = vit_model(&small());
    let error = model.to_safetensors(Dtype::I8).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("no i8"), "{error}");
    let error = image_feature::engine::cpu::Calibrator::new(&plan(&model)).err().unwrap();
    assert!(error.is_model() && error.to_string().contains("no layer"), "{error}");
}
