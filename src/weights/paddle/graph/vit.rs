//! The walk along CLIP's vision transformer and its linear layer as Paddle exports them.

use super::{Conv, Walk, below, check, check_float, check_whole, wrong_input};
use crate::model::vit::{EPSILON, VitConfig};
use crate::weights::limits;
use crate::weights::paddle::op::{Attribute, Op, Operand, Program};
use crate::{Error, Result};

/// The sizes of a graph's vision transformer, from the first op of each kind. The walk compares all others.
pub(super) fn config(program: &Program, input: Option<[usize; 2]>) -> Result<VitConfig> {
    let config = sizes(program, input).ok_or_else(|| {
        Error::model(
            "its sizes are not found: expected an input of fixed size, a convolution to patches, blocks of four linear layers \
             with a reshape that divides queries, keys and values by heads, and two linear layers after the blocks",
        )
    })?;
    limits::check_vit(&config)?;
    Ok(config)
}

fn sizes(program: &Program, input: Option<[usize; 2]>) -> Option<VitConfig> {
    let parameter = |op: &Op| match op.inputs.get(1) {
        Some(&Operand::Parameter(index)) => Some(&program.parameters[index].shape[..]),
        _ => None,
    };
    let of_kind = |kind: &'static str| program.ops.iter().filter(move |op| op.kind == kind);
    let &[width, 3, patch, _] = of_kind("conv2d").find_map(parameter)? else { return None };
    let linear: Vec<&[usize]> = of_kind("matmul").filter_map(parameter).collect();
    let [_, _, [_, hidden], .., [_, projection], [_, embedding]] = linear[..] else { return None };
    let Some(&[_, _, 3, heads, _]) = of_kind("reshape").next()?.attributes.ints("shape") else { return None };
    let drops_class_token = of_kind("slice").any(|op| op.attributes.whole("axes") == Some(1));
    Some(VitConfig {
        input: input?,
        patch,
        width,
        depth: of_kind("softmax").count(),
        heads: usize::try_from(heads).ok()?,
        hidden: *hidden,
        projection: *projection,
        average_class_token: !drops_class_token,
        embedding: *embedding,
    })
}

/// The end of a slice that reaches the end of its axis.
const TO_THE_END: i64 = i32::MAX as i64;

