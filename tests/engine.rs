//! The CPU engine against PaddleX's features and against itself: other instruction sets, threads, batches, sizes.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{golden, max_abs_diff, shared};
use image_feature::engine::Plan;
use image_feature::engine::cpu::{Executor, Options, instruction_sets};
use image_feature::{DecodeLimits, Model, decode};

fn normalized(features: &[f32], dimension: usize) -> Vec<Vec<f32>> {
    let normalize = |feature: &[f32]| {
        let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt();
        feature.iter().map(|value| value / length).collect()
    };
    features.chunks_exact(dimension).map(normalize).collect()
}

/// Every photo on every instruction set, alone and in a batch, on one thread and on three.
#[test]
fn features_equal_paddlex_on_every_instruction_set() {
    let Some(expected) = golden("features/PP-ShiTuV2_rec_features.safetensors") else { return };
    let model = Model::open(&shared("golden/models/PP-ShiTuV2_rec_infer_pir").unwrap()).unwrap();
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let mut names = Vec::new();
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(shared("golden/features/inputs").unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let image = decode(&std::fs::read(&path).unwrap(), &DecodeLimits::default()).unwrap();
        inputs.extend(model.description.network_input(&image).unwrap());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
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
