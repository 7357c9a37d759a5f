//! The walk along PP-ShiTuV2_det as PaddleDetection exports it: the network, the decoding of its boxes, and the choice
//! among them.

use super::{Constant, Conv, Walk, check, check_float, check_whole, is_convolution, wrong_input};
use crate::model::picodet::{BlockConfig, Level, Nms, PicoDetConfig};
use crate::weights::paddle::op::{Attribute, Op, Operand, Program};
use crate::weights::{identify, limits};
use crate::{Error, Result};

/// The op that chooses among boxes.
pub(super) const NMS: &str = "multiclass_nms3";
/// Convolutions of the backbone.
const BACKBONE: usize = 31;
/// Pairs of convolutions before the last one of a level.
const TOWER: usize = 4;
/// Distances that a side's distribution is over.
const BINS: i64 = 8;

/// The sizes that the graph's weights show, and the numbers of its last op.
pub(super) fn config(program: &Program, input: [usize; 2]) -> Result<PicoDetConfig> {
    let filter = |op: &Op| match op.inputs.get(1) {
        Some(&Operand::Parameter(index)) => Some(&program.parameters[index].shape[..]),
        _ => None,
    };
    let filters: Vec<&[usize]> =
        program.ops.iter().filter(|op| is_convolution(op)).map(filter).collect::<Option<_>>().unwrap_or_default();
    let (Some(backbone), Some(head)) = (filters.get(BACKBONE - 1), filters.last()) else {
        return Err(Error::model(format!("the graph has {} convolutions; expected 102", filters.len())));
    };
    let nms = program.ops.iter().find(|op| op.kind == NMS).map(nms).transpose()?.unwrap_or_default();
    let config = PicoDetConfig { input, nms, ..identify::picodet(backbone, head)? };
    limits::check_picodet(&config)?;
    Ok(config)
}

fn nms(op: &Op) -> Result<Nms> {
    let missing = |name: &str| Error::model(format!("op `{NMS}` has no `{name}`"));
    let number = |name: &str| op.attributes.float(name).ok_or_else(|| missing(name));
    // -1 stands for all
    let count = |name: &str| {
        let count = op.attributes.whole(name).ok_or_else(|| missing(name))?;
        usize::try_from(count).map_err(|_| Error::unsupported(format!("op `{NMS}` has `{name}` {count}")))
    };
    check(op, NMS, "normalized", &Attribute::Bool(true))?;
    check(op, NMS, "background_label", &Attribute::Int(-1))?;
    check_float(op, NMS, "nms_eta", 1.0)?;
    Ok(Nms {
        score: number("score_threshold")? as f32,
        overlap: number("nms_threshold")? as f32,
        candidates: count("nms_top_k")?,
        keep: count("keep_top_k")?,
    })
}

/// The outputs of a level: scores and distances of all its cells.
struct Boxes {
    scores: Operand,
    distances: Operand,
}

