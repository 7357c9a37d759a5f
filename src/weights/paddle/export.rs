//! A model as Paddle's own inference files: `inference.json` (PIR), `inference.pdiparams`, `inference.yml`.

use serde_json::{Value, json};

use super::internal_names::internal_names;
use super::yaml_writer::dump;
use crate::image::Resize;
use crate::model::lcnet_v2::{DROPOUT, EPSILON, Form, LcNetV2Config};
use crate::model::{ModelDescription, Network, Parameter};
use crate::tensors::Tensors;
use crate::weights::{Model, published};
use crate::{Error, Result};

/// Paddle's share of the old statistics; without meaning where they are fixed.
const MOMENTUM: f32 = 0.9;

/// The three files by name.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) for a vision transformer.
pub(in crate::weights) fn export(model: &Model) -> Result<Vec<(String, Vec<u8>)>> {
    let Network::LcNetV2(config) = &model.description.network else {
        return Err(Error::unsupported(
            "vision transformers are not exported to Paddle's inference files; their .pdparams can be, by PaddleX",
        ));
    };
    let tensors = model.description.network.deploy_form(model.form, &model.tensors)?;
    let named = names(&model.description.network);
    let graph = Graph::of(config, &named);
    Ok(vec![
        ("inference.json".into(), graph.document().to_string().into_bytes()),
        ("inference.pdiparams".into(), pdiparams(&named, &tensors)?),
        ("inference.yml".into(), inference_yml(&model.description).into_bytes()),
    ])
}

/// The parameters of the deploy form with their internal names, in the order of these, in which they are kept.
fn names(network: &Network) -> Vec<(String, Parameter)> {
    let training = network.parameters(Form::Training, None);
    let names = internal_names(network, &training);
    let deploy = network.parameters(Form::Deploy, None);
    let mut named: Vec<(String, Parameter)> = deploy
        .into_iter()
        .filter_map(|parameter| {
            let place = training.iter().position(|other| other.name == parameter.name)?;
            Some((names[place].clone(), parameter))
        })
        .collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    named
}

/// The values one after the other, each with its type and shape.
fn pdiparams(named: &[(String, Parameter)], tensors: &Tensors) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (_, parameter) in named {
        let tensor = tensors.expect(&parameter.name, &parameter.shape)?;
        // version, no levels of detail, version of the tensor
        out.extend([0; 4 + 8 + 4]);
        // float32, then each side
        let mut description = vec![0x08, 5];
        for &side in &parameter.shape {
            description.push(0x10);
            put_varint(side as u64, &mut description);
        }
        out.extend((description.len() as u32).to_le_bytes());
        out.extend(description);
        tensor.values.iter().for_each(|value| out.extend(value.to_le_bytes()));
    }
    Ok(out)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The name is that of the published model: by it PaddleX knows how to feed the network, whatever its width.
fn inference_yml(description: &ModelDescription) -> String {
    let normalize = &description.preprocess.normalize;
    let resize = match description.preprocess.resize {
        Resize::Stretch { width, height } => json!({ "size": [width, height] }),
        Resize::ShortSide(side) => json!({ "resize_short": side }),
    };
    let mut resize_image = json!({ "backend": "cv2", "interpolation": "bilinear", "return_numpy": false });
    if let (Some(all), Some(size)) = (resize_image.as_object_mut(), resize.as_object()) {
        all.extend(size.clone());
    }
    let sections = [
        json!({ "Global": { "model_name": published(description) } }),
        json!({ "PreProcess": { "transform_ops": [
            { "ResizeImage": resize_image },
            { "NormalizeImage": {
                "channel_num": 3, "mean": normalize.mean, "order": "hwc", "scale": normalize.scale, "std": normalize.std,
            }},
            { "ToCHWImage": null },
        ]}}),
        json!({ "PostProcess": { "NormalizeFeatures": null } }),
    ];
    sections.iter().map(dump).collect()
}

/// A value of the graph.
#[derive(Clone)]
struct Node {
    id: usize,
    /// The first is -1: any number of images.
    shape: Vec<i64>,
}

/// Operations in PIR's form, in the order in which they run.
struct Graph<'a> {
    operations: Vec<Value>,
    named: &'a [(String, Parameter)],
    next: usize,
}

