//! Plans of random operations on random values: where there is a kernel for every step, the feature is that of plain
//! loops.
//!
//! Real networks combine operations in few ways. These plans read any earlier value as input, gate or residual. They
//! find maps that lowering joins, overwrites or places together and must not.

use image_feature::engine::cpu::{Executor, Options, instruction_sets};
use image_feature::engine::{Activation, Affine, GateFunction, Operation, Plan, Shape, ValueId, Weights};
use proptest::prelude::*;
use proptest::test_runner::TestRng;

use crate::parts::{convolution, depthwise, gate, map, numbers};
use crate::reference;

/// Draws a plan of at most eight steps and a mean.
pub fn draw(random: &mut TestRng) -> Plan {
    let (height, width, channels) = (random.random_range(1..9), random.random_range(1..9), random.random_range(1..40));
    let tokens = random.random_range(0..3) == 0;
    let input = if tokens { map(2 * height, 2 * width, 3) } else { map(height, width, 3) };
    let mut plan = Plan::builder("drawn", input);
    let first = if tokens {
        let shape = map(1, 1 + height * width, channels);
        let operation = Operation::Patches { side: 2, weights: numbers(channels * 12), added: numbers(shape.len()) };
        plan.push("0", operation, plan.input(), shape)
    } else {
        let (side, stride) = ([1, 3, 5][random.random_range(0..3)], random.random_range(1..3));
        let shape = map(height.div_ceil(stride), width.div_ceil(stride), channels);
        let operation = with_less_before(convolution(3, channels, side, stride), plan.shape(plan.input()), random);
        plan.push("0", operation, plan.input(), shape)
    };
    let mut made = vec![first];
    for index in 1..random.random_range(1..9) {
        // often the last one, as in networks
        let from = if random.random_range(0..3) > 0 { made.len() - 1 } else { random.random_range(0..made.len()) };
        let (operation, shape) = draw_operation(&plan, &made, made[from], random);
        made.push(plan.push(index.to_string(), operation, made[from], shape));
    }
    let last = made[made.len() - 1];
    let shape = plan.shape(last);
    let pooled = map(1, 1, shape.channels);
    let pooled = plan.push("mean", Operation::Mean { skip: random.random_range(0..shape.width) }, last, pooled);
    if random.random_range(0..2) == 0 {
        let operation = product(shape.channels, 7, Activation::None, None, None);
        plan.push("head", operation, pooled, map(1, 1, 7));
    }
    plan.finish().unwrap()
}

/// The plan, now and then with some of its values as maps: then they must be kept, whatever reads them.
fn with_maps(plan: Plan, random: &mut TestRng) -> Plan {
    if random.random_range(0..3) > 0 {
        return plan;
    }
    let maps: Vec<ValueId> =
        (1..plan.values().len()).filter(|_| random.random_range(0..3) == 0).map(ValueId).rev().collect();
    let alone = vec![plan.output()];
    plan.with_maps(if maps.is_empty() { alone } else { maps }).unwrap()
}

/// The convolution, sometimes with fewer zeros before the input than behind it, where that is allowed: the last output pixel
/// may not need more zeros behind than half the kernel.
fn with_less_before(mut operation: Operation, input: Shape, random: &mut TestRng) -> Operation {
    let even = input.height.is_multiple_of(2) && input.width.is_multiple_of(2);
    if let Operation::Convolution { before, stride: 2, activation, .. }
    | Operation::Depthwise { before, stride: 2, activation, .. } = &mut operation
        && even
        && *before > 0
        && random.random_range(0..2) == 0
    {
        *before -= 1;
        *activation = Activation::Relu6;
    }
    operation
}

fn product(
    input: usize,
    output: usize,
    activation: Activation,
    gate: Option<ValueId>,
    residual: Option<ValueId>,
) -> Operation {
    let weights = Weights::F32(numbers(input * output));
    Operation::Pointwise { weights, bias: numbers(output), activation, gate, residual }
}

