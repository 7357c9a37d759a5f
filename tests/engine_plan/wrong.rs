//! Each operation with one thing wrong, and the error that names it.

use image_feature::engine::cpu::{Calibrator, Executor, Options};
use image_feature::engine::{Activation, Affine, Operation, Plan, Shape, Value, ValueId, Weights};

use crate::parts::{Parts, convolution, convolutional, depthwise, gate, map, numbers, pointwise, transformer};

/// A change to a plan, and words that the error must have.
type Case = (&'static str, fn(&mut Parts), &'static [&'static str]);

fn shorten<T>(values: &mut Vec<T>) {
    values.pop();
}

/// Changes a field of the operation of a step.
macro_rules! change {
    ($step:literal, $pattern:pat => $change:expr) => {
        |parts: &mut Parts| {
            let step = parts.steps.iter_mut().find(|step| step.name == $step).unwrap();
            let $pattern = &mut step.operation else { panic!("{} is another operation", $step) };
            $change
        }
    };
}

/// Changes the parts of a step.
macro_rules! step {
    ($step:literal, |$part:ident| $change:expr) => {
        |parts: &mut Parts| {
            let $part = parts.steps.iter_mut().find(|step| step.name == $step).unwrap();
            $change
        }
    };
}

/// Changes a size of the value that a step makes.
macro_rules! shape {
    ($step:literal, |$shape:ident| $change:expr) => {
        |parts: &mut Parts| {
            let output = parts.steps.iter().find(|step| step.name == $step).unwrap().output;
            let mut $shape = parts.values[output].shape();
            $change;
            parts.set_shape(output, $shape);
        }
    };
}

#[rustfmt::skip] // one case, one line
const CONVOLUTIONAL: &[Case] = &[
    ("no steps", |parts| { parts.steps.clear(); parts.values.truncate(1) }, &["no step", "at least one"]),
    ("nothing at all", |parts| { parts.steps.clear(); parts.values.clear() }, &["no step"]),
    ("a value is missing", |parts| shorten(&mut parts.values), &["number of values", "is 9; expected 10"]),
    ("a value too many", |parts| parts.values.push(Value::new("more", map(1, 1, 6))), &["number of values", "is 11; expected 10"]),
    ("a step is missing", |parts| drop(parts.steps.remove(4)), &["number of values"]),
    ("two of the same name", step!("joined", |part| part.name = "gated".into()), &["step 4 `gated`", "same name"]),
    ("makes another's value", step!("joined", |part| part.output = 4), &["step 4 `joined`", "makes is 4; expected 5"]),
    ("makes the input", step!("convolution", |part| part.output = 0), &["step 0", "makes is 0; expected 1"]),
    ("makes a value beyond all", step!("head", |part| part.output = 99), &["`head`", "makes is 99; expected 9"]),
    ("reads its own output", step!("joined", |part| part.input = 5), &["step 4 `joined`", "reads value 5", "at most 4"]),
    ("reads a later value", step!("gated", |part| part.input = 8), &["`gated`", "reads value 8", "at most 3"]),
    ("reads a value beyond all", step!("gated", |part| part.input = usize::MAX), &["`gated`", "at most 3"]),
    ("a gate beyond all", change!("gated", Operation::Pointwise { gate, .. } => *gate = Some(ValueId(10))), &["`gated`", "reads value 10"]),
    ("a residual beyond all", change!("residual", Operation::Pointwise { residual, .. } => *residual = Some(ValueId(7))), &["`residual`", "reads value 7"]),
    ("a later step reads the image", step!("mean", |part| part.input = 0), &["`mean`", "only the first step"]),
    ("the image as a residual", change!("residual", Operation::Pointwise { residual, .. } => *residual = Some(ValueId(0))), &["`residual`", "only the first step"]),
    ("the first step is no convolution", step!("convolution", |part| part.operation = depthwise(3, 3, 2)), &["step 0", "expected a convolution"]),
    ("no rows", |parts| parts.set_shape(0, map(0, 7, 3)), &["value `input`", "0x7x3", "no size of 0"]),
    ("no channels", shape!("gated", |shape| shape.channels = 0), &["value `gated`", "no size of 0"]),
    ("more numbers than can be counted", |parts| parts.set_shape(0, map(usize::MAX / 2, 7, 3)), &["value `input`", "too large"]),
    ("more numbers than memory", |parts| parts.set_shape(0, map(isize::MAX as usize / 80, 7, 3)), &["value `input`", "fits into memory"]),
    ("the feature has pixels", |parts| { parts.steps.truncate(7); parts.values.truncate(8) }, &["feature", "is 20; expected 1"]),

    ("convolution: weights shorter", change!("convolution", Operation::Convolution { weights, .. } => shorten(weights)), &["step 0 `convolution`", "weights is 539; expected 540"]),
    ("convolution: weights longer", change!("convolution", Operation::Convolution { weights, .. } => weights.push(0.0)), &["weights is 541; expected 540"]),
    ("convolution: no weights", change!("convolution", Operation::Convolution { weights, .. } => weights.clear()), &["weights is 0; expected 540"]),
    ("convolution: bias shorter", change!("convolution", Operation::Convolution { bias, .. } => shorten(bias)), &["bias is 19; expected 20"]),
    ("convolution: bias longer", change!("convolution", Operation::Convolution { bias, .. } => bias.push(0.0)), &["bias is 21; expected 20"]),
    ("convolution: even side", change!("convolution", Operation::Convolution { side, .. } => *side = 2), &["side is 2", "odd"]),
    ("convolution: no side", change!("convolution", Operation::Convolution { side, .. } => *side = 0), &["side is 0", "odd"]),
    ("convolution: larger side", change!("convolution", Operation::Convolution { side, .. } => *side = 5), &["weights is 540; expected 1500"]),
    ("convolution: a side beyond all", change!("convolution", Operation::Convolution { side, .. } => *side = usize::MAX), &["product", "too large"]),
    ("convolution: more than half of it above", change!("convolution", Operation::Convolution { before, .. } => *before = 2), &["2 rows of the kernel", "at most 1"]),
    ("convolution: too far behind", change!("convolution", Operation::Convolution { before, .. } => *before = 0), &["2 pixels behind the input of 9", "at most 1"]),
    ("convolution: no stride", change!("convolution", Operation::Convolution { stride, .. } => *stride = 0), &["stride is 0"]),
    ("convolution: another stride", change!("convolution", Operation::Convolution { stride, .. } => *stride = 1), &["shape is 5x4x20; expected 9x7x20"]),
    ("convolution: higher output", shape!("convolution", |shape| shape.height += 1), &["shape is 6x4x20; expected 5x4x20"]),
    ("convolution: wider output", shape!("convolution", |shape| shape.width += 1), &["shape is 5x5x20; expected 5x4x20"]),
    ("convolution: more channels", shape!("convolution", |shape| shape.channels += 1), &["weights is 540; expected 567"]),
    ("convolution: more input channels", |parts| parts.set_shape(0, map(9, 7, 4)), &["weights is 540; expected 720"]),

    ("depthwise: weights shorter", change!("depthwise", Operation::Depthwise { weights, .. } => shorten(weights)), &["step 1 `depthwise`", "weights is 499; expected 500"]),
    ("depthwise: weights longer", change!("depthwise", Operation::Depthwise { weights, .. } => weights.push(0.0)), &["weights is 501; expected 500"]),
    ("depthwise: bias shorter", change!("depthwise", Operation::Depthwise { bias, .. } => shorten(bias)), &["bias is 19; expected 20"]),
    ("depthwise: bias longer", change!("depthwise", Operation::Depthwise { bias, .. } => bias.push(0.0)), &["bias is 21; expected 20"]),
    ("depthwise: smaller side", change!("depthwise", Operation::Depthwise { side, before, .. } => { *side = 3; *before = 1 }), &["weights is 500; expected 180"]),
    ("depthwise: even side", change!("depthwise", Operation::Depthwise { side, .. } => *side = 4), &["side is 4", "odd"]),
    ("depthwise: more than half of it above", change!("depthwise", Operation::Depthwise { before, .. } => *before = 3), &["3 rows of the kernel", "at most 2"]),
    ("depthwise: too far behind", change!("depthwise", Operation::Depthwise { before, .. } => *before = 1), &["3 pixels behind the input of 5", "at most 2"]),
    ("depthwise: no stride", change!("depthwise", Operation::Depthwise { stride, .. } => *stride = 0), &["stride is 0"]),
    ("depthwise: another stride", change!("depthwise", Operation::Depthwise { stride, .. } => *stride = 2), &["shape is 5x4x20; expected 3x2x20"]),
    ("depthwise: more channels", shape!("depthwise", |shape| shape.channels += 1), &["shape is 5x4x21; expected 5x4x20"]),
    ("depthwise: higher output", shape!("joined", |shape| shape.height += 1), &["`joined`", "shape is 6x4x18; expected 5x4x18"]),

    ("gate: first weights shorter", change!("gate", Operation::Gate { reduce, .. } => shorten(reduce)), &["step 2 `gate`", "first layer is 99; expected 100"]),
    ("gate: first weights longer", change!("gate", Operation::Gate { reduce, .. } => reduce.push(0.0)), &["first layer is 101; expected 100"]),
    ("gate: first bias shorter", change!("gate", Operation::Gate { reduce_bias, .. } => shorten(reduce_bias)), &["first layer is 100; expected 80"]),
    ("gate: first bias longer", change!("gate", Operation::Gate { reduce_bias, .. } => reduce_bias.push(0.0)), &["first layer is 100; expected 120"]),
    ("gate: nothing hidden", change!("gate", Operation::Gate { reduce_bias, .. } => reduce_bias.clear()), &["first bias is 0"]),
    ("gate: second weights shorter", change!("gate", Operation::Gate { expand, .. } => shorten(expand)), &["second layer is 99; expected 100"]),
    ("gate: second weights longer", change!("gate", Operation::Gate { expand, .. } => expand.push(0.0)), &["second layer is 101; expected 100"]),
    ("gate: second bias shorter", change!("gate", Operation::Gate { expand_bias, .. } => shorten(expand_bias)), &["second bias is 19; expected 20"]),
    ("gate: second bias longer", change!("gate", Operation::Gate { expand_bias, .. } => expand_bias.push(0.0)), &["second bias is 21; expected 20"]),
    ("gate: more than one pixel", shape!("gate", |shape| shape.width = 2), &["shape is 1x2x20; expected 1x1x20"]),
    ("gate: fewer channels", shape!("gate", |shape| shape.channels -= 1), &["shape is 1x1x19; expected 1x1x20"]),

    ("pointwise: weights shorter", change!("gated", Operation::Pointwise { weights: Weights::F32(weights), .. } => shorten(weights)), &["step 3 `gated`", "weights is 359; expected 360"]),
    ("pointwise: weights longer", change!("gated", Operation::Pointwise { weights: Weights::F32(weights), .. } => weights.push(0.0)), &["weights is 361; expected 360"]),
    ("pointwise: no weights", change!("gated", Operation::Pointwise { weights: Weights::F32(weights), .. } => weights.clear()), &["weights is 0; expected 360"]),
    ("pointwise: bias shorter", change!("gated", Operation::Pointwise { bias, .. } => shorten(bias)), &["bias is 17; expected 18"]),
    ("pointwise: bias longer", change!("gated", Operation::Pointwise { bias, .. } => bias.push(0.0)), &["bias is 19; expected 18"]),
    ("pointwise: no bias", change!("gated", Operation::Pointwise { bias, .. } => bias.clear()), &["bias is 0; expected 18"]),
    ("pointwise: the gate is a map", change!("gated", Operation::Pointwise { gate, .. } => *gate = Some(ValueId(2))), &["gate's shape is 5x4x20; expected 1x1x20"]),
    ("pointwise: the residual is narrower", change!("residual", Operation::Pointwise { residual, .. } => *residual = Some(ValueId(3))), &["residual's shape is 1x1x20; expected 5x4x18"]),
    ("pointwise: the residual has more channels", change!("residual", Operation::Pointwise { residual, .. } => *residual = Some(ValueId(2))), &["residual's shape is 5x4x20; expected 5x4x18"]),
    ("pointwise: higher output", shape!("residual", |shape| shape.height += 1), &["shape is 6x4x18; expected 5x4x18"]),
    ("pointwise: more channels", shape!("gated", |shape| shape.channels += 1), &["weights is 360; expected 380"]),
    ("pointwise: another input", step!("gated", |part| part.input = 3), &["shape is 5x4x18; expected 1x1x18"]),

    ("bytes: weights shorter", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => shorten(&mut weights.values)), &["step 6 `bytes`", "weights is 305; expected 306"]),
    ("bytes: weights longer", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => weights.values.push(0)), &["weights is 307; expected 306"]),
    ("bytes: scales shorter", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => shorten(&mut weights.scales)), &["scales is 16; expected 17"]),
    ("bytes: scales longer", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => weights.scales.push(1.0)), &["scales is 18; expected 17"]),
    ("bytes: input scales shorter", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => shorten(&mut weights.input_scales)), &["input scales is 17; expected 18"]),
    ("bytes: input scales longer", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => weights.input_scales.push(1.0)), &["input scales is 19; expected 18"]),
    ("bytes: a scale of 0", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => weights.scales[3] = 0.0), &["scale is 0; expected a finite number above 0"]),
    ("bytes: an input scale of NaN", change!("bytes", Operation::Pointwise { weights: Weights::I8(weights), .. } => weights.input_scales[3] = f32::NAN), &["scale is NaN"]),

    ("mean: a whole row is left out", change!("mean", Operation::Mean { skip } => *skip = 4), &["step 7 `mean`", "leaves 4 pixels out", "row of 4"]),
    ("mean: more than one pixel", shape!("mean", |shape| shape.height = 2), &["shape is 2x1x17; expected 1x1x17"]),
    ("mean: fewer channels", shape!("mean", |shape| shape.channels -= 1), &["shape is 1x1x16; expected 1x1x17"]),
];

