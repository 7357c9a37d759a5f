//! The sizes of PicoDet, and the names and shapes of all parameters.

use crate::model::parameter::{List, make_divisible};
use crate::model::{Parameter, Role};

/// The number that every BatchNorm adds to the variance.
#[cfg(feature = "cpu")]
pub(crate) const EPSILON: f64 = 1e-5;
/// Pairs of convolutions before the last one of a level.
pub(crate) const TOWER: usize = 4;
/// Side of the depthwise kernels of neck and head.
const KERNEL: usize = 5;
/// Distances that a side's distribution is over, in cells: 0 to 7.
const BINS: usize = 8;
/// The distance between cells of each level, in pixels of the input.
const STRIDES: [usize; 4] = [8, 16, 32, 64];

/// Sizes of one network of the PicoDet family, and what becomes of its output.
///
/// ```
/// use image_feature::model::picodet::PicoDetConfig;
///
/// let floats: usize = PicoDetConfig::default().parameters().iter().map(|p| p.len()).sum();
/// assert_eq!(floats, 7_085_908);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PicoDetConfig {
    /// Width multiplier of the backbone's channels; 2.5 for PP-ShiTuV2_det.
    pub scale: f64,
    /// Channels of the neck and the head, an even number.
    pub neck: usize,
    /// Height and width of the input in pixels, multiples of 32.
    pub input: [usize; 2],
    /// The name of each class. PP-ShiTuV2_det has one: `mainbody`.
    pub labels: Vec<String>,
    /// The score above which a box counts, unless another is asked for.
    pub threshold: f32,
    /// The choice among boxes that overlap.
    pub nms: Nms,
}

/// Non-maximum suppression: of boxes of a class that overlap, the one with the highest score stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Nms {
    /// Boxes with this score or a lower one are left out first.
    pub score: f32,
    /// Boxes that overlap a better one by more than this (intersection over union) are left out.
    pub overlap: f32,
    /// The most boxes of a class that are compared: those with the highest scores.
    pub candidates: usize,
    /// The most boxes of an image that stay.
    pub keep: usize,
}

impl Default for Nms {
    /// The numbers in the graph of PP-ShiTuV2_det.
    fn default() -> Self {
        Nms { score: 0.025, overlap: 0.6, candidates: 1000, keep: 100 }
    }
}

impl Default for PicoDetConfig {
    /// PP-ShiTuV2_det.
    fn default() -> Self {
        PicoDetConfig {
            scale: 2.5,
            neck: 128,
            input: [640, 640],
            labels: vec!["mainbody".into()],
            threshold: 0.5,
            nms: Nms::default(),
        }
    }
}

/// One block of the backbone: a depthwise convolution, a squeeze-and-excitation in some blocks, a 1x1 convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockConfig {
    /// Prefix of the names of its parameters: `backbone.blocks5.3`.
    pub path: String,
    /// Channels of its input.
    pub in_channels: usize,
    /// Channels of its output.
    pub out_channels: usize,
    /// Height and width of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Whether there is a squeeze-and-excitation.
    pub squeeze: bool,
    /// Whether the neck reads its output.
    pub to_neck: bool,
}

/// One of the maps in whose cells boxes are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Level {
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// The distance from a cell to the next, in pixels of the input.
    pub stride: usize,
}

