//! Warming up while a model is downloaded: a small network is read, packed and run.
//!
//! A browser first compiles WebAssembly without optimisation, and optimises code that runs often. Memory is slow at its first
//! use. Both take about as long as reading a model, and can be done during its download.

use crate::Result;
use crate::engine::{Plan, cpu};
use crate::image::Preprocess;
use crate::model::lcnet_v2::{Form, LcNetV2Config};
use crate::model::{Calibration, ModelDescription, Network, Parameter, Role};
use crate::tensors::{Tensor, Tensors};
use crate::weights::{Dtype, Model};

/// Large enough for long runs of the kernels, small enough to take some hundredths of a second in all.
const NETWORK: LcNetV2Config = LcNetV2Config { scale: 0.5, input: [64, 64], embedding: 64 };

/// Runs of each network: enough for the browser to optimise every kernel.
const RUNS: usize = 4;

/// Prepares the process for a first model: reads and runs a small network in f32 and in i8, and touches `memory` bytes, the
/// size that the model will need.
///
/// It shortens the time to the first feature in a browser, called while the model is downloaded. A native program has no use
/// for it.
///
/// ```
/// image_feature::warm_up(1 << 20)?;
/// # Ok::<(), image_feature::Error>(())
/// ```
///
/// # Errors
/// None, unless this crate has a bug.
pub fn warm_up(memory: usize) -> Result<()> {
    run_small_networks()?;
    let mut touched: Vec<u8> = Vec::new();
    // too little memory is reported later, by the model's own allocation
    if touched.try_reserve_exact(memory).is_ok() {
        touched.resize(memory, 1);
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
    // f16, since f32 takes no conversion while reading
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