impl Walk<'_> {
    pub(super) fn picodet(&mut self, config: &PicoDetConfig) -> Result<Vec<Constant>> {
        let maps = self.backbone(config)?;
        let inputs = self.neck(config, maps)?;
        let mut project = None;
        let mut boxes = Vec::new();
        for (level, input) in inputs.into_iter().enumerate() {
            boxes.push(self.head(config, level, input, &mut project)?);
        }
        let [anchors, strides] = self.decode(config, boxes)?;
        let project = project.ok_or_else(|| Error::internal("a detector without levels"))?;
        let levels = config.levels();
        let cells = || levels.iter().flat_map(|&level| cells(level));
        Ok(vec![
            Constant { index: project, what: "distances", values: (0..BINS).map(|bin| bin as f32).collect() },
            Constant { index: anchors, what: "centres", values: cells().flat_map(|(_, centre)| centre).collect() },
            Constant { index: strides, what: "strides", values: cells().map(|(stride, _)| stride).collect() },
        ])
    }

    /// Convolution, BatchNorm, hard swish.
    fn conv_swish(&mut self, path: &str, norm: &str, conv: Conv, input: Operand) -> Result<Operand> {
        let x = self.conv(path, conv, input)?;
        let x = self.norm(norm, x)?;
        let op = self.op("hardswish", path)?;
        self.follows(op, path, &x)?;
        // attributes that Paddle 2 has
        for (name, value) in [("threshold", 6.0), ("scale", 6.0), ("offset", 3.0)] {
            if op.attributes.0.contains_key(name) {
                check_float(op, path, name, value)?;
            }
        }
        Ok(Operand::Value(op.output))
    }

    fn layer(&mut self, path: &str, norm: &str, conv: Conv, input: Operand) -> Result<Operand> {
        self.conv_swish(&format!("{path}.conv"), &format!("{path}.{norm}"), conv, input)
    }

    fn backbone(&mut self, config: &PicoDetConfig) -> Result<Vec<Operand>> {
        let mut x = self.layer("backbone.conv1", "bn", Conv { stride: 2, padding: 1, groups: 1 }, Operand::Input)?;
        let mut maps = Vec::new();
        for block in config.blocks() {
            x = self.detector_block(&block, x)?;
            if block.to_neck {
                maps.push(x.clone());
            }
        }
        Ok(maps)
    }

    fn detector_block(&mut self, block: &BlockConfig, input: Operand) -> Result<Operand> {
        let BlockConfig { path, in_channels, kernel, stride, .. } = block;
        let depthwise = Conv { stride: *stride, padding: kernel / 2, groups: *in_channels };
        let mut x = self.layer(&format!("{path}.dw_conv"), "bn", depthwise, input)?;
        if block.squeeze {
            x = self.squeeze(&format!("{path}.se"), x, Self::hard_sigmoid)?;
        }
        self.layer(&format!("{path}.pw_conv"), "bn", Conv::POINTWISE, x)
    }

    fn hard_sigmoid(&mut self, at: &str, input: Operand) -> Result<Operand> {
        let op = self.op("hardsigmoid", at)?;
        self.follows(op, at, &input)?;
        check_float(op, at, "slope", 0.166_666_7)?;
        check_float(op, at, "offset", 0.5)?;
        Ok(Operand::Value(op.output))
    }

    fn neck(&mut self, config: &PicoDetConfig, maps: Vec<Operand>) -> Result<[Operand; 4]> {
        let mut t = Vec::new();
        for (index, map) in maps.into_iter().enumerate() {
            t.push(self.layer(&format!("neck.conv_t.convs.{index}"), "bn", Conv::POINTWISE, map)?);
        }
        let [t3, t4, t5] = <[Operand; 3]>::try_from(t).map_err(|_| Error::internal("three maps go to the neck"))?;
        let whole = config.neck;
        let up = "neck.top_down_blocks";
        let x = self.upsample(&format!("{up}.0 (upsample)"), t5.clone())?;
        let i4 = self.csp(&format!("{up}.0"), whole, [x, t4])?;
        let x = self.upsample(&format!("{up}.1 (upsample)"), i4.clone())?;
        let p3 = self.csp(&format!("{up}.1"), whole, [x, t3])?;
        let x = self.separable("neck.downsamples.0", whole, 2, p3.clone())?;
        let p4 = self.csp("neck.bottom_up_blocks.0", whole, [x, i4])?;
        let x = self.separable("neck.downsamples.1", whole, 2, p4.clone())?;
        let p5 = self.csp("neck.bottom_up_blocks.1", whole, [x, t5.clone()])?;
        let first = self.separable("neck.first_top_conv", whole, 2, t5)?;
        let second = self.separable("neck.second_top_conv", whole, 2, p5.clone())?;
        let p6 = self.binary("elementwise_add", "neck (sum of the top)", first, second)?;
        Ok([p3, p4, p5, p6])
    }

    fn upsample(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("nearest_interp", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "align_corners", &Attribute::Bool(false))?;
        match op.attributes.0.get("scale") {
            Some(Attribute::Floats(factors)) if factors[..] == [2.0, 2.0] => Ok(Operand::Value(op.output)),
            _ => check(op, path, "scale", &Attribute::Ints(vec![2, 2])).map(|()| Operand::Value(op.output)),
        }
    }

    fn concat(&mut self, path: &str, parts: Vec<Operand>, axis: i64) -> Result<Operand> {
        let op = self.op("concat", path)?;
        self.follows(op, path, &Operand::List(parts))?;
        check_whole(op, path, "axis", axis)?;
        Ok(Operand::Value(op.output))
    }

    /// A cross stage partial layer of two maps.
    fn csp(&mut self, path: &str, whole: usize, parts: [Operand; 2]) -> Result<Operand> {
        let at = |name: &str| format!("{path}.{name}");
        let x = self.concat(&at("(concat)"), parts.into(), 1)?;
        let short = self.layer(&at("short_conv"), "bn", Conv::POINTWISE, x.clone())?;
        let main = self.layer(&at("main_conv"), "bn", Conv::POINTWISE, x)?;
        let main = self.layer(&at("blocks.0.conv1"), "bn", Conv::POINTWISE, main)?;
        let main = self.separable(&at("blocks.0.conv2"), whole / 2, 1, main)?;
        let x = self.concat(&at("(last concat)"), vec![main, short], 1)?;
        self.layer(&at("final_conv"), "bn", Conv::POINTWISE, x)
    }

    /// A depthwise and a 1x1 convolution of the neck.
    fn separable(&mut self, path: &str, channels: usize, stride: usize, input: Operand) -> Result<Operand> {
        let at = |name: &str| format!("{path}.{name}");
        let depthwise = Conv { stride, padding: 2, groups: channels };
        let x = self.conv_swish(&at("dwconv"), &at("bn1"), depthwise, input)?;
        self.conv_swish(&at("pwconv"), &at("bn2"), Conv::POINTWISE, x)
    }

    fn head(
        &mut self,
        config: &PicoDetConfig,
        level: usize,
        input: Operand,
        project: &mut Option<usize>,
    ) -> Result<Boxes> {
        let mut x = input;
        let depthwise = || Conv { stride: 1, padding: 2, groups: config.neck };
        for index in 0..TOWER {
            let path = |kind: &str| format!("head.conv_feat.cls_conv_{kind}{level}.{index}");
            x = self.layer(&path("dw"), "norm", depthwise(), x)?;
            x = self.layer(&path("pw"), "norm", Conv::POINTWISE, x)?;
        }
        let path = format!("head.head_cls{level}");
        let x = self.conv_bias(&path, Conv::POINTWISE, x)?;

        let (classes, Level { height, width, .. }) = (config.labels.len() as i64, config.levels()[level]);
        let cells = (height * width) as i64;
        let op = self.op("split", &path)?;
        self.follows(op, &path, &x)?;
        check(op, &path, "sections", &Attribute::Ints(vec![classes, 4 * BINS]))?;
        check_whole(op, &path, "axis", 1)?;
        let part = |index: usize| Operand::Part(op.output, index);
        let scores = self.reshape(&path, part(0), &[-1, classes, cells])?;
        let scores = self.unary("sigmoid", &path, scores)?;
        let distances = self.transpose(&path, part(1), &[0, 2, 3, 1])?;
        let distances = self.reshape(&path, distances, &[-1, BINS])?;
        let op = self.op("softmax", &path)?;
        self.follows(op, &path, &distances)?;
        check_whole(op, &path, "axis", 1)?;
        let distances = self.project(&path, Operand::Value(op.output), project)?;
        let distances = self.reshape(&path, distances, &[-1, cells, 4])?;
        Ok(Boxes { scores, distances })
    }

    /// The mean of a distribution: a product with the distances, which stand among the parameters.
    fn project(&mut self, path: &str, input: Operand, project: &mut Option<usize>) -> Result<Operand> {
        let op = self.op("matmul", path)?;
        let index = match op.inputs[..] {
            [ref value, Operand::Parameter(index)] if *value == input => index,
            _ => return Err(wrong_input(op, path)),
        };
        for name in ["trans_x", "trans_y"] {
            check(op, path, name, &Attribute::Bool(false))?;
        }
        self.constant(path, index, &[BINS as usize])?;
        if *project.get_or_insert(index) != index {
            return Err(Error::model(format!("op `{}` at `{path}` has other distances than the first level", op.kind)));
        }
        Ok(Operand::Value(op.output))
    }

    /// Distances to boxes in pixels of the image, and the choice among them. Gives back the parameters that hold the
    /// centres and the strides of all cells.
    fn decode(&mut self, config: &PicoDetConfig, levels: Vec<Boxes>) -> Result<[usize; 2]> {
        let path = "the boxes";
        let cells = config.levels().iter().map(|level| level.height * level.width).sum::<usize>();
        let (scores, distances): (Vec<_>, Vec<_>) =
            levels.into_iter().map(|level| (level.scores, level.distances)).unzip();
        let scores = self.concat("the scores", scores, -1)?;
        let distances = self.concat(path, distances, 1)?;
        let [before, after] = self.halves(path, distances, 2)?;
        let op = self.op("scale", path)?;
        self.follows(op, path, &before)?;
        check_float(op, path, "scale", -1.0)?;
        check_float(op, path, "bias", 0.0)?;
        let (before, centres) = self.with_constant("elementwise_add", path, Operand::Value(op.output), &[cells, 2])?;
        let (after, same) = self.with_constant("elementwise_add", path, after, &[cells, 2])?;
        if centres != same {
            return Err(Error::model("the corners of the boxes are counted from different centres"));
        }
        let boxes = self.concat(path, vec![before, after], -1)?;
        let (boxes, strides) = self.with_constant("elementwise_mul", path, boxes, &[cells, 1])?;
        let [height, width] = self.halves(path, Operand::ScaleFactor, 1)?;
        let factors = self.concat(path, vec![width.clone(), height.clone(), width, height], -1)?;
        let factors = self.reshape(path, factors, &[-1, 1, 4])?;
        let op = self.op("elementwise_div", path)?;
        if op.inputs[..] != [boxes, factors] {
            return Err(wrong_input(op, path));
        }
        let boxes = Operand::Value(op.output);
        let op = self.op(NMS, path)?;
        if op.inputs[..] != [boxes, scores] {
            return Err(wrong_input(op, path));
        }
        self.end(NMS, &Operand::Value(op.output))?;
        Ok([centres, strides])
    }

    /// The two halves of a value along an axis.
    fn halves(&mut self, path: &str, input: Operand, axis: i64) -> Result<[Operand; 2]> {
        let op = self.op("split", path)?;
        self.follows(op, path, &input)?;
        check_whole(op, path, "num", 2)?;
        check_whole(op, path, "axis", axis)?;
        Ok([0, 1].map(|index| Operand::Part(op.output, index)))
    }

    /// An op of a value and a constant among the parameters, whose index it gives back, too.
    fn with_constant(&mut self, kind: &str, path: &str, input: Operand, shape: &[usize]) -> Result<(Operand, usize)> {
        let op = self.op(kind, path)?;
        match op.inputs[..] {
            [ref value, Operand::Parameter(index)] if *value == input => {
                self.constant(path, index, shape)?;
                Ok((Operand::Value(op.output), index))
            }
            _ => Err(wrong_input(op, path)),
        }
    }
}

/// The stride and the centre of each cell of a level, in cells.
fn cells(Level { height, width, stride, .. }: Level) -> impl Iterator<Item = (f32, [f32; 2])> {
    (0..height * width).map(move |cell| {
        let (y, x) = (cell / width, cell % width);
        (stride as f32, [x as f32 + 0.5, y as f32 + 0.5])
    })
}
