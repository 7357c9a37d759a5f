//! The vision transformer on Burn.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, PaddingConfig2d};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use super::config::{EPSILON, VitConfig};
use crate::Result;
use crate::tensors::Tensors;

/// CLIP's vision transformer with a linear layer after it and, for training, a classification head.
///
/// Unstable: its methods take and give Burn's types, and follow Burn's version.
// The comment at each field is its name in PaddleClas. Fields are in the order of `VitConfig::parameters`: training tells
// parameters apart by that order.
#[derive(Module, Debug)]
pub struct Vit {
    /// `backbone.pos_embed`
    positions: Param<Tensor<3>>,
    /// `backbone.cls_token`
    class_token: Param<Tensor<3>>,
    /// `backbone.proj`
    projection: Linear,
    /// `backbone.patch_embed.proj`
    patches: Conv2d,
    /// `backbone.ln_pre`
    norm_before: LayerNorm,
    /// `backbone.blocks.{b}`
    blocks: Vec<Block>,
    /// `backbone.norm`
    norm_after: LayerNorm,
    /// `neck.fc`
    neck: Linear,
    /// `head`: one direction for each class, `[embedding, classes]`
    head: Option<Param<Tensor<2>>>,
    /// Whether the mean includes the class token.
    average_class_token: bool,
}

impl Vit {
    /// The network with these weights on a device. `classes` adds the classification head.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where sizes do not fit together, or a tensor is missing or has another
    /// shape than `config` says.
    pub fn new(config: &VitConfig, classes: Option<usize>, tensors: &Tensors, device: &Device) -> Result<Self> {
        config.check()?;
        let build = Builder { tensors, device };
        let VitConfig { patch, width, hidden, .. } = *config;
        let block = |index: usize| {
            let path = format!("backbone.blocks.{index}");
            Ok::<_, crate::Error>(Block {
                norm1: build.norm(&format!("{path}.norm1"), width)?,
                attention: Attention {
                    qkv: build.linear(&format!("{path}.attn.qkv"), [width, 3 * width])?,
                    projection: build.linear(&format!("{path}.attn.proj"), [width, width])?,
                    heads: config.heads,
                },
                norm2: build.norm(&format!("{path}.norm2"), width)?,
                expand: build.linear(&format!("{path}.mlp.fc1"), [width, hidden])?,
                reduce: build.linear(&format!("{path}.mlp.fc2"), [hidden, width])?,
            })
        };
        Ok(Vit {
            patches: Conv2d {
                weight: build.parameter("backbone.patch_embed.proj.weight", [width, 3, patch, patch])?,
                bias: None,
                stride: [patch; 2],
                kernel_size: [patch; 2],
                dilation: [1; 2],
                groups: 1,
                padding: PaddingConfig2d::Valid,
            },
            class_token: build.parameter("backbone.cls_token", [1, 1, width])?,
            positions: build.parameter("backbone.pos_embed", [1, config.tokens(), width])?,
            norm_before: build.norm("backbone.ln_pre", width)?,
            blocks: (0..config.depth).map(block).collect::<Result<_>>()?,
            norm_after: build.norm("backbone.norm", width)?,
            projection: Linear { weight: build.parameter("backbone.proj", [width, config.projection])?, bias: None },
            neck: build.linear("neck.fc", [config.projection, config.embedding])?,
            head: classes.map(|classes| build.parameter("head.weight", [config.embedding, classes])).transpose()?,
            average_class_token: config.average_class_token,
        })
    }

    /// The head's weight, one direction for each class: `[embedding, classes]`. `None` where the network has no head.
    pub fn directions(&self) -> Option<Tensor<2>> {
        self.head.as_ref().map(|head| head.val())
    }

