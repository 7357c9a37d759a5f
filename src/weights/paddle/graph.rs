//! Which parameter of a graph is which: the graph is walked beside the network it should be.
//!
//! Shapes alone do not tell a right graph from a wrong one: a stride, a missing activation or another dropout leave
//! every shape as it is. So each op is compared with the network's, and where it departs, an error says where and how.

use super::op::{Attribute, Op, Operand, Program};
use crate::model::Parameter;
use crate::model::lcnet_v2::{BlockConfig, DROPOUT, EPSILON, Form, LcNetV2Config};
use crate::weights::identify;
use crate::{Error, Result};

/// A graph as a network.
#[derive(Debug)]
pub(super) struct Mapping {
    pub config: LcNetV2Config,
    /// Height and width of the input, where the graph fixes them.
    pub input: Option<[usize; 2]>,
    /// For each parameter of the network in its order, its index in the graph.
    pub parameters: Vec<usize>,
}

/// Finds the network that a graph computes.
///
/// # Errors
/// `Unsupported` where it is a vision transformer, which we know and do not read yet; `Model` where it is any other
/// network, naming the first op or parameter that departs from PP-ShiTuV2_rec.
pub(super) fn map(program: &Program) -> Result<Mapping> {
    if let Some(transformer) = vision_transformer(program) {
        return Err(transformer);
    }
    let config = config(program).unwrap_or_default();
    let mut walk = Walk {
        program,
        ops: program.ops.iter(),
        expected: config.parameters(Form::Deploy, None).into_iter(),
        taken: Vec::new(),
    };
    walk.network(&config).map_err(|error| error.context("not a network of the PP-ShiTuV2_rec family"))?;
    let input = match program.input[..] {
        [_, 3, height, width] => usize::try_from(height).ok().zip(usize::try_from(width).ok()),
        _ => {
            return Err(Error::model(format!(
                "the input has shape {:?}; expected [-1, 3, height, width]",
                program.input
            )));
        }
    };
    Ok(Mapping { config, input: input.map(|(height, width)| [height, width]), parameters: walk.taken })
}

