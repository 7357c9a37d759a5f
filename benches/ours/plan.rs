//! The plan as a file, so that a peer that cannot read the model file can build the same network.

use std::path::Path;

use image_feature::Model;
use image_feature::engine::{self, Activation, GateFunction, Operation, Plan, ValueId};
use serde_json::{Value, json};

use crate::Result;

/// Writes `plan.json` with the steps, and `weights.bin` with all weights as little-endian f32. A step has its weights as
/// `[offset, length]`, counted in values, in the layout of `Operation`.
pub fn export(model: &str, folder: &Path) -> Result<()> {
    let model = Model::open(model)?;
    let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
    let mut weights = Weights::default();
    let steps: Vec<Value> = plan
        .steps()
        .iter()
        .map(|step| {
            let mut operation = weights.describe(step.operation()).ok_or_else(|| format!("`{step}` has no peer"))?;
            operation["name"] = json!(step.name());
            operation["input"] = json!(step.input().0);
            operation["output"] = json!(step.output().0);
            Ok(operation)
        })
        .collect::<Result<_>>()?;
    let shapes = plan.values().iter().map(|value| value.shape());
    let values: Vec<_> = shapes.map(|shape| json!([shape.height, shape.width, shape.channels])).collect();
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("weights.bin"), weights.bytes)?;
    std::fs::write(folder.join("plan.json"), json!({ "values": values, "steps": steps }).to_string())?;
    Ok(())
}

#[derive(Default)]
struct Weights {
    bytes: Vec<u8>,
}

impl Weights {
    fn put(&mut self, values: &[f32]) -> Value {
        let offset = self.bytes.len() / 4;
        self.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        json!([offset, values.len()])
    }

    /// `None` for operations of vision transformers, which no peer needs.
    fn describe(&mut self, operation: &Operation) -> Option<Value> {
        let index = |value: &Option<ValueId>| value.map(|value| value.0);
        Some(match operation {
            Operation::Convolution { side, stride, weights, bias, activation, .. } => json!({
                "operation": "convolution", "side": side, "stride": stride,
                "weights": self.put(weights), "bias": self.put(bias), "relu": *activation == Activation::Relu,
            }),
            Operation::Depthwise { side, stride, weights, bias, activation, .. } => json!({
                "operation": "depthwise", "side": side, "stride": stride,
                "weights": self.put(weights), "bias": self.put(bias), "relu": *activation == Activation::Relu,
            }),
            Operation::Pointwise { weights, bias, activation, gate, residual } => json!({
                "operation": "pointwise", "gate": index(gate), "residual": index(residual),
                "weights": self.put(floats(weights)), "bias": self.put(bias), "relu": *activation == Activation::Relu,
            }),
            Operation::Gate { function: GateFunction::Sigmoid, reduce, reduce_bias, expand, expand_bias } => json!({
                "operation": "gate", "reduce": self.put(reduce), "reduce_bias": self.put(reduce_bias),
                "expand": self.put(expand), "expand_bias": self.put(expand_bias),
            }),
            Operation::Mean { skip: 0 } => json!({ "operation": "mean" }),
            _ => return None,
        })
    }
}

fn floats(weights: &engine::Weights) -> &[f32] {
    match weights {
        engine::Weights::F32(values) => values,
        engine::Weights::I8(_) => unreachable!("a plan has them only once it is quantized"),
    }
}