#[rustfmt::skip] // one case, one line
const TRANSFORMER: &[Case] = &[
    ("patches: weights shorter", change!("patches", Operation::Patches { weights, .. } => shorten(weights)), &["step 0 `patches`", "weights is 863; expected 864"]),
    ("patches: weights longer", change!("patches", Operation::Patches { weights, .. } => weights.push(0.0)), &["weights is 865; expected 864"]),
    ("patches: positions shorter", change!("patches", Operation::Patches { added, .. } => shorten(added)), &["added is 125; expected 126"]),
    ("patches: positions longer", change!("patches", Operation::Patches { added, .. } => added.push(0.0)), &["added is 127; expected 126"]),
    ("patches: no side", change!("patches", Operation::Patches { side, .. } => *side = 0), &["side of 0"]),
    ("patches: a side that does not divide", change!("patches", Operation::Patches { side, .. } => *side = 3), &["side of 3", "divisor of 8 and of 12"]),
    ("patches: another side", change!("patches", Operation::Patches { side, .. } => *side = 2), &["shape is 1x7x18; expected 1x25x18"]),
    ("patches: a token too many", shape!("patches", |shape| shape.width += 1), &["shape is 1x8x18; expected 1x7x18"]),
    ("patches: more channels", shape!("patches", |shape| shape.channels += 1), &["weights is 864; expected 912"]),
    ("patches: two rows", shape!("patches", |shape| shape.height = 2), &["shape is 2x7x18; expected 1x7x18"]),

    ("normalize: scale shorter", change!("normalize", Operation::Normalize { affine: Some(Affine { scale, .. }), .. } => shorten(scale)), &["step 1 `normalize`", "scale is 17; expected 18"]),
    ("normalize: scale longer", change!("normalize", Operation::Normalize { affine: Some(Affine { scale, .. }), .. } => scale.push(1.0)), &["scale is 19; expected 18"]),
    ("normalize: shift shorter", change!("normalize", Operation::Normalize { affine: Some(Affine { shift, .. }), .. } => shorten(shift)), &["shift is 17; expected 18"]),
    ("normalize: shift longer", change!("normalize", Operation::Normalize { affine: Some(Affine { shift, .. }), .. } => shift.push(1.0)), &["shift is 19; expected 18"]),
    ("normalize: epsilon below 0", change!("normalize", Operation::Normalize { epsilon, .. } => *epsilon = -1.0), &["epsilon is -1"]),
    ("normalize: epsilon of NaN", change!("normalize", Operation::Normalize { epsilon, .. } => *epsilon = f32::NAN), &["epsilon is NaN"]),
    ("normalize: another shape", shape!("normalize", |shape| shape.channels = 20), &["shape is 1x7x20; expected 1x7x18"]),

    ("attention: no heads", change!("attention", Operation::Attention { heads } => *heads = 0), &["step 3 `attention`", "0 heads"]),
    ("attention: heads that do not divide", change!("attention", Operation::Attention { heads } => *heads = 4), &["4 heads", "divisor of 18"]),
    ("attention: fewer channels", shape!("attention", |shape| shape.channels = 9), &["input's shape is 1x7x54; expected 1x7x27"]),
    ("attention: fewer tokens", shape!("attention", |shape| shape.width = 6), &["input's shape is 1x7x54; expected 1x6x54"]),
    ("attention: no queries, keys and values", step!("attention", |part| part.input = 2), &["input's shape is 1x7x18; expected 1x7x54"]),
];