    /// Features of a batch, not normalised, as the exported graph returns them: `[n, 3, height, width]` to
    /// `[n, embedding]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_observed(images, |_, _| {})
    }

    /// Pooled vectors, the input of the neck: `[n, 3, height, width]` to `[n, projection]`.
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        self.pool(images, &mut |_, _| {})
    }

    /// [`forward`](Self::forward) that calls `observe` with the tokens of each stage, `[n, tokens, channels]`: `patch_embed`,
    /// `ln_pre`, `blocks.0.attn`, `blocks.0.mlp`, `blocks.0`, …, `norm`. This finds the first stage that differs from another
    /// implementation.
    pub fn forward_observed(&self, images: Tensor<4>, mut observe: impl FnMut(&str, Tensor<3>)) -> Tensor<2> {
        self.neck.forward(self.pool(images, &mut observe))
    }

    /// The backbone: `[n, projection]`.
    fn pool(&self, images: Tensor<4>, observe: &mut dyn FnMut(&str, Tensor<3>)) -> Tensor<2> {
        let [count, ..] = images.dims();
        let patches = self.patches.forward(images).flatten::<3>(2, 3).swap_dims(1, 2);
        observe("patch_embed", patches.clone());
        let class_token = self.class_token.val();
        let [.., width] = class_token.dims();
        let tokens = Tensor::cat(vec![class_token.expand([count, 1, width]), patches], 1);
        let mut x = self.norm_before.forward(tokens.add(self.positions.val()));
        observe("ln_pre", x.clone());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, |part, tokens| observe(&format!("blocks.{index}{part}"), tokens));
        }
        if !self.average_class_token {
            let [_, tokens, _] = x.dims();
            x = x.narrow(1, 1, tokens - 1);
        }
        let x = self.norm_after.forward(x);
        observe("norm", x.clone());
        self.projection.forward(x).mean_dim(1).flatten::<2>(1, 2)
    }
}

/// One block: attention and an MLP, each after a LayerNorm and added to its input.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    /// `mlp.fc1`
    expand: Linear,
    /// `mlp.fc2`
    reduce: Linear,
}

impl Block {
    fn forward(&self, input: Tensor<3>, mut observe: impl FnMut(&str, Tensor<3>)) -> Tensor<3> {
        let attended = self.attention.forward(self.norm1.forward(input.clone()));
        observe(".attn", attended.clone());
        let x = input.add(attended);
        let hidden = gelu(self.expand.forward(self.norm2.forward(x.clone())));
        let reduced = self.reduce.forward(hidden);
        observe(".mlp", reduced.clone());
        let x = x.add(reduced);
        observe("", x.clone());
        x
    }
}

/// Self-attention over all tokens.
#[derive(Module, Debug)]
struct Attention {
    /// Queries, keys and values of all heads, in this order.
    qkv: Linear,
    /// `proj`
    projection: Linear,
    heads: usize,
}

impl Attention {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [count, tokens, width] = x.dims();
        let head_width = width / self.heads;
        let qkv = self.qkv.forward(x).reshape([count, tokens, 3 * self.heads, head_width]).swap_dims(1, 2);
        let part = |index: usize| qkv.clone().narrow(1, index * self.heads, self.heads);
        let (queries, keys, values) = (part(0), part(1), part(2));
        let scores = queries.matmul(keys.swap_dims(2, 3)).mul_scalar((head_width as f64).powf(-0.5));
        let attended: Tensor<4> = softmax(scores, 3).matmul(values);
        self.projection.forward(attended.swap_dims(1, 2).reshape([count, tokens, width]))
    }
}

/// Builds layers from named tensors.
struct Builder<'a> {
    tensors: &'a Tensors,
    device: &'a Device,
}

impl Builder<'_> {
    fn parameter<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>> {
        let values = self.tensors.expect(name, &shape)?.values.clone();
        Ok(Param::from_data(TensorData::new(values, shape), self.device))
    }

    fn linear(&self, path: &str, [input, output]: [usize; 2]) -> Result<Linear> {
        Ok(Linear {
            weight: self.parameter(&format!("{path}.weight"), [input, output])?,
            bias: Some(self.parameter(&format!("{path}.bias"), [output])?),
        })
    }

    fn norm(&self, path: &str, channels: usize) -> Result<LayerNorm> {
        // by way of its config, since the field epsilon is private
        let mut norm = LayerNormConfig::new(channels).with_epsilon(EPSILON).init(self.device);
        norm.gamma = self.parameter(&format!("{path}.weight"), [channels])?;
        norm.beta = Some(self.parameter(&format!("{path}.bias"), [channels])?);
        Ok(norm)
    }
}
