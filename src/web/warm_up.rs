//! What a page does while it waits for a model: everything once, on a small network.
//!
//! Browsers first compile WebAssembly fast and badly, and compile again what is run much; and memory is slow the first time
//! it is touched. Both take as long as reading a model does, and both can be had before there is one.

use wasm_bindgen::prelude::*;

use super::to_js;
use crate::engine::{Plan, cpu};
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::{Calibration, ModelDescription, Network, Parameter, Role};
use crate::tensors::{Tensor, Tensors};
use crate::weights::{Dtype, Model};
use crate::{Preprocess, Result};

/// Large enough that kernels run long, small enough that all of it takes some hundredths of a second.
const NETWORK: LcNetV2Config = LcNetV2Config { scale: 0.5, input: [64, 64], embedding: 64 };

/// Runs of each network: enough for every kernel to be compiled again.
const RUNS: usize = 4;

/// Reads, packs and runs a small network in f32 and in i8, and touches `memory` bytes: what the model on its way will take.
#[wasm_bindgen(js_name = warmUp)]
pub fn warm_up(memory: f64) -> Result<(), JsValue> {
    run_small_networks().map_err(to_js)?;
    let mut touched: Vec<u8> = Vec::new();
    // where there is not so much, the model's own allocation will say so
    if touched.try_reserve_exact(memory as usize).is_ok() {
        touched.resize(memory as usize, 1);
        std::hint::black_box(&mut touched);
    }
    Ok(())
}

fn run_small_networks() -> Result<()> {
    let mut tensors = Tensors::new();
    for Parameter { name, shape, role } in NETWORK.parameters(Form::Deploy, None) {
        let value = if role == Role::NormVariance { 1.0 } else { 0.01 };
        tensors.insert(name, Tensor { values: vec![value; shape.iter().product()], shape });
    }
    let description = ModelDescription {
        name: "warm-up".into(),
        network: Network::LcNetV2(NETWORK),
        preprocess: Preprocess::default(),
    };
    let model = Model::new(description, Form::Deploy, None, &tensors)?;
    // f16, since those are the values that take work to read
    let model = Model::from_safetensors(&model.to_safetensors(Dtype::F16)?)?;
    let plan = Plan::of_model(&model, None)?;
    let quantized = plan.clone().quantize(&unit_calibration(&plan)?)?;
    let [height, width] = NETWORK.input;
    let input = vec![0.5; 3 * height * width];
    for plan in [plan, quantized] {
        let executor = cpu::Executor::new(plan, cpu::Options { threads: Some(1), ..cpu::Options::default() })?;
        for _ in 0..RUNS {
            executor.run(&input, 1)?;
        }
    }
    Ok(())
}

fn unit_calibration(plan: &Plan) -> Result<Calibration> {
    let layers = plan.quantizable();
    Calibration::new(layers.map(|step| (step.name().into(), vec![1.0; plan.shape(step.input()).channels])).collect())
}
