//! Identifies the parameters of a graph, by walking it along the network that it should compute.
//!
//! Shapes alone do not prove that a graph is right: another stride, a missing activation or another dropout does not
//! change them. So each op is compared with the network's, and an error names the first difference.

mod lcnet_v2;
mod picodet;
mod vit;

use super::op::{Attribute, Op, Operand, Program};
use crate::model::lcnet_v2::Form;
use crate::model::{Network, Parameter};
use crate::weights::element::RawTensor;
use crate::{Error, Result};

/// The network that a graph computes.
#[derive(Debug)]
pub(super) struct Mapping {
    pub network: Network,
    /// Height and width of the input, where the graph fixes them.
    pub input: Option<[usize; 2]>,
    /// For each parameter of the network in its order, its index in the graph.
    pub parameters: Vec<usize>,
    /// The constants that stand among the graph's parameters.
    pub constants: Vec<Constant>,
}

/// A parameter of a graph that is no weight: its values are known.
#[derive(Debug)]
pub(super) struct Constant {
    index: usize,
    what: &'static str,
    values: Vec<f32>,
}

impl Constant {
    /// Compares the values of a file, in the graph's order, with those that are known.
    ///
    /// # Errors
    /// `Model` where they differ.
    pub fn check(&self, raw: &[RawTensor]) -> Result<()> {
        let values = raw[self.index].widen()?.values;
        match values.iter().zip(&self.values).position(|(value, expected)| value != expected) {
            None => Ok(()),
            Some(at) => Err(Error::model(format!(
                "the constant of {} holds {} at index {at}; expected {}",
                self.what, values[at], self.values[at]
            ))),
        }
    }
}

/// Finds the network that a graph computes.
///
/// # Errors
/// `Model` where the graph computes none of the known networks, naming the first op or parameter that differs from the
/// most similar one; `Limit` where its sizes are larger than any known ones.
pub(super) fn map(program: &Program) -> Result<Mapping> {
    let input = || match program.input[..] {
        [_, 3, height, width] => {
            Ok(usize::try_from(height).ok().zip(usize::try_from(width).ok()).map(|(height, width)| [height, width]))
        }
        _ => Err(Error::model(format!("the input has shape {:?}; expected [-1, 3, height, width]", program.input))),
    };
    if program.ops.iter().any(|op| op.kind == picodet::NMS) {
        let not_one = |error: Error| error.context("not a detector of the PP-ShiTuV2_det family");
        let input =
            input()?.ok_or_else(|| Error::model("the input has no fixed size; expected that of the detector"))?;
        let config = picodet::config(program, input).map_err(not_one)?;
        let mut walk = Walk::new(program, config.parameters());
        let constants = walk.picodet(&config).map_err(not_one)?;
        let parameters = walk.parameters()?;
        return Ok(Mapping { network: Network::PicoDet(config), input: Some(input), parameters, constants });
    }
    if program.ops.iter().any(|op| op.kind == "softmax") {
        let not_one = |error: Error| error.context("not a vision transformer of the PP-ShiTuV2_rec_CLIP_vit family");
        let input = input()?;
        let config = vit::config(program, input).map_err(not_one)?;
        let mut walk = Walk::new(program, config.parameters(None));
        walk.vit(&config).map_err(not_one)?;
        let parameters = walk.parameters()?;
        return Ok(Mapping { network: Network::Vit(config), input, parameters, constants: Vec::new() });
    }
    let config = lcnet_v2::config(program).unwrap_or_default();
    let mut walk = Walk::new(program, config.parameters(Form::Deploy, None));
    walk.lcnet_v2(&config).map_err(|error| error.context("not a network of the PP-ShiTuV2_rec family"))?;
    let (input, parameters) = (input()?, walk.parameters()?);
    Ok(Mapping { network: Network::LcNetV2(config), input, parameters, constants: Vec::new() })
}

fn is_convolution(op: &Op) -> bool {
    matches!(&op.kind[..], "conv2d" | "depthwise_conv2d")
}

/// A walk along the ops of a graph.
struct Walk<'p> {
    program: &'p Program,
    /// The remaining ops.
    ops: std::slice::Iter<'p, Op>,
    /// The network's parameters, each with its index in the graph once it was met.
    expected: Vec<(Parameter, Option<usize>)>,
    /// Start of the search in `expected`: most graphs use the parameters in the network's order.
    at: usize,
    /// For each parameter of the graph, whether it was met.
    met: Vec<bool>,
}

/// The attributes of a convolution.
struct Conv {
    stride: usize,
    padding: usize,
    groups: usize,
}

