//! Plans of maps, and the operations that only such plans have: what is wrong with them is named.

use image_feature::engine::cpu::{Executor, Options};
use image_feature::engine::{GateFunction, Operation, Plan, PlanBuilder, Shape, ValueId};

use crate::parts::{convolution, gate, map, pointwise};

/// A plan with a map of 4 x 3 pixels and 20 channels.
fn begun() -> (PlanBuilder, ValueId) {
    let mut plan = Plan::builder("maps", map(8, 6, 3));
    let x = plan.push("convolution", convolution(3, 20, 3, 2), plan.input(), map(4, 3, 20));
    (plan, x)
}

/// The error of a plan that ends with this step.
fn error(operation: Operation, output: Shape) -> String {
    let (mut plan, x) = begun();
    let made = plan.push("last", operation, x, output);
    plan.finish_maps(vec![made]).unwrap_err().to_string()
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let concat = |others: Vec<usize>| Operation::Concat { others: others.into_iter().map(ValueId).collect() };
    let cases = [
        (error(Operation::Upsample { factor: 0 }, map(4, 3, 20)), "the factor is 0; expected at least 1"),
        (error(Operation::Upsample { factor: 2 }, map(8, 5, 20)), "the output's shape is 8x5x20; expected 8x6x20"),
        (error(Operation::Upsample { factor: usize::MAX }, map(8, 6, 20)), "too large for this machine"),
        (error(concat(vec![1]), map(4, 3, 39)), "the output's shape is 4x3x39; expected 4x3x40"),
        (error(concat(vec![2]), map(4, 3, 40)), "it reads value 2, which no earlier step makes"),
        (error(concat(vec![0]), map(4, 3, 23)), "it reads value 0, the input"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error} has no `{expected}`");
    }
    let (mut plan, x) = begun();
    let small = plan.push("small", gate(20, 4), x, map(1, 1, 20));
    plan.push("last", Operation::Concat { others: vec![small] }, x, map(4, 3, 40));
    let error = plan.finish_maps(vec![x]).unwrap_err().to_string();
    assert!(error.contains("the shape of a map to join is 1x1x20; expected 4x3x20"), "{error}");
}

#[test]
fn maps_are_made_by_steps_and_given_once() {
    let error = |maps: &[usize]| {
        let (plan, _) = begun();
        plan.finish_maps(maps.iter().copied().map(ValueId).collect()).unwrap_err().to_string()
    };
    assert!(error(&[]).contains("the plan gives no map; expected at least one"));
    assert!(error(&[0]).contains("the plan gives value 0, which no step makes; expected 1 to 1"));
    assert!(error(&[2]).contains("the plan gives value 2"));
    assert!(error(&[1, 1]).contains("the plan gives value 1 twice"));
    // and a feature has one pixel
    let (plan, _) = begun();
    assert!(plan.finish().unwrap_err().to_string().contains("the feature, is 12; expected 1"));
}

#[test]
fn maps_come_in_the_order_asked_for() {
    let (mut plan, x) = begun();
    let large = plan.push("large", Operation::Upsample { factor: 2 }, x, map(8, 6, 20));
    let narrow = plan.push("narrow", pointwise(20, 2, None, None), large, map(8, 6, 2));
    let image: Vec<f32> = (0..3 * 48).map(|index| index as f32 / 100.0).collect();
    let run = |maps: Vec<ValueId>| {
        let plan = plan.clone().finish_maps(maps).unwrap();
        Executor::new(plan, Options { threads: Some(2), ..Options::default() }).unwrap().run(&image, 1).unwrap()
    };
    let (a, b, both) = (run(vec![x]), run(vec![narrow]), run(vec![narrow, x]));
    assert_eq!((a.len(), b.len()), (4 * 3 * 20, 8 * 6 * 2));
    assert_eq!(both, [b, a].concat());
}

#[test]
fn printed_plans_name_the_operations() {
    let (mut plan, x) = begun();
    let mut gate = gate(20, 4);
    if let Operation::Gate { function, .. } = &mut gate {
        *function = GateFunction::HardSigmoid;
    }
    let large = plan.push("large", Operation::Upsample { factor: 2 }, x, map(8, 6, 20));
    let twice = plan.push("twice", Operation::Concat { others: vec![large] }, large, map(8, 6, 40));
    plan.push("factors", gate, x, map(1, 1, 20));
    let table = plan.finish_maps(vec![twice]).unwrap().to_string();
    for words in ["upsample by 2", "concat of 2", "hsigmoid"] {
        assert!(table.contains(words), "{table}");
    }
}
