//! LCNetV2 on Burn.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};

use super::config::{BlockConfig, DROPOUT, EPSILON, Form, LcNetV2Config};
use crate::Result;
use crate::model::burn_layers::{Activation, ConvNorm, Layers, Norms, Shape, in_one};
use crate::tensors::Tensors;

/// The share of the backbone's output that dropout keeps.
pub(crate) const KEEP: f64 = 1.0 - DROPOUT;

/// PPLCNetV2_base_ShiTu with a BNNeck and, for training, a classification head.
///
/// Unstable: its methods take and give Burn's types, and follow Burn's version.
// The comment at each field is its name in PaddleClas. Fields are in the order of `LcNetV2Config::parameters`: training
// tells parameters apart by that order.
#[derive(Module, Debug)]
pub struct LcNetV2 {
    /// `backbone.stem.0`
    stem: ConvNorm,
    /// `backbone.stem.1`, then `backbone.stages.{s}.{b}`
    blocks: Vec<Block>,
    /// `backbone.last_conv`
    last_conv: Conv2d,
    /// `neck.feat_bn`
    neck: BatchNorm,
    /// `head.fc`
    head: Option<Linear>,
}

impl LcNetV2 {
    /// The network with these weights on a device. `classes` adds the classification head.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than `config` says.
    pub fn new(
        config: &LcNetV2Config,
        form: Form,
        classes: Option<usize>,
        norms: Norms,
        tensors: &Tensors,
        device: &Device,
    ) -> Result<Self> {
        let layers = Layers { tensors, norms, epsilon: EPSILON, device };
        let build = Builder { layers, form };
        let blocks = config.blocks().iter().map(|block| build.block(block)).collect::<Result<_>>()?;
        let head = classes.map(|classes| build.layers.linear("head.fc", [config.embedding, classes])).transpose()?;
        Ok(LcNetV2 {
            stem: build.conv_norm("backbone.stem.0", [config.stem_channels(), 3], 3, 2, 1)?,
            blocks,
            last_conv: build.conv("backbone.last_conv", [config.embedding, config.last_channels()], 1, 1, 1)?,
            neck: build.layers.norm("neck.feat_bn", config.embedding)?,
            head,
        })
    }

    /// Features of a batch, not normalised, as the exported graph returns them: `[n, 3, height, width]` to
    /// `[n, embedding]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_observed(images, |_, _| {})
    }

    /// [`forward`](Self::forward) that calls `observe` with the output of each stage: `stem.1`, `stages.0.0`, …,
    /// `avg_pool`, `last_conv`, `backbone`. This finds the first stage that differs from another implementation.
    pub fn forward_observed(&self, images: Tensor<4>, mut observe: impl FnMut(&str, Tensor<4>)) -> Tensor<2> {
        let x = self.embed(images, &mut observe).mul_scalar(KEEP);
        observe("backbone", x.clone());
        self.neck.forward(x.flatten::<2>(1, 3))
    }

    /// [`forward`](Self::forward) for training, on a device with autodiff: BatchNorms use the statistics of the batch,
    /// and update their running statistics.
    ///
    /// `kept`, `[n, embedding]`, is the mask of dropout: 1 where the backbone's output is kept, 0 elsewhere. In
    /// Paddle's mode `downscale_in_infer` training does not rescale the kept values; [`forward`](Self::forward)
    /// multiplies by their share instead. The BatchNorm that follows has fixed statistics, so that factor must not be
    /// left out.
    pub fn forward_training(&self, images: Tensor<4>, kept: Tensor<2>) -> Tensor<2> {
        let x = self.embed(images, &mut |_, _| {}).flatten::<2>(1, 3).mul(kept);
        self.neck.forward(x)
    }

    /// Pooled vectors, the input of the last convolution: `[n, 3, height, width]` to `[n, channels]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        self.pool(images, &mut |_, _| {}).flatten::<2>(1, 3)
    }

    /// The backbone without dropout: `[n, embedding, 1, 1]`.
    fn embed(&self, images: Tensor<4>, observe: &mut dyn FnMut(&str, Tensor<4>)) -> Tensor<4> {
        let x = self.last_conv.forward(self.pool(images, observe));
        observe("last_conv", x.clone());
        x
    }

    /// The backbone up to its mean over the pixels: `[n, channels, 1, 1]`.
    fn pool(&self, images: Tensor<4>, observe: &mut dyn FnMut(&str, Tensor<4>)) -> Tensor<4> {
        let mut x = self.stem.forward(images);
        for block in &self.blocks {
            x = block.forward(x);
            observe(&block.name, x.clone());
        }
        let x = adaptive_avg_pool2d(x, [1, 1]);
        observe("avg_pool", x.clone());
        x
    }

    /// Class scores of features: `[n, embedding]` to `[n, classes]`. `None` where the network has no head.
    pub fn logits(&self, features: Tensor<2>) -> Option<Tensor<2>> {
        self.head.as_ref().map(|head| head.forward(features))
    }

    /// The head's weight, one direction for each class: `[embedding, classes]`. `None` where the network has no head.
    /// Losses of angles need it.
    pub fn directions(&self) -> Option<Tensor<2>> {
        self.head.as_ref().map(|head| head.weight.val())
    }
}