impl Walk<'_> {
    pub(super) fn vit(&mut self, config: &VitConfig) -> Result<()> {
        let embed = "backbone.patch_embed";
        let conv = Conv { stride: config.patch, padding: 0, groups: 1 };
        let x = self.conv("backbone.patch_embed.proj", conv, Operand::Input)?;
        let x = self.flatten(embed, x, 2, 3)?;
        let x = self.transpose(embed, x, &[0, 2, 1])?;
        let x = self.class_token("backbone", "cls_token", x)?;
        let x = self.plus_parameter("backbone", "pos_embed", x)?;
        let mut x = self.layer_norm("backbone.ln_pre", x)?;
        for block in 0..config.depth {
            let path = &format!("backbone.blocks.{block}");
            let attended = self.layer_norm(&below(path, "norm1"), x.clone())?;
            let attended = self.attention(&below(path, "attn"), config, attended)?;
            x = self.binary("elementwise_add", &below(path, "attn (shortcut)"), x, attended)?;
            let hidden = self.layer_norm(&below(path, "norm2"), x.clone())?;
            let hidden = self.linear(&below(path, "mlp.fc1"), hidden)?;
            let hidden = self.gelu(&below(path, "mlp.act"), hidden)?;
            let hidden = self.linear(&below(path, "mlp.fc2"), hidden)?;
            x = self.binary("elementwise_add", &below(path, "mlp (shortcut)"), x, hidden)?;
        }
        if !config.average_class_token {
            x = self.slice("backbone (without class token)", x, 1, 1, None)?;
        }
        let x = self.layer_norm("backbone.norm", x)?;
        let x = self.times_parameter("backbone", "proj", x)?;
        let x = self.mean("backbone (mean of tokens)", x)?;
        let neck = "neck.fc";
        let x = self.linear(neck, x)?;
        self.end(neck, &x)
    }

    fn attention(&mut self, path: &str, config: &VitConfig, input: Operand) -> Result<Operand> {
        let [tokens, heads, channels, width] =
            [config.tokens(), config.heads, config.head_width(), config.width].map(|size| size as i64);
        let x = self.linear(&below(path, "qkv"), input)?;
        let x = self.reshape(path, x, &[-1, tokens, 3, heads, channels])?;
        let x = self.transpose(path, x, &[2, 0, 3, 1, 4])?;
        let queries = self.slice(path, x.clone(), 0, 0, Some(1))?;
        let keys = self.slice(path, x.clone(), 0, 1, Some(2))?;
        let values = self.slice(path, x, 0, 2, Some(3))?;
        let keys = self.transpose(path, keys, &[0, 1, 3, 2])?;
        let scores = self.matmul(path, queries, keys)?;
        let scale = self.op("scale", path)?;
        self.follows(scale, path, &scores)?;
        check_float(scale, path, "scale", 1.0 / (channels as f64).sqrt())?;
        check_float(scale, path, "bias", 0.0)?;
        let softmax = self.op("softmax", path)?;
        self.follows(softmax, path, &Operand::Value(scale.output))?;
        check(softmax, path, "axis", &Attribute::Int(-1))?;
        let x = self.matmul(path, Operand::Value(softmax.output), values)?;
        let x = self.transpose(path, x, &[0, 2, 1, 3])?;
        let x = self.reshape(path, x, &[-1, tokens, width])?;
        self.linear(&below(path, "proj"), x)
    }

    /// Puts the class token before the patches of each image.
    fn class_token(&mut self, path: &str, part: &str, patches: Operand) -> Result<Operand> {
        let op = self.op("concat", path)?;
        match &op.inputs[..] {
            [Operand::List(parts)] => match &parts[..] {
                [Operand::Repeated(index), last] if *last == patches => self.take(path, part, *index)?,
                _ => return Err(wrong_input(op, path)),
            },
            _ => return Err(wrong_input(op, path)),
        }
        check_whole(op, path, "axis", 1)?;
        Ok(Operand::Value(op.output))
    }

    /// Matrix product and bias.
    fn linear(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let x = self.times_parameter(path, "weight", input)?;
        self.plus_parameter(path, "bias", x)
    }

    fn times_parameter(&mut self, path: &str, part: &str, input: Operand) -> Result<Operand> {
        let op = self.op("matmul", path)?;
        self.with_parameter(op, path, part, &input)?;
        not_transposed(op, path)
    }

    /// Adds a parameter along the last axes.
    fn plus_parameter(&mut self, path: &str, part: &str, input: Operand) -> Result<Operand> {
        let op = self.op("elementwise_add", path)?;
        self.with_parameter(op, path, part, &input)?;
        if op.attributes.int("axis").is_some() {
            check(op, path, "axis", &Attribute::Int(-1))?;
        }
        Ok(Operand::Value(op.output))
    }

    /// Checks that an op combines `input` with a parameter.
    fn with_parameter(&mut self, op: &Op, path: &str, part: &str, input: &Operand) -> Result<()> {
        match &op.inputs[..] {
            [value, Operand::Parameter(index)] if value == input => self.take(path, part, *index),
            _ => Err(wrong_input(op, path)),
        }
    }

    fn matmul(&mut self, path: &str, left: Operand, right: Operand) -> Result<Operand> {
        let op = self.op("matmul", path)?;
        match &op.inputs[..] {
            [a, b] if *a == left && *b == right => not_transposed(op, path),
            _ => Err(wrong_input(op, path)),
        }
    }

    fn layer_norm(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("layer_norm", path)?;
        match op.inputs[..] {
            [ref value, Operand::Parameter(scale), Operand::Parameter(shift)] if *value == input => {
                self.take(path, "weight", scale)?;
                self.take(path, "bias", shift)?;
            }
            _ => return Err(wrong_input(op, path)),
        }
        check(op, path, "begin_norm_axis", &Attribute::Int(2))?;
        check_float(op, path, "epsilon", EPSILON)?;
        Ok(Operand::Value(op.output))
    }

    fn gelu(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("gelu", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "approximate", &Attribute::Bool(false))?;
        Ok(Operand::Value(op.output))
    }

    pub(super) fn transpose(&mut self, path: &str, input: Operand, axes: &[i64]) -> Result<Operand> {
        let op = self.op("transpose", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "axis", &Attribute::Ints(axes.to_vec()))?;
        Ok(Operand::Value(op.output))
    }

    pub(super) fn reshape(&mut self, path: &str, input: Operand, shape: &[i64]) -> Result<Operand> {
        let op = self.op("reshape", path)?;
        self.follows(op, path, &input)?;
        check(op, path, "shape", &Attribute::Ints(shape.to_vec()))?;
        Ok(Operand::Value(op.output))
    }

    /// A slice of an axis: up to `end`, with the axis removed, or without `end` all from `start` on.
    fn slice(&mut self, path: &str, input: Operand, axis: i64, start: i64, end: Option<i64>) -> Result<Operand> {
        let op = self.op("slice", path)?;
        self.follows(op, path, &input)?;
        check_whole(op, path, "axes", axis)?;
        check_whole(op, path, "starts", start)?;
        check_whole(op, path, "ends", end.unwrap_or(TO_THE_END))?;
        match (end, op.attributes.ints("decrease_axis")) {
            (None, None | Some([])) => {}
            (None, _) => check(op, path, "decrease_axis", &Attribute::Ints(vec![]))?,
            (Some(_), _) => check(op, path, "decrease_axis", &Attribute::Ints(vec![axis]))?,
        }
        Ok(Operand::Value(op.output))
    }

    fn mean(&mut self, path: &str, input: Operand) -> Result<Operand> {
        let op = self.op("mean", path)?;
        self.follows(op, path, &input)?;
        check_whole(op, path, "axis", 1)?;
        check(op, path, "keep_dim", &Attribute::Bool(false))?;
        if op.attributes.bool("reduce_all") == Some(true) {
            check(op, path, "reduce_all", &Attribute::Bool(false))?;
        }
        Ok(Operand::Value(op.output))
    }
}

