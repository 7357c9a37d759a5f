//! The plans of real networks with one thing changed at random: refused, or run within their memory.

use image_feature::engine::cpu::{Executor, Options, instruction_sets};
use image_feature::engine::{Activation, Affine, Operation, Plan, Shape, Value, ValueId, Weights};
use image_feature::model::Calibration;
use proptest::prelude::*;
use proptest::test_runner::TestRng;

use crate::common::{pixels, small_model, small_transformer, vit_model};
use crate::parts::Parts;

/// A network of convolutions, the same in 8 bits, and a transformer.
fn plans() -> [Parts; 3] {
    let compile = |model: image_feature::Model| Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let convolutional = compile(small_model(5));
    let scales = convolutional
        .quantizable()
        .map(|step| (step.name().to_string(), vec![0.05; convolutional.shape(step.input()).channels]));
    let quantized = convolutional.clone().quantize(&Calibration::new(scales.collect()).unwrap()).unwrap();
    [convolutional, quantized, compile(vit_model(&small_transformer()))].map(|plan| Parts::of(&plan))
}

/// A number near another, or one at an end.
fn another(number: usize, random: &mut TestRng) -> usize {
    match random.random_range(0..7) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => 0,
        3 => number.wrapping_mul(2),
        4 => number / 2,
        5 => usize::MAX,
        _ => random.random_range(0..70),
    }
}

fn shorten_or_lengthen<T: Clone + Default>(values: &mut Vec<T>, random: &mut TestRng) {
    let len = values.len();
    let len = match random.random_range(0..6) {
        0 => len + 1,
        1 => len - 1,
        2 => 0,
        3 => 2 * len,
        4 => len / 2,
        _ => random.random_range(0..=len),
    };
    values.resize(len, T::default());
}

fn change_operation(operation: &mut Operation, values: usize, random: &mut TestRng) {
    let value = |random: &mut TestRng| match random.random_range(0..4) {
        0 => None,
        _ => Some(ValueId(random.random_range(0..values + 1))),
    };
    let activation =
        [Activation::None, Activation::Relu, Activation::Relu6, Activation::Gelu][random.random_range(0..4)];
    let choice = random.random_range(0..6);
    match operation {
        Operation::Convolution { side, before, stride, weights, bias, activation: old }
        | Operation::Depthwise { side, before, stride, weights, bias, activation: old } => match choice {
            0 => *side = another(*side, random),
            1 => *stride = another(*stride, random),
            2 => *old = activation,
            3 => shorten_or_lengthen(bias, random),
            4 => *before = another(*before, random),
            _ => shorten_or_lengthen(weights, random),
        },
        Operation::Pointwise { weights, bias, activation: old, gate, residual } => match (choice, weights) {
            (0, _) => *gate = value(random),
            (1, _) => *residual = value(random),
            (2, _) => *old = activation,
            (3, _) => shorten_or_lengthen(bias, random),
            (_, Weights::F32(weights)) => shorten_or_lengthen(weights, random),
            (4, Weights::I8(weights)) => shorten_or_lengthen(&mut weights.values, random),
            (_, Weights::I8(weights)) => match random.random_range(0..2) {
                0 => shorten_or_lengthen(&mut weights.scales, random),
                _ => shorten_or_lengthen(&mut weights.input_scales, random),
            },
        },
        Operation::Patches { side, weights, added } => match choice {
            0 => *side = another(*side, random),
            1 | 2 => shorten_or_lengthen(weights, random),
            _ => shorten_or_lengthen(added, random),
        },
        Operation::Normalize { affine, .. } => match affine {
            Some(Affine { scale, .. }) if choice < 3 => shorten_or_lengthen(scale, random),
            Some(Affine { shift, .. }) => shorten_or_lengthen(shift, random),
            None => *affine = Some(Affine { scale: vec![1.0; choice * 8], shift: vec![1.0; choice * 8] }),
        },
        Operation::Attention { heads } => *heads = another(*heads, random),
        Operation::Gate { reduce, reduce_bias, expand, expand_bias, .. } => match choice {
            0 | 1 => shorten_or_lengthen(reduce, random),
            2 => shorten_or_lengthen(reduce_bias, random),
            3 => shorten_or_lengthen(expand, random),
            _ => shorten_or_lengthen(expand_bias, random),
        },
        Operation::Mean { skip } => *skip = another(*skip, random),
        Operation::Upsample { factor } => *factor = another(*factor, random),
        Operation::Concat { others } => match others.len() {
            0 => others.extend(value(random)),
            _ => drop(others.pop()),
        },
    }
}

