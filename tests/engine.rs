//! The CPU engine against PaddleX's features and against itself: other instruction sets, threads, batches, sizes.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{formula_tensors, golden, golden_inputs, max_abs_diff, normalized, pixels, shared, small_model};
use image_feature::engine::Plan;
use image_feature::engine::cpu::{Executor, Options, instruction_sets};
use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::{ModelDescription, Network};
use image_feature::{ErrorKind, Model, Preprocess};

/// Every photo on every instruction set, alone and in a batch, on one thread and on three.
#[test]
fn features_equal_paddlex_on_every_instruction_set() {
    let Some(expected) = golden("features/PP-ShiTuV2_rec_features.safetensors") else { return };
    let model = Model::open(shared("golden/models/PP-ShiTuV2_rec_infer_pir").unwrap()).unwrap();
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let (names, inputs): (Vec<_>, Vec<_>) = golden_inputs(&model.description).into_iter().unzip();
    let inputs = inputs.concat();
    let mut failures = Vec::new();
    for set in instruction_sets() {
        let mut reference = None;
        for threads in [1, 3] {
            let options = Options { threads: Some(threads), instruction_set: Some(set) };
            let executor = Executor::new(plan.clone(), options).unwrap();
            let together = executor.run(&inputs, names.len()).unwrap();
            assert_eq!(&together, reference.get_or_insert(together.clone()), "{set}: threads change the result");
            let features = normalized(&together, executor.dimension());
            for (index, name) in names.iter().enumerate() {
                let difference = max_abs_diff(&features[index], &expected[&format!("{name}/predict/feature")]);
                if difference.is_nan() || difference > 2e-5 {
                    failures.push(format!("{set}, {threads} threads, {name}: differs by {difference}"));
                }
            }
            let len = inputs.len() / names.len();
            let alone = executor.run(&inputs[..len], 1).unwrap();
            assert_eq!(alone, together[..executor.dimension()], "{set}: a batch changes the result");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A network of any size with the formula's weights.
fn plan(config: &LcNetV2Config, form: Form) -> Plan {
    let description = ModelDescription {
        name: "drawn".into(),
        network: Network::LcNetV2(config.clone()),
        preprocess: Preprocess::default(),
    };
    Plan::compile(&description, form, &formula_tensors(config, form, None)).unwrap()
}

/// Widths and sizes that are no multiple of any tile, one pixel at the end among them.
const SIZES: [(f64, [usize; 2], usize); 6] = [
    (0.25, [32, 32], 64),
    (0.25, [33, 47], 7),
    (0.5, [97, 64], 100),
    (0.35, [1, 1], 33),
    (0.75, [16, 131], 512),
    (1.0, [50, 50], 512),
];

/// Every instruction set, several threads and a batch against the plain kernels.
#[test]
fn networks_of_any_size_agree_with_the_plain_kernels() {
    for (scale, input, embedding) in SIZES {
        let plan = plan(&LcNetV2Config { scale, input, embedding }, Form::Training);
        let len = 3 * input[0] * input[1];
        let run = |set, threads| {
            let options = Options { threads: Some(threads), instruction_set: Some(set) };
            let features = Executor::new(plan.clone(), options).unwrap().run(&pixels(5 * len), 5).unwrap();
            assert_eq!(features.len(), 5 * embedding);
            normalized(&features, embedding)
        };
        let expected = run("scalar", 1);
        for set in instruction_sets() {
            for threads in [1, 2, 7] {
                for (expected, feature) in expected.iter().zip(run(set, threads)) {
                    let difference = max_abs_diff(&feature, expected);
                    assert!(difference < 2e-5, "{set}, {scale} wide, {input:?}: differs by {difference}");
                }
            }
        }
    }
}

/// The plan computes the same as the network on Burn, built from the same tensors.
#[test]
#[cfg(feature = "flex")]
fn networks_of_any_size_agree_with_burn() {
    use burn::tensor::{Device, Tensor, TensorData};
    use image_feature::model::Norms;
    use image_feature::model::lcnet_v2::LcNetV2;

    for (scale, input, embedding) in SIZES {
        let config = LcNetV2Config { scale, input, embedding };
        let device = Device::flex();
        let tensors = formula_tensors(&config, Form::Training, None);
        let network = LcNetV2::new(&config, Form::Training, None, Norms::Separate, &tensors, &device).unwrap();
        let values = pixels(2 * 3 * input[0] * input[1]);
        let images = TensorData::new(values.clone(), [2, 3, input[0], input[1]]);
        let expected =
            network.forward(Tensor::<4>::from_data(images, &device)).into_data().try_to_vec::<f32>().unwrap();
        let executor = Executor::new(plan(&config, Form::Training), Options::default()).unwrap();
        let features = normalized(&executor.run(&values, 2).unwrap(), embedding);
        for (feature, expected) in features.iter().zip(normalized(&expected, embedding)) {
            let difference = max_abs_diff(feature, &expected);
            assert!(difference < 2e-5, "{scale} wide, {input:?}: differs by {difference}");
        }
    }
}

/// An executor can be used again and by several threads: a run does not depend on earlier ones.
#[test]
fn runs_do_not_disturb_each_other() {
    let config = LcNetV2Config { scale: 0.25, input: [40, 40], embedding: 32 };
    let executor =
        Executor::new(plan(&config, Form::Deploy), Options { threads: Some(2), ..Options::default() }).unwrap();
    let len = 3 * 40 * 40;
    let inputs = pixels(6 * len);
    let alone: Vec<_> = inputs.chunks_exact(len).map(|image| executor.run(image, 1).unwrap()).collect();
    assert_eq!(executor.run(&inputs, 6).unwrap(), alone.concat());
    std::thread::scope(|scope| {
        for (image, expected) in inputs.chunks_exact(len).zip(&alone) {
            let executor = &executor;
            scope.spawn(move || (0..20).for_each(|_| assert_eq!(&executor.run(image, 1).unwrap(), expected)));
        }
    });
}

#[test]
fn wrong_requests_are_named() {
    let model = small_model(16);
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let refused = |options| Executor::new(plan.clone(), options).err().unwrap();
    let error = refused(Options { threads: Some(0), ..Options::default() });
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("at least one thread"), "{error}");
    let error = refused(Options { instruction_set: Some("mmx"), ..Options::default() });
    assert!(error.to_string().contains("`mmx`") && error.to_string().contains("scalar"), "{error}");
    let executor = Executor::new(plan.clone(), Options::default()).unwrap();
    for (len, count) in [(0, 0), (5, 1), (3 * 32 * 32, 2), (3 * 32 * 32, usize::MAX)] {
        assert_eq!(
            executor.run(&vec![0.0; len], count).unwrap_err().kind(),
            ErrorKind::Usage,
            "{len} values for {count} images"
        );
    }
}

/// Printed, a plan shows each step with its shapes, weights and work.
#[test]
fn a_plan_can_be_read() {
    let config = LcNetV2Config::default();
    let plan = plan(&config, Form::Training);
    let text = plan.to_string();
    let line = |name: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    };
    assert_eq!(line("stem.0 "), "0 stem.0 3x3 / 2 + relu 224x224x3 -> 112x112x32 3.5 KiB 21.68");
    assert!(line("stages.2.1.se").contains("mean + fc + relu + fc + sigmoid"));
    assert!(line("stages.2.1.pw_conv_1").contains("gate + 1x1 + relu 14x14x512 -> 14x14x256"));
    assert!(line("stages.3.1.pw_conv").contains("1x1 + relu + residual"));
    assert!(line("in all").ends_with(&format!("{:.2}", 2e-6 * plan.macs() as f64)), "{}", line("in all"));
    assert_eq!(plan.macs() / 1_000_000, 828);
}
