//! A convolution, computed by one of two kinds of kernel.

use burn::nn::conv::Conv2d;

use super::Maps;
use super::dense::Dense;
use super::depthwise::Depthwise;
use crate::layers::conv_shape::ConvShape;

/// A convolution without bias.
#[derive(Clone, Debug)]
pub(super) enum Convolution {
    Dense(Dense),
    Depthwise(Depthwise),
}

impl Convolution {
    /// A convolution of `images` images of this shape; `None` where there is no kernel for it.
    pub fn new(conv: &Conv2d, images: usize, [channels, height, width]: [usize; 3]) -> Option<Self> {
        let ConvShape { depthwise, kernel, stride } = ConvShape::of(conv)?;
        let [out, ..] = conv.weight.dims();
        let input = Maps { images, channels, height, width };
        let output = Maps { images, channels: out, height: (height - 1) / stride + 1, width: (width - 1) / stride + 1 };
        match depthwise {
            true => Depthwise::new(input, output, kernel, stride).map(Convolution::Depthwise),
            false => Some(Convolution::Dense(Dense { input, output, kernel, stride })),
        }
    }

    pub fn output(&self) -> Maps {
        match self {
            Convolution::Dense(dense) => dense.output,
            Convolution::Depthwise(depthwise) => depthwise.output,
        }
    }

    pub fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        match self {
            Convolution::Dense(dense) => dense.forward(x, weight),
            Convolution::Depthwise(depthwise) => depthwise.forward(x, weight),
        }
    }

    /// The gradient of the weight, from the gradient of the output.
    pub fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        match self {
            Convolution::Dense(dense) => dense.weight_gradient(x, gradient),
            Convolution::Depthwise(depthwise) => depthwise.weight_gradient(x, gradient),
        }
    }

    /// Adds the gradient of the input, computed from the gradient of the output, to `to_input`.
    pub fn add_input_gradient(&self, gradient: &[f32], weight: &[f32], to_input: &mut [f32]) {
        match self {
            Convolution::Dense(dense) => dense.add_input_gradient(gradient, weight, to_input),
            Convolution::Depthwise(depthwise) => depthwise.add_input_gradient(gradient, weight, to_input),
        }
    }
}
