//! `inference.pdmodel`: a graph as the protobuf `ProgramDesc`, the program format of Paddle 2.

use std::collections::HashMap;

use prost::Message;

use super::op::{Attribute, Attributes, Builder, Declared, Operand, Program, SCALE_FACTOR};
use crate::{Error, Result};

#[derive(Message)]
struct ProgramDesc {
    #[prost(message, repeated, tag = 1)]
    blocks: Vec<BlockDesc>,
}

#[derive(Message)]
struct BlockDesc {
    #[prost(message, repeated, tag = 3)]
    vars: Vec<VarDesc>,
    #[prost(message, repeated, tag = 4)]
    ops: Vec<OpDesc>,
}

#[derive(Message)]
struct VarDesc {
    #[prost(string, tag = 1)]
    name: String,
    #[prost(message, optional, tag = 2)]
    kind: Option<VarType>,
    #[prost(bool, tag = 3)]
    persistable: bool,
}

#[derive(Message)]
struct VarType {
    #[prost(int32, tag = 1)]
    kind: i32,
    #[prost(message, optional, tag = 3)]
    lod_tensor: Option<LodTensorDesc>,
}

/// `VarType.Type.LOD_TENSOR`. Parameters have this type; feed and fetch lists are persistable, too, but have another.
const LOD_TENSOR: i32 = 7;

#[derive(Message)]
struct LodTensorDesc {
    #[prost(message, optional, tag = 1)]
    tensor: Option<TensorDesc>,
}

#[derive(Message)]
struct TensorDesc {
    #[prost(int64, repeated, packed = "false", tag = 2)]
    dims: Vec<i64>,
}

#[derive(Message)]
struct OpDesc {
    #[prost(message, repeated, tag = 1)]
    inputs: Vec<Slot>,
    #[prost(message, repeated, tag = 2)]
    outputs: Vec<Slot>,
    #[prost(string, tag = 3)]
    kind: String,
    #[prost(message, repeated, tag = 4)]
    attrs: Vec<Attr>,
}

/// `OpDesc.Var`: the values of one named operand.
#[derive(Message)]
struct Slot {
    #[prost(string, tag = 1)]
    parameter: String,
    #[prost(string, repeated, tag = 2)]
    arguments: Vec<String>,
}

#[derive(Message)]
struct Attr {
    #[prost(string, tag = 1)]
    name: String,
    #[prost(int32, optional, tag = 3)]
    int: Option<i32>,
    #[prost(float, optional, tag = 4)]
    float: Option<f32>,
    #[prost(string, optional, tag = 5)]
    text: Option<String>,
    #[prost(int32, repeated, packed = "false", tag = 6)]
    ints: Vec<i32>,
    #[prost(float, repeated, packed = "false", tag = 7)]
    floats: Vec<f32>,
    #[prost(bool, optional, tag = 10)]
    bool: Option<bool>,
    #[prost(int64, optional, tag = 13)]
    long: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = 15)]
    longs: Vec<i64>,
}

impl OpDesc {
    fn input(&self, slot: &str) -> Option<&String> {
        self.inputs.iter().find(|input| input.parameter == slot)?.arguments.first()
    }

    fn output(&self) -> Result<String> {
        let named = |slot: &&Slot| matches!(&slot.parameter[..], "Out" | "Output" | "Y");
        let slot = self.outputs.iter().find(named).or(self.outputs.first());
        slot.and_then(|slot| slot.arguments.first()).cloned().ok_or_else(|| Error::model("has no output"))
    }