/// `RepDepthwiseSeparable`.
#[derive(Module, Debug)]
struct Block {
    /// The block's path without `backbone.`
    #[module(skip)]
    name: String,
    /// One convolution, or the branches of the training form. Their sum is followed by ReLU.
    depthwise: Vec<ConvNorm>,
    squeeze: Option<SqueezeExcite>,
    /// One or two pointwise convolutions.
    pointwise: Vec<ConvNorm>,
    shortcut: bool,
}

impl Block {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut x = in_one(&input, &self.depthwise, true).unwrap_or_else(|| {
            let branches = self.depthwise.iter().map(|branch| branch.forward(input.clone()));
            relu(branches.reduce(Tensor::add).expect("a block has a depthwise convolution"))
        });
        if let Some(squeeze) = &self.squeeze {
            x = squeeze.forward(x);
        }
        for conv in &self.pointwise {
            x = conv.forward(x);
        }
        if self.shortcut { x.add(input) } else { x }
    }
}

/// Squeeze-and-excitation with a plain sigmoid. (PaddleClas names the attribute `hardsigmoid`; the function is a
/// sigmoid.)
#[derive(Module, Debug)]
struct SqueezeExcite {
    reduce: Conv2d,
    expand: Conv2d,
}

impl SqueezeExcite {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weights = adaptive_avg_pool2d(x.clone(), [1, 1]);
        let weights = relu(self.reduce.forward(weights));
        x.mul(sigmoid(self.expand.forward(weights)))
    }
}

/// Builds the network from named tensors.
struct Builder<'a> {
    layers: Layers<'a>,
    form: Form,
}

impl Builder<'_> {
    fn conv(&self, path: &str, channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Result<Conv2d> {
        self.layers.conv(path, Shape::centered(channels, kernel, stride, groups))
    }

    /// A convolution with its BatchNorm, without activation.
    fn conv_norm_linear(
        &self,
        path: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Result<ConvNorm> {
        self.layers.conv_norm(path, Shape::centered(channels, kernel, stride, groups), Activation::None)
    }

    /// A convolution with its BatchNorm and ReLU.
    fn conv_norm(
        &self,
        path: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Result<ConvNorm> {
        self.layers.conv_norm(path, Shape::centered(channels, kernel, stride, groups), Activation::Relu)
    }

    fn block(&self, block: &BlockConfig) -> Result<Block> {
        let BlockConfig { path, in_channels, out_channels, kernel, stride, .. } = block;
        let (input, out) = (*in_channels, *out_channels);
        let depthwise = match (block.branches.as_slice(), self.form) {
            ([], _) => {
                vec![self.conv_norm_linear(&format!("{path}.dw_conv"), [input; 2], *kernel, *stride, input)?]
            }
            (branches, Form::Training) => branches
                .iter()
                .enumerate()
                .map(|(index, &kernel)| {
                    self.conv_norm_linear(&format!("{path}.dw_conv_list.{index}"), [input; 2], kernel, *stride, input)
                })
                .collect::<Result<_>>()?,
            (_, Form::Deploy) => {
                let conv = self.conv(&format!("{path}.dw_conv"), [input; 2], *kernel, *stride, input)?;
                vec![ConvNorm::fused(conv)]
            }
        };
        let squeeze = match block.squeeze {
            false => None,
            true => Some(SqueezeExcite {
                reduce: self.conv(&format!("{path}.se.conv1"), [input / 4, input], 1, 1, 1)?,
                expand: self.conv(&format!("{path}.se.conv2"), [input, input / 4], 1, 1, 1)?,
            }),
        };
        let pointwise = if block.split {
            vec![
                self.conv_norm(&format!("{path}.pw_conv_1"), [out / 2, input], 1, 1, 1)?,
                self.conv_norm(&format!("{path}.pw_conv_2"), [out, out / 2], 1, 1, 1)?,
            ]
        } else {
            vec![self.conv_norm(&format!("{path}.pw_conv"), [out, input], 1, 1, 1)?]
        };
        let name = path.trim_start_matches("backbone.").to_string();
        Ok(Block { name, depthwise, squeeze, pointwise, shortcut: block.shortcut })
    }
}
