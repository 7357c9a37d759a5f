//! The sizes of the EfficientNet-Lite family, and the names and shapes of all parameters.

use crate::model::parameter::{List, make_divisible};
use crate::model::{Parameter, Role};

/// The number that every BatchNorm of the backbone adds to the variance.
#[cfg(any(feature = "burn", feature = "cpu"))]
pub(crate) const EPSILON: f64 = 1e-3;
/// The same for the BatchNorm of the neck.
#[cfg(any(feature = "burn", feature = "cpu", feature = "whitening"))]
pub(crate) const NECK_EPSILON: f64 = 1e-5;

/// Output channels of the first convolution, in every size.
const STEM: usize = 32;
/// Output channels of the last convolution, in every size, unless blocks are left out.
const HEAD: usize = 1280;

/// Sizes of one network of the EfficientNet-Lite family.
///
/// ```
/// use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
///
/// let config = EfficientNetLiteConfig { embedding: None, ..EfficientNetLiteConfig::default() };
/// assert_eq!(config.dimension(), 1280);
/// let floats: usize = config.parameters(None).iter().map(|p| p.len()).sum();
/// assert_eq!(floats, 3_413_024);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EfficientNetLiteConfig {
    /// Width multiplier of the blocks' channels; 1.0 for Lite0.
    pub width: f64,
    /// Multiplier of the number of blocks in each stage but the first and the last; 1.0 for Lite0.
    pub depth: f64,
    /// The number of blocks that are kept; `None` for all. A shorter network is smaller and quicker. Its last convolution is
    /// the one that would expand the input of the next block, so that it can take over all weights of the whole network: see
    /// [`shortened`](Self::shortened).
    pub kept_blocks: Option<usize>,
    /// Height and width of the input in pixels. Any size from 32 up works: the network is fully convolutional.
    pub input: [usize; 2],
    /// Length of the feature vector, which a linear layer with a BatchNorm makes of the pooled vector. `None` for a network
    /// without these layers: the feature is the pooled vector.
    pub embedding: Option<usize>,
}

impl Default for EfficientNetLiteConfig {
    /// The sizes of Lite0, with a feature of 512 values.
    fn default() -> Self {
        EfficientNetLiteConfig { width: 1.0, depth: 1.0, kept_blocks: None, input: [224, 224], embedding: Some(512) }
    }
}

/// One block (`MBConv`): a 1x1 convolution that expands, a depthwise convolution, a 1x1 convolution that projects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockConfig {
    /// Prefix of the names of its parameters: `backbone.blocks.3`.
    pub path: String,
    /// Channels of its input.
    pub in_channels: usize,
    /// Channels of the depthwise convolution. There is no first convolution where they are those of the input.
    pub channels: usize,
    /// Channels of its output.
    pub out_channels: usize,
    /// Height and width of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Whether the block's input is added to its output.
    pub shortcut: bool,
}

impl BlockConfig {
    /// Whether there is a convolution that expands.
    pub fn expands(&self) -> bool {
        self.channels != self.in_channels
    }
}

/// Number of blocks, depthwise kernel, stride of the first block, expansion, output channels.
type Stage = (usize, usize, usize, usize, usize);
const STAGES: [Stage; 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// Multiplies a channel count and rounds it (`round_filters`).
fn scaled(channels: usize, width: f64) -> usize {
    make_divisible(channels as f64 * width)
}

/// Rows of a kernel that lie above the input at the first output pixel. TensorFlow's padding "SAME" adds as few zeros as
/// give `size / stride` output pixels, rounded up, and half of them, rounded down, before the input.
#[cfg(any(feature = "burn", feature = "cpu"))]
pub(crate) fn before(size: usize, kernel: usize, stride: usize) -> usize {
    padding(size, kernel, stride) / 2
}

/// All zeros that the padding "SAME" adds to a side of `size` pixels.
#[cfg(any(feature = "burn", feature = "cpu"))]
pub(super) fn padding(size: usize, kernel: usize, stride: usize) -> usize {
    ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size)
}

impl EfficientNetLiteConfig {
    /// The published sizes Lite0 to Lite4, with a feature of 512 values; `None` for another number.
    pub fn lite(number: usize) -> Option<Self> {
        let (width, depth, side) =
            [(1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300)]
                .get(number)
                .copied()?;
        Some(EfficientNetLiteConfig { width, depth, input: [side, side], ..Self::default() })
    }

    /// Length of the feature vector.
    pub fn dimension(&self) -> usize {
        self.embedding.unwrap_or_else(|| self.head_channels())
    }

    /// Output channels of the first convolution.
    pub fn stem_channels(&self) -> usize {
        STEM
    }

    /// Output channels of the last convolution: the length of the pooled vector.
    pub fn head_channels(&self) -> usize {
        self.next_block().map_or(HEAD, |block| block.channels)
    }

    /// Channels of the last block's output.
    pub fn last_channels(&self) -> usize {
        self.blocks().last().map_or(STEM, |block| block.out_channels)
    }

    /// The block after the last one that is kept; `None` where all are kept.
    pub fn next_block(&self) -> Option<BlockConfig> {
        self.all_blocks().into_iter().nth(self.kept_blocks?)
    }

