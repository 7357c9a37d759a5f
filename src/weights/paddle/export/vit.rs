//! The graph of CLIP's vision transformer and its linear layer as Paddle exports it.

use serde_json::{Value, json};

use super::{Graph, Node, attribute, numbers, tensor_type, typed};
use crate::model::vit::{EPSILON, VitConfig};

/// The end of a slice that reaches the end of its axis.
const TO_THE_END: i64 = i32::MAX as i64;

impl Graph<'_> {
    pub(super) fn vit(&mut self, config: &VitConfig, images: Node) -> Node {
        let width = config.width as i64;
        // the number of images is known only at run time
        let sides = self.node(vec![4]);
        self.operation("1.shape64", vec![], &[images.id], vec![typed(&sides, "i64")], true);
        let count = self.whole_slice(&sides);
        let weight = self.weight("backbone.patch_embed.proj", "weight");
        let patches = self.conv2d(images, &weight, config.patch, 0, 1);
        let patches = self.flatten(patches, 2, 3, vec![-1, width, config.patches() as i64]);
        let patches = self.transpose(patches, &[0, 2, 1]);
        let tokens = self.class_tokens(&count, width);
        let x = self.concat(&[tokens, patches]);
        let x = self.plus(x, "backbone.pos_embed");
        let mut x = self.layer_norm(x, "backbone.ln_pre");
        for block in 0..config.depth {
            let path = format!("backbone.blocks.{block}");
            let attended = self.layer_norm(x.clone(), &format!("{path}.norm1"));
            let attended = self.attention(attended, &format!("{path}.attn"), config);
            x = self.add(x, &attended);
            let hidden = self.layer_norm(x.clone(), &format!("{path}.norm2"));
            let hidden = self.linear(hidden, &format!("{path}.mlp.fc1"));
            let shape = hidden.shape.clone();
            let approximate = vec![attribute("approximate", "0.a_bool", json!(false))];
            let hidden = self.push("1.gelu", approximate, &[hidden.id], shape, false);
            let hidden = self.linear(hidden, &format!("{path}.mlp.fc2"));
            x = self.add(x, &hidden);
        }
        if !config.average_class_token {
            x = self.slice(&x, 1, [1, TO_THE_END], None);
        }
        let x = self.layer_norm(x, "backbone.norm");
        let x = self.times(x, "backbone.proj");
        let axes = self.constant(&[1]);
        let shape = vec![-1, x.shape[2]];
        let keep = vec![attribute("keepdim", "0.a_bool", json!(false))];
        let x = self.push("1.mean", keep, &[x.id, axes.id], shape, false);
        self.linear(x, "neck.fc")
    }

    /// The first of a list of sizes, as a scalar.
    fn whole_slice(&mut self, sides: &Node) -> Node {
        let (start, end) = (self.constant(&[0]), self.constant(&[1]));
        let node = self.node(vec![]);
        let output = typed(&node, "i64");
        self.operation("1.slice", slice_attributes(0, &[0]), &[sides.id, start.id, end.id], vec![output], true);
        node
    }

    /// The class token, repeated for each image.
    fn class_tokens(&mut self, count: &Node, width: i64) -> Node {
        let same = [(); 2].map(|()| self.number(&[], -1.0, "int64"));
        let sides = [count.id, same[0].id, same[1].id];
        let list = self.combine(&sides, &[&[], &[], &[]], "i64", true);
        let shape = self.node(vec![3]);
        let axis = vec![attribute("axis", "0.a_i32", json!(0))];
        self.operation("1.stack", axis, &[list], vec![typed(&shape, "i64")], true);
        let token = self.weight("backbone", "cls_token");
        self.push("1.expand", vec![], &[token.id, shape.id], vec![-1, 1, width], false)
    }

    /// Concatenates tokens.
    fn concat(&mut self, parts: &[Node]) -> Node {
        let axis = self.number(&[1], 1.0, "int32");
        let ids: Vec<usize> = parts.iter().map(|part| part.id).collect();
        let shapes: Vec<&[i64]> = parts.iter().map(|part| &part.shape[..]).collect();
        let list = self.combine(&ids, &shapes, "f32", false);
        let shape = vec![-1, parts.iter().map(|part| part.shape[1]).sum(), parts[0].shape[2]];
        self.push("1.concat", vec![], &[list, axis.id], shape, false)
    }

    /// A list of tensors, as an operand of other operations.
    fn combine(&mut self, ids: &[usize], shapes: &[&[i64]], element: &str, constant: bool) -> usize {
        let node = self.node(vec![]);
        let types: Vec<Value> = shapes.iter().map(|shape| tensor_type(shape, element)).collect();
        let output = json!({ "%": node.id, "TT": { "#": "0.t_vec", "D": types } });
        self.operation("0.combine", vec![], ids, vec![output], constant);
        node.id
    }

    fn attention(&mut self, x: Node, path: &str, config: &VitConfig) -> Node {
        let [tokens, heads, channels, width] =
            [config.tokens(), config.heads, config.head_width(), config.width].map(|size| size as i64);
        let x = self.linear(x, &format!("{path}.qkv"));
        let x = self.reshape(x, &[-1, tokens, 3, heads, channels]);
        let x = self.transpose(x, &[2, 0, 3, 1, 4]);
        let [queries, keys, values] = [0, 1, 2].map(|part| self.slice(&x, 0, [part, part + 1], Some(0)));
        let keys = self.transpose(keys, &[0, 1, 3, 2]);
        let scores = self.matmul(&queries, &keys);
        let factor = self.number(&[1], f64::from((channels as f32).powf(-0.5)), "float32");
        let attributes =
            vec![attribute("bias", "0.a_f32", json!(0.0)), attribute("bias_after_scale", "0.a_bool", json!(true))];
        let scores = self.push("1.scale", attributes, &[scores.id, factor.id], scores.shape, false);
        let axis = vec![attribute("axis", "0.a_i32", json!(-1))];
        let shares = self.push("1.softmax", axis, &[scores.id], scores.shape, false);
        let x = self.matmul(&shares, &values);
        let x = self.transpose(x, &[0, 2, 1, 3]);
        let x = self.reshape(x, &[-1, tokens, width]);
        self.linear(x, &format!("{path}.proj"))
    }

    /// Matrix product and bias.
    fn linear(&mut self, x: Node, path: &str) -> Node {
        let x = self.times(x, &format!("{path}.weight"));
        self.plus(x, &format!("{path}.bias"))
    }

    fn times(&mut self, x: Node, name: &str) -> Node {
        let weight = self.named_parameter(name);
        self.matmul(&x, &weight)
    }

    fn plus(&mut self, x: Node, name: &str) -> Node {
        let other = self.named_parameter(name);
        self.add(x, &other)
    }

    fn named_parameter(&self, name: &str) -> Node {
        self.parameter(name).expect("the network has the parameters of its config")
    }

    fn add(&mut self, x: Node, other: &Node) -> Node {
        self.push("1.add", vec![], &[x.id, other.id], x.shape, false)
    }

    fn matmul(&mut self, left: &Node, right: &Node) -> Node {
        let attributes = ["transpose_x", "transpose_y"].map(|name| attribute(name, "0.a_bool", json!(false)));
        let mut shape = left.shape.clone();
        if let (Some(last), Some(columns)) = (shape.last_mut(), right.shape.last()) {
            *last = *columns;
        }
        self.push("1.matmul", attributes.into(), &[left.id, right.id], shape, false)
    }

    fn layer_norm(&mut self, x: Node, path: &str) -> Node {
        let [scale, shift] = ["weight", "bias"].map(|part| self.weight(path, part).id);
        let attributes = vec![
            attribute("epsilon", "0.a_f32", json!(f64::from(EPSILON as f32))),
            attribute("begin_norm_axis", "0.a_i32", json!(2)),
        ];
        let statistics = x.shape[..2].to_vec();
        let inputs = [x.id, scale, shift];
        let out = self.node(x.shape);
        let (mean, variance) = (self.node(statistics.clone()), self.node(statistics));
        let outputs = [&out, &mean, &variance].map(|node| typed(node, "f32"));
        self.operation("1.layer_norm", attributes, &inputs, outputs.into(), false);
        out
    }

    fn transpose(&mut self, x: Node, axes: &[i64]) -> Node {
        let shape = axes.iter().map(|&axis| x.shape[axis as usize]).collect();
        self.push("1.transpose", vec![numbers("perm", "0.a_i32", axes)], &[x.id], shape, false)
    }

    fn reshape(&mut self, x: Node, shape: &[i64]) -> Node {
        let sides = self.constant(shape);
        self.push("1.reshape", vec![], &[x.id, sides.id], shape.to_vec(), false)
    }

    /// A part of an axis. `gone` names an axis to remove.
    fn slice(&mut self, x: &Node, axis: i64, [start, end]: [i64; 2], gone: Option<i64>) -> Node {
        let mut shape = x.shape.clone();
        match gone {
            Some(axis) => drop(shape.remove(axis as usize)),
            None => shape[axis as usize] = end.min(shape[axis as usize]) - start,
        }
        let gone: Vec<i64> = gone.into_iter().collect();
        let (start, end) = (self.constant(&[start]), self.constant(&[end]));
        self.push("1.slice", slice_attributes(axis, &gone), &[x.id, start.id, end.id], shape, false)
    }
}

fn slice_attributes(axis: i64, gone: &[i64]) -> Vec<Value> {
    vec![
        numbers("axes", "0.a_i64", &[axis]),
        numbers("infer_flags", "0.a_i64", &[1]),
        numbers("decrease_axis", "0.a_i64", gone),
    ]
}
