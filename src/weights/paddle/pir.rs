//! `inference.json`: a graph in PIR, the program format of Paddle 3.

use serde::Deserialize;
use serde_json::Value;

use super::op::{Attribute, Attributes, Builder, Declared, Operand, Program, SCALE_FACTOR};
use crate::{Error, Result};

#[derive(Deserialize)]
struct File {
    base_code: BaseCode,
    program: Regions,
}

#[derive(Deserialize)]
struct BaseCode {
    magic: String,
}

#[derive(Deserialize)]
struct Regions {
    regions: Vec<Blocks>,
}

#[derive(Deserialize)]
struct Blocks {
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    ops: Vec<RawOp>,
}

#[derive(Deserialize)]
struct RawOp {
    #[serde(rename = "#")]
    name: String,
    #[serde(rename = "I", default)]
    inputs: Vec<Input>,
    /// One object for a parameter, a list of them otherwise.
    #[serde(rename = "O", default)]
    outputs: Value,
    /// Values by position for a parameter, objects of name and value otherwise.
    #[serde(rename = "A", default)]
    attributes: Vec<Value>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(rename = "%")]
    id: Id,
}

/// Number of a value. An absent operand has the number 0.
type Id = i64;
const ABSENT: Id = 0;

pub(super) fn read(bytes: &[u8]) -> Result<Program> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| Error::model(format!("not a PIR graph: {error}")).with_source(error))?;
    if file.base_code.magic != "pir" {
        return Err(Error::model(format!("not a PIR graph: its magic is `{}`; expected `pir`", file.base_code.magic)));
    }
    let mut blocks = file.program.regions.into_iter().flat_map(|region| region.blocks);
    let block = blocks.next().ok_or_else(|| Error::model("the graph has no block"))?;
    if blocks.next().is_some() {
        return Err(Error::unsupported("the graph has more than one block (control flow)"));
    }

    let (parameters, ops): (Vec<_>, Vec<_>) = block.ops.into_iter().partition(|op| op.name == "p");
    let mut builder = Builder::new(parameters.iter().map(parameter).collect::<Result<_>>()?)?;
    for op in &ops {
        // in "1.conv2d" the number is the dialect; the "_" of "relu_" means in place, which does not matter here
        let name = op.name.split_once('.').map_or(&op.name[..], |(_, name)| name);
        let name = name.strip_suffix('_').unwrap_or(name);
        lower(&mut builder, name, op).map_err(|error| error.context(format!("op `{}`", name.escape_debug())))?;
    }
    Ok(builder.finish())
}

fn parameter(op: &RawOp) -> Result<(Id, Declared)> {
    let name = match op.attributes.last() {
        Some(Value::String(name)) => name.clone(),
        _ => return Err(Error::model("a parameter without a name")),
    };
    let (id, dims) = id(&op.outputs)
        .zip(shape(&op.outputs))
        .ok_or_else(|| Error::model(format!("parameter `{name}` has no number or no shape")))?;
    Ok((id, Declared::new(name, &dims)?))
}

/// Number of an op's first output.
fn id(outputs: &Value) -> Option<Id> {
    outputs.get(0).unwrap_or(outputs).get("%")?.as_i64()
}

/// Shape of an op's first output, where that is a tensor.
fn shape(outputs: &Value) -> Option<Vec<i64>> {
    let output = outputs.get(0).unwrap_or(outputs);
    let dims = output.get("TT")?.get("D")?.get(1)?.as_array()?;
    dims.iter().map(Value::as_i64).collect()
}