impl Conv {
    /// A 1x1 convolution.
    const POINTWISE: Conv = Conv { stride: 1, padding: 0, groups: 1 };
}

impl<'p> Walk<'p> {
    fn new(program: &'p Program, expected: Vec<Parameter>) -> Self {
        Walk {
            program,
            ops: program.ops.iter(),
            expected: expected.into_iter().map(|parameter| (parameter, None)).collect(),
            at: 0,
            met: vec![false; program.parameters.len()],
        }
    }

    /// For each parameter of the network in its order, its index in the graph.
    fn parameters(self) -> Result<Vec<usize>> {
        let index = |(parameter, index): (Parameter, Option<usize>)| {
            index.ok_or_else(|| Error::internal(format!("the walk passed by parameter `{}`", parameter.name)))
        };
        self.expected.into_iter().map(index).collect()
    }

    /// Checks that the graph ends here, returns `x`, and uses all its parameters.
    fn end(&mut self, path: &str, x: &Operand) -> Result<()> {
        if let Some(op) = self.ops.next() {
            return Err(Error::model(format!(
                "the graph goes on with op `{}` where it should end, after `{path}`",
                op.kind
            )));
        }
        if self.program.outputs.first() != Some(x) {
            return Err(Error::model(format!("the graph does not return the output of `{path}`")));
        }
        if let Some(index) = self.met.iter().position(|met| !met) {
            let declared = &self.program.parameters[index];
            return Err(Error::model(format!(
                "parameter `{}` of shape {:?} is not used",
                declared.name, declared.shape
            )));
        }
        Ok(())
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
            // older exports add the bias along the channels without a reshape
            ([value, Operand::Parameter(index)], Some(1)) if *value == x => *index,
            _ => return Err(Error::model(format!("op `{}` at `{path}` does not add a bias per channel", op.kind))),
        };
        self.take(path, "bias", bias)?;
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
        self.take(path, "weight", filter)?;
        let pair = |value: usize| Attribute::Ints(vec![value as i64; 2]);
        let text = |value: &str| Attribute::Text(value.into());
        // Paddle writes padding as two numbers or as four
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

    fn flatten(&mut self, path: &str, input: Operand, start: i64, stop: i64) -> Result<Operand> {
        let op = self.op("flatten", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "start_axis", &Attribute::Int(start))?;
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

    /// An op of two values, in any order.
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

    /// Passes by a parameter that is no weight, which may be used several times.
    fn constant(&mut self, path: &str, index: usize, shape: &[usize]) -> Result<()> {
        let declared = &self.program.parameters[index];
        if declared.shape != shape {
            return Err(Error::model(format!(
                "constant `{}` at `{path}` has shape {:?}; expected {shape:?}",
                declared.name, declared.shape
            )));
        }
        self.met[index] = true;
        Ok(())
    }

    /// Assigns a parameter of the graph to the network's parameter `path.part`.
    fn take(&mut self, path: &str, part: &str, index: usize) -> Result<()> {
        let name = below(path, part);
        let mut places = (self.at..self.expected.len()).chain(0..self.at);
        let place = places.find(|&place| self.expected[place].0.name == name);
        let place = place.ok_or_else(|| Error::internal(format!("the network has no parameter `{name}`")))?;
        self.at = place + 1;
        let declared = &self.program.parameters[index];
        let (expected, slot) = &mut self.expected[place];
        if declared.shape != expected.shape {
            return Err(Error::model(format!(
                "parameter `{}` at `{name}` has shape {:?}; expected {:?}",
                declared.name, declared.shape, expected.shape
            )));
        }
        if std::mem::replace(&mut self.met[index], true) {
            return Err(Error::model(format!("parameter `{}` is used twice, again at `{name}`", declared.name)));
        }
        *slot = Some(index);
        Ok(())
    }
}

/// The path of a part of a layer.
fn below(path: &str, part: &str) -> String {
    [path, part].join(".")
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

/// Compares a whole number, which may be stored as a float.
fn check_whole(op: &Op, path: &str, name: &str, expected: i64) -> Result<()> {
    match op.attributes.whole(name) {
        Some(value) if value == expected => Ok(()),
        _ => check(op, path, name, &Attribute::Int(expected)),
    }
}

/// Checks that channels come before rows and columns, which is also the meaning of an absent attribute.
fn check_layout(op: &Op, path: &str) -> Result<()> {
    match op.attributes.text("data_format") {
        None | Some("NCHW" | "AnyLayout") => Ok(()),
        Some(_) => check(op, path, "data_format", &Attribute::Text("NCHW".into())),
    }
}
