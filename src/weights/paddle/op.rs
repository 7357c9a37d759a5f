//! A list of ops: the common form of both kinds of Paddle graph.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;

use crate::weights::limits;
use crate::{Error, Result};

/// The name of a detector's second input.
pub(super) const SCALE_FACTOR: &str = "scale_factor";

/// A graph: its parameters, and its ops in the order in which they run.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Sorted by name, byte by byte: the order of their values in `inference.pdiparams`.
    pub parameters: Vec<Declared>,
    /// Shape of the input; -1 stands for any size.
    pub input: Vec<i64>,
    /// The ops in order, without constants and ops that change nothing.
    pub ops: Vec<Op>,
    /// The results of the graph, in order.
    pub outputs: Vec<Operand>,
}

/// A parameter as the graph declares it.
#[derive(Debug)]
pub(super) struct Declared {
    /// The internal name, such as `conv2d_0.w_0`. It differs between exports.
    pub name: String,
    pub shape: Vec<usize>,
}

impl Declared {
    pub fn new(name: String, dims: &[i64]) -> Result<Self> {
        limits::check_name(&name)?;
        let shape: Option<Vec<usize>> = dims.iter().map(|&side| usize::try_from(side).ok()).collect();
        match shape {
            Some(shape) if shape.len() <= limits::DIMENSIONS => Ok(Declared { name, shape }),
            _ => Err(Error::model(format!("parameter `{name}` is declared with shape {dims:?}"))),
        }
    }
}

/// One operation.
#[derive(Debug)]
pub(super) struct Op {
    /// The op's name: `conv2d`, `batch_norm`, `elementwise_add`. Where the two formats differ, the older one's name.
    pub kind: String,
    /// The operands in PIR's order.
    pub inputs: Vec<Operand>,
    pub output: usize,
    pub attributes: Attributes,
}

/// An operand of an op.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// The graph's input.
    Input,
    /// The output of an op.
    Value(usize),
    /// One of the outputs of an op that has several of a kind: the op's number, and the output's.
    Part(usize, usize),
    /// A second input: the factors by which a detector's image was scaled.
    ScaleFactor,
    /// Index into the parameters.
    Parameter(usize),
    /// A parameter of one value per channel, reshaped to `[1, channels, 1, 1]`.
    Channels(usize),
    /// A parameter, repeated for each image.
    Repeated(usize),
    /// The shape of the input.
    Sizes,
    /// The number of images.
    Images,
    /// A list of operands.
    List(Vec<Operand>),
    /// A constant.
    Constant(Attribute),
    /// Any other value: a second output of an op, or a value that no op computes.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Bool(value) => write!(f, "{value}"),
            Attribute::Int(value) => write!(f, "{value}"),
            Attribute::Float(value) => write!(f, "{value}"),
            Attribute::Text(value) => write!(f, "{value:?}"),
            Attribute::Ints(value) => write!(f, "{value:?}"),
            Attribute::Floats(value) => write!(f, "{value:?}"),
        }
    }
}

/// An op's attributes by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes(pub BTreeMap<String, Attribute>);

impl Attribute {
    /// The value as an integer, if it is an integer, also one stored as a float.
    fn whole(&self) -> Option<i64> {
        match *self {
            Attribute::Int(value) => Some(value),
            Attribute::Float(value) => Some(value as i64).filter(|&whole| whole as f64 == value),
            _ => None,
        }
    }
}

impl Attributes {
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Attribute::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Attribute::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer. It may be stored as a float, or as a list of one.
    pub fn whole(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Attribute::Ints(list) => <[i64; 1]>::try_from(&list[..]).ok().map(|[value]| value),
            value => value.whole(),
        }
    }

    pub fn float(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Attribute::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Attribute::Text(value) => Some(value),
            _ => None,
        }
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.0.get(name)? {
            Attribute::Ints(value) => Some(value),
            _ => None,
        }
    }
}

/// Builds a [`Program`] from the ops of a file. `K` is the file's type of names for values.
pub(super) struct Builder<K> {
    program: Program,
    values: HashMap<K, Operand>,
}

