//! The sizes of the LCNetV2 family, and the names and shapes of all parameters.

use crate::model::parameter::{List, make_divisible};
use crate::model::{Parameter, Role};

/// The number that every BatchNorm of the family adds to the variance.
pub(crate) const EPSILON: f64 = 1e-5;
/// The share of the backbone's output that dropout sets to zero in training.
pub(crate) const DROPOUT: f64 = 0.2;

/// Sizes of one network of the LCNetV2 family.
///
/// ```
/// use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
///
/// let config = LcNetV2Config::default();
/// let floats: usize = config.parameters(Form::Deploy, None).iter().map(|p| p.len()).sum();
/// assert_eq!(floats, 4_575_616);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LcNetV2Config {
    /// Width multiplier of every channel count; 1.0 for `PP-ShiTuV2_rec`.
    pub scale: f64,
    /// Height and width of the input in pixels. Any size from 32 up works: the network is fully convolutional.
    pub input: [usize; 2],
    /// Length of the feature vector (`class_expand` in PaddleClas).
    pub embedding: usize,
}

impl Default for LcNetV2Config {
    /// The sizes of `PP-ShiTuV2_rec`.
    fn default() -> Self {
        LcNetV2Config { scale: 1.0, input: [224, 224], embedding: 512 }
    }
}

/// The form of the depthwise convolutions of re-parameterised blocks.
///
/// A network without such blocks has one form, which is called [`Deploy`](Form::Deploy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Parallel branches, each with its BatchNorm, as in `.pdparams`.
    Training,
    /// One fused convolution with bias, as in an exported inference model.
    Deploy,
}

/// One depthwise-separable block (`RepDepthwiseSeparable`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockConfig {
    /// Prefix of the names of its parameters: `backbone.stages.2.0`.
    pub path: String,
    /// Channels of its input.
    pub in_channels: usize,
    /// Channels of its output.
    pub out_channels: usize,
    /// Height and width of the depthwise kernel, the largest where there are several.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Height and width of each kernel of the parallel depthwise branches; empty for a block that is not
    /// re-parameterised.
    pub branches: Vec<usize>,
    /// Whether squeeze-and-excitation follows the depthwise convolution.
    pub squeeze: bool,
    /// Whether there are two pointwise convolutions, with `out_channels / 2` channels between them.
    pub split: bool,
    /// Whether the block's input is added to its output.
    pub shortcut: bool,
}

/// Input channels, depthwise kernel, stride of the first block, number of blocks, split, re-parameterised,
/// squeeze-and-excitation, shortcut.
type Stage = (usize, usize, usize, usize, bool, bool, bool, bool);
/// The stages. The last one of PP-ShiTu keeps the resolution (stride 1); that of the original LCNetV2 halves it.
const STAGES: [Stage; 4] = [
    (64, 3, 2, 2, false, false, false, false),
    (128, 3, 2, 2, false, false, false, false),
    (256, 5, 2, 6, true, true, true, false),
    (512, 5, 1, 2, false, true, false, true),
];

impl LcNetV2Config {
    fn channels(&self, base: usize) -> usize {
        make_divisible(base as f64 * self.scale)
    }

    /// Output channels of the first convolution.
    pub fn stem_channels(&self) -> usize {
        self.channels(32)
    }

    /// Output channels of the last block.
    pub fn last_channels(&self) -> usize {
        self.channels(1024)
    }

