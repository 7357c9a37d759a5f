//! The engine.

use image_feature::Model;
use image_feature::engine::Plan;
use image_feature::engine::cpu::{Executor, Options};
use serde_json::json;

use crate::{Result, protocol};

/// An executor for a model, and how many values one input image has.
pub fn open(model: &str, options: Options) -> Result<(Executor, usize)> {
    let model = Model::open(model.as_ref())?;
    let plan = Plan::compile(&model.description, model.form, &model.tensors)?;
    let len = plan.shape(plan.input()).len();
    Ok((Executor::new(plan, options)?, len))
}

pub fn serve(model: &str, inputs: &str, batch: usize, threads: usize) -> Result<()> {
    let (executor, len) = open(model, Options { threads: Some(threads), ..Options::default() })?;
    let images = protocol::read_inputs(inputs, batch, len)?;
    let infer = || Ok(executor.run(&images, batch)?);
    infer()?;
    protocol::serve(json!({ "version": executor.instruction_set(), "threads": executor.threads() }), infer)
}
