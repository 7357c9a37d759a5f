//! Networks as programs for WebGPU, which JavaScript runs.

use image_feature::Dtype;
use image_feature::engine::{Plan, gpu};
use js_sys::Uint32Array;
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::ModelFile;
use crate::values::{image_count, to_js, to_object};

/// A network as a program for WebGPU: shaders, buffers and dispatches. `gpu-runner.js` runs it.
#[wasm_bindgen]
pub struct GpuProgram {
    program: gpu::Program,
}

/// The program without its weights. Names and numbers are those of [`gpu::Program`].
#[derive(Serialize)]
struct Description<'a> {
    batch: usize,
    buffers: &'a [usize],
    tensors: Vec<TensorOf<'a>>,
    pipelines: Vec<PipelineOf<'a>>,
    dispatches: Vec<DispatchOf<'a>>,
    feature: VectorsOf,
    pooled: VectorsOf,
}

#[derive(Serialize)]
struct TensorOf<'a> {
    step: &'a str,
    len: usize,
}

#[derive(Serialize)]
struct PipelineOf<'a> {
    name: &'a str,
    source: &'a str,
}

#[derive(Serialize)]
struct DispatchOf<'a> {
    step: &'a str,
    pipeline: usize,
    groups: [u32; 2],
    input: usize,
    weights: Option<usize>,
    gate: Option<usize>,
    /// The buffer of a residual.
    residual: Option<usize>,
    /// The tensor of a residual that all images share.
    added: Option<usize>,
    output: usize,
}

#[derive(Serialize)]
struct VectorsOf {
    buffer: usize,
    len: usize,
    stride: usize,
}

impl From<gpu::Vectors> for VectorsOf {
    fn from(gpu::Vectors { buffer, len, stride }: gpu::Vectors) -> Self {
        VectorsOf { buffer, len, stride }
    }
}

impl<'a> From<&'a gpu::Dispatch> for DispatchOf<'a> {
    fn from(dispatch: &'a gpu::Dispatch) -> Self {
        let (residual, added) = match dispatch.residual() {
            Some(gpu::Source::Buffer(buffer)) => (Some(buffer), None),
            Some(gpu::Source::Tensor(tensor)) => (None, Some(tensor)),
            None => (None, None),
        };
        DispatchOf {
            step: dispatch.step(),
            pipeline: dispatch.pipeline(),
            groups: dispatch.groups(),
            input: dispatch.input(),
            weights: dispatch.weights(),
            gate: dispatch.gate(),
            residual,
            added,
            output: dispatch.output(),
        }
    }
}

#[wasm_bindgen]
impl GpuProgram {
    /// Lowers a model, in f32, for runs of at most `batch` images. `software` says that a CPU emulates the GPU.
    pub fn lower(model: &ModelFile, batch: f64, software: bool) -> Result<GpuProgram, JsValue> {
        let adapter = if software { gpu::Adapter::Software } else { gpu::Adapter::Hardware };
        let plan = Plan::of_model(&model.model, Some(Dtype::F32)).map_err(to_js)?;
        let program = gpu::Program::new(plan, image_count(batch)?, adapter).map_err(to_js)?;
        Ok(GpuProgram { program })
    }

    /// Buffers, tensors, pipelines with their shaders, and dispatches.
    pub fn description(&self) -> Result<JsValue, JsValue> {
        let program = &self.program;
        to_object(&Description {
            batch: program.batch(),
            buffers: program.buffers(),
            tensors: program.tensors().iter().map(|of| TensorOf { step: of.step(), len: of.values().len() }).collect(),
            pipelines: program
                .pipelines()
                .iter()
                .map(|of| PipelineOf { name: of.name(), source: of.source() })
                .collect(),
            dispatches: program.dispatches().iter().map(DispatchOf::from).collect(),
            feature: program.feature().into(),
            pooled: program.pooled().into(),
        })
    }

    /// The table of shapes: a row of the same length for each dispatch.
    pub fn shapes(&self) -> Uint32Array {
        let words: Vec<u32> =
            self.program.dispatches().iter().flat_map(|dispatch| dispatch.shapes().to_words()).collect();
        Uint32Array::from(words.as_slice())
    }

    /// The numbers of a tensor. They leave the WebAssembly's memory.
    #[wasm_bindgen(js_name = takeTensor)]
    pub fn take_tensor(&mut self, tensor: usize) -> Vec<f32> {
        match tensor < self.program.tensors().len() {
            true => self.program.take_tensor(tensor),
            false => Vec::new(),
        }
    }
}