impl<'a> Graph<'a> {
    fn of(config: &LcNetV2Config, named: &'a [(String, Parameter)]) -> Self {
        let mut graph = Graph { operations: Vec::new(), named, next: 1 };
        for (name, parameter) in named {
            let node = graph.node(parameter.shape.iter().map(|&side| side as i64).collect());
            graph.operations.push(json!({
                "#": "p", "A": [0, 1, 1, name], "DA": [], "O": typed(&node, "f32"), "OA": [1, 1, 0], "QA": [],
            }));
        }
        let [height, width] = config.input.map(|side| side as i64);
        let shape = vec![-1, 3, height, width];
        let attributes = vec![
            attribute("name", "0.a_str", json!("x")),
            attribute("shape", "1.a_intarray", json!(shape)),
            attribute("dtype", "1.a_dtype", json!("float32")),
            attribute("place", "1.a_place", json!([0, 0, ""])),
        ];
        let images = graph.push("1.data", attributes, &[], shape, false);
        let features = graph.network(config, images);
        let attributes =
            vec![attribute("name", "0.a_str", json!("fetch_name_0")), attribute("col", "0.a_i32", json!(0))];
        let fetched = graph.push("1.fetch", attributes, &[features.id], features.shape, false);
        debug_assert!(fetched.id + 1 == graph.next);
        if let Some(outputs) = graph.operations.last_mut().and_then(|last| last["OA"].as_array_mut()) {
            outputs.insert(0, flags("persistable", &[true]));
        }
        graph
    }

    fn document(&self) -> Value {
        json!({
            "base_code": { "magic": "pir", "trainable": true, "version": 4 },
            "program": { "regions": [{ "#": "region_0", "blocks": [{ "#": "block_0", "args": [], "ops": self.operations }] }] },
        })
    }

    fn network(&mut self, config: &LcNetV2Config, images: Node) -> Node {
        let mut x = self.conv_norm(images, "backbone.stem.0", 2, 1);
        for block in config.blocks() {
            let input = x.clone();
            let path = &block.path;
            let channels = block.in_channels;
            x = if block.branches.is_empty() {
                self.conv_norm(x, &format!("{path}.dw_conv"), block.stride, channels)
            } else {
                let convolved = self.convolution(x, &format!("{path}.dw_conv"), block.stride, channels);
                self.unary("1.relu", convolved)
            };
            if block.squeeze {
                let gate = self.pool(x.clone());
                let gate = self.convolution(gate, &format!("{path}.se.conv1"), 1, 1);
                let gate = self.unary("1.relu", gate);
                let gate = self.convolution(gate, &format!("{path}.se.conv2"), 1, 1);
                let gate = self.unary("1.sigmoid", gate);
                let shape = x.shape.clone();
                x = self.push("1.multiply", vec![], &[x.id, gate.id], shape, false);
            }
            let pointwise: &[&str] = if block.split { &["pw_conv_1", "pw_conv_2"] } else { &["pw_conv"] };
            for name in pointwise {
                x = self.conv_norm(x, &format!("{path}.{name}"), 1, 1);
            }
            if block.shortcut {
                let shape = x.shape.clone();
                x = self.push("1.add", vec![], &[x.id, input.id], shape, false);
            }
        }
        let x = self.pool(x);
        let x = self.convolution(x, "backbone.last_conv", 1, 1);
        let x = self.dropout(x);
        let x = self.flatten(x, 3);
        let x = self.flatten(x, 1);
        self.norm(x, "neck.feat_bn")
    }

    fn node(&mut self, shape: Vec<i64>) -> Node {
        self.next += 1;
        Node { id: self.next - 1, shape }
    }

    /// Adds an operation with one result.
    fn push(&mut self, name: &str, attributes: Vec<Value>, inputs: &[usize], shape: Vec<i64>, constant: bool) -> Node {
        let node = self.node(shape);
        let output = typed(&node, "f32");
        self.operation(name, attributes, inputs, vec![output], constant);
        node
    }

    fn operation(&mut self, name: &str, attributes: Vec<Value>, inputs: &[usize], outputs: Vec<Value>, constant: bool) {
        let inputs: Vec<Value> = inputs.iter().map(|id| json!({ "%": id })).collect();
        let stops = flags("stop_gradient", &vec![constant; outputs.len()]);
        self.operations.push(json!({ "#": name, "A": attributes, "I": inputs, "O": outputs, "OA": [stops] }));
    }

    fn parameter(&self, name: &str) -> Option<Node> {
        let place = self.named.iter().position(|(_, parameter)| parameter.name == name)?;
        let shape = self.named[place].1.shape.iter().map(|&side| side as i64).collect();
        Some(Node { id: place + 1, shape })
    }

    fn weight(&self, path: &str, part: &str) -> Node {
        self.parameter(&format!("{path}.{part}")).expect("the network has the parameters of its config")
    }

    fn unary(&mut self, name: &str, x: Node) -> Node {
        self.push(name, vec![], &[x.id], x.shape, false)
    }

    fn conv_norm(&mut self, x: Node, path: &str, stride: usize, groups: usize) -> Node {
        let x = self.convolution(x, &format!("{path}.conv"), stride, groups);
        let x = self.norm(x, &format!("{path}.bn"));
        self.unary("1.relu", x)
    }

