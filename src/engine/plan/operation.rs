//! The operations of a plan's steps.

use super::ValueId;

/// The operation of a step, with its weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Dense convolution. Beyond the input's edges are zeros.
    Convolution {
        /// Height and width of the kernel, an odd number.
        side: usize,
        /// Rows of the kernel above the input at the first output pixel, and columns left of it, at most `side / 2`:
        /// usually this many, and less where TensorFlow's padding "SAME" puts more zeros behind the input than before.
        before: usize,
        /// Input pixels from an output pixel to the next.
        stride: usize,
        /// Weights `[out, in, side, side]`.
        weights: Vec<f32>,
        /// One value for each output channel.
        bias: Vec<f32>,
        /// Applied to the sums of products and bias.
        activation: Activation,
    },
    /// Convolution of each channel by itself. Beyond the input's edges are zeros.
    Depthwise {
        /// Height and width of the kernel, an odd number.
        side: usize,
        /// As for [`Convolution`](Operation::Convolution).
        before: usize,
        /// Input pixels from an output pixel to the next.
        stride: usize,
        /// Weights `[channels, side, side]`.
        weights: Vec<f32>,
        /// One value for each channel.
        bias: Vec<f32>,
        /// Applied to the sums of products and bias.
        activation: Activation,
    },
    /// A matrix product at each pixel: a 1x1 convolution, or a fully connected layer.
    Pointwise {
        /// Weights `[out, in]`.
        weights: Weights,
        /// One value for each output channel.
        bias: Vec<f32>,
        /// Applied to the sums of products and bias.
        activation: Activation,
        /// A factor for each channel of the input: a value of one pixel.
        gate: Option<ValueId>,
        /// A value of the output's shape that is added after the activation.
        residual: Option<ValueId>,
    },
    /// An image's patches as tokens, row after row, behind a class token. Each patch goes through a layer without bias,
    /// then `added` is added. The class token is its row of `added` alone.
    Patches {
        /// Height and width of a patch. The image's sizes are multiples of it.
        side: usize,
        /// Weights `[out, in, side, side]`.
        weights: Vec<f32>,
        /// Positions `[tokens, out]`, with the class token in the first.
        added: Vec<f32>,
    },
    /// LayerNorm of each pixel: its channels less their mean, divided by the square root of their variance plus
    /// `epsilon`.
    Normalize {
        /// Added to the variance.
        epsilon: f32,
        /// Applied to the normalized channels.
        affine: Option<Affine>,
    },
    /// Attention of each pixel to all. The input's channels are all heads' queries, then all heads' keys, then all
    /// heads' values. The output holds for each head the mean of the values, weighted by the softmax of the products of
    /// query and keys.
    Attention {
        /// Number of heads, a divisor of the output's channels.
        heads: usize,
    },
    /// The factors of a squeeze-and-excitation: the mean over the pixels through two layers, with ReLU between them and
    /// a function at the end that gives numbers from 0 to 1.
    Gate {
        /// The function at the end.
        function: GateFunction,
        /// Weights of the first layer `[hidden, in]`.
        reduce: Vec<f32>,
        /// One value for each hidden channel.
        reduce_bias: Vec<f32>,
        /// Weights of the second layer `[in, hidden]`.
        expand: Vec<f32>,
        /// One value for each channel of the input.
        expand_bias: Vec<f32>,
    },
    /// The mean over the pixels.
    Mean {
        /// Pixels at the start of the first row that are left out, less than the row has.
        skip: usize,
    },
    /// A larger map: each pixel `factor` times side by side, and each row as often (nearest neighbour).
    Upsample {
        /// Rows and columns of the output for each of the input.
        factor: usize,
    },
    /// Maps of the same pixels joined: each pixel has the input's channels, then those of the others.
    Concat {
        /// The maps after the input, in order.
        others: Vec<ValueId>,
    },
}

/// The last function of a squeeze-and-excitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateFunction {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x / 6 + 1 / 2`, at least 0 and at most 1.
    HardSigmoid,
}

/// The function that follows a sum of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// No function: the sum stays as it is.
    None,
    /// Negative values become 0.
    Relu,
    /// Negative values become 0, and values above 6 become 6.
    Relu6,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x` times its hard sigmoid, which is `x / 6 + 1 / 2`, at least 0 and at most 1.
    HardSwish,
}

/// The weights of a matrix product, `[out, in]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 8-bit whole numbers with their scales.
    I8(QuantizedWeights),
}

/// The weights of a product of 8-bit numbers.
///
/// Each channel of the input is divided by its scale, `input_zero` is added, and it is rounded and limited to 0..=127. Each
/// output channel's sum of products is multiplied by its scale. The bias of the layer takes away what `input_zero` adds.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// Weights `[out, in]`, from -127 to 127.
    pub values: Vec<i8>,
    /// The scale of each output channel.
    pub scales: Vec<f32>,
    /// The scale of each channel of the input.
    pub input_scales: Vec<f32>,
    /// The number that stands for 0 in the input: 0 where the input is never negative.
    pub input_zero: u8,
}

impl Weights {
    /// Number of weights.
    #[allow(clippy::len_without_is_empty)] // a layer has weights
    pub fn len(&self) -> usize {
        match self {
            Weights::F32(values) => values.len(),
            Weights::I8(quantized) => quantized.values.len(),
        }
    }

    /// Memory of the weights and their scales, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Weights::F32(values) => 4 * values.len(),
            Weights::I8(QuantizedWeights { values, scales, input_scales, .. }) => {
                values.len() + 4 * (scales.len() + input_scales.len())
            }
        }
    }
}

/// A factor for each channel, and a number that is added after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// The factors.
    pub scale: Vec<f32>,
    /// The numbers added.
    pub shift: Vec<f32>,
}