    /// The same network with its first `blocks` blocks alone; whole where it has no more.
    ///
    /// ```
    /// use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
    ///
    /// let whole = EfficientNetLiteConfig { embedding: None, ..EfficientNetLiteConfig::default() };
    /// let short = whole.shortened(11);
    /// assert_eq!((whole.blocks().len(), whole.dimension()), (16, 1280));
    /// assert_eq!((short.blocks().len(), short.dimension()), (11, 672));
    /// assert_eq!(whole.shortened(16), whole);
    /// ```
    pub fn shortened(&self, blocks: usize) -> Self {
        let kept_blocks = (blocks < self.blocks().len()).then_some(blocks).or(self.kept_blocks);
        EfficientNetLiteConfig { kept_blocks, ..self.clone() }
    }

    /// The blocks in order.
    pub fn blocks(&self) -> Vec<BlockConfig> {
        let mut blocks = self.all_blocks();
        blocks.truncate(self.kept_blocks.unwrap_or(usize::MAX));
        blocks
    }

    /// The blocks of the whole network.
    fn all_blocks(&self) -> Vec<BlockConfig> {
        let mut blocks: Vec<BlockConfig> = Vec::new();
        let mut in_channels = STEM;
        for (stage, (count, kernel, first_stride, expansion, channels)) in STAGES.into_iter().enumerate() {
            let fixed = stage == 0 || stage == STAGES.len() - 1;
            let count = if fixed { count } else { (count as f64 * self.depth).ceil() as usize };
            let out_channels = scaled(channels, self.width);
            for block in 0..count {
                let stride = if block == 0 { first_stride } else { 1 };
                blocks.push(BlockConfig {
                    path: format!("backbone.blocks.{}", blocks.len()),
                    in_channels,
                    channels: in_channels * expansion,
                    out_channels,
                    kernel,
                    stride,
                    shortcut: stride == 1 && in_channels == out_channels,
                });
                in_channels = out_channels;
            }
        }
        blocks
    }

    /// Every parameter in state-dict order, which is also the order of their use in the forward pass. `classes` adds a
    /// classification head for this many classes.
    pub fn parameters(&self, classes: Option<usize>) -> Vec<Parameter> {
        let mut list = List::default();
        conv_norm(&mut list, "backbone.stem", [STEM, 3, 3, 3]);
        for block in self.blocks() {
            let BlockConfig { path, in_channels, channels, out_channels, kernel, .. } = &block;
            if block.expands() {
                conv_norm(&mut list, &format!("{path}.expand"), [*channels, *in_channels, 1, 1]);
            }
            conv_norm(&mut list, &format!("{path}.depthwise"), [*channels, 1, *kernel, *kernel]);
            conv_norm(&mut list, &format!("{path}.project"), [*out_channels, *channels, 1, 1]);
        }
        let inner = self.head_channels();
        conv_norm(&mut list, "backbone.head", [inner, self.last_channels(), 1, 1]);
        if let Some(embedding) = self.embedding {
            list.push("backbone.last_conv.weight".into(), vec![embedding, inner, 1, 1], Role::ConvWeight);
            list.push("backbone.last_conv.bias".into(), vec![embedding], Role::ConvBias);
            list.norm("neck.feat_bn", embedding);
        }
        if let Some(classes) = classes {
            list.push("head.fc.weight".into(), vec![self.dimension(), classes], Role::LinearWeight);
        }
        list.0
    }
}

/// A convolution, and the BatchNorm after it.
fn conv_norm(list: &mut List, path: &str, shape: [usize; 4]) {
    list.push(format!("{path}.conv.weight"), shape.to_vec(), Role::ConvWeight);
    list.norm(&format!("{path}.bn"), shape[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_published_ones() {
        // parameters without BatchNorm's statistics and without the classifier, from the published checkpoints
        let floats = |number: usize| {
            let config = EfficientNetLiteConfig { embedding: None, ..EfficientNetLiteConfig::lite(number).unwrap() };
            let parameters = config.parameters(None);
            let learnt = parameters.iter().filter(|p| !matches!(p.role, Role::NormMean | Role::NormVariance));
            learnt.map(Parameter::len).sum::<usize>()
        };
        assert_eq!(floats(0), 4_652_008 - 1000 * 1281);
        assert_eq!(EfficientNetLiteConfig::lite(2).unwrap().blocks().len(), 21);
        assert_eq!(EfficientNetLiteConfig::lite(5), None);
    }

    #[test]
    #[cfg(any(feature = "burn", feature = "cpu"))]
    fn zeros_are_those_of_tensorflow() {
        // (size, kernel, stride): zeros before and after
        for (case, expected) in [
            ((224, 3, 2), (0, 1)),
            ((112, 5, 2), (1, 2)),
            ((7, 3, 2), (1, 1)),
            ((14, 5, 1), (2, 2)),
            ((1, 5, 2), (2, 2)),
            ((225, 3, 2), (1, 1)),
        ] {
            let (size, kernel, stride) = case;
            let first = before(size, kernel, stride);
            assert_eq!((first, padding(size, kernel, stride) - first), expected, "{case:?}");
        }
    }
}
