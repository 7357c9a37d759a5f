//! Failures of a GPU: each is an error that says what failed. Without a GPU these tests are skipped.

use super::{Device, Executor};
use crate::engine::gpu::{Adapter, Program};
use crate::engine::{Operation, Plan, Shape};

fn device() -> Option<Device> {
    Device::open().inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

fn program() -> Program {
    let mut plan = Plan::builder("patches", Shape { height: 4, width: 4, channels: 3 });
    let operation = Operation::Patches { side: 2, weights: vec![0.25; 4 * 12], added: vec![1.0; 5 * 4] };
    let x = plan.push("patches", operation, plan.input(), Shape { height: 1, width: 5, channels: 4 });
    plan.push("mean", Operation::Mean { skip: 1 }, x, Shape { height: 1, width: 1, channels: 4 });
    Program::new(plan.finish().unwrap(), 2, Adapter::Hardware).unwrap()
}

#[test]
fn a_batch_larger_than_the_programs_is_cut() {
    let Some(device) = device() else { return };
    let executor = Executor::new(&device, program()).unwrap();
    let images: Vec<f32> = (0..5 * 48).map(|index| (index / 48) as f32).collect();
    let features = executor.run(&images, 5).unwrap();
    let expected: Vec<f32> = (0..5).flat_map(|image| [1.0 + 3.0 * image as f32; 4]).collect();
    assert_eq!(features, expected);
    assert_eq!(executor.pooled(&images, 5).unwrap(), expected);
    assert!(executor.run(&images, 4).unwrap_err().is_usage());
    assert!(executor.run(&[], 0).unwrap_err().is_usage());
}

#[test]
fn a_shader_that_does_not_compile_is_named() {
    let Some(device) = device() else { return };
    let mut program = program();
    program.pipelines[1].source = program.pipelines[1].source.replace("workgroup_id", "workgroup_number");
    let name = program.pipelines[1].name.clone();
    let error = Executor::new(&device, program).err().unwrap();
    assert!(error.is_device() && error.to_string().contains(&format!("the shader `{name}` failed")), "{error}");
}

#[test]
fn a_run_that_the_driver_refuses_is_an_error() {
    let Some(device) = device() else { return };
    let mut program = program();
    program.dispatches[0].groups = [70_000, 1];
    let executor = Executor::new(&device, program).unwrap();
    let error = executor.run(&[0.0; 48], 1).unwrap_err();
    assert!(error.is_device() && error.to_string().contains("a run of the network failed"), "{error}");
}
