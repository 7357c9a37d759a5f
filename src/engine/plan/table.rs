//! The printed form of plans.

use std::fmt;

use super::{Activation, GateFunction, Operation, Plan, Shape, Step, Weights};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} steps for one image", self.name, self.steps.len())?;
        writeln!(f, "{:>3}  {:32} {:28} {:>28} {:>10} {:>8}", "", "step", "operation", "shape", "weights", "MFLOP")?;
        for (index, step) in self.steps.iter().enumerate() {
            let shapes = format!("{} -> {}", self.shape(step.input), self.shape(step.output));
            let name = step.name.trim_start_matches("backbone.");
            writeln!(
                f,
                "{index:>3}  {name:32} {:28} {shapes:>28} {:>10} {:>8.2}",
                step.to_string(),
                kibibytes(step.parameter_bytes()),
                2e-6 * self.step_macs(step) as f64,
            )?;
        }
        let bytes = self.steps.iter().map(Step::parameter_bytes).sum();
        write!(f, "     {:90} {:>10} {:>8.2}", "in all", kibibytes(bytes), 2e-6 * self.macs() as f64)
    }
}

fn kibibytes(bytes: usize) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// The operation in short: `gate + 1x1 + relu + residual`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stride = |stride: usize| if stride == 1 { String::new() } else { format!(" / {stride}") };
        match &self.operation {
            Operation::Convolution { side, stride: by, activation, .. } => {
                write!(f, "{side}x{side}{}{}", stride(*by), after(*activation))
            }
            Operation::Depthwise { side, stride: by, activation, .. } => {
                write!(f, "depthwise {side}x{side}{}{}", stride(*by), after(*activation))
            }
            Operation::Pointwise { weights, activation, gate, residual, .. } => {
                let dtype = if matches!(weights, Weights::I8(_)) { " i8" } else { "" };
                let gate = if gate.is_some() { "gate + " } else { "" };
                let residual = if residual.is_some() { " + residual" } else { "" };
                write!(f, "{gate}1x1{dtype}{}{residual}", after(*activation))
            }
            Operation::Gate { function: GateFunction::Sigmoid, .. } => f.write_str("mean + fc + relu + fc + sigmoid"),
            Operation::Gate { function: GateFunction::HardSigmoid, .. } => {
                f.write_str("mean + fc + relu + fc + hsigmoid")
            }
            Operation::Patches { side, .. } => write!(f, "patches {side}x{side} + positions"),
            Operation::Normalize { affine, .. } => {
                write!(f, "normalize{}", if affine.is_some() { " + scale + shift" } else { "" })
            }
            Operation::Attention { heads } => write!(f, "attention, {heads} heads"),
            Operation::Mean { skip: 0 } => f.write_str("mean"),
            Operation::Mean { skip } => write!(f, "mean but for {skip}"),
            Operation::Upsample { factor } => write!(f, "upsample by {factor}"),
            Operation::Concat { others } => write!(f, "concat of {}", others.len() + 1),
        }
    }
}

fn after(activation: Activation) -> &'static str {
    match activation {
        Activation::None => "",
        Activation::Relu => " + relu",
        Activation::Relu6 => " + relu6",
        Activation::Gelu => " + gelu",
        Activation::HardSwish => " + hswish",
    }
}