    /// A convolution, and the addition of its bias where it has one.
    fn convolution(&mut self, x: Node, path: &str, stride: usize, groups: usize) -> Node {
        let weight = self.weight(path, "weight");
        let (out, kernel) = (weight.shape[0], weight.shape[2]);
        let (stride, padding) = (stride as i64, (kernel - 1) / 2);
        let side = |side: i64| (side + 2 * padding - kernel) / stride + 1;
        let shape = vec![-1, out, side(x.shape[2]), side(x.shape[3])];
        let mut attributes = vec![
            numbers("strides", "0.a_i32", &[stride; 2]),
            numbers("paddings", "0.a_i32", &[padding; 2]),
            attribute("padding_algorithm", "0.a_str", json!("EXPLICIT")),
            numbers("dilations", "0.a_i32", &[1; 2]),
            attribute("groups", "0.a_i32", json!(groups)),
            attribute("data_format", "0.a_str", json!("NCHW")),
        ];
        let name = if groups > 1 { "1.depthwise_conv2d" } else { "1.conv2d" };
        if groups > 1 {
            attributes.swap(3, 4);
        }
        let x = self.push(name, attributes, &[x.id, weight.id], shape.clone(), false);
        let Some(bias) = self.parameter(&format!("{path}.bias")) else { return x };
        let sides = self.constant(&[1, -1, 1, 1]);
        let bias = self.push("1.reshape", vec![], &[bias.id, sides.id], vec![1, out, 1, 1], false);
        self.push("1.add", vec![], &[x.id, bias.id], shape, false)
    }

    fn norm(&mut self, x: Node, path: &str) -> Node {
        let part = |part: &str| self.weight(path, part).id;
        let inputs = [x.id, part("_mean"), part("_variance"), part("weight"), part("bias")];
        let channels = vec![x.shape[1]];
        let attributes = vec![
            attribute("is_test", "0.a_bool", json!(true)),
            attribute("momentum", "0.a_f32", json!(f64::from(MOMENTUM))),
            attribute("epsilon", "0.a_f32", json!(f64::from(EPSILON as f32))),
            attribute("data_format", "0.a_str", json!("NCHW")),
            attribute("use_global_stats", "0.a_bool", json!(true)),
            attribute("trainable_statistics", "0.a_bool", json!(false)),
        ];
        let out = self.node(x.shape);
        let mut outputs = vec![typed(&out, "f32")];
        // running and saved statistics, which nobody reads
        for _ in 0..4 {
            let statistics = self.node(channels.clone());
            outputs.push(typed(&statistics, "f32"));
        }
        let reserve = self.node(vec![-1]);
        outputs.push(typed(&reserve, "ui8"));
        self.operation("1.batch_norm_", attributes, &inputs, outputs, false);
        out
    }

    fn constant(&mut self, values: &[i64]) -> Node {
        let attributes = vec![
            numbers("value", "0.a_i64", values),
            attribute("dtype", "1.a_dtype", json!("int64")),
            attribute("place", "1.a_place", json!([1, 0, ""])),
        ];
        let node = self.node(vec![values.len() as i64]);
        self.operation("1.full_int_array", attributes, &[], vec![typed(&node, "i64")], true);
        node
    }

    /// The mean of each channel.
    fn pool(&mut self, x: Node) -> Node {
        let size = self.constant(&[1, 1]);
        let attributes = vec![
            numbers("strides", "0.a_i64", &[1, 1]),
            numbers("paddings", "0.a_i64", &[0, 0]),
            attribute("ceil_mode", "0.a_bool", json!(false)),
            attribute("exclusive", "0.a_bool", json!(true)),
            attribute("data_format", "0.a_str", json!("NCHW")),
            attribute("pooling_type", "0.a_str", json!("avg")),
            attribute("global_pooling", "0.a_bool", json!(false)),
            attribute("adaptive", "0.a_bool", json!(true)),
            attribute("padding_algorithm", "0.a_str", json!("EXPLICIT")),
        ];
        let shape = vec![-1, x.shape[1], 1, 1];
        self.push("1.pool2d", attributes, &[x.id, size.id], shape, false)
    }

