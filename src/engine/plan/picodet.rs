//! PicoDet as steps. The plan gives the last map of each level: for each cell the classes' numbers, then the distributions
//! of the distances to the four sides of a box.

use super::{Activation, GateFunction, Operation, Plan, PlanBuilder, Shape, ValueId, Weights};
use crate::Result;
use crate::model::norm::fold_norm;
use crate::model::picodet::{BlockConfig, EPSILON, PicoDetConfig, TOWER};
use crate::tensors::Tensors;

/// The plan of a network.
pub(super) fn compile(name: &str, config: &PicoDetConfig, tensors: &Tensors) -> Result<Plan> {
    let [height, width] = config.input;
    let mut builder = Builder { plan: Plan::builder(name, Shape { height, width, channels: 3 }), tensors };
    let backbone = builder.backbone(config)?;
    let levels = builder.neck(config, backbone)?;
    let mut maps = Vec::new();
    for (level, input) in levels.into_iter().enumerate() {
        maps.push(builder.head(config, level, input)?);
    }
    builder.plan.finish_maps(maps)
}

struct Builder<'a> {
    plan: PlanBuilder,
    tensors: &'a Tensors,
}

/// A convolution's names: of its weight and of its BatchNorm.
struct Names {
    weight: String,
    norm: String,
}

impl Names {
    fn of(path: &str, norm: &str) -> Self {
        Names { weight: format!("{path}.conv.weight"), norm: format!("{path}.{norm}") }
    }
}

