//! Programs of the known networks, without a driver.

use super::memory::{Life, assign};
use super::{Adapter, Program, Source, pack};
use crate::engine::{Activation, Operation, Plan, PlanBuilder, QuantizedWeights, Shape, ValueId, Weights};
use proptest::prelude::*;

fn map(height: usize, width: usize, channels: usize) -> Shape {
    Shape { height, width, channels }
}

fn begun() -> (PlanBuilder, ValueId) {
    let mut plan = Plan::builder("small", map(9, 8, 3));
    let operation = Operation::Convolution {
        side: 3,
        before: 1,
        stride: 1,
        weights: vec![0.0; 6 * 27],
        bias: vec![0.0; 6],
        activation: Activation::Relu,
    };
    let x = plan.push("convolution", operation, plan.input(), map(9, 8, 6));
    (plan, x)
}

fn product(input: usize, output: usize, residual: Option<ValueId>) -> Operation {
    Operation::Pointwise {
        weights: Weights::F32(vec![0.0; input * output]),
        bias: vec![0.0; output],
        activation: Activation::None,
        gate: None,
        residual,
    }
}

fn ended(mut plan: PlanBuilder, x: ValueId) -> Plan {
    let channels = plan.shape(x).channels;
    let pooled = plan.push("mean", Operation::Mean { skip: 0 }, x, map(1, 1, channels));
    plan.push("head", product(channels, 5, None), pooled, map(1, 1, 5));
    plan.finish().unwrap()
}

#[test]
fn no_dispatch_writes_into_what_it_reads() {
    let (mut plan, mut x) = begun();
    for index in 0..6 {
        let y = plan.push(format!("a{index}"), product(6, 30, None), x, map(9, 8, 30));
        x = plan.push(format!("b{index}"), product(30, 6, Some(x)), y, map(9, 8, 6));
    }
    let program = Program::new(ended(plan, x), 4, Adapter::Hardware).unwrap();
    for dispatch in program.dispatches() {
        let residual = match dispatch.residual() {
            Some(Source::Buffer(buffer)) => Some(buffer),
            _ => None,
        };
        let reads = [Some(dispatch.input()), dispatch.gate(), residual];
        assert!(!reads.contains(&Some(dispatch.output())), "{program}");
        assert_ne!(dispatch.output(), 0, "the images stay: {program}");
    }
    assert!(program.buffers().len() <= 6, "{program}");
    assert_eq!((program.feature().len, program.feature().stride), (5, 8));
    assert_eq!(program.pooled().len, 6);
    assert_ne!(program.feature().buffer, program.pooled().buffer);
    assert_eq!(program.to_string().lines().count(), 3 + program.dispatches().len() + 1);
}

#[test]
fn a_batch_is_cut_to_what_a_shader_sees() {
    let (mut plan, x) = begun();
    // 9 x 8 pixels of 9320 channels: 2.6 MiB for an image
    let wide = plan.push("wide", product(6, 9320, None), x, map(9, 8, 9320));
    let x = plan.push("narrow", product(9320, 6, None), wide, map(9, 8, 6));
    let plan = ended(plan, x);
    assert_eq!(Program::new(plan.clone(), 8, Adapter::Hardware).unwrap().batch(), 8);
    assert_eq!(Program::new(plan.clone(), 1000, Adapter::Hardware).unwrap().batch(), 50);
    assert_eq!(Program::new(plan, 0, Adapter::Hardware).unwrap_err().to_string(), "a batch has at least one image");
}

#[test]
fn what_has_no_shader_is_refused_with_the_name_of_the_step() {
    let (mut plan, x) = begun();
    let bytes =
        QuantizedWeights { values: vec![1; 36], scales: vec![0.1; 6], input_scales: vec![0.1; 6], input_zero: 0 };
    let operation = Operation::Pointwise {
        weights: Weights::I8(bytes),
        bias: vec![0.0; 6],
        activation: Activation::Relu,
        gate: None,
        residual: None,
    };
    let x = plan.push("bytes", operation, x, map(9, 8, 6));
    let error = Program::new(ended(plan, x), 1, Adapter::Hardware).unwrap_err();
    assert!(error.is_model() && error.to_string().contains("step 1 `bytes`: no GPU shader for 8-bit"), "{error}");

    let (mut plan, x) = begun();
    let operation = Operation::Depthwise {
        side: 11,
        before: 5,
        stride: 1,
        weights: vec![0.0; 6 * 121],
        bias: vec![0.0; 6],
        activation: Activation::Relu,
    };
    let x = plan.push("large", operation, x, map(9, 8, 6));
    let error = Program::new(ended(plan, x), 1, Adapter::Hardware).unwrap_err();
    assert!(error.is_model() && error.to_string().contains("`large`: no GPU shader for a kernel of 11x11"), "{error}");

    let (mut plan, x) = begun();
    let x = plan.push("huge", product(6, 500_000, None), x, map(9, 8, 500_000));
    let error = Program::new(ended(plan, x), 1, Adapter::Hardware).unwrap_err();
    assert!(error.is_limit() && error.to_string().contains("`huge`: a map takes 137 MiB"), "{error}");
}

#[test]
fn packed_weights_keep_their_places() {
    let weights: Vec<f32> = (0..3 * 2).map(|index| index as f32).collect();
    let (packed, bias) = pack::product(&weights, &[7.0, 8.0, 9.0], 4);
    assert_eq!((packed.len(), bias), (4 * 16 + 16, 64));
    // row k = 1, then row k = 0 of the three outputs, then the bias
    assert_eq!(packed[16..19], [1.0, 3.0, 5.0]);
    assert_eq!(packed[..3], [0.0, 2.0, 4.0]);
    assert_eq!(packed[64..68], [7.0, 8.0, 9.0, 0.0]);
    let weights: Vec<f32> = (0..2 * 2 * 4).map(|index| index as f32).collect();
    let (packed, bias) = pack::convolution(&weights, &[7.0, 8.0], 4, 4);
    assert_eq!(bias, 4 * 2 * 4);
    // tap 1 of input channel 0, for both outputs
    assert_eq!(packed[8..12], [1.0, 9.0, 0.0, 0.0]);
}

proptest! {
    #[test]
    fn values_that_live_together_have_buffers_of_their_own(drawn in prop::collection::vec((1usize..100, 0usize..6), 1..20)) {
        let lives: Vec<Life> =
            drawn.iter().enumerate().map(|(from, &(len, more))| Life { len, from, to: from + more }).collect();
        let (buffers, sizes) = assign(&lives);
        for (a, life) in lives.iter().enumerate() {
            prop_assert!(sizes[buffers[a]] >= life.len);
            for (b, other) in lives.iter().enumerate().take(a) {
                prop_assert!(buffers[a] != buffers[b] || other.to < life.from, "{a} and {b}");
            }
        }
    }
}
