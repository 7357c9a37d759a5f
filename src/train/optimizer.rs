//! The optimiser.

use burn::tensor::Tensor;

use crate::model::{Parameter, Role};

/// Stochastic gradient descent with momentum, as Paddle's `Momentum` does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// The share of the velocity that remains from one step to the next.
    pub momentum: f64,
    /// The share of a parameter that is added to its gradient (L2 decay).
    pub decay: f64,
}

/// The rule by which a parameter learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Whether it decays.
    pub decays: bool,
    /// The factor of its learning rate.
    pub rate: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Rule { decays: true, rate: 1.0 }
    }
}

impl Rule {
    /// PaddleClas's rule for a parameter of its networks; `None` for statistics, which are measured and not learnt.
    pub fn of(parameter: &Parameter) -> Option<Rule> {
        match parameter.role {
            Role::NormMean | Role::NormVariance => None,
            // PaddleClas keeps the neck's shift at 0 by this rate
            Role::NormShift if parameter.name == "neck.feat_bn.bias" => Some(Rule { rate: 1e-20, ..Rule::default() }),
            // in PaddleClas the norms of convolutions do not decay
            Role::NormScale | Role::NormShift if parameter.name.contains(".bn.") => {
                Some(Rule { decays: false, ..Rule::default() })
            }
            _ => Some(Rule::default()),
        }
    }
}

impl Momentum {
    /// The value and the velocity after one step. No tensor has autodiff. The velocity is flat, and `None` before the first
    /// step. Unstable: follows Burn's version.
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
