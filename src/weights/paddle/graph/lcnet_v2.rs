//! The walk along PPLCNetV2_base_ShiTu and its BNNeck as Paddle exports them.

use super::{Conv, Walk, check, check_float, check_layout, is_convolution, wrong_input};
use crate::model::lcnet_v2::{BlockConfig, DROPOUT, EPSILON, Form, LcNetV2Config};
use crate::weights::identify;
use crate::weights::paddle::op::{Attribute, Operand, Program};
use crate::{Error, Result};

/// The sizes with the most convolutions whose shapes agree with the graph's.
pub(super) fn config(program: &Program) -> Option<LcNetV2Config> {
    let filters: Vec<&[usize]> = program
        .ops
        .iter()
        .filter(|op| is_convolution(op))
        .map(|op| match op.inputs.get(1) {
            Some(&Operand::Parameter(index)) => Some(&program.parameters[index].shape[..]),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let mismatches = |config: &LcNetV2Config| {
        let parameters = config.parameters(Form::Deploy, None);
        let expected: Vec<&[usize]> =
            parameters.iter().map(|p| &p.shape[..]).filter(|shape| shape.len() == 4).collect();
        let differing = filters.iter().zip(&expected).filter(|(filter, expected)| filter != expected).count();
        differing + filters.len().abs_diff(expected.len())
    };
    identify::lcnet_v2(filters.last()?, mismatches)
}

impl Walk<'_> {
    pub(super) fn lcnet_v2(&mut self, config: &LcNetV2Config) -> Result<()> {
        let stem = "backbone.stem.0";
        let mut x = self.conv_norm(stem, Conv { stride: 2, padding: 1, groups: 1 }, Operand::Input)?;
        for block in config.blocks() {
            x = self.block(&block, x)?;
        }
        let x = self.pool("backbone.avg_pool", x)?;
        let x = self.conv_bias("backbone.last_conv", Conv::POINTWISE, x)?;
        let x = self.dropout("backbone.dropout", x)?;
        let x = self.flatten("backbone.flatten", x, 1, 3)?;
        // BNNeck flattens its input again, which some graphs leave out
        let neck = "neck.feat_bn";
        let x = match self.ops.as_slice().first() {
            Some(op) if op.kind == "flatten" => self.flatten("neck.flatten", x, 1, 1)?,
            _ => x,
        };
        let x = self.norm(neck, x)?;
        self.end(neck, &x)
    }

    fn block(&mut self, block: &BlockConfig, input: Operand) -> Result<Operand> {
        let path = &block.path;
        let depthwise = Conv { stride: block.stride, padding: block.kernel / 2, groups: block.in_channels };
        let at = format!("{path}.dw_conv");
        let mut x = if block.branches.is_empty() {
            self.conv_norm(&at, depthwise, input.clone())?
        } else {
            let x = self.conv_bias(&at, depthwise, input.clone())?;
            self.unary("relu", &at, x)?
        };
        if block.squeeze {
            x = self.squeeze(&format!("{path}.se"), x, |graph, at, x| graph.unary("sigmoid", at, x))?;
        }
        let pointwise: &[&str] = if block.split { &["pw_conv_1", "pw_conv_2"] } else { &["pw_conv"] };
        for name in pointwise {
            x = self.conv_norm(&format!("{path}.{name}"), Conv::POINTWISE, x)?;
        }
        if block.shortcut {
            x = self.binary("elementwise_add", &format!("{path} (shortcut)"), x, input)?;
        }
        Ok(x)
    }

    /// A squeeze-and-excitation; `gate` matches its last function, at a path.
    pub(super) fn squeeze(
        &mut self,
        path: &str,
        input: Operand,
        gate: impl FnOnce(&mut Self, &str, Operand) -> Result<Operand>,
    ) -> Result<Operand> {
        let x = self.pool(&format!("{path}.avg_pool"), input.clone())?;
        let at = format!("{path}.conv1");
        let x = self.conv_bias(&at, Conv::POINTWISE, x)?;
        let x = self.unary("relu", &at, x)?;
        let at = format!("{path}.conv2");
        let x = self.conv_bias(&at, Conv::POINTWISE, x)?;
        let x = gate(self, &at, x)?;
        self.binary("elementwise_mul", path, input, x)
    }

    /// Convolution, BatchNorm, ReLU.
    fn conv_norm(&mut self, path: &str, conv: Conv, input: Operand) -> Result<Operand> {
        let x = self.conv(&format!("{path}.conv"), conv, input)?;
        let x = self.norm(&format!("{path}.bn"), x)?;
        self.unary("relu", path, x)
    }

    /// A BatchNorm with stored statistics.
    pub(super) fn norm(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("batch_norm", path)?;
        let &[
            ref value,
            Operand::Parameter(mean),
            Operand::Parameter(variance),
            Operand::Parameter(scale),
            Operand::Parameter(shift),
        ] = &op.inputs[..]
        else {
            return Err(wrong_input(op, path));
        };
        if *value != input {
            return Err(wrong_input(op, path));
        }
        for (name, index) in [("weight", scale), ("bias", shift), ("_mean", mean), ("_variance", variance)] {
            self.take(path, name, index)?;
        }
        check_float(op, path, "epsilon", EPSILON)?;
        check_layout(op, path)?;
        let fixed = ["is_test", "use_global_stats"].iter().any(|name| op.attributes.bool(name) == Some(true));
        if !fixed {
            return Err(Error::model(format!("op `batch_norm` at `{path}` does not use its stored mean and variance")));
        }
        Ok(Operand::Value(op.output))
    }

    /// The mean over the whole image.
    pub(super) fn pool(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("pool2d", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "pooling_type", &Attribute::Text("avg".into()))?;
        check_layout(op, path)?;
        let adaptive = op.attributes.bool("adaptive") == Some(true) && op.attributes.ints("ksize") == Some(&[1, 1]);
        if !adaptive && op.attributes.bool("global_pooling") != Some(true) {
            return Err(Error::model(format!("op `pool2d` at `{path}` does not average the whole image")));
        }
        Ok(Operand::Value(op.output))
    }

    fn dropout(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("dropout", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "dropout_implementation", &Attribute::Text("downgrade_in_infer".into()))?;
        check_float(op, path, "dropout_prob", DROPOUT)?;
        check(op, path, "is_test", &Attribute::Bool(true))?;
        Ok(Operand::Value(op.output))
    }
}