/// The sizes for which most convolutions, if not all, have the shape they have in the graph.
fn config(program: &Program) -> Option<LcNetV2Config> {
    let filters: Vec<&[usize]> = program
        .ops
        .iter()
        .filter(|op| is_convolution(op))
        .map(|op| match op.inputs.get(1) {
            Some(&Operand::Parameter(index)) => Some(&program.parameters[index].shape[..]),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let mismatches = |config: &LcNetV2Config| {
        let parameters = config.parameters(Form::Deploy, None);
        let expected: Vec<&[usize]> =
            parameters.iter().map(|p| &p.shape[..]).filter(|shape| shape.len() == 4).collect();
        let differing = filters.iter().zip(&expected).filter(|(filter, expected)| filter != expected).count();
        differing + filters.len().abs_diff(expected.len())
    };
    identify::lcnet_v2(filters.last()?, mismatches)
}

fn is_convolution(op: &Op) -> bool {
    matches!(&op.kind[..], "conv2d" | "depthwise_conv2d")
}

fn vision_transformer(program: &Program) -> Option<Error> {
    let count = |kind| program.ops.iter().filter(|op| op.kind == kind).count();
    let layers = count("softmax");
    if layers == 0 || count("layer_norm") == 0 {
        return None;
    }
    let patch = program.ops.iter().find(|op| is_convolution(op)).and_then(|op| match op.inputs.get(1)? {
        &Operand::Parameter(index) => Some(&program.parameters[index].shape[..]),
        _ => None,
    });
    let name = match (layers, patch) {
        (12, Some([768, 3, 16, 16])) => "PP-ShiTuV2_rec_CLIP_vit_base",
        (24, Some([1024, 3, 14, 14])) => "PP-ShiTuV2_rec_CLIP_vit_large",
        _ => "an unknown one",
    };
    Some(Error::unsupported(format!(
        "this graph is a vision transformer of {layers} layers ({name}), which is not supported yet; PP-ShiTuV2_rec is"
    )))
}

struct Walk<'p> {
    program: &'p Program,
    /// What is still to come.
    ops: std::slice::Iter<'p, Op>,
    expected: std::vec::IntoIter<Parameter>,
    /// Indices of the parameters handed out, in the network's order.
    taken: Vec<usize>,
}

/// How a convolution runs.
struct Conv {
    stride: usize,
    padding: usize,
    groups: usize,
}

impl Conv {
    /// 1x1, on every pixel.
    const POINTWISE: Conv = Conv { stride: 1, padding: 0, groups: 1 };
}

impl<'p> Walk<'p> {
    fn network(&mut self, config: &LcNetV2Config) -> Result<()> {
        let stem = "backbone.stem.0";
        let mut x = self.conv_norm(stem, Conv { stride: 2, padding: 1, groups: 1 }, Operand::Input)?;
        for block in config.blocks() {
            x = self.block(&block, x)?;
        }
        let x = self.pool("backbone.avg_pool", x)?;
        let x = self.conv_bias("backbone.last_conv", Conv::POINTWISE, x)?;
        let x = self.dropout("backbone.dropout", x)?;
        let x = self.flatten("backbone.flatten", x, 3)?;
        // BNNeck flattens what is flat already; a graph may do without.
        let neck = "neck.feat_bn";
        let x = match self.ops.as_slice().first() {
            Some(op) if op.kind == "flatten" => self.flatten("neck.flatten", x, 1)?,
            _ => x,
        };
        let x = self.norm(neck, x)?;
        if let Some(op) = self.ops.next() {
            return Err(Error::model(format!(
                "the graph goes on with op `{}` where it should end, after `{neck}`",
                op.kind
            )));
        }
        if self.program.output.as_ref() != Some(&x) {
            return Err(Error::model(format!("the graph does not return the output of `{neck}`")));
        }
        let unused = (0..self.program.parameters.len()).find(|index| !self.taken.contains(index));
        if let Some(index) = unused {
            let declared = &self.program.parameters[index];
            return Err(Error::model(format!(
                "parameter `{}` of shape {:?} is not used",
                declared.name, declared.shape
            )));
        }
        Ok(())
    }

    fn block(&mut self, block: &BlockConfig, input: Operand) -> Result<Operand> {
        let path = &block.path;
        let depthwise = Conv { stride: block.stride, padding: block.kernel / 2, groups: block.in_channels };
        let at = format!("{path}.dw_conv");
        let mut x = if block.branches.is_empty() {
            self.conv_norm(&at, depthwise, input.clone())?
        } else {
            let x = self.conv_bias(&at, depthwise, input.clone())?;
            self.unary("relu", &at, x)?
        };
        if block.squeeze {
            x = self.squeeze(&format!("{path}.se"), x)?;
        }
        let pointwise: &[&str] = if block.split { &["pw_conv_1", "pw_conv_2"] } else { &["pw_conv"] };
        for name in pointwise {
            x = self.conv_norm(&format!("{path}.{name}"), Conv::POINTWISE, x)?;
        }
        if block.shortcut {
            x = self.binary("elementwise_add", &format!("{path} (shortcut)"), x, input)?;
        }
        Ok(x)
    }

    fn squeeze(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let x = self.pool(&format!("{path}.avg_pool"), input.clone())?;
        let at = format!("{path}.conv1");
        let x = self.conv_bias(&at, Conv::POINTWISE, x)?;
        let x = self.unary("relu", &at, x)?;
        let at = format!("{path}.conv2");
        let x = self.conv_bias(&at, Conv::POINTWISE, x)?;
        let x = self.unary("sigmoid", &at, x)?;
        self.binary("elementwise_mul", path, input, x)
    }

    /// Convolution, BatchNorm, ReLU.
    fn conv_norm(&mut self, path: &str, conv: Conv, input: Operand) -> Result<Operand> {
        let x = self.conv(&format!("{path}.conv"), conv, input)?;
        let x = self.norm(&format!("{path}.bn"), x)?;
        self.unary("relu", path, x)
    }

    fn conv_bias(&mut self, path: &str, conv: Conv, input: Operand) -> Result<Operand> {
        let x = self.conv(path, conv, input)?;
        let op = self.op("elementwise_add", path)?;
        let bias = match (&op.inputs[..], op.attributes.int("axis")) {
            ([value, Operand::Channels(index)], _) | ([Operand::Channels(index), value], None | Some(-1))
                if *value == x =>
            {
                *index
            }
            // Older exports add the bias along the channels without a reshape.
            ([value, Operand::Parameter(index)], Some(1)) if *value == x => *index,
            _ => return Err(Error::model(format!("op `{}` at `{path}` does not add a bias per channel", op.kind))),
        };
        self.take(path, bias)?;
        Ok(Operand::Value(op.output))
    }

    fn conv(&mut self, path: &str, conv: Conv, input: Operand) -> Result<Operand> {
        let op = self.next(path, "conv2d")?;
        if !is_convolution(op) {
            return Err(unexpected(op, path, "conv2d"));
        }
        let filter = match &op.inputs[..] {
            [value, Operand::Parameter(index)] if *value == input => *index,
            _ => return Err(wrong_input(op, path)),
        };
        self.take(path, filter)?;
        let pair = |value: usize| Attribute::Ints(vec![value as i64; 2]);
        let text = |value: &str| Attribute::Text(value.into());
        // Paddle writes padding as two numbers or as four.
        let padding = match op.attributes.ints("paddings") {
            Some(sides) if sides.len() == 4 => Attribute::Ints(vec![conv.padding as i64; 4]),
            _ => pair(conv.padding),
        };
        let expected = [
            ("strides", pair(conv.stride)),
            ("paddings", padding),
            ("dilations", pair(1)),
            ("groups", Attribute::Int(conv.groups as i64)),
            ("padding_algorithm", text("EXPLICIT")),
        ];
        for (name, value) in expected {
            check(op, path, name, &value)?;
        }
        check_layout(op, path)?;
        Ok(Operand::Value(op.output))
    }

    fn norm(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("batch_norm", path)?;
        let &[
            ref value,
            Operand::Parameter(mean),
            Operand::Parameter(variance),
            Operand::Parameter(scale),
            Operand::Parameter(shift),
        ] = &op.inputs[..]
        else {
            return Err(wrong_input(op, path));
        };
        if *value != input {
            return Err(wrong_input(op, path));
        }
        for index in [scale, shift, mean, variance] {
            self.take(path, index)?;
        }
        check_float(op, path, "epsilon", EPSILON)?;
        check_layout(op, path)?;
        let fixed = ["is_test", "use_global_stats"].iter().any(|name| op.attributes.bool(name) == Some(true));
        if !fixed {
            return Err(Error::model(format!("op `batch_norm` at `{path}` does not use its stored mean and variance")));
        }
        Ok(Operand::Value(op.output))
    }

    fn pool(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("pool2d", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "pooling_type", &Attribute::Text("avg".into()))?;
        check_layout(op, path)?;
        let adaptive = op.attributes.bool("adaptive") == Some(true) && op.attributes.ints("ksize") == Some(&[1, 1]);
        if !adaptive && op.attributes.bool("global_pooling") != Some(true) {
            return Err(Error::model(format!("op `pool2d` at `{path}` does not average the whole image")));
        }
        Ok(Operand::Value(op.output))
    }

    fn dropout(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("dropout", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "dropout_implementation", &Attribute::Text("downgrade_in_infer".into()))?;
        check_float(op, path, "dropout_prob", DROPOUT)?;
        check(op, path, "is_test", &Attribute::Bool(true))?;
        Ok(Operand::Value(op.output))
    }

    fn flatten(&mut self, path: &str, input: Operand, stop: i64) -> Result<Operand> {
        let op = self.op("flatten", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "start_axis", &Attribute::Int(1))?;
        if op.attributes.int("stop_axis") != Some(-1) {
            check(op, path, "stop_axis", &Attribute::Int(stop))?;
        }
        Ok(Operand::Value(op.output))
    }

    fn unary(&mut self, kind: &str, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op(kind, path)?;
        self.follows(op, path, &input)?;
        Ok(Operand::Value(op.output))
    }

    /// An op of two values in either order.
    fn binary(&mut self, kind: &str, path: &str, a: Operand, b: Operand) -> Result<Operand> {
        let op = self.op(kind, path)?;
        match &op.inputs[..] {
            [left, right] if (left == &a && right == &b) || (left == &b && right == &a) => {
                Ok(Operand::Value(op.output))
            }
            _ => Err(wrong_input(op, path)),
        }
    }

    fn next(&mut self, path: &str, kind: &str) -> Result<&'p Op> {
        self.ops
            .next()
            .ok_or_else(|| Error::model(format!("the graph ends where `{path}` should follow (op `{kind}`)")))
    }

    fn op(&mut self, kind: &str, path: &str) -> Result<&'p Op> {
        let op = self.next(path, kind)?;
        if op.kind != kind {
            return Err(unexpected(op, path, kind));
        }
        Ok(op)
    }

    fn follows(&self, op: &Op, path: &str, input: &Operand) -> Result<()> {
        match &op.inputs[..] {
            [value] if value == input => Ok(()),
            _ => Err(wrong_input(op, path)),
        }
    }

    /// Hands a parameter of the graph to the next one of the network.
    fn take(&mut self, path: &str, index: usize) -> Result<()> {
        let declared = &self.program.parameters[index];
        let expected =
            self.expected.next().ok_or_else(|| Error::internal(format!("no parameter is expected at `{path}`")))?;
        debug_assert!(expected.name.starts_with(path), "{} at {path}", expected.name);
        if declared.shape != expected.shape {
            return Err(Error::model(format!(
                "parameter `{}` at `{}` has shape {:?}; expected {:?}",
                declared.name, expected.name, declared.shape, expected.shape
            )));
        }
        if self.taken.contains(&index) {
            return Err(Error::model(format!(
                "parameter `{}` is used twice, again at `{}`",
                declared.name, expected.name
            )));
        }
        self.taken.push(index);
        Ok(())
    }
}