fn not_transposed(op: &Op, path: &str) -> Result<Operand> {
    for name in ["trans_x", "trans_y"] {
        check(op, path, name, &Attribute::Bool(false))?;
    }
    Ok(Operand::Value(op.output))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};

    use super::super::{Mapping, map};
    use crate::model::Network;
    use crate::model::vit::VitConfig;
    use crate::weights::paddle::op::Program;
    use crate::weights::paddle::{pir, program};

    /// A golden file; `None`, with a message, where it is absent.
    fn golden(name: &str) -> Option<Vec<u8>> {
        let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/models").join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                println!("skipped: {} is absent", path.display());
                None
            }
        }
    }

    /// Checks the parameters of a graph against Paddle's own list.
    fn check(name: &str, config: VitConfig, program: &Program) {
        let Mapping { network, input, parameters, .. } = map(program).unwrap();
        assert_eq!((input, &network), (Some([224, 224]), &Network::Vit(config.clone())), "{name}");
        let tsv = String::from_utf8(golden(&format!("PP-ShiTuV2_rec_CLIP_vit_{name}_params.tsv")).unwrap()).unwrap();
        let internal = |structured: &str| {
            let line = tsv.lines().find(|line| line.split('\t').next() == Some(structured)).unwrap();
            line.rsplit('\t').next().unwrap().to_string()
        };
        let names = config.parameters(None);
        assert_eq!(names.len(), parameters.len());
        for (parameter, index) in names.iter().zip(parameters) {
            let declared = program.parameters[index].name.split("_deepcopy").next().unwrap();
            assert_eq!(declared, internal(&parameter.name), "{name}, {}", parameter.name);
        }
    }

    #[test]
    fn parameters_are_those_of_paddle() {
        for (name, config) in [("base", VitConfig::base()), ("large", VitConfig::large())] {
            let graph = |file: &str| golden(&format!("PP-ShiTuV2_rec_CLIP_vit_{name}_infer_pir_graph_only/{file}"));
            let Some(bytes) = graph("inference.json") else { return };
            check(name, config.clone(), &pir::read(&bytes).unwrap());
            // the large model has no such file
            if let Some(bytes) = graph("inference.pdmodel") {
                check(name, config, &program::read(&bytes).unwrap());
            }
        }
    }

    fn ops(graph: &mut Value) -> &mut Vec<Value> {
        graph["program"]["regions"][0]["blocks"][0]["ops"].as_array_mut().unwrap()
    }

    /// The index-th op of a kind.
    fn nth<'g>(graph: &'g mut Value, kind: &str, index: usize) -> &'g mut Value {
        ops(graph).iter_mut().filter(|op| op["#"] == kind).nth(index).unwrap()
    }

    fn set(graph: &mut Value, kind: &str, index: usize, name: &str, value: Value) {
        let list = nth(graph, kind, index)["A"].as_array_mut().unwrap();
        list.iter_mut().find(|entry| entry["N"] == name).unwrap()["AT"]["D"] = value;
    }

    fn swap(graph: &mut Value, kind: &str, index: usize, [a, b]: [usize; 2]) {
        nth(graph, kind, index)["I"].as_array_mut().unwrap().swap(a, b);
    }

    /// Removes an op; the ops after it use its operand instead.
    fn bypass(graph: &mut Value, kind: &str, index: usize) {
        let op = nth(graph, kind, index).clone();
        let (from, to) = (op["O"][0]["%"].clone(), op["I"][0]["%"].clone());
        let list = ops(graph);
        list.retain(|other| *other != op);
        for other in list {
            for input in other.get_mut("I").and_then(Value::as_array_mut).into_iter().flatten() {
                if input["%"] == from {
                    input["%"] = to.clone();
                }
            }
        }
    }

    /// A list of integers as an attribute stores it.
    fn ints(values: &[i64]) -> Value {
        values.iter().map(|value| json!({ "#": "0.a_i64", "D": value })).collect()
    }

    #[test]
    fn wrong_structure_is_found_though_every_shape_is_right() {
        let Some(bytes) = golden("PP-ShiTuV2_rec_CLIP_vit_base_infer_pir_graph_only/inference.json") else { return };
        let graph: Value = serde_json::from_slice(&bytes).unwrap();
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 22] = [
            (|g| set(g, "1.conv2d", 0, "paddings", ints(&[1, 1])), "`backbone.patch_embed.proj` has `paddings` [1, 1]"),
            (|g| set(g, "1.conv2d", 0, "strides", ints(&[8, 8])), "`strides` [8, 8]; expected [16, 16]"),
            (
                |g| set(g, "1.flatten", 0, "start_axis", json!(1)),
                "`backbone.patch_embed` has `start_axis` 1; expected 2",
            ),
            (|g| set(g, "1.transpose", 0, "perm", ints(&[0, 1, 2])), "`axis` [0, 1, 2]; expected [0, 2, 1]"),
            (|g| swap(g, "0.combine", 1, [0, 1]), "`concat` at `backbone`"),
            (|g| swap(g, "0.combine", 0, [0, 1]), "op `expand` stands at `backbone`"),
            (|g| set(g, "1.layer_norm", 0, "epsilon", json!(1e-6)), "`backbone.ln_pre` has `epsilon` 0.000001"),
            (
                |g| set(g, "1.layer_norm", 3, "begin_norm_axis", json!(1)),
                "`backbone.blocks.1.norm1` has `begin_norm_axis` 1",
            ),
            (|g| nth(g, "1.layer_norm", 4)["I"][1]["%"] = json!(150), "used twice"),
            (
                |g| bypass(g, "1.layer_norm", 5),
                "op `matmul` stands at `backbone.blocks.2.norm1`; expected `layer_norm`",
            ),
            (|g| set(g, "1.matmul", 0, "transpose_y", json!(true)), "`backbone.blocks.0.attn.qkv` has `trans_y` true"),
            (|g| swap(g, "1.matmul", 1, [0, 1]), "`matmul` at `backbone.blocks.0.attn`"),
            (|g| set(g, "1.transpose", 1, "perm", ints(&[2, 0, 3, 1, 4, 5])), "`axis` [2, 0, 3, 1, 4, 5]"),
            (|g| set(g, "1.slice", 1, "decrease_axis", ints(&[])), "`decrease_axis` []; expected [0]"),
            (|g| bypass(g, "1.scale", 0), "op `softmax` stands at `backbone.blocks.0.attn`; expected `scale`"),
            (|g| set(g, "1.softmax", 7, "axis", json!(1)), "`backbone.blocks.7.attn` has `axis` 1; expected -1"),
            (|g| set(g, "1.gelu", 0, "approximate", json!(true)), "`approximate` true; expected false"),
            (|g| bypass(g, "1.gelu", 11), "expected `gelu`"),
            (|g| bypass(g, "1.mean", 0), "expected `mean`"),
            (|g| set(g, "1.mean", 0, "keepdim", json!(true)), "`keep_dim` true; expected false"),
            (|g| nth(g, "1.fetch", 0)["I"][0]["%"] = json!(639), "does not return the output of `neck.fc`"),
            (|g| set(g, "1.data", 0, "shape", json!([])), ""),
        ];
        let mut complaints = Vec::new();
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut changed = graph.clone();
            change(&mut changed);
            match map(&pir::read(changed.to_string().as_bytes()).unwrap()) {
                // the last case is a change that must be accepted
                Ok(_) if expected.is_empty() => {}
                Ok(_) => complaints.push(format!("case {number}: is read without an error")),
                Err(error) if error.to_string().contains(expected) && error.is_model() => {}
                Err(error) => complaints.push(format!("case {number}: {error:?}; expected {expected}")),
            }
        }
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
