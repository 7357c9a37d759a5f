//! Layers on Burn that the convolutional networks share, and how they are built from named tensors.

use burn::module::{Module, Param, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear, PaddingConfig2d};
use burn::tensor::activation::{relu, relu6};
use burn::tensor::{Device, Tensor, TensorData};

use super::norm::fold_norm;
use crate::Result;
use crate::tensors::Tensors;

/// The weight of the new statistics. Paddle's momentum, 0.9, is the weight of the old ones.
const MOMENTUM: f64 = 0.1;

/// Whether a BatchNorm after a convolution is folded into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Not folded, as training needs them and files store them.
    Separate,
    /// Folded: the same function, with fewer passes over memory. For inference only.
    Folded,
}

/// The function after a BatchNorm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu,
    Relu6,
}

/// A convolution, its BatchNorm where that is not folded into it, and an activation.
#[derive(Module, Debug)]
pub(super) struct ConvNorm {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    #[module(skip)]
    activation: Activation,
}

impl ConvNorm {
    /// A convolution with bias alone.
    pub fn fused(conv: Conv2d) -> Self {
        ConvNorm { conv, norm: None, activation: Activation::None }
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let with_relu = self.activation == Activation::Relu;
        let x = match in_one(&x, std::slice::from_ref(self), with_relu) {
            Some(y) if with_relu => return y,
            Some(y) => y,
            None => {
                let x = convolve(&self.conv, x);
                match &self.norm {
                    Some(norm) => normalize(norm, x),
                    None => x,
                }
            }
        };
        match self.activation {
            Activation::None => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => relu6(x),
        }
    }
}

/// The sum of layers of the same input as one operation, without their activations, then ReLU where `activate`. In training
/// on the CPU; `None` elsewhere.
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
pub(super) fn in_one(x: &Tensor<4>, layers: &[ConvNorm], activate: bool) -> Option<Tensor<4>> {
    let branches: Vec<_> =
        layers.iter().map(|layer| Some((&layer.conv, layer.norm.as_ref()?))).collect::<Option<_>>()?;
    crate::layers::conv_norm::forward(x, &branches, activate)
}

#[cfg(not(all(feature = "train", not(target_arch = "wasm32"))))]
pub(super) fn in_one(_: &Tensor<4>, _: &[ConvNorm], _: bool) -> Option<Tensor<4>> {
    None
}

/// A convolution; in training on a GPU with gradients that are faster than Burn's.
fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(all(feature = "train", not(target_arch = "wasm32"), any(test, feature = "webgpu", feature = "cuda")))]
    if let Some(y) = crate::layers::gpu::convolution(conv, &x) {
        return y;
    }
    conv.forward(x)
}

/// A BatchNorm; in training on a GPU with sums that are faster than Burn's.
fn normalize(norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    #[cfg(all(feature = "train", not(target_arch = "wasm32"), any(test, feature = "webgpu", feature = "cuda")))]
    if let Some(y) = crate::layers::gpu::norm(norm, &x) {
        return y;
    }
    norm.forward(x)
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Output and input channels.
    pub channels: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
    pub groups: usize,
    /// Zeros above, left, below and right.
    pub padding: [usize; 4],
}

impl Shape {
    /// With as many zeros on all sides as keep the size, up to the stride.
    pub fn centered(channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Self {
        Shape { channels, kernel, stride, groups, padding: [(kernel - 1) / 2; 4] }
    }
}

/// Builds layers from named tensors.
pub(super) struct Layers<'a> {
    pub tensors: &'a Tensors,
    pub norms: Norms,
    /// The number that BatchNorms add to the variance.
    pub epsilon: f64,
    pub device: &'a Device,
}

impl Layers<'_> {
    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    fn layer(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, shape: Shape) -> Conv2d {
        let Shape { channels: [out, input], kernel, stride, groups, padding: [above, left, below, right] } = shape;
        Conv2d {
            weight: self.parameter(weight, [out, input / groups, kernel, kernel]),
            bias: bias.map(|bias| self.parameter(bias, [out])),
            stride: [stride; 2],
            kernel_size: [kernel; 2],
            dilation: [1; 2],
            groups,
            padding: PaddingConfig2d::Explicit(above, left, below, right),
        }
    }

    /// A convolution with bias, without BatchNorm: `PATH.weight` and `PATH.bias`.
    pub fn conv(&self, path: &str, shape: Shape) -> Result<Conv2d> {
        let Shape { channels: [out, input], kernel, groups, .. } = shape;
        let weight = self.tensors.expect(&format!("{path}.weight"), &[out, input / groups, kernel, kernel])?;
        let bias = self.tensors.expect(&format!("{path}.bias"), &[out])?;
        Ok(self.layer(weight.values.clone(), Some(bias.values.clone()), shape))
    }

    /// A convolution with its BatchNorm: `PATH.conv` and `PATH.bn`.
    pub fn conv_norm(&self, path: &str, shape: Shape, activation: Activation) -> Result<ConvNorm> {
        let Shape { channels: [out, input], kernel, groups, .. } = shape;
        let weight = self.tensors.expect(&format!("{path}.conv.weight"), &[out, input / groups, kernel, kernel])?;
        let norm_path = format!("{path}.bn");
        let (conv, norm) = match self.norms {
            Norms::Separate => (self.layer(weight.values.clone(), None, shape), Some(self.norm(&norm_path, out)?)),
            Norms::Folded => {
                let (weight, bias) = fold_norm(weight, &norm_path, self.epsilon, self.tensors)?;
                (self.layer(weight, Some(bias), shape), None)
            }
        };
        Ok(ConvNorm { conv, norm, activation })
    }

    /// A BatchNorm: `PATH.weight`, `.bias`, `._mean` and `._variance`.
    pub fn norm(&self, path: &str, channels: usize) -> Result<BatchNorm> {
        let read = |name: &str| {
            Ok::<_, crate::Error>(self.tensors.expect(&format!("{path}.{name}"), &[channels])?.values.clone())
        };
        let statistics = |name| {
            let data = TensorData::new(read(name)?, [channels]);
            Ok::<_, crate::Error>(RunningState::new(Tensor::from_data(data, self.device)))
        };
        Ok(BatchNorm {
            gamma: self.parameter(read("weight")?, [channels]),
            beta: self.parameter(read("bias")?, [channels]),
            training: Param::from_bool(true),
            running_mean: statistics("_mean")?,
            running_var: statistics("_variance")?,
            momentum: MOMENTUM,
            epsilon: self.epsilon,
        })
    }

    /// A linear layer without bias, `PATH.weight`: `[in, out]`.
    pub fn linear(&self, path: &str, shape: [usize; 2]) -> Result<Linear> {
        let weight = &self.tensors.expect(&format!("{path}.weight"), &shape)?.values;
        Ok(Linear { weight: self.parameter(weight.clone(), shape), bias: None })
    }
}
