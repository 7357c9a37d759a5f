//! Small plans with every operation, and plans taken apart to be changed.

use image_feature::Result;
use image_feature::engine::{
    Activation, Affine, GateFunction, Operation, Plan, QuantizedWeights, Shape, Step, Value, ValueId, Weights,
};

/// A plan whose parts can be changed in any way.
#[derive(Clone, Debug)]
pub struct Parts {
    pub values: Vec<Value>,
    pub steps: Vec<Part>,
}

/// The parts of a step.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    pub operation: Operation,
    pub input: usize,
    pub output: usize,
}

impl Parts {
    pub fn of(plan: &Plan) -> Self {
        let part = |step: &Step| Part {
            name: step.name().into(),
            operation: step.operation().clone(),
            input: step.input().0,
            output: step.output().0,
        };
        Parts { values: plan.values().to_vec(), steps: plan.steps().iter().map(part).collect() }
    }

    pub fn plan(self) -> Result<Plan> {
        let step = |part: Part| Step::new(part.name, part.operation, ValueId(part.input), ValueId(part.output));
        Plan::new("changed", self.values, self.steps.into_iter().map(step).collect())
    }

    pub fn set_shape(&mut self, value: usize, shape: Shape) {
        self.values[value] = Value::new(self.values[value].name(), shape);
    }
}

pub fn map(height: usize, width: usize, channels: usize) -> Shape {
    Shape { height, width, channels }
}

/// Numbers that differ from place to place, about as large as weights are.
pub fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919 + len) % 251) as f32 / 500.0 - 0.25).collect()
}

pub fn pointwise(input: usize, output: usize, gate: Option<ValueId>, residual: Option<ValueId>) -> Operation {
    Operation::Pointwise {
        weights: Weights::F32(numbers(input * output)),
        bias: numbers(output),
        activation: Activation::None,
        gate,
        residual,
    }
}

pub fn depthwise(channels: usize, side: usize, stride: usize) -> Operation {
    let (weights, bias) = (numbers(channels * side * side), numbers(channels));
    Operation::Depthwise { side, before: side / 2, stride, weights, bias, activation: Activation::Relu }
}

pub fn convolution(input: usize, output: usize, side: usize, stride: usize) -> Operation {
    let (weights, bias) = (numbers(input * output * side * side), numbers(output));
    Operation::Convolution { side, before: side / 2, stride, weights, bias, activation: Activation::Relu }
}

pub fn gate(channels: usize, hidden: usize) -> Operation {
    Operation::Gate {
        function: GateFunction::Sigmoid,
        reduce: numbers(hidden * channels),
        reduce_bias: numbers(hidden),
        expand: numbers(channels * hidden),
        expand_bias: numbers(channels),
    }
}

/// Every operation of LCNetV2, with weights of 8 bits in the layer `bytes`.
pub fn convolutional() -> Parts {
    let mut plan = Plan::builder("convolutional", map(9, 7, 3));
    let x = plan.push("convolution", convolution(3, 20, 3, 2), plan.input(), map(5, 4, 20));
    let x = plan.push("depthwise", depthwise(20, 5, 1), x, map(5, 4, 20));
    let factors = plan.push("gate", gate(20, 5), x, map(1, 1, 20));
    let x = plan.push("gated", pointwise(20, 18, Some(factors), None), x, map(5, 4, 18));
    let y = plan.push("joined", depthwise(18, 3, 1), x, map(5, 4, 18));
    let x = plan.push("residual", pointwise(18, 18, None, Some(x)), y, map(5, 4, 18));
    let weights = QuantizedWeights {
        values: (0..18 * 17).map(|index| (index % 255) as i8).collect(),
        scales: vec![0.01; 17],
        input_scales: vec![0.02; 18],
        input_zero: 0,
    };
    let bytes = Operation::Pointwise {
        weights: Weights::I8(weights),
        bias: numbers(17),
        activation: Activation::Relu,
        gate: None,
        residual: None,
    };
    let x = plan.push("bytes", bytes, x, map(5, 4, 17));
    let x = plan.push("mean", Operation::Mean { skip: 3 }, x, map(1, 1, 17));
    plan.push("head", pointwise(17, 6, None, None), x, map(1, 1, 6));
    Parts::of(&plan.finish().unwrap())
}

/// Every operation of a vision transformer.
pub fn transformer() -> Parts {
    let mut plan = Plan::builder("transformer", map(8, 12, 3));
    let patches = Operation::Patches { side: 4, weights: numbers(18 * 3 * 16), added: numbers(7 * 18) };
    let x = plan.push("patches", patches, plan.input(), map(1, 7, 18));
    let affine = Some(Affine { scale: numbers(18), shift: numbers(18) });
    let y = plan.push("normalize", Operation::Normalize { epsilon: 1e-5, affine }, x, map(1, 7, 18));
    let y = plan.push("qkv", pointwise(18, 54, None, None), y, map(1, 7, 54));
    let y = plan.push("attention", Operation::Attention { heads: 3 }, y, map(1, 7, 18));
    let x = plan.push("projection", pointwise(18, 18, None, Some(x)), y, map(1, 7, 18));
    let x = plan.push("mean", Operation::Mean { skip: 1 }, x, map(1, 1, 18));
    plan.push("head", pointwise(18, 6, None, None), x, map(1, 1, 6));
    Parts::of(&plan.finish().unwrap())
}