impl Builder<'_> {
    fn conv_norm(&self, names: &Names, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>)> {
        fold_norm(self.tensors.expect(&names.weight, &shape)?, &names.norm, EPSILON, self.tensors)
    }

    fn conv_bias(&self, path: &str, out: usize, inner: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let weights = self.tensors.expect(&format!("{path}.weight"), &[out, inner, 1, 1])?.values.clone();
        let bias = self.tensors.expect(&format!("{path}.bias"), &[out])?.values.clone();
        Ok((weights, bias))
    }

    fn depthwise(&mut self, path: &str, names: &Names, input: ValueId, side: usize, stride: usize) -> Result<ValueId> {
        let shape = self.plan.shape(input);
        let (weights, bias) = self.conv_norm(names, [shape.channels, 1, side, side])?;
        let activation = Activation::HardSwish;
        let operation = Operation::Depthwise { side, before: side / 2, stride, weights, bias, activation };
        Ok(self.plan.push(path, operation, input, shape.strided(stride, shape.channels)))
    }

    fn pointwise(
        &mut self,
        path: &str,
        names: &Names,
        input: ValueId,
        channels: usize,
        gate: Option<ValueId>,
        residual: Option<ValueId>,
    ) -> Result<ValueId> {
        let shape = self.plan.shape(input);
        let (weights, bias) = self.conv_norm(names, [channels, shape.channels, 1, 1])?;
        let (weights, activation) = (Weights::F32(weights), Activation::HardSwish);
        let operation = Operation::Pointwise { weights, bias, activation, gate, residual };
        Ok(self.plan.push(path, operation, input, Shape { channels, ..shape }))
    }

    /// The maps that the neck reads, the largest first.
    fn backbone(&mut self, config: &PicoDetConfig) -> Result<Vec<ValueId>> {
        let (path, channels) = ("backbone.conv1", config.stem_channels());
        let (weights, bias) = self.conv_norm(&Names::of(path, "bn"), [channels, 3, 3, 3])?;
        let activation = Activation::HardSwish;
        let operation = Operation::Convolution { side: 3, before: 1, stride: 2, weights, bias, activation };
        let input = self.plan.input();
        let mut x = self.plan.push(path, operation, input, self.plan.shape(input).strided(2, channels));
        let mut maps = Vec::new();
        for block in config.blocks() {
            x = self.block(&block, x)?;
            if block.to_neck {
                maps.push(x);
            }
        }
        Ok(maps)
    }

    fn block(&mut self, block: &BlockConfig, input: ValueId) -> Result<ValueId> {
        let BlockConfig { path, out_channels, kernel, stride, .. } = block;
        let at = format!("{path}.dw_conv");
        let x = self.depthwise(&at, &Names::of(&at, "bn"), input, *kernel, *stride)?;
        let gate = if block.squeeze { Some(self.gate(&format!("{path}.se"), x)?) } else { None };
        let at = format!("{path}.pw_conv");
        self.pointwise(&at, &Names::of(&at, "bn"), x, *out_channels, gate, None)
    }

    fn gate(&mut self, path: &str, input: ValueId) -> Result<ValueId> {
        let channels = self.plan.shape(input).channels;
        let hidden = channels / 4;
        let (reduce, reduce_bias) = self.conv_bias(&format!("{path}.conv1"), hidden, channels)?;
        let (expand, expand_bias) = self.conv_bias(&format!("{path}.conv2"), channels, hidden)?;
        let function = GateFunction::HardSigmoid;
        let operation = Operation::Gate { function, reduce, reduce_bias, expand, expand_bias };
        Ok(self.plan.push(path, operation, input, Shape { height: 1, width: 1, channels }))
    }

    /// The maps that the heads read, from stride 8 to stride 64.
    fn neck(&mut self, config: &PicoDetConfig, backbone: Vec<ValueId>) -> Result<Vec<ValueId>> {
        let channels = config.neck;
        let mut t = Vec::new();
        for (index, map) in backbone.into_iter().enumerate() {
            let path = format!("neck.conv_t.convs.{index}");
            t.push(self.pointwise(&path, &Names::of(&path, "bn"), map, channels, None, None)?);
        }
        let [t3, t4, t5] = t[..] else { unreachable!("three blocks of the backbone go to the neck") };
        let i4 = self.top_down(0, t5, t4)?;
        let p3 = self.top_down(1, i4, t3)?;
        let p4 = self.bottom_up(0, p3, i4)?;
        let p5 = self.bottom_up(1, p4, t5)?;
        let first = self.separable("neck.first_top_conv", t5, 2, None)?;
        let p6 = self.separable("neck.second_top_conv", p5, 2, Some(first))?;
        Ok(vec![p3, p4, p5, p6])
    }

    /// A smaller map upsampled and joined with a larger one.
    fn top_down(&mut self, index: usize, small: ValueId, large: ValueId) -> Result<ValueId> {
        let path = format!("neck.top_down_blocks.{index}");
        let Shape { height, width, channels } = self.plan.shape(small);
        let shape = Shape { height: 2 * height, width: 2 * width, channels };
        let x = self.plan.push(format!("{path}.upsample"), Operation::Upsample { factor: 2 }, small, shape);
        self.csp(&path, x, large)
    }

    /// A larger map downsampled and joined with a smaller one.
    fn bottom_up(&mut self, index: usize, large: ValueId, small: ValueId) -> Result<ValueId> {
        let x = self.separable(&format!("neck.downsamples.{index}"), large, 2, None)?;
        self.csp(&format!("neck.bottom_up_blocks.{index}"), x, small)
    }

    /// A cross stage partial layer of two maps.
    fn csp(&mut self, path: &str, first: ValueId, second: ValueId) -> Result<ValueId> {
        let channels = self.plan.shape(first).channels;
        let x = self.concat(format!("{path}.concat"), first, second);
        let at = |name: &str| format!("{path}.{name}");
        let conv = |builder: &mut Self, at: &str, input, channels| {
            builder.pointwise(at, &Names::of(at, "bn"), input, channels, None, None)
        };
        let short = conv(self, &at("short_conv"), x, channels / 2)?;
        let main = conv(self, &at("main_conv"), x, channels / 2)?;
        let main = conv(self, &at("blocks.0.conv1"), main, channels / 2)?;
        let main = self.separable(&at("blocks.0.conv2"), main, 1, None)?;
        let x = self.concat(at("final_concat"), main, short);
        conv(self, &at("final_conv"), x, channels)
    }

    fn concat(&mut self, name: String, first: ValueId, second: ValueId) -> ValueId {
        let shape = self.plan.shape(first);
        let channels = shape.channels + self.plan.shape(second).channels;
        let operation = Operation::Concat { others: vec![second] };
        self.plan.push(name, operation, first, Shape { channels, ..shape })
    }

    /// A depthwise and a 1x1 convolution of the neck.
    fn separable(&mut self, path: &str, input: ValueId, stride: usize, residual: Option<ValueId>) -> Result<ValueId> {
        let names =
            |part: &str, norm: &str| Names { weight: format!("{path}.{part}.weight"), norm: format!("{path}.{norm}") };
        let channels = self.plan.shape(input).channels;
        let x = self.depthwise(&format!("{path}.dwconv"), &names("dwconv", "bn1"), input, 5, stride)?;
        self.pointwise(&format!("{path}.pwconv"), &names("pwconv", "bn2"), x, channels, None, residual)
    }

    fn head(&mut self, config: &PicoDetConfig, level: usize, input: ValueId) -> Result<ValueId> {
        let mut x = input;
        for index in 0..TOWER {
            let path = format!("head.conv_feat.cls_conv_dw{level}.{index}");
            x = self.depthwise(&path, &Names::of(&path, "norm"), x, 5, 1)?;
            let path = format!("head.conv_feat.cls_conv_pw{level}.{index}");
            x = self.pointwise(&path, &Names::of(&path, "norm"), x, config.neck, None, None)?;
        }
        let path = format!("head.head_cls{level}");
        let (shape, channels) = (self.plan.shape(x), config.head_channels());
        let (weights, bias) = self.conv_bias(&path, channels, shape.channels)?;
        let (weights, activation) = (Weights::F32(weights), Activation::None);
        let operation = Operation::Pointwise { weights, bias, activation, gate: None, residual: None };
        Ok(self.plan.push(path, operation, x, Shape { channels, ..shape }))
    }
}
