//! The builder of plans.

use super::{Operation, Plan, Shape, Step, Value, ValueId};
use crate::Result;

/// Makes a plan step by step: it numbers the values, and checks the whole plan at the end.
///
/// ```
/// use image_feature::engine::{Activation, Operation, Plan, Shape};
///
/// let mut plan = Plan::builder("mean colours", Shape { height: 8, width: 8, channels: 3 });
/// // each output channel is one input channel: 1 in the middle of its 3x3 kernel, else 0
/// let weights = (0..3 * 3 * 9).map(|index| if index % 36 == 4 { 1.0 } else { 0.0 }).collect();
/// let operation =
///     Operation::Convolution { side: 3, before: 1, stride: 1, weights, bias: vec![0.0; 3], activation: Activation::None };
/// let colours = plan.push("copy", operation, plan.input(), Shape { height: 8, width: 8, channels: 3 });
/// plan.push("mean", Operation::Mean { skip: 0 }, colours, Shape { height: 1, width: 1, channels: 3 });
/// assert_eq!(plan.finish()?.steps().len(), 2);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PlanBuilder {
    name: String,
    values: Vec<Value>,
    steps: Vec<Step>,
}

impl PlanBuilder {
    pub(super) fn new(name: String, input: Shape) -> Self {
        PlanBuilder { name, values: vec![Value::new("input", input)], steps: Vec::new() }
    }

    /// The image: only the first step may read it.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// The shape of a value.
    ///
    /// # Panics
    /// Where there is no such value yet.
    pub fn shape(&self, value: ValueId) -> Shape {
        self.values[value.0].shape
    }

    /// Adds a step and gives back the value that it makes. The last step makes the feature.
    ///
    /// Sizes are checked by [`finish`](Self::finish).
    pub fn push(&mut self, name: impl Into<String>, operation: Operation, input: ValueId, output: Shape) -> ValueId {
        let (name, made) = (name.into(), ValueId(self.values.len()));
        self.values.push(Value::new(name.clone(), output));
        self.steps.push(Step::new(name, operation, input, made));
        made
    }

    /// The plan.
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn finish(self) -> Result<Plan> {
        Plan::new(self.name, self.values, self.steps)
    }

    /// The plan that gives these maps, in this order, and no feature.
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn finish_maps(self, maps: Vec<ValueId>) -> Result<Plan> {
        let plan = Plan { name: self.name, values: self.values, steps: self.steps, maps: Some(maps) };
        plan.check()?;
        Ok(plan)
    }
}