fn lower(builder: &mut Builder<Id>, name: &str, op: &RawOp) -> Result<()> {
    if name == "fetch" {
        let value = op.inputs.first().ok_or_else(|| Error::model("has no operand"))?;
        builder.output(&value.id);
        return Ok(());
    }
    // of the dialect of builtins: the parts of an op's outputs
    if op.name == "0.split"
        && let Some(whole) = op.inputs.first()
    {
        let whole = builder.operand(&whole.id);
        let outputs = op.outputs.as_array().map_or(&[][..], |outputs| &outputs[..]);
        builder.parts(&whole, outputs.iter().filter_map(|output| output.get("%")?.as_i64()));
        return Ok(());
    }
    let id = id(&op.outputs).ok_or_else(|| Error::model("has no output"))?;
    let mut attributes = attributes(&op.attributes);
    match name {
        "data" | "feed" if attributes.text("name") == Some(SCALE_FACTOR) => {
            builder.scale_factor(id);
            return Ok(());
        }
        "data" | "feed" => {
            builder.input(id, shape(&op.outputs).unwrap_or_default());
            return Ok(());
        }
        "full_int_array" | "full" => {
            if let Some(value) = attributes.0.remove("value") {
                builder.constant(id, value);
                return Ok(());
            }
        }
        _ => {}
    }
    let present = op.inputs.iter().filter(|input| input.id != ABSENT);
    let mut inputs: Vec<Operand> = present.map(|input| builder.operand(&input.id)).collect();
    if name == "combine" {
        builder.list(id, inputs);
        return Ok(());
    }
    constants_to_attributes(name, &mut inputs, &mut attributes);
    rename(&mut attributes);
    let kind = match name {
        "add" => "elementwise_add",
        "multiply" => "elementwise_mul",
        "divide" => "elementwise_div",
        // Paddle 2 has one op for both
        "split_with_num" => "split",
        "shape64" => "shape",
        other => other,
    };
    builder.op(kind, inputs, id, attributes)
}

/// Turns constant operands into attributes, where the older format has attributes.
fn constants_to_attributes(name: &str, inputs: &mut Vec<Operand>, attributes: &mut Attributes) {
    let constants: &[&str] = match name {
        "reshape" => &["shape"],
        "pool2d" => &["ksize"],
        "dropout" => &["dropout_prob"],
        "scale" => &["scale"],
        "slice" => &["starts", "ends"],
        "concat" | "mean" | "split_with_num" => &["axis"],
        "split" => &["sections", "axis"],
        _ => &[],
    };
    for &constant in constants {
        if let Some(Operand::Constant(value)) = inputs.get(1) {
            attributes.0.insert(constant.into(), value.clone());
            inputs.remove(1);
        }
    }
}

/// Gives attributes the older format's names.
fn rename(attributes: &mut Attributes) {
    let renamed = [
        ("mode", "dropout_implementation"),
        ("perm", "axis"),
        ("transpose_x", "trans_x"),
        ("transpose_y", "trans_y"),
        ("keepdim", "keep_dim"),
    ];
    for (name, older) in renamed {
        if let Some(value) = attributes.0.remove(name) {
            attributes.0.insert(older.into(), value);
        }
    }
}

/// The attributes with values of a known type.
fn attributes(list: &[Value]) -> Attributes {
    let entry = |entry: &Value| {
        let name = entry.get("N")?.as_str()?.to_string();
        Some((name, attribute(entry.get("AT")?)?))
    };
    Attributes(list.iter().filter_map(entry).collect())
}

fn attribute(value: &Value) -> Option<Attribute> {
    let data = value.get("D")?;
    Some(match value.get("#")?.as_str()? {
        "0.a_bool" => Attribute::Bool(data.as_bool()?),
        "0.a_i32" | "0.a_i64" => Attribute::Int(data.as_i64()?),
        "0.a_f32" | "0.a_f64" => Attribute::Float(data.as_f64()?),
        "0.a_str" => Attribute::Text(data.as_str()?.into()),
        "0.a_array" => {
            let items = data.as_array()?;
            let ints = items.iter().map(|item| item.get("D")?.as_i64()).collect::<Option<_>>();
            match ints {
                Some(ints) => Attribute::Ints(ints),
                None => {
                    let floats = items.iter().map(|item| item.get("D")?.as_f64());
                    Attribute::Floats(floats.collect::<Option<_>>()?)
                }
            }
        }
        "1.a_intarray" => Attribute::Ints(data.as_array()?.iter().map(Value::as_i64).collect::<Option<_>>()?),
        _ => return None,
    })
}
