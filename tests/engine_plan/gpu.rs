//! Drawn plans on a GPU: the feature is that of plain loops, in batches and again. Without a GPU the test is skipped.

use image_feature::engine::gpu::{Adapter, Program, native};
use proptest::prelude::*;

use crate::drawn::draw;
use crate::parts::{self, numbers};
use crate::reference;

/// The features of three images, for both kinds of adapters, one after the other and in batches of two, against plain loops.
fn check(device: &native::Device, plan: &image_feature::engine::Plan) -> Result<(), TestCaseError> {
    let len = plan.shape(plan.input()).len();
    let images = numbers(3 * len);
    let expected: Vec<f64> = images.chunks_exact(len).flat_map(|image| reference::run(plan, image).unwrap()).collect();
    let most = expected.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    for adapter in [Adapter::Hardware, Adapter::Software] {
        let program = match Program::new(plan.clone(), 2, adapter) {
            // a detector's operations
            Err(error) if error.is_model() && error.to_string().contains("no GPU shader for") => return Ok(()),
            program => program.unwrap(),
        };
        let executor = native::Executor::new(device, program).unwrap();
        let together = executor.run(&images, 3).unwrap();
        let alone: Vec<f32> = images.chunks_exact(len).flat_map(|image| executor.run(image, 1).unwrap()).collect();
        prop_assert_eq!(&alone, &together, "{}", plan);
        for (&feature, expected) in together.iter().zip(&expected) {
            let difference = (f64::from(feature) - expected).abs();
            prop_assert!(
                difference < 5e-3 * most,
                "{} is not {}, of\n{}{}",
                feature,
                expected,
                plan,
                executor.program()
            );
        }
    }
    Ok(())
}

#[test]
fn drawn_plans_compute_what_plain_loops_do_on_a_gpu() {
    let device = match native::Device::open() {
        Ok(device) => device,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    println!("on {}", device.adapter());
    let transformer = parts::transformer().plan().unwrap();
    check(&device, &transformer).unwrap();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = any::<u64>().prop_perturb(|_, mut random| draw(&mut random));
    let failure = runner.run(&strategy, |plan| check(&device, &plan)).err();
    // not the plan with its weights: its table is in the message
    assert!(failure.is_none(), "{}", failure.map_or(String::new(), |failure| failure.to_string()));
}
