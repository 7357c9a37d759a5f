//! The networks on a GPU beside the CPU engine. Without a GPU the tests are skipped: Mesa's lavapipe is one in software.
#![cfg(all(feature = "gpu-native", not(target_arch = "wasm32")))]

mod common;

use common::{formula_tensor, formula_tensors, golden_inputs, max_abs_diff, normalized, pixels, shared, vit_model};
use image_feature::engine::{Plan, cpu, gpu};
use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network};
use image_feature::weights::Tensors;
use image_feature::{Model, Preprocess};

/// The GPU; none, with a message, where there is none.
fn device() -> Option<gpu::native::Device> {
    gpu::native::Device::open().inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

/// The largest difference of any element of a feature of length 1, for images alone and all in one run, with the shaders for
/// both kinds of adapters.
fn difference(device: &gpu::native::Device, plan: &Plan, images: &[f32], count: usize) -> f32 {
    let of = |adapter| difference_of(device, plan, images, count, adapter);
    of(gpu::Adapter::Software).max(of(gpu::Adapter::Hardware))
}

fn difference_of(
    device: &gpu::native::Device,
    plan: &Plan,
    images: &[f32],
    count: usize,
    adapter: gpu::Adapter,
) -> f32 {
    let options = cpu::Options { threads: Some(2), ..cpu::Options::default() };
    let reference = cpu::Executor::new(plan.clone(), options).unwrap();
    let program = gpu::Program::new(plan.clone(), 8, adapter).unwrap();
    assert!(program.pipelines().len() <= 10, "{program}");
    let executor = gpu::native::Executor::new(device, program).unwrap();
    let dimension = reference.dimension();
    let expected = normalized(&reference.run(images, count).unwrap(), dimension).concat();
    let together = normalized(&executor.run(images, count).unwrap(), dimension).concat();
    let len = images.len() / count;
    let alone = normalized(&executor.run(&images[..len], 1).unwrap(), dimension).concat();
    let pooled = max_abs_diff(&executor.pooled(images, count).unwrap(), &reference.pooled(images, count).unwrap());
    assert!(pooled < 1e-2, "the pooled vectors differ by {pooled}");
    max_abs_diff(&together, &expected).max(max_abs_diff(&alone, &expected[..dimension]))
}

/// The official model with all golden photos, in batches of 8.
#[test]
fn the_official_model_agrees_with_the_cpu() {
    let Some(device) = device() else { return };
    let Some(path) = shared("golden/models/PP-ShiTuV2_rec_infer_pir") else { return };
    let model = Model::open(path).unwrap();
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    println!("{}", gpu::Program::new(plan.clone(), 8, device.kind()).unwrap());
    let (names, inputs): (Vec<_>, Vec<_>) = golden_inputs(&model.description).into_iter().unzip();
    let difference = difference(&device, &plan, &inputs.concat(), names.len());
    println!("{}: {} photos differ by {difference} at most", device.adapter(), names.len());
    assert!(difference < 1e-4, "{difference}");
}

fn lcnet(scale: f64, input: [usize; 2], embedding: usize) -> Plan {
    let config = LcNetV2Config { scale, input, embedding };
    let tensors = formula_tensors(&config, Form::Training, None);
    compile(Network::LcNetV2(config), Form::Training, &tensors)
}

fn compile(network: Network, form: Form, tensors: &Tensors) -> Plan {
    let description = ModelDescription { name: "drawn".into(), network, preprocess: Preprocess::default() };
    Plan::compile(&description, form, tensors).unwrap()
}

fn efficientnet(input: [usize; 2]) -> Plan {
    let config = EfficientNetLiteConfig { width: 0.5, depth: 0.5, kept_blocks: None, input, embedding: Some(20) };
    let mut tensors = Tensors::new();
    for parameter in config.parameters(None) {
        let tensor = formula_tensor(&parameter);
        tensors.insert(parameter.name, tensor);
    }
    compile(Network::EfficientNetLite(config), Form::Deploy, &tensors)
}

fn transformer(config: VitConfig) -> Plan {
    let model = vit_model(&config);
    Plan::compile(&model.description, model.form, &model.tensors).unwrap()
}

/// Networks of each kind, in widths and sizes that are no multiple of any tile.
#[test]
fn networks_of_any_size_agree_with_the_cpu() {
    let Some(device) = device() else { return };
    let base = VitConfig {
        input: [48, 80],
        patch: 16,
        width: 132,
        depth: 2,
        heads: 6,
        hidden: 200,
        projection: 30,
        average_class_token: false,
        embedding: 12,
    };
    let plans = [
        ("lcnet 0.25", lcnet(0.25, [33, 47], 7)),
        ("lcnet 0.35", lcnet(0.35, [1, 1], 33)),
        ("lcnet 0.5", lcnet(0.5, [97, 64], 100)),
        ("efficientnet 64", efficientnet([64, 64])),
        ("efficientnet 75", efficientnet([75, 75])),
        ("transformer", transformer(base.clone())),
        ("transformer with wide heads", transformer(VitConfig { heads: 1, average_class_token: true, ..base.clone() })),
        ("transformer with many tokens", transformer(VitConfig { input: [96, 96], patch: 8, ..base })),
    ];
    let mut failures = Vec::new();
    for (name, plan) in plans {
        let images = pixels(9 * plan.shape(plan.input()).len());
        let difference = difference(&device, &plan, &images, 9);
        println!("{name}: {difference}");
        if difference.is_nan() || difference > 1e-4 {
            failures.push(format!("{name} differs by {difference}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