    fn attributes(&self) -> Attributes {
        let entry = |attr: &Attr| {
            let value = if let Some(int) = attr.int {
                Attribute::Int(int.into())
            } else if let Some(long) = attr.long {
                Attribute::Int(long)
            } else if let Some(float) = attr.float {
                Attribute::Float(float.into())
            } else if let Some(text) = &attr.text {
                Attribute::Text(text.clone())
            } else if let Some(bool) = attr.bool {
                Attribute::Bool(bool)
            } else if !attr.ints.is_empty() {
                Attribute::Ints(attr.ints.iter().copied().map(i64::from).collect())
            } else if !attr.longs.is_empty() {
                Attribute::Ints(attr.longs.clone())
            } else if !attr.floats.is_empty() {
                Attribute::Floats(attr.floats.iter().copied().map(f64::from).collect())
            } else {
                return None;
            };
            Some((attr.name.clone(), value))
        };
        Attributes(self.attrs.iter().filter_map(entry).collect())
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Program> {
    let program = ProgramDesc::decode(bytes)
        .map_err(|error| Error::model(format!("not a Paddle program: {error}")).with_source(error))?;
    let [block] = &program.blocks[..] else {
        return Err(Error::unsupported(format!(
            "a program of {} blocks (control flow); programs of one block are read",
            program.blocks.len()
        )));
    };

    let shapes: HashMap<&str, &[i64]> =
        block.vars.iter().filter_map(|var| Some((&var.name[..], &tensor(var)?.dims[..]))).collect();
    let parameters = block.vars.iter().filter(|var| var.persistable).filter_map(|var| Some((var, tensor(var)?)));
    let declared = parameters
        .map(|(var, desc)| Ok((var.name.clone(), Declared::new(var.name.clone(), &desc.dims)?)))
        .collect::<Result<_>>()?;
    let mut builder = Builder::new(declared)?;
    for op in &block.ops {
        lower(&mut builder, &shapes, op).map_err(|error| error.context(format!("op `{}`", op.kind.escape_debug())))?;
    }
    Ok(builder.finish())
}

fn tensor(var: &VarDesc) -> Option<&TensorDesc> {
    let kind = var.kind.as_ref().filter(|kind| kind.kind == LOD_TENSOR)?;
    kind.lod_tensor.as_ref()?.tensor.as_ref()
}

fn lower(builder: &mut Builder<String>, shapes: &HashMap<&str, &[i64]>, op: &OpDesc) -> Result<()> {
    let mut attributes = op.attributes();
    match &op.kind[..] {
        "feed" => {
            let name = op.output()?;
            if name == SCALE_FACTOR {
                builder.scale_factor(name);
                return Ok(());
            }
            let shape = shapes.get(&name[..]).map_or(vec![], |shape| shape.to_vec());
            builder.input(name, shape);
            return Ok(());
        }
        "fetch" => {
            let value = op.input("X").ok_or_else(|| Error::model("has no operand"))?;
            builder.output(value);
            return Ok(());
        }
        "fill_constant" => {
            if let Some(value) = attributes.0.remove("value") {
                builder.constant(op.output()?, value);
                return Ok(());
            }
        }
        _ => {}
    }
    let inputs = operands(builder, op);
    let kind = match &op.kind[..] {
        "reshape2" => "reshape",
        "flatten_contiguous_range" => "flatten",
        "transpose2" => "transpose",
        "matmul_v2" => "matmul",
        "expand_v2" => "expand",
        "reduce_mean" => "mean",
        "hard_swish" => "hardswish",
        "hard_sigmoid" => "hardsigmoid",
        "nearest_interp_v2" => "nearest_interp",
        other => other,
    };
    for (name, usual) in [("data_layout", "data_format"), ("dim", "axis")] {
        if let Some(value) = attributes.0.remove(name) {
            attributes.0.insert(usual.into(), value);
        }
    }
    let output = op.output()?;
    builder.op(kind, inputs, output.clone(), attributes)?;
    if kind == "split" {
        let whole = builder.operand(&output);
        builder.parts(&whole, op.outputs.iter().flat_map(|slot| slot.arguments.iter().cloned()));
    }
    Ok(())
}

/// The operands of an op in PIR's order, which the names of their slots tell.
fn operands(builder: &Builder<String>, op: &OpDesc) -> Vec<Operand> {
    let slots: &[&str] = match &op.kind[..] {
        "conv2d" | "depthwise_conv2d" => &["Input", "Filter", "Bias"],
        "batch_norm" => &["X", "Mean", "Variance", "Scale", "Bias"],
        "layer_norm" => &["X", "Scale", "Bias"],
        "shape" | "slice" => &["Input"],
        "multiclass_nms3" => &["BBoxes", "Scores"],
        _ => &["X", "Y"],
    };
    let mut inputs: Vec<_> =
        slots.iter().filter_map(|slot| op.input(slot)).map(|value| builder.operand(value)).collect();
    let several = match &op.kind[..] {
        "concat" => {
            inputs.clear();
            Some("X")
        }
        "expand_v2" => Some("expand_shapes_tensor"),
        _ => None,
    };
    if let Some(slot) = several.and_then(|slot| op.inputs.iter().find(|input| input.parameter == slot)) {
        inputs.push(Operand::List(slot.arguments.iter().map(|value| builder.operand(value)).collect()));
    }
    inputs
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::weights::paddle::graph;

    /// The golden graph; `None`, with a message, where it is absent.
    fn golden() -> Option<ProgramDesc> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/golden/models/PP-ShiTuV2_rec_infer_pdmodel/inference.pdmodel");
        match std::fs::read(&path) {
            Ok(bytes) => Some(ProgramDesc::decode(&bytes[..]).unwrap()),
            Err(_) => {
                println!("skipped: {} is absent", path.display());
                None
            }
        }
    }

    fn map(program: &ProgramDesc) -> Result<graph::Mapping> {
        graph::map(&read(&program.encode_to_vec())?)
    }

    /// Older exports add a convolution's bias along the axis of the channels, without a reshape.
    #[test]
    fn bias_along_an_axis() {
        let Some(mut program) = golden() else { return };
        let expected = map(&program).unwrap().parameters;
        let ops = &mut program.blocks[0].ops;
        let reshapes: HashMap<String, String> = ops
            .iter()
            .filter(|op| op.kind == "reshape2")
            .map(|op| (op.outputs[0].arguments[0].clone(), op.input("X").unwrap().clone()))
            .collect();
        assert_eq!(reshapes.len(), 21);
        ops.retain(|op| op.kind != "reshape2");
        let biases: Vec<&String> = reshapes.values().collect();
        let set_axis = |ops: &mut Vec<OpDesc>, axis: i32| {
            for op in ops.iter_mut().filter(|op| op.kind == "elementwise_add") {
                let slot = op.inputs.iter_mut().find(|slot| slot.parameter == "Y").unwrap();
                if let Some(bias) = reshapes.get(&slot.arguments[0]) {
                    slot.arguments[0] = bias.clone();
                }
                if biases.contains(&&slot.arguments[0]) {
                    op.attrs.iter_mut().find(|attr| attr.name == "axis").unwrap().int = Some(axis);
                }
            }
        };
        set_axis(ops, 1);
        assert_eq!(map(&program).unwrap().parameters, expected);

        // along the last axis it would be added to the columns of the image
        set_axis(&mut program.blocks[0].ops, -1);
        let error = map(&program).unwrap_err().to_string();
        assert!(error.contains("`backbone.stages.2.0.dw_conv` does not add a bias per channel"), "{error}");
    }

    #[test]
    fn blocks_of_control_flow_are_refused() {
        let Some(mut program) = golden() else { return };
        program.blocks.push(BlockDesc::default());
        assert_eq!(map(&program).unwrap_err().kind(), crate::ErrorKind::Unsupported);
        program.blocks.clear();
        assert!(map(&program).unwrap_err().to_string().contains("a program of 0 blocks"));
    }
}