    /// All blocks in order: the stem's, then those of each stage.
    pub fn blocks(&self) -> Vec<BlockConfig> {
        let mut blocks = vec![BlockConfig {
            path: "backbone.stem.1".into(),
            in_channels: self.channels(32),
            out_channels: self.channels(64),
            kernel: 3,
            stride: 1,
            branches: vec![],
            squeeze: false,
            split: false,
            shortcut: false,
        }];
        for (index, (base, kernel, first_stride, depth, split, rep, squeeze, shortcut)) in
            STAGES.into_iter().enumerate()
        {
            for block in 0..depth {
                let stride = if block == 0 { first_stride } else { 1 };
                let in_channels = self.channels(if block == 0 { base } else { base * 2 });
                let out_channels = self.channels(base * 2);
                blocks.push(BlockConfig {
                    path: format!("backbone.stages.{index}.{block}"),
                    in_channels,
                    out_channels,
                    kernel,
                    stride,
                    branches: if rep { branches(kernel, stride) } else { vec![] },
                    squeeze,
                    split,
                    shortcut: shortcut && stride == 1 && in_channels == out_channels,
                });
            }
        }
        blocks
    }

    /// Every parameter in state-dict order, which is also the order of their use in the forward pass.
    ///
    /// `classes` adds a classification head for this many classes. The training form includes the fused convolutions,
    /// which PaddleClas stores beside the branches and does not use.
    pub fn parameters(&self, form: Form, classes: Option<usize>) -> Vec<Parameter> {
        let mut list = List::default();
        list.conv_norm("backbone.stem.0", self.stem_channels(), 3, 3);
        for block in self.blocks() {
            list.block(&block, form);
        }
        list.conv("backbone.last_conv", self.embedding, self.last_channels(), 1, true);
        list.norm("neck.feat_bn", self.embedding);
        if let Some(classes) = classes {
            list.push("head.fc.weight".into(), vec![self.embedding, classes], Role::LinearWeight);
        }
        list.0
    }
}

/// Kernels k, k-2, … A 1x1 branch exists only with stride 1.
fn branches(kernel: usize, stride: usize) -> Vec<usize> {
    (1..=kernel).rev().step_by(2).filter(|&k| k > 1 || stride == 1).collect()
}

impl List {
    fn conv(&mut self, path: &str, out: usize, input: usize, kernel: usize, bias: bool) {
        self.push(format!("{path}.weight"), vec![out, input, kernel, kernel], Role::ConvWeight);
        if bias {
            self.push(format!("{path}.bias"), vec![out], Role::ConvBias);
        }
    }

    fn conv_norm(&mut self, path: &str, out: usize, input: usize, kernel: usize) {
        self.conv(&format!("{path}.conv"), out, input, kernel, false);
        self.norm(&format!("{path}.bn"), out);
    }

    fn block(&mut self, block: &BlockConfig, form: Form) {
        let BlockConfig { path, in_channels, out_channels, kernel, .. } = block;
        if block.branches.is_empty() {
            self.conv_norm(&format!("{path}.dw_conv"), *in_channels, 1, *kernel);
        } else {
            if form == Form::Training {
                for (index, &kernel) in block.branches.iter().enumerate() {
                    self.conv_norm(&format!("{path}.dw_conv_list.{index}"), *in_channels, 1, kernel);
                }
            }
            self.conv(&format!("{path}.dw_conv"), *in_channels, 1, *kernel, true);
        }
        if block.squeeze {
            self.conv(&format!("{path}.se.conv1"), in_channels / 4, *in_channels, 1, true);
            self.conv(&format!("{path}.se.conv2"), *in_channels, in_channels / 4, 1, true);
        }
        if block.split {
            let half = out_channels / 2;
            self.conv_norm(&format!("{path}.pw_conv_1"), half, *in_channels, 1);
            self.conv_norm(&format!("{path}.pw_conv_2"), *out_channels, half, 1);
        } else {
            self.conv_norm(&format!("{path}.pw_conv"), *out_channels, *in_channels, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_paper_model() {
        let config = LcNetV2Config::default();
        let floats = |form, classes| config.parameters(form, classes).iter().map(Parameter::len).sum::<usize>();
        assert_eq!(floats(Form::Deploy, None), 4_575_616);
        assert_eq!(floats(Form::Training, None), 4_778_880);
        assert_eq!(config.parameters(Form::Deploy, None).len(), 171);
        assert_eq!(config.parameters(Form::Training, Some(10)).len(), 287);
    }
}
