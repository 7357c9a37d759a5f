//! EfficientNet-Lite as steps.

use super::{Activation, Operation, Plan, PlanBuilder, Shape, ValueId, Weights};
use crate::model::efficientnet_lite::{BlockConfig, EPSILON, EfficientNetLiteConfig, NECK_EPSILON, before};
use crate::model::norm::{NormFactors, fold_norm};
use crate::tensors::Tensors;
use crate::{Error, Result};

/// The plan of a network.
pub(super) fn compile(name: &str, config: &EfficientNetLiteConfig, tensors: &Tensors) -> Result<Plan> {
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
    fn conv_norm(&self, path: &str, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>)> {
        let weight = self.tensors.expect(&format!("{path}.conv.weight"), &shape)?;
        fold_norm(weight, &format!("{path}.bn"), EPSILON, self.tensors)
    }

    /// Rows of a kernel above the input, and columns left of it. A plan has one number for both.
    fn before(&self, input: ValueId, kernel: usize, stride: usize) -> Result<usize> {
        let Shape { height, width, .. } = self.plan.shape(input);
        match (before(height, kernel, stride), before(width, kernel, stride)) {
            (above, left) if above == left => Ok(above),
            _ => Err(Error::model(format!(
                "an input of {width}x{height} pixels needs other zeros above it than left of it; take a square input"
            ))),
        }
    }

    fn stem(&mut self, config: &EfficientNetLiteConfig) -> Result<ValueId> {
        let channels = config.stem_channels();
        let path = "backbone.stem";
        let (weights, bias) = self.conv_norm(path, [channels, 3, 3, 3])?;
        let input = self.plan.input();
        let (before, shape) = (self.before(input, 3, 2)?, self.plan.shape(input).strided(2, channels));
        let operation =
            Operation::Convolution { side: 3, before, stride: 2, weights, bias, activation: Activation::Relu6 };
        Ok(self.plan.push(path, operation, input, shape))
    }

    fn block(&mut self, block: &BlockConfig, input: ValueId) -> Result<ValueId> {
        let BlockConfig { path, channels, out_channels, kernel, stride, .. } = block;
        let (channels, side, stride) = (*channels, *kernel, *stride);
        let mut x = input;
        if block.expands() {
            x = self.pointwise(&format!("{path}.expand"), x, channels, Activation::Relu6, None)?;
        }
        let (before, shape) = (self.before(x, side, stride)?, self.plan.shape(x).strided(stride, channels));
        let name = format!("{path}.depthwise");
        let (weights, bias) = self.conv_norm(&name, [channels, 1, side, side])?;
        let depthwise = Operation::Depthwise { side, before, stride, weights, bias, activation: Activation::Relu6 };
        let x = self.plan.push(name, depthwise, x, shape);
        let residual = block.shortcut.then_some(input);
        self.pointwise(&format!("{path}.project"), x, *out_channels, Activation::None, residual)
    }

    fn pointwise(
        &mut self,
        path: &str,
        input: ValueId,
        channels: usize,
        activation: Activation,
        residual: Option<ValueId>,
    ) -> Result<ValueId> {
        let shape = self.plan.shape(input);
        let (weights, bias) = self.conv_norm(path, [channels, shape.channels, 1, 1])?;
        let operation = Operation::Pointwise { weights: Weights::F32(weights), bias, activation, gate: None, residual };
        Ok(self.plan.push(path, operation, input, Shape { channels, ..shape }))
    }

    /// The last convolution, the mean over the pixels, and the neck where there is one: its BatchNorm is folded into its
    /// linear layer.
    fn head(&mut self, config: &EfficientNetLiteConfig, input: ValueId) -> Result<()> {
        let inner = config.head_channels();
        let x = self.pointwise("backbone.head", input, inner, Activation::Relu6, None)?;
        let pooled = Shape { height: 1, width: 1, channels: inner };
        let pooled = self.plan.push("backbone.avg_pool", Operation::Mean { skip: 0 }, x, pooled);

        let Some(channels) = config.embedding else { return Ok(()) };
        let path = "backbone.last_conv";
        let mut weights = self.tensors.expect(&format!("{path}.weight"), &[channels, inner, 1, 1])?.values.clone();
        let mut bias = self.tensors.expect(&format!("{path}.bias"), &[channels])?.values.clone();
        let norm = NormFactors::read("neck.feat_bn", channels, NECK_EPSILON, self.tensors)?;
        for (channel, (weights, bias)) in weights.chunks_exact_mut(inner).zip(&mut bias).enumerate() {
            let factor = norm.factor[channel];
            weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
            *bias = (f64::from(*bias) * factor + norm.shift[channel]) as f32;
        }
        let weights = Weights::F32(weights);
        let operation =
            Operation::Pointwise { weights, bias, activation: Activation::None, gate: None, residual: None };
        self.plan.push("neck.feat_bn", operation, pooled, Shape { height: 1, width: 1, channels });
        Ok(())
    }
}