    fn dropout(&mut self, x: Node) -> Node {
        let attributes = vec![
            attribute("shape", "1.a_intarray", json!([1])),
            attribute("value", "0.a_f64", json!(f64::from(DROPOUT as f32))),
            attribute("dtype", "1.a_dtype", json!("float32")),
            attribute("place", "1.a_place", json!([1, 0, ""])),
        ];
        let share = self.push("1.full", attributes, &[], vec![1], true);
        let attributes = vec![
            attribute("is_test", "0.a_bool", json!(true)),
            attribute("mode", "0.a_str", json!("downgrade_in_infer")),
            attribute("seed", "0.a_i32", json!(0)),
            attribute("fix_seed", "0.a_bool", json!(false)),
        ];
        let out = self.node(x.shape.clone());
        let mask = self.node(x.shape);
        let outputs = vec![typed(&out, "f32"), typed(&mask, "ui8")];
        self.operation("1.dropout", attributes, &[x.id, 0, share.id], outputs, false);
        out
    }

    fn flatten(&mut self, x: Node, stop: i64) -> Node {
        let attributes =
            vec![attribute("start_axis", "0.a_i32", json!(1)), attribute("stop_axis", "0.a_i32", json!(stop))];
        let shape = vec![-1, x.shape[1]];
        self.push("1.flatten", attributes, &[x.id], shape, false)
    }
}

fn typed(node: &Node, element: &str) -> Value {
    let kind = json!({ "#": format!("0.t_{element}") });
    json!({ "%": node.id, "TT": { "#": "0.t_dtensor", "D": [kind, node.shape, "NCHW", [], 0] } })
}

fn attribute(name: &str, kind: &str, value: Value) -> Value {
    json!({ "AT": { "#": kind, "D": value }, "N": name })
}

fn numbers(name: &str, kind: &str, values: &[i64]) -> Value {
    let values: Vec<Value> = values.iter().map(|value| json!({ "#": kind, "D": value })).collect();
    attribute(name, "0.a_array", Value::Array(values))
}

fn flags(name: &str, values: &[bool]) -> Value {
    let values: Vec<Value> = values.iter().map(|value| json!({ "#": "0.a_bool", "D": value })).collect();
    attribute(name, "0.a_array", Value::Array(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The graph that Paddle itself exported (`golden/models/PP-ShiTuV2_rec_infer_pir`): the same operations with the same
    /// attributes, shapes and inputs; layers' names and the internal names' suffixes apart.
    #[test]
    fn the_graph_is_paddles() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/golden/models/PP-ShiTuV2_rec_infer_pir/inference.json");
        if !golden.exists() {
            return eprintln!("skipped: {} is absent", golden.display());
        }
        let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
        let network = Network::LcNetV2(LcNetV2Config::default());
        let named = names(&network);
        let Network::LcNetV2(config) = &network else { unreachable!() };
        let ours = Graph::of(config, &named).document();
        let operations = |document: &Value| -> Vec<Value> {
            let operations = document["program"]["regions"][0]["blocks"][0]["ops"].as_array().unwrap();
            // parameters have other places: their names stand for them
            let name = |operation: &Value| {
                let name = operation["A"][3].as_str().unwrap();
                Value::from(name.split("_deepcopy").next().unwrap())
            };
            let mut ids = std::collections::HashMap::new();
            let mut count = 0;
            let mut id = |value: &Value| -> Value {
                let value = value.as_u64().unwrap();
                if value == 0 {
                    return Value::Null;
                }
                ids.entry(value)
                    .or_insert_with(|| {
                        count += 1;
                        Value::from(count)
                    })
                    .clone()
            };
            let parameters: std::collections::HashMap<u64, Value> = operations
                .iter()
                .filter(|operation| operation["#"] == "p")
                .map(|operation| (operation["O"]["%"].as_u64().unwrap(), name(operation)))
                .collect();
            let mut compared = Vec::new();
            for operation in operations.iter().filter(|operation| operation["#"] != "p") {
                let mut operation = operation.clone();
                let attributes = operation["A"].as_array_mut().unwrap();
                attributes.retain(|attribute| attribute["N"] != "struct_name");
                for side in ["I", "O"] {
                    for value in operation[side].as_array_mut().unwrap() {
                        let given = value["%"].as_u64().unwrap();
                        value["%"] = parameters.get(&given).cloned().unwrap_or_else(|| id(&value["%"]));
                    }
                }
                compared.push(operation);
            }
            compared
        };
        let (ours, golden) = (operations(&ours), operations(&golden));
        for (ours, golden) in ours.iter().zip(&golden) {
            assert_eq!(ours, golden);
        }
        assert_eq!(ours.len(), golden.len());
    }

    #[test]
    fn the_settings_are_paddlexs() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/golden/models/PP-ShiTuV2_rec_infer_pir/inference.yml");
        if !golden.exists() {
            return eprintln!("skipped: {} is absent", golden.display());
        }
        let description = crate::weights::default_description(Network::LcNetV2(LcNetV2Config::default()));
        assert_eq!(inference_yml(&description), std::fs::read_to_string(golden).unwrap());
    }
}