#[test]
fn one_thing_wrong_is_found_and_named() {
    let mut failures = Vec::new();
    for (plan, cases) in [(convolutional(), CONVOLUTIONAL), (transformer(), TRANSFORMER)] {
        for (name, change, words) in cases {
            let mut changed = plan.clone();
            change(&mut changed);
            match changed.plan() {
                Ok(_) => failures.push(format!("{name}: passes")),
                Err(error) => {
                    let message = error.to_string();
                    let all = words.iter().chain(&["plan `changed`", "expected"]);
                    let mut missing = all.filter(|word| !message.contains(**word) && !message.contains("too large"));
                    if !error.is_model() || missing.next().is_some() {
                        failures.push(format!("{name}: {error:?}"));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn executor(plan: Plan) -> image_feature::Result<Executor> {
    Executor::new(plan, Options { threads: Some(1), ..Options::default() })
}

/// Plans that are right and yet have no kernel on the CPU.
#[test]
fn what_the_cpu_cannot_do_is_refused() {
    type Build = fn(&mut image_feature::engine::PlanBuilder, ValueId) -> ValueId;
    let map = |channels| map(6, 6, channels);
    // each gets a map of 6x6 pixels with 8 channels, and gives one of 8 channels
    let cases: &[(&str, Build, &str)] = &[
        ("large kernel", |plan, x| plan.push("step", depthwise(8, 7, 1), x, plan.shape(x)), "7x7"),
        (
            "large stride",
            |plan, x| plan.push("step", depthwise(8, 3, 3), x, Shape { height: 2, width: 2, channels: 8 }),
            "stride 3",
        ),
        (
            "a convolution that is not the first",
            |plan, x| plan.push("step", convolution(8, 8, 3, 1), x, plan.shape(x)),
            "not the first layer",
        ),
        (
            "a gate without sums",
            |plan, x| {
                let y = plan.push("product", pointwise(8, 8, None, None), x, plan.shape(x));
                let factors = plan.push("step", gate(8, 2), y, Shape { height: 1, width: 1, channels: 8 });
                plan.push("gated", pointwise(8, 8, Some(factors), None), y, plan.shape(x))
            },
            "another layer than a depthwise convolution",
        ),
        (
            "a gated map that another reads",
            |plan, x| {
                let y = plan.push("depthwise", depthwise(8, 3, 1), x, plan.shape(x));
                let factors = plan.push("gate", gate(8, 2), y, Shape { height: 1, width: 1, channels: 8 });
                let z = plan.push("step", pointwise(8, 8, Some(factors), None), y, plan.shape(x));
                plan.push("other", pointwise(8, 8, None, Some(y)), z, plan.shape(x))
            },
            "that other layers read",
        ),
        (
            "a gated map that is also added",
            |plan, x| {
                let y = plan.push("depthwise", depthwise(8, 3, 1), x, plan.shape(x));
                let factors = plan.push("gate", gate(8, 2), y, Shape { height: 1, width: 1, channels: 8 });
                plan.push("step", pointwise(8, 8, Some(factors), Some(y)), y, plan.shape(x))
            },
            "that other layers read",
        ),
        (
            "attention among rows",
            |plan, x| {
                let qkv = plan.push("qkv", pointwise(8, 24, None, None), x, Shape { channels: 24, ..plan.shape(x) });
                plan.push("step", Operation::Attention { heads: 2 }, qkv, plan.shape(x))
            },
            "more than one row",
        ),
        (
            "a mean that a convolution reads",
            |plan, x| {
                let shape = Shape { height: 1, width: 1, channels: 8 };
                let mean = plan.push("step", Operation::Mean { skip: 0 }, x, shape);
                plan.push("depthwise", depthwise(8, 3, 1), mean, shape)
            },
            "whose output a convolution reads",
        ),
        (
            "a GELU that is added to",
            |plan, x| {
                let operation = Operation::Pointwise {
                    weights: Weights::F32(numbers(64)),
                    bias: numbers(8),
                    activation: Activation::Gelu,
                    gate: None,
                    residual: Some(x),
                };
                plan.push("step", operation, x, plan.shape(x))
            },
            "GELU",
        ),
    ];
    for (name, build, word) in cases {
        let mut plan = Plan::builder("refused", map(3));
        let x = plan.push("first", convolution(3, 8, 3, 1), plan.input(), map(8));
        let x = build(&mut plan, x);
        plan.push("mean", Operation::Mean { skip: 0 }, x, Shape { height: 1, width: 1, channels: 8 });
        let error = executor(plan.finish().unwrap()).err().unwrap_or_else(|| panic!("{name}: has a kernel"));
        let message = error.to_string();
        assert!(error.is_model() && message.contains(word) && message.contains("`step`"), "{name}: {error:?}");
    }
}

/// A layer that multiplies a map and adds the same map may not be joined with the layer that makes it.
#[test]
fn a_map_that_is_multiplied_and_added_is_whole() {
    let feature = |residual| {
        let shape = map(5, 5, 4);
        let mut plan = Plan::builder("both", map(5, 5, 3));
        let x = plan.push("first", convolution(3, 4, 3, 1), plan.input(), shape);
        let blur = Operation::Depthwise {
            side: 3,
            before: 1,
            stride: 1,
            weights: vec![0.1; 36],
            bias: vec![0.2; 4],
            activation: Activation::None,
        };
        let x = plan.push("blur", blur, x, shape);
        let identity = (0..16).map(|index| if index % 5 == 0 { 1.0 } else { 0.0 }).collect();
        let operation = Operation::Pointwise {
            weights: Weights::F32(identity),
            bias: vec![0.0; 4],
            activation: Activation::None,
            gate: None,
            residual: if residual { Some(x) } else { None },
        };
        let x = plan.push("product", operation, x, shape);
        plan.push("mean", Operation::Mean { skip: 0 }, x, map(1, 1, 4));
        executor(plan.finish().unwrap()).unwrap().run(&[1.0; 75], 1).unwrap()
    };
    let once = feature(false);
    assert!(once.iter().any(|value| *value > 0.01), "{once:?}");
    for (twice, once) in feature(true).iter().zip(&once) {
        assert!((twice - 2.0 * once).abs() < 1e-6, "{twice} is not twice {once}");
    }
}

#[test]
fn memory_that_cannot_be_addressed_is_refused() {
    // a row of this many pixels can be counted; with its channels padded to whole lanes it cannot
    let width = isize::MAX as usize / 16;
    let mut plan = Plan::builder("wide", map(1, width, 1));
    let x = plan.push("first", convolution(1, 1, 1, 1), plan.input(), map(1, width, 1));
    plan.push("mean", Operation::Mean { skip: 0 }, x, map(1, 1, 1));
    let plan = plan.finish().unwrap();
    for error in [executor(plan.clone()).err().unwrap(), Calibrator::new(&plan).err().unwrap()] {
        assert!(error.is_model() && error.to_string().contains("larger than memory"), "{error}");
    }
    assert!(plan.macs() > 0 && plan.to_string().contains("wide"));
}

#[test]
fn plans_are_taken_apart_and_put_together() {
    for parts in [convolutional(), transformer()] {
        let plan = parts.plan().unwrap();
        let again = Plan::new(plan.name(), plan.values().to_vec(), plan.steps().to_vec()).unwrap();
        assert!(plan == again);
        let len = plan.shape(plan.input()).len();
        let features = executor(plan).unwrap().run(&numbers(3 * len), 3).unwrap();
        assert_eq!(features.len(), 18);
    }
}