/// Changes one thing.
fn change(parts: &mut Parts, random: &mut TestRng) {
    let values = parts.values.len();
    let at = random.random_range(0..parts.steps.len());
    match random.random_range(0..12) {
        0 => parts.steps[at].input = random.random_range(0..values + 1),
        1 => parts.steps[at].output = another(parts.steps[at].output, random),
        2 => {
            parts.steps.remove(at);
        }
        3 => {
            // the later steps are numbered anew and read other values
            parts.steps.remove(at);
            parts.values.remove(at + 1);
            for step in &mut parts.steps[at..] {
                step.output -= 1;
                if step.input > at {
                    step.input -= 1;
                }
            }
        }
        4 => {
            let other = random.random_range(0..parts.steps.len());
            parts.steps.swap(at, other);
        }
        5 => {
            let other = random.random_range(0..parts.steps.len());
            parts.steps[at].operation = parts.steps[other].operation.clone();
        }
        6 | 7 => {
            let value = random.random_range(0..values);
            let mut shape: Shape = parts.values[value].shape();
            match random.random_range(0..3) {
                0 => shape.height = another(shape.height, random),
                1 => shape.width = another(shape.width, random),
                _ => shape.channels = another(shape.channels, random),
            }
            parts.set_shape(value, shape);
        }
        8 => parts.values.push(Value::new("more", Shape { height: 1, width: 1, channels: 1 })),
        _ => change_operation(&mut parts.steps[at].operation, values, random),
    }
}

/// Runs a plan on every instruction set, if there are kernels for it: then the result is true.
fn run(plan: Plan) -> Result<bool, TestCaseError> {
    let len = plan.shape(plan.input()).len();
    // larger images would only take longer
    if len > 100_000 {
        return Ok(false);
    }
    for set in instruction_sets() {
        let options = Options { threads: Some(2), instruction_set: Some(set) };
        match Executor::new(plan.clone(), options) {
            Ok(executor) => {
                let features = executor.run(&pixels(3 * len), 3).unwrap();
                prop_assert_eq!(features.len(), 3 * executor.dimension());
            }
            Err(error) => {
                prop_assert!(error.is_model(), "{error:?}");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[test]
fn a_changed_plan_is_refused_or_stays_in_its_memory() {
    let plans = plans();
    for parts in &plans {
        assert!(run(parts.clone().plan().unwrap()).unwrap());
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let (passed, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let strategy = (0..plans.len(), any::<u64>()).prop_perturb(|(plan, _), mut random| {
        let mut parts = plans[plan].clone();
        change(&mut parts, &mut random);
        parts
    });
    runner
        .run(&strategy, |parts| {
            match parts.plan() {
                Ok(plan) if run(plan.clone())? => passed.set(passed.get() + 1),
                Ok(_) => refused.set(refused.get() + 1),
                Err(error) => {
                    prop_assert!(error.is_model(), "{error:?}");
                    refused.set(refused.get() + 1);
                }
            }
            Ok(())
        })
        .unwrap();
    println!("{} refused, {} run", refused.get(), passed.get());
    // most changes are faults, but some are not
    assert!(refused.get() > 200 && passed.get() > 5, "{} refused, {} run", refused.get(), passed.get());
}
