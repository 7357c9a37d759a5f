//! PPLCNetV2_base_ShiTu with its BNNeck as steps.

use super::{Activation, GateFunction, Operation, Plan, PlanBuilder, Shape, ValueId, Weights};
use crate::Result;
use crate::model::lcnet_v2::{BlockConfig, DROPOUT, EPSILON, LcNetV2Config};
use crate::model::norm::{NormFactors, fold_norm};
use crate::tensors::Tensors;

/// The plan of a network. `tensors` are of the deploy form.
pub(super) fn compile(name: &str, config: &LcNetV2Config, tensors: &Tensors) -> Result<Plan> {
    let [height, width] = config.input;
    let mut builder = Builder { plan: Plan::builder(name, Shape { height, width, channels: 3 }), tensors };
    let mut x = builder.stem(config)?;
    for block in config.blocks() {
        x = builder.block(&block, x)?;
    }
    builder.head(config, x)?;
    builder.plan.finish()
}

struct Builder<'a> {
    plan: PlanBuilder,
    tensors: &'a Tensors,
}

impl Builder<'_> {
    fn conv_norm(&self, path: &str, shape: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.tensors.expect(&format!("{path}.conv.weight"), shape)?;
        fold_norm(weight, &format!("{path}.bn"), EPSILON, self.tensors)
    }

    fn conv(&self, path: &str, shape: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.tensors.expect(&format!("{path}.weight"), shape)?.values.clone();
        let bias = self.tensors.expect(&format!("{path}.bias"), &shape[..1])?.values.clone();
        Ok((weight, bias))
    }

    fn stem(&mut self, config: &LcNetV2Config) -> Result<ValueId> {
        let channels = config.stem_channels();
        let path = "backbone.stem.0";
        let (weights, bias) = self.conv_norm(path, &[channels, 3, 3, 3])?;
        let input = self.plan.input();
        let shape = self.plan.shape(input).strided(2, channels);
        let operation =
            Operation::Convolution { side: 3, before: 1, stride: 2, weights, bias, activation: Activation::Relu };
        Ok(self.plan.push(path, operation, input, shape))
    }

    fn block(&mut self, block: &BlockConfig, input: ValueId) -> Result<ValueId> {
        let BlockConfig { path, in_channels, out_channels, kernel, stride, .. } = block;
        let (channels, side, stride) = (*in_channels, *kernel, *stride);
        let shape = self.plan.shape(input).strided(stride, channels);

        let name = format!("{path}.dw_conv");
        let weight_shape = [channels, 1, side, side];
        let (weights, bias) = match block.branches.is_empty() {
            true => self.conv_norm(&name, &weight_shape)?,
            false => self.conv(&name, &weight_shape)?,
        };
        let depthwise =
            Operation::Depthwise { side, before: side / 2, stride, weights, bias, activation: Activation::Relu };
        let x = self.plan.push(name, depthwise, input, shape);

        let gate = match block.squeeze {
            true => Some(self.gate(&format!("{path}.se"), x)?),
            false => None,
        };
        let residual = block.shortcut.then_some(input);
        if block.split {
            let half = out_channels / 2;
            let x = self.pointwise(format!("{path}.pw_conv_1"), x, half, gate, None)?;
            self.pointwise(format!("{path}.pw_conv_2"), x, *out_channels, None, residual)
        } else {
            self.pointwise(format!("{path}.pw_conv"), x, *out_channels, gate, residual)
        }
    }

    fn gate(&mut self, path: &str, input: ValueId) -> Result<ValueId> {
        let channels = self.plan.shape(input).channels;
        let hidden = channels / 4;
        let (reduce, reduce_bias) = self.conv(&format!("{path}.conv1"), &[hidden, channels, 1, 1])?;
        let (expand, expand_bias) = self.conv(&format!("{path}.conv2"), &[channels, hidden, 1, 1])?;
        let operation = Operation::Gate { function: GateFunction::Sigmoid, reduce, reduce_bias, expand, expand_bias };
        Ok(self.plan.push(path, operation, input, Shape { height: 1, width: 1, channels }))
    }

    fn pointwise(
        &mut self,
        path: String,
        input: ValueId,
        channels: usize,
        gate: Option<ValueId>,
        residual: Option<ValueId>,
    ) -> Result<ValueId> {
        let shape = self.plan.shape(input);
        let (weights, bias) = self.conv_norm(&path, &[channels, shape.channels, 1, 1])?;
        let weights = Weights::F32(weights);
        let operation = Operation::Pointwise { weights, bias, activation: Activation::Relu, gate, residual };
        Ok(self.plan.push(path, operation, input, Shape { channels, ..shape }))
    }

    /// The mean over the pixels, then one layer. The last convolution, dropout's factor and the neck's BatchNorm are
    /// linear and have no activation between them, so they become one matrix.
    fn head(&mut self, config: &LcNetV2Config, input: ValueId) -> Result<()> {
        let (inner, channels) = (config.last_channels(), config.embedding);
        let pooled = Shape { height: 1, width: 1, channels: inner };
        let pooled = self.plan.push("backbone.avg_pool", Operation::Mean { skip: 0 }, input, pooled);

        let (mut weights, mut bias) = self.conv("backbone.last_conv", &[channels, inner, 1, 1])?;
        let NormFactors { factor, shift } = NormFactors::read("neck.feat_bn", channels, EPSILON, self.tensors)?;
        for (channel, (weights, bias)) in weights.chunks_exact_mut(inner).zip(&mut bias).enumerate() {
            let factor = factor[channel] * (1.0 - DROPOUT);
            weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
            *bias = (f64::from(*bias) * factor + shift[channel]) as f32;
        }
        let weights = Weights::F32(weights);
        let operation =
            Operation::Pointwise { weights, bias, activation: Activation::None, gate: None, residual: None };
        self.plan.push("neck.feat_bn", operation, pooled, Shape { height: 1, width: 1, channels });
        Ok(())
    }
}
