//! How parameters follow their gradients.

use burn::tensor::Tensor;

use crate::model::{Parameter, Role};

/// Stochastic gradient descent with momentum, as Paddle's `Momentum` does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// What remains of the velocity from one step to the next.
    pub momentum: f64,
    /// How much of a parameter is added to its gradient (L2 decay).
    pub decay: f64,
}

/// What is special about a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Whether it decays.
    pub decays: bool,
    /// By what the learning rate is multiplied.
    pub rate: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Rule { decays: true, rate: 1.0 }
    }
}

impl Rule {
    /// PaddleClas's rule for a parameter of one of its networks; `None` for what is measured and not learnt.
    pub fn of(parameter: &Parameter) -> Option<Rule> {
        match parameter.role {
            Role::NormMean | Role::NormVariance => None,
            // the neck's shift is written down and stays at 0
            Role::NormShift if parameter.name == "neck.feat_bn.bias" => Some(Rule { rate: 1e-20, ..Rule::default() }),
            // those beside a convolution bring a decay of 0 of their own
            Role::NormScale | Role::NormShift if parameter.name.contains(".bn.") => {
                Some(Rule { decays: false, ..Rule::default() })
            }
            _ => Some(Rule::default()),
        }
    }
}

impl Momentum {
    /// One step: the new value and the new velocity. None of these tensors takes part in autodiff; the velocity is flat, and
    /// `None` before the first step.
    pub fn step<const D: usize>(
        &self,
        rule: Rule,
        value: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<1>>,
        learning_rate: f64,
    ) -> (Tensor<D>, Tensor<1>) {
        let shape = value.shape();
        let len = shape.num_elements();
        let mut gradient = gradient.reshape([len]);
        let value = value.reshape([len]);
        if rule.decays && self.decay != 0.0 {
            gradient = gradient.add(value.clone().mul_scalar(self.decay));
        }
        let velocity = match velocity {
            Some(velocity) => velocity.mul_scalar(self.momentum).add(gradient),
            None => gradient,
        };
        let value = value.sub(velocity.clone().mul_scalar(learning_rate * rule.rate));
        (value.reshape(shape), velocity)
    }
}