fn unexpected(op: &Op, path: &str, kind: &str) -> Error {
    Error::model(format!("op `{}` stands at `{path}`; expected `{kind}`", op.kind))
}

fn wrong_input(op: &Op, path: &str) -> Error {
    Error::model(format!("op `{}` at `{path}` does not compute with what should come before it", op.kind))
}

fn check(op: &Op, path: &str, name: &str, expected: &Attribute) -> Result<()> {
    match op.attributes.0.get(name) {
        Some(value) if value == expected => Ok(()),
        Some(value) => {
            Err(Error::model(format!("op `{}` at `{path}` has `{name}` {value}; expected {expected}", op.kind)))
        }
        None => Err(Error::model(format!("op `{}` at `{path}` has no `{name}`; expected {expected}", op.kind))),
    }
}

/// Compares in the precision of Paddle's attributes, `f32`.
fn check_float(op: &Op, path: &str, name: &str, expected: f64) -> Result<()> {
    let same = |value: f64| value as f32 == expected as f32;
    match op.attributes.float(name) {
        Some(value) if same(value) => Ok(()),
        _ => check(op, path, name, &Attribute::Float(expected)),
    }
}

/// Channels come before rows and columns. Ops that leave the attribute out mean the same.
fn check_layout(op: &Op, path: &str) -> Result<()> {
    match op.attributes.text("data_format") {
        None | Some("NCHW" | "AnyLayout") => Ok(()),
        Some(_) => check(op, path, "data_format", &Attribute::Text("NCHW".into())),
    }
}
