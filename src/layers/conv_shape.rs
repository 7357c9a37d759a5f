//! The convolutions that have gradients of their own here.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;

/// A convolution without bias. Its padding keeps the size of the input, up to the stride.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvShape {
    /// Whether each channel has a kernel of its own. Otherwise every output comes from all channels.
    pub depthwise: bool,
    /// Height and width of the kernel, an odd number.
    pub kernel: usize,
    pub stride: usize,
}

impl ConvShape {
    /// The shape of a convolution; `None` where it is not of this kind.
    pub fn of(conv: &Conv2d) -> Option<Self> {
        let [out, inputs, kernel, across] = conv.weight.dims();
        let [stride, sideways] = conv.stride;
        let pad = kernel / 2;
        let padded = matches!(conv.padding, PaddingConfig2d::Explicit(a, b, c, d) if [a, b, c, d] == [pad; 4]);
        let usual = kernel == across && kernel % 2 == 1 && stride == sideways && conv.dilation == [1; 2] && padded;
        let depthwise = conv.groups > 1 && conv.groups == out && inputs == 1;
        let known = usual && conv.bias.is_none() && (conv.groups == 1 || depthwise);
        known.then_some(ConvShape { depthwise, kernel, stride })
    }
}