fn draw_operation(
    plan: &image_feature::engine::PlanBuilder,
    made: &[ValueId],
    from: ValueId,
    random: &mut TestRng,
) -> (Operation, Shape) {
    let shape = plan.shape(from);
    let mut of_shape = |wanted: Shape| -> Option<ValueId> {
        let fitting: Vec<ValueId> = made.iter().copied().filter(|&value| plan.shape(value) == wanted).collect();
        // the latest, or none, or any
        match random.random_range(0..3) {
            0 => None,
            1 => fitting.last().copied(),
            _ => (!fitting.is_empty()).then(|| fitting[random.random_range(0..fitting.len())]),
        }
    };
    let vector = map(1, 1, shape.channels);
    let (added, factors) = (of_shape(shape), of_shape(vector));
    match random.random_range(0..14) {
        12 if shape.pixels() <= 40 => {
            let factor = random.random_range(1..4);
            let larger = Shape { height: factor * shape.height, width: factor * shape.width, ..shape };
            (Operation::Upsample { factor }, larger)
        }
        12 | 13 => {
            let same =
                |value: &ValueId| (plan.shape(*value).height, plan.shape(*value).width) == (shape.height, shape.width);
            let mut others: Vec<ValueId> = made.iter().copied().filter(same).collect();
            others.truncate(random.random_range(0..4));
            let channels = shape.channels + others.iter().map(|&other| plan.shape(other).channels).sum::<usize>();
            (Operation::Concat { others }, Shape { channels, ..shape })
        }
        0..4 => {
            let (side, stride) = ([3, 5][random.random_range(0..2)], random.random_range(1..3));
            let strided = map(shape.height.div_ceil(stride), shape.width.div_ceil(stride), shape.channels);
            (with_less_before(depthwise(shape.channels, side, stride), shape, random), strided)
        }
        4..6 => {
            let activation = [Activation::Relu, Activation::Relu6, Activation::HardSwish][random.random_range(0..3)];
            (product(shape.channels, shape.channels, activation, factors, added), shape)
        }
        6 => {
            let channels = random.random_range(1..40);
            let activation = [Activation::None, Activation::Gelu][random.random_range(0..2)];
            (product(shape.channels, channels, activation, factors, None), Shape { channels, ..shape })
        }
        7 | 8 => {
            let mut gate = gate(shape.channels, random.random_range(1..9));
            if let Operation::Gate { function, .. } = &mut gate
                && random.random_range(0..2) == 0
            {
                *function = GateFunction::HardSigmoid;
            }
            (gate, vector)
        }
        9 if shape.channels.is_multiple_of(3) && shape.height == 1 => {
            let channels = shape.channels / 3;
            let heads = (1..=channels)
                .filter(|heads| channels.is_multiple_of(*heads))
                .nth(random.random_range(0..2))
                .unwrap_or(1);
            (Operation::Attention { heads }, Shape { channels, ..shape })
        }
        9 | 10 => {
            let affine = Affine { scale: numbers(shape.channels), shift: numbers(shape.channels) };
            let affine = (random.random_range(0..2) == 0).then_some(affine);
            (Operation::Normalize { epsilon: 1e-2, affine }, shape)
        }
        _ => (Operation::Mean { skip: random.random_range(0..shape.width) }, vector),
    }
}

#[test]
fn drawn_plans_compute_what_plain_loops_do() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let (ran, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let strategy = any::<u64>().prop_perturb(|_, mut random| with_maps(draw(&mut random), &mut random));
    runner
        .run(&strategy, |plan| {
            let len = plan.shape(plan.input()).len();
            let images = numbers(3 * len);
            let expected: Vec<f64> =
                images.chunks_exact(len).flat_map(|image| reference::run(&plan, image).unwrap()).collect();
            for set in instruction_sets() {
                let options = Options { threads: Some(2), instruction_set: Some(set) };
                let executor = match Executor::new(plan.clone(), options) {
                    Ok(executor) => executor,
                    Err(error) => {
                        prop_assert!(error.is_model() && error.to_string().contains("no CPU kernel"), "{error:?}");
                        refused.set(refused.get() + 1);
                        return Ok(());
                    }
                };
                let features = executor.run(&images, 3).unwrap();
                prop_assert_eq!(features.len(), expected.len());
                let most = expected.iter().fold(1.0f64, |most, value| most.max(value.abs()));
                for (&feature, expected) in features.iter().zip(&expected) {
                    let difference = (f64::from(feature) - expected).abs();
                    prop_assert!(difference < 5e-3 * most, "{set}: {feature} is not {expected}, of\n{plan}");
                }
            }
            ran.set(ran.get() + 1);
            Ok(())
        })
        .unwrap();
    println!("{} ran, {} refused", ran.get(), refused.get());
    assert!(ran.get() > 150 && refused.get() > 20, "{} ran, {} refused", ran.get(), refused.get());
}
