//! LCNetV2 on Burn.

use burn::module::{Module, Param, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear, PaddingConfig2d};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::{BlockConfig, DROPOUT, EPSILON, Form, LcNetV2Config};
use super::fuse::fold_norm;
use crate::Result;
use crate::tensors::Tensors;

/// The share of the backbone's output that dropout keeps.
pub(crate) const KEEP: f64 = 1.0 - DROPOUT;
/// The weight of the new statistics. Paddle's momentum, 0.9, is the weight of the old ones.
const MOMENTUM: f64 = 0.1;

/// PPLCNetV2_base_ShiTu with a BNNeck and, for training, a classification head.
///
/// Unstable: its methods take and give Burn's types, and follow Burn's version.
// The comment at each field is its name in PaddleClas. Fields are in the order of `LcNetV2Config::parameters`: training tells
// parameters apart by that order.
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

/// Whether a BatchNorm after a convolution is folded into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Not folded, as training needs them and files store them.
    Separate,
    /// Folded: the same function, with fewer passes over memory. For inference only.
    Folded,
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
        let build = Builder { tensors, norms, form, device };
        let blocks = config.blocks().iter().map(|block| build.block(block)).collect::<Result<_>>()?;
        let head = match classes {
            None => None,
            Some(classes) => {
                let shape = [config.embedding, classes];
                let weight = &tensors.expect("head.fc.weight", &shape)?.values;
                Some(Linear { weight: build.parameter(weight.clone(), shape), bias: None })
            }
        };
        Ok(LcNetV2 {
            stem: build.conv_norm("backbone.stem.0", [config.stem_channels(), 3], 3, 2, 1)?,
            blocks,
            last_conv: build.conv("backbone.last_conv", [config.embedding, config.last_channels()], 1, 1, 1)?,
            neck: build.norm("neck.feat_bn", config.embedding)?,
            head,
        })
    }

    /// Features of a batch, not normalised, as the exported graph returns them: `[n, 3, height, width]` to
    /// `[n, embedding]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_observed(images, |_, _| {})
    }

    /// [`forward`](Self::forward) that calls `observe` with the output of each stage: `stem.1`, `stages.0.0`, …, `avg_pool`,
    /// `last_conv`, `backbone`. This finds the first stage that differs from another implementation.
    pub fn forward_observed(&self, images: Tensor<4>, mut observe: impl FnMut(&str, Tensor<4>)) -> Tensor<2> {
        let x = self.embed(images, &mut observe).mul_scalar(KEEP);
        observe("backbone", x.clone());
        self.neck.forward(x.flatten::<2>(1, 3))
    }

    /// [`forward`](Self::forward) for training, on a device with autodiff: BatchNorms use the statistics of the batch, and
    /// update their running statistics.
    ///
    /// `kept`, `[n, embedding]`, is the mask of dropout: 1 where the backbone's output is kept, 0 elsewhere. In Paddle's mode
    /// `downscale_in_infer` training does not rescale the kept values; [`forward`](Self::forward) multiplies by their share
    /// instead. The BatchNorm that follows has fixed statistics, so that factor must not be left out.
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

/// A convolution, its BatchNorm where that is not folded into it, and ReLU where `activate`.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    activate: bool,
}

impl ConvNorm {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if let Some(y) = in_one(&x, std::slice::from_ref(self), self.activate) {
            return y;
        }
        let x = convolve(&self.conv, x);
        let x = match &self.norm {
            Some(norm) => normalize(norm, x),
            None => x,
        };
        if self.activate { relu(x) } else { x }
    }
}

/// The sum of layers of the same input as one operation, in training on the CPU; `None` elsewhere.
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
fn in_one(x: &Tensor<4>, layers: &[ConvNorm], activate: bool) -> Option<Tensor<4>> {
    let branches: Vec<_> =
        layers.iter().map(|layer| Some((&layer.conv, layer.norm.as_ref()?))).collect::<Option<_>>()?;
    crate::layers::conv_norm::forward(x, &branches, activate)
}

#[cfg(not(all(feature = "train", not(target_arch = "wasm32"))))]
fn in_one(_: &Tensor<4>, _: &[ConvNorm], _: bool) -> Option<Tensor<4>> {
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

/// Squeeze-and-excitation with a plain sigmoid. (PaddleClas names the attribute `hardsigmoid`; the function is a sigmoid.)
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

/// Builds layers from named tensors.
struct Builder<'a> {
    tensors: &'a Tensors,
    norms: Norms,
    form: Form,
    device: &'a Device,
}

impl Builder<'_> {
    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    fn layer(
        &self,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
        [out, input]: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Conv2d {
        let pad = (kernel - 1) / 2;
        Conv2d {
            weight: self.parameter(weight, [out, input / groups, kernel, kernel]),
            bias: bias.map(|bias| self.parameter(bias, [out])),
            stride: [stride; 2],
            kernel_size: [kernel; 2],
            dilation: [1; 2],
            groups,
            padding: PaddingConfig2d::Explicit(pad, pad, pad, pad),
        }
    }

    /// A convolution with bias, without BatchNorm.
    fn conv(&self, path: &str, channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Result<Conv2d> {
        let shape = [channels[0], channels[1] / groups, kernel, kernel];
        let weight = self.tensors.expect(&format!("{path}.weight"), &shape)?.values.clone();
        let bias = self.tensors.expect(&format!("{path}.bias"), &channels[..1])?.values.clone();
        Ok(self.layer(weight, Some(bias), channels, kernel, stride, groups))
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
        let shape = [channels[0], channels[1] / groups, kernel, kernel];
        let weight = self.tensors.expect(&format!("{path}.conv.weight"), &shape)?;
        let norm_path = format!("{path}.bn");
        Ok(match self.norms {
            Norms::Separate => ConvNorm {
                conv: self.layer(weight.values.clone(), None, channels, kernel, stride, groups),
                norm: Some(self.norm(&norm_path, channels[0])?),
                activate: false,
            },
            Norms::Folded => {
                let (weight, bias) = fold_norm(weight, &norm_path, self.tensors)?;
                let conv = self.layer(weight, Some(bias), channels, kernel, stride, groups);
                ConvNorm { conv, norm: None, activate: false }
            }
        })
    }

    fn conv_norm(
        &self,
        path: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Result<ConvNorm> {
        Ok(ConvNorm { activate: true, ..self.conv_norm_linear(path, channels, kernel, stride, groups)? })
    }

    fn norm(&self, path: &str, channels: usize) -> Result<BatchNorm> {
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
            epsilon: EPSILON,
        })
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
                vec![ConvNorm { conv, norm: None, activate: false }]
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