/// Depthwise kernel, output channels at scale 1, stride, squeeze-and-excitation.
type Block = (usize, usize, usize, bool);
const STAGES: [&[Block]; 5] = [
    &[(3, 32, 1, false)],
    &[(3, 64, 2, false), (3, 64, 1, false)],
    &[(3, 128, 2, false), (3, 128, 1, false)],
    &[
        (3, 256, 2, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
        (5, 256, 1, false),
    ],
    &[(5, 512, 2, true), (5, 512, 1, true)],
];

impl PicoDetConfig {
    fn scaled(&self, channels: usize) -> usize {
        make_divisible(channels as f64 * self.scale)
    }

    /// Output channels of the first convolution.
    pub fn stem_channels(&self) -> usize {
        self.scaled(16)
    }

    /// Every block of the backbone, in order.
    pub fn blocks(&self) -> Vec<BlockConfig> {
        let mut blocks = Vec::new();
        let mut in_channels = self.stem_channels();
        for (stage, rows) in STAGES.iter().enumerate() {
            for (index, &(kernel, channels, stride, squeeze)) in rows.iter().enumerate() {
                let out_channels = self.scaled(channels);
                blocks.push(BlockConfig {
                    path: format!("backbone.blocks{}.{index}", stage + 2),
                    in_channels,
                    out_channels,
                    kernel,
                    stride,
                    squeeze,
                    // the last block of the last three stages
                    to_neck: stage >= 2 && index + 1 == rows.len(),
                });
                in_channels = out_channels;
            }
        }
        blocks
    }

    /// Channels of the last convolution of each level: a number for each class, and the distributions of four distances.
    pub fn head_channels(&self) -> usize {
        self.labels.len() + 4 * BINS
    }

    /// The maps in whose cells boxes are searched, in the order of the network's outputs.
    pub fn levels(&self) -> [Level; 4] {
        let [height, width] = self.input;
        STRIDES.map(|stride| Level { height: height.div_ceil(stride), width: width.div_ceil(stride), stride })
    }

    /// Every parameter in state-dict order, but for those that inference does not use.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = List::default();
        conv_norm(&mut list, "backbone.conv1", [self.stem_channels(), 3, 3], "bn");
        for block in self.blocks() {
            self.block(&mut list, &block);
        }
        self.neck(&mut list);
        for level in 0..STRIDES.len() {
            for index in 0..TOWER {
                let path = |kind: &str| format!("head.conv_feat.cls_conv_{kind}{level}.{index}");
                conv_norm(&mut list, &path("dw"), [self.neck, 1, KERNEL], "norm");
                conv_norm(&mut list, &path("pw"), [self.neck, self.neck, 1], "norm");
            }
        }
        for level in 0..STRIDES.len() {
            conv_bias(&mut list, &format!("head.head_cls{level}"), self.head_channels(), self.neck);
        }
        list.0
    }

    fn block(&self, list: &mut List, block: &BlockConfig) {
        let BlockConfig { path, in_channels, out_channels, kernel, squeeze, .. } = block;
        conv_norm(list, &format!("{path}.dw_conv"), [*in_channels, 1, *kernel], "bn");
        if *squeeze {
            let hidden = in_channels / 4;
            conv_bias(list, &format!("{path}.se.conv1"), hidden, *in_channels);
            conv_bias(list, &format!("{path}.se.conv2"), *in_channels, hidden);
        }
        conv_norm(list, &format!("{path}.pw_conv"), [*out_channels, *in_channels, 1], "bn");
    }

    fn neck(&self, list: &mut List) {
        let neck = self.neck;
        let inputs = self.blocks().into_iter().filter(|block| block.to_neck);
        for (index, block) in inputs.enumerate() {
            conv_norm(list, &format!("neck.conv_t.convs.{index}"), [neck, block.out_channels, 1], "bn");
        }
        for name in ["first_top_conv", "second_top_conv"] {
            separable(list, &format!("neck.{name}"), neck);
        }
        for index in 0..2 {
            self.csp(list, &format!("neck.top_down_blocks.{index}"));
        }
        for index in 0..2 {
            separable(list, &format!("neck.downsamples.{index}"), neck);
        }
        for index in 0..2 {
            self.csp(list, &format!("neck.bottom_up_blocks.{index}"));
        }
    }

    /// A cross stage partial layer.
    fn csp(&self, list: &mut List, path: &str) {
        let (whole, half) = (self.neck, self.neck / 2);
        conv_norm(list, &format!("{path}.main_conv"), [half, 2 * whole, 1], "bn");
        conv_norm(list, &format!("{path}.short_conv"), [half, 2 * whole, 1], "bn");
        conv_norm(list, &format!("{path}.final_conv"), [whole, 2 * half, 1], "bn");
        conv_norm(list, &format!("{path}.blocks.0.conv1"), [half, half, 1], "bn");
        separable(list, &format!("{path}.blocks.0.conv2"), half);
    }
}

/// A convolution `[out, in / groups, side, side]` without bias, and its BatchNorm.
fn conv_norm(list: &mut List, path: &str, [out, inner, side]: [usize; 3], norm: &str) {
    list.push(format!("{path}.conv.weight"), vec![out, inner, side, side], Role::ConvWeight);
    list.norm(&format!("{path}.{norm}"), out);
}

/// A 1x1 convolution with a bias.
fn conv_bias(list: &mut List, path: &str, out: usize, inner: usize) {
    list.push(format!("{path}.weight"), vec![out, inner, 1, 1], Role::ConvWeight);
    list.push(format!("{path}.bias"), vec![out], Role::ConvBias);
}

/// A depthwise and a 1x1 convolution of the neck, each with its BatchNorm.
fn separable(list: &mut List, path: &str, channels: usize) {
    list.push(format!("{path}.dwconv.weight"), vec![channels, 1, KERNEL, KERNEL], Role::ConvWeight);
    list.norm(&format!("{path}.bn1"), channels);
    list.push(format!("{path}.pwconv.weight"), vec![channels, channels, 1, 1], Role::ConvWeight);
    list.norm(&format!("{path}.bn2"), channels);
}