impl<K: Eq + Hash> Builder<K> {
    /// A builder with these parameters, in any order.
    pub fn new(mut declared: Vec<(K, Declared)>) -> Result<Self> {
        if declared.len() > limits::TENSORS {
            return Err(Error::limit(format!("{} parameters; at most {} are read", declared.len(), limits::TENSORS)));
        }
        declared.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        if let Some(pair) = declared.windows(2).find(|pair| pair[0].1.name == pair[1].1.name) {
            return Err(Error::model(format!("two parameters are named `{}`", pair[0].1.name)));
        }
        let mut builder = Builder { program: Program::default(), values: HashMap::new() };
        for (key, declared) in declared {
            builder.values.insert(key, Operand::Parameter(builder.program.parameters.len()));
            builder.program.parameters.push(declared);
        }
        Ok(builder)
    }

    pub fn input(&mut self, key: K, shape: Vec<i64>) {
        self.program.input = shape;
        self.values.insert(key, Operand::Input);
    }

    pub fn constant(&mut self, key: K, value: Attribute) {
        self.values.insert(key, Operand::Constant(value));
    }

    /// Adds a list of values.
    pub fn list(&mut self, key: K, values: Vec<Operand>) {
        self.values.insert(key, Operand::List(values));
    }

    /// Adds the second input of a detector.
    pub fn scale_factor(&mut self, key: K) {
        self.values.insert(key, Operand::ScaleFactor);
    }

    /// Names the outputs of an op that has several of a kind. Without an op their values are not known.
    pub fn parts(&mut self, whole: &Operand, keys: impl Iterator<Item = K>) {
        if let &Operand::Value(op) = whole {
            for (index, key) in keys.enumerate() {
                self.values.insert(key, Operand::Part(op, index));
            }
        }
    }

    pub fn output(&mut self, key: &K) {
        let output = self.operand(key);
        self.program.outputs.push(output);
    }

    pub fn operand(&self, key: &K) -> Operand {
        self.values.get(key).cloned().unwrap_or(Operand::Unknown)
    }

    /// Adds an op that computes the value `key`. An op that does not change its operand is left out.
    pub fn op(&mut self, kind: &str, inputs: Vec<Operand>, key: K, attributes: Attributes) -> Result<()> {
        limits::check_name(kind)?;
        if let Some(same) = self.unchanged(kind, &inputs, &attributes) {
            self.values.insert(key, same);
            return Ok(());
        }
        let output = self.program.ops.len();
        self.values.insert(key, Operand::Value(output));
        self.program.ops.push(Op { kind: kind.into(), inputs, output, attributes });
        Ok(())
    }

    /// The operand that stands for the op's result, where no op is needed.
    fn unchanged(&self, kind: &str, inputs: &[Operand], attributes: &Attributes) -> Option<Operand> {
        let first = inputs.first()?;
        match kind {
            "assign" | "share_data" => Some(first.clone()),
            "scale" if attributes.float("scale") == Some(1.0) && attributes.float("bias") == Some(0.0) => {
                Some(first.clone())
            }
            "reshape" => {
                let &Operand::Parameter(index) = first else { return None };
                let &[channels] = &self.program.parameters[index].shape[..] else { return None };
                let &[1, middle, 1, 1] = attributes.ints("shape")? else { return None };
                (middle == -1 || usize::try_from(middle) == Ok(channels)).then_some(Operand::Channels(index))
            }
            "shape" if *first == Operand::Input => Some(Operand::Sizes),
            "slice" if *first == Operand::Sizes => {
                let of = |name| attributes.whole(name);
                let first = of("axes") == Some(0) && of("starts") == Some(0) && of("ends") == Some(1);
                first.then_some(Operand::Images)
            }
            "stack" => Some(first.clone()),
            "expand" => {
                let (&Operand::Parameter(index), Some(Operand::List(sides))) = (first, inputs.get(1)) else {
                    return None;
                };
                let same = |side: &Operand| matches!(side, Operand::Constant(side) if side.whole() == Some(-1));
                let (images, others) = sides.split_first()?;
                let rank = self.program.parameters[index].shape.len();
                (*images == Operand::Images && sides.len() == rank && others.iter().all(same))
                    .then_some(Operand::Repeated(index))
            }
            _ => None,
        }
    }

    pub fn finish(self) -> Program {
        self.program
    }
}
