//! EfficientNet-Lite on Burn.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::config::{BlockConfig, EPSILON, EfficientNetLiteConfig, NECK_EPSILON, before, padding};
use crate::Result;
use crate::model::burn_layers::{Activation, ConvNorm, Layers, Norms, Shape};
use crate::tensors::Tensors;

/// EfficientNet-Lite with its neck, where it has one, and, for training, a classification head.
///
/// Unstable: its methods take and give Burn's types, and follow Burn's version.
// Fields are in the order of `EfficientNetLiteConfig::parameters`: training tells parameters apart by that order.
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    stem: ConvNorm,
    blocks: Vec<Block>,
    head: ConvNorm,
    neck: Option<Neck>,
    classes: Option<Linear>,
}

/// `backbone.last_conv` and `neck.feat_bn`
#[derive(Module, Debug)]
struct Neck {
    linear: Conv2d,
    norm: BatchNorm,
}

#[derive(Module, Debug)]
struct Block {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    project: ConvNorm,
    shortcut: bool,
}

impl Block {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut x = input.clone();
        if let Some(expand) = &self.expand {
            x = expand.forward(x);
        }
        let x = self.project.forward(self.depthwise.forward(x));
        if self.shortcut { x.add(input) } else { x }
    }
}

impl EfficientNetLite {
    /// The network with these weights on a device. `classes` adds the classification head.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than `config` says.
    pub fn new(
        config: &EfficientNetLiteConfig,
        classes: Option<usize>,
        norms: Norms,
        tensors: &Tensors,
        device: &Device,
    ) -> Result<Self> {
        let layers = Layers { tensors, norms, epsilon: EPSILON, device };
        let mut size = config.input;
        let stem_shape = same([config.stem_channels(), 3], 3, 2, 1, &mut size);
        let stem = layers.conv_norm("backbone.stem", stem_shape, Activation::Relu6)?;
        let blocks =
            config.blocks().iter().map(|block| build_block(&layers, block, &mut size)).collect::<Result<_>>()?;
        let inner = config.head_channels();
        let head_shape = Shape::centered([inner, config.last_channels()], 1, 1, 1);
        let head = layers.conv_norm("backbone.head", head_shape, Activation::Relu6)?;
        let neck = match config.embedding {
            None => None,
            Some(embedding) => Some(Neck {
                linear: layers.conv("backbone.last_conv", Shape::centered([embedding, inner], 1, 1, 1))?,
                norm: Layers { epsilon: NECK_EPSILON, ..layers }.norm("neck.feat_bn", embedding)?,
            }),
        };
        let classes = classes.map(|classes| layers.linear("head.fc", [config.dimension(), classes])).transpose()?;
        Ok(EfficientNetLite { stem, blocks, head, neck, classes })
    }

    /// Features of a batch, not normalised: `[n, 3, height, width]` to `[n, dimension]`. In training, on a device with
    /// autodiff, BatchNorms use the statistics of the batch, and update their running statistics.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool(images);
        match &self.neck {
            None => x.flatten::<2>(1, 3),
            Some(Neck { linear, norm }) => norm.forward(linear.forward(x).flatten::<2>(1, 3)),
        }
    }

    /// Pooled vectors, the input of the neck: `[n, 3, height, width]` to `[n, channels]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        self.pool(images).flatten::<2>(1, 3)
    }

    /// The backbone with its mean over the pixels: `[n, channels, 1, 1]`.
    fn pool(&self, images: Tensor<4>) -> Tensor<4> {
        let x = self.blocks.iter().fold(self.stem.forward(images), |x, block| block.forward(x));
        adaptive_avg_pool2d(self.head.forward(x), [1, 1])
    }

    /// Class scores of features: `[n, dimension]` to `[n, classes]`. `None` where the network has no head.
    pub fn logits(&self, features: Tensor<2>) -> Option<Tensor<2>> {
        self.classes.as_ref().map(|classes| classes.forward(features))
    }

    /// The head's weight, one direction for each class: `[dimension, classes]`. `None` where the network has no head. Losses
    /// of angles need it.
    pub fn directions(&self) -> Option<Tensor<2>> {
        self.classes.as_ref().map(|classes| classes.weight.val())
    }
}

fn build_block(layers: &Layers, block: &BlockConfig, size: &mut [usize; 2]) -> Result<Block> {
    let BlockConfig { path, in_channels, channels, out_channels, kernel, stride, shortcut } = block;
    let expand = match block.expands() {
        false => None,
        true => {
            let shape = Shape::centered([*channels, *in_channels], 1, 1, 1);
            Some(layers.conv_norm(&format!("{path}.expand"), shape, Activation::Relu6)?)
        }
    };
    let shape = same([*channels; 2], *kernel, *stride, *channels, size);
    let depthwise = layers.conv_norm(&format!("{path}.depthwise"), shape, Activation::Relu6)?;
    let shape = Shape::centered([*out_channels, *channels], 1, 1, 1);
    let project = layers.conv_norm(&format!("{path}.project"), shape, Activation::None)?;
    Ok(Block { expand, depthwise, project, shortcut: *shortcut })
}

/// A convolution with TensorFlow's padding "SAME" of maps of `size`, which becomes the size of its output.
fn same(channels: [usize; 2], kernel: usize, stride: usize, groups: usize, size: &mut [usize; 2]) -> Shape {
    let [above, left] = size.map(|side| before(side, kernel, stride));
    let [height, width] = size.map(|side| padding(side, kernel, stride));
    *size = size.map(|side| side.div_ceil(stride));
    Shape { channels, kernel, stride, groups, padding: [above, left, height - above, width - left] }
}
