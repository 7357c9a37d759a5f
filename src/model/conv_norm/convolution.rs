//! What a convolution is, and who computes it.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;

use super::Maps;
use super::dense::Dense;
use super::depthwise::Depthwise;

/// A convolution without bias.
#[derive(Clone, Debug)]
pub(super) enum Convolution {
    Dense(Dense),
    Depthwise(Depthwise),
}

impl Convolution {
    /// `None` where it is neither dense nor depthwise, or not padded to keep the size.
    pub fn new(conv: &Conv2d, images: usize, [channels, height, width]: [usize; 3]) -> Option<Self> {
        let [out, _, kernel, across] = conv.weight.dims();
        let [stride, sideways] = conv.stride;
        let pad = kernel / 2;
        let padded = matches!(conv.padding, PaddingConfig2d::Explicit(a, b, c, d) if [a, b, c, d] == [pad; 4]);
        if kernel != across || kernel % 2 == 0 || stride != sideways || conv.dilation != [1; 2] || !padded {
            return None;
        }
        let input = Maps { images, channels, height, width };
        let output = Maps { images, channels: out, height: (height - 1) / stride + 1, width: (width - 1) / stride + 1 };
        match conv.groups {
            1 => Some(Convolution::Dense(Dense { input, output, kernel, stride })),
            groups if groups == channels && groups == out => {
                Depthwise::new(input, output, kernel, stride).map(Convolution::Depthwise)
            }
            _ => None,
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

    /// From the gradient of the output to that of the weight.
    pub fn weight_gradient(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        match self {
            Convolution::Dense(dense) => dense.weight_gradient(x, gradient),
            Convolution::Depthwise(depthwise) => depthwise.weight_gradient(x, gradient),
        }
    }

    /// From the gradient of the output to that of the input, added to what is there.
    pub fn add_input_gradient(&self, gradient: &[f32], weight: &[f32], to_input: &mut [f32]) {
        match self {
            Convolution::Dense(dense) => dense.add_input_gradient(gradient, weight, to_input),
            Convolution::Depthwise(depthwise) => depthwise.add_input_gradient(gradient, weight, to_input),
        }
    }
}
