//! Writes a model as Paddle's inference files: `inference.json` (PIR), `inference.pdiparams`, `inference.yml`.

mod lcnet_v2;
mod vit;

use serde_json::{Value, json};

use super::internal_names::internal_names;
use super::yaml_writer::dump;
use crate::image::Resize;
use crate::model::lcnet_v2::Form;
use crate::model::vit::VitConfig;
use crate::model::{ModelDescription, Network, Parameter};
use crate::tensors::Tensors;
use crate::weights::model::Model;
use crate::weights::published::{PUBLISHED, PUBLISHED_VIT};
use crate::{Error, Result};

impl Model {
    /// The model as Paddle's own inference files, by name: `inference.json`, `inference.pdiparams` and `inference.yml`.
    /// Paddle and PaddleX run them.
    ///
    /// Branches are fused, the classification head is left out.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an EfficientNet-Lite, which PaddleX does not know, and for a detector;
    /// [`Model`](crate::ErrorKind::Model) where a tensor of the network is missing.
    pub fn to_paddle(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let ModelDescription { name, network, .. } = &self.description;
        if let Network::EfficientNetLite(_) = network {
            return Err(Error::unsupported(format!(
                "{name} is an EfficientNet-Lite, which PaddleX does not know; write a .safetensors"
            )));
        }
        if let Network::PicoDet(_) = network {
            return Err(Error::unsupported(format!(
                "{name} is a detector, which is not written as Paddle's files yet; write a .safetensors"
            )));
        }
        let tensors = network.deploy_form(self.form, &self.tensors)?;
        let named = names(network);
        let graph = Graph::of(network, &named);
        Ok(vec![
            ("inference.json".into(), graph.document().to_string().into_bytes()),
            ("inference.pdiparams".into(), pdiparams(&named, &tensors)?),
            ("inference.yml".into(), inference_yml(&self.description).into_bytes()),
        ])
    }
}

/// The parameters of the deploy form with their internal names, sorted by these: the order of `inference.pdiparams`.
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

/// The values of the parameters one after the other, each with its type and shape.
fn pdiparams(named: &[(String, Parameter)], tensors: &Tensors) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (_, parameter) in named {
        let tensor = tensors.expect(&parameter.name, &parameter.shape)?;
        // version, number of level-of-detail tables, version of the tensor: all 0
        out.extend([0; 4 + 8 + 4]);
        // float32, then each dimension
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

fn inference_yml(description: &ModelDescription) -> String {
    let normalize = &description.preprocess.normalize;
    let is_vit = matches!(description.network, Network::Vit(_));
    let resize = match description.preprocess.resize {
        Resize::Stretch { width, height } if is_vit && width == height => json!({ "size": width }),
        Resize::Stretch { width, height } | Resize::StretchCubic { width, height } => {
            json!({ "size": [width, height] })
        }
        Resize::ShortSide(side) => json!({ "resize_short": side }),
    };
    // a CLIP model declares bicubic, but PaddleX interpolates bilinearly
    let mut resize_image = match is_vit {
        true => json!({ "interpolation": "bicubic" }),
        false => json!({ "backend": "cv2", "interpolation": "bilinear", "return_numpy": false }),
    };
    if let (Some(all), Some(size)) = (resize_image.as_object_mut(), resize.as_object()) {
        all.extend(size.clone());
    }
    let sections = [
        json!({ "Global": { "model_name": known_name(&description.network) } }),
        json!({ "PreProcess": { "transform_ops": [
            { "ResizeImage": resize_image },
            { "NormalizeImage": {
                "channel_num": 3,
                "mean": normalize.mean,
                "order": if is_vit { "" } else { "hwc" },
                "scale": normalize.scale,
                "std": normalize.std,
            }},
            { "ToCHWImage": null },
        ]}}),
        json!({ "PostProcess": { "NormalizeFeatures": null } }),
    ];
    sections.iter().map(dump).collect()
}

/// The name of the published model with the same architecture. PaddleX accepts only these names, and chooses the
/// pipeline by them.
fn known_name(network: &Network) -> String {
    match network {
        Network::LcNetV2(_) => PUBLISHED.into(),
        Network::Vit(config) if config.width < VitConfig::large().width => format!("{PUBLISHED_VIT}_base"),
        Network::Vit(_) => format!("{PUBLISHED_VIT}_large"),
        Network::EfficientNetLite(_) | Network::PicoDet(_) => unreachable!("refused before"),
    }
}

/// A value in the graph.
#[derive(Clone, Debug)]
struct Node {
    id: usize,
    /// The first dimension is -1: any number of images.
    shape: Vec<i64>,
}

/// Operations in PIR's form, in order.
struct Graph<'a> {
    operations: Vec<Value>,
    named: &'a [(String, Parameter)],
    next: usize,
}

impl<'a> Graph<'a> {
    fn of(network: &Network, named: &'a [(String, Parameter)]) -> Self {
        let mut graph = Graph { operations: Vec::new(), named, next: 1 };
        for (name, parameter) in named {
            let node = graph.node(parameter.shape.iter().map(|&side| side as i64).collect());
            graph.operations.push(json!({
                "#": "p", "A": [0, 1, 1, name], "DA": [], "O": typed(&node, "f32"), "OA": [1, 1, 0], "QA": [],
            }));
        }
        let [height, width] = network.input_size().map(|side| side as i64);
        let shape = vec![-1, 3, height, width];
        let attributes = vec![
            attribute("name", "0.a_str", json!("x")),
            attribute("shape", "1.a_intarray", json!(shape)),
            attribute("dtype", "1.a_dtype", json!("float32")),
            attribute("place", "1.a_place", json!([0, 0, ""])),
        ];
        let images = graph.push("1.data", attributes, &[], shape, false);
        let features = match network {
            Network::LcNetV2(config) => graph.lcnet_v2(config, images),
            Network::Vit(config) => graph.vit(config, images),
            Network::EfficientNetLite(_) | Network::PicoDet(_) => unreachable!("refused before"),
        };
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

    /// A convolution without bias.
    fn conv2d(&mut self, x: Node, weight: &Node, stride: usize, padding: i64, groups: usize) -> Node {
        let (out, kernel) = (weight.shape[0], weight.shape[2]);
        let stride = stride as i64;
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
        self.push(name, attributes, &[x.id, weight.id], shape, false)
    }

    fn flatten(&mut self, x: Node, start: i64, stop: i64, shape: Vec<i64>) -> Node {
        let attributes =
            vec![attribute("start_axis", "0.a_i32", json!(start)), attribute("stop_axis", "0.a_i32", json!(stop))];
        self.push("1.flatten", attributes, &[x.id], shape, false)
    }

    /// A tensor filled with one number.
    fn number(&mut self, shape: &[i64], value: f64, element: &str) -> Node {
        let attributes = vec![
            attribute("shape", "1.a_intarray", json!(shape)),
            attribute("value", "0.a_f64", json!(value)),
            attribute("dtype", "1.a_dtype", json!(element)),
            attribute("place", "1.a_place", json!([1, 0, ""])),
        ];
        let node = self.node(shape.to_vec());
        let output = typed(&node, short(element));
        self.operation("1.full", attributes, &[], vec![output], true);
        node
    }

    /// A constant list of integers.
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
}

fn typed(node: &Node, element: &str) -> Value {
    json!({ "%": node.id, "TT": tensor_type(&node.shape, element) })
}

fn tensor_type(shape: &[i64], element: &str) -> Value {
    let kind = json!({ "#": format!("0.t_{element}") });
    json!({ "#": "0.t_dtensor", "D": [kind, shape, "NCHW", [], 0] })
}

/// PIR's short name of an element type.
fn short(element: &str) -> &str {
    match element {
        "float32" => "f32",
        "int32" => "i32",
        _ => "i64",
    }
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
    use crate::model::lcnet_v2::LcNetV2Config;

    /// The networks with golden files, and a file of each. Prints the absent ones.
    fn goldens(file: &str) -> Vec<(Network, Vec<u8>)> {
        let networks = [
            ("PP-ShiTuV2_rec_infer_pir", Network::LcNetV2(LcNetV2Config::default())),
            ("PP-ShiTuV2_rec_CLIP_vit_base_infer_pir_graph_only", Network::Vit(VitConfig::base())),
            ("PP-ShiTuV2_rec_CLIP_vit_large_infer_pir_graph_only", Network::Vit(VitConfig::large())),
        ];
        let found = networks.into_iter().filter_map(|(folder, network)| {
            let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/models");
            let path = models.join(folder).join(file);
            let read = std::fs::read(&path);
            if read.is_err() {
                eprintln!("skipped: {} is absent", path.display());
            }
            Some((network, read.ok()?))
        });
        found.collect()
    }

    /// Paddle's exported graphs have the same operations, attributes, shapes and inputs. Names of layers and suffixes
    /// of internal names may differ.
    #[test]
    fn the_graphs_are_paddles() {
        for (network, golden) in goldens("inference.json") {
            let golden: Value = serde_json::from_slice(&golden).unwrap();
            let named = names(&network);
            compare(&Graph::of(&network, &named).document(), &golden);
        }
    }

    fn compare(ours: &Value, golden: &Value) {
        let operations = |document: &Value| -> Vec<Value> {
            let operations = document["program"]["regions"][0]["blocks"][0]["ops"].as_array().unwrap();
            // parameters have other ids: compare them by name
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
        let (ours, golden) = (operations(ours), operations(golden));
        for (ours, golden) in ours.iter().zip(&golden) {
            assert_eq!(ours, golden);
        }
        assert_eq!(ours.len(), golden.len());
    }

    #[test]
    fn the_settings_are_paddlexs() {
        for (network, golden) in goldens("inference.yml") {
            let description = crate::weights::published::default_description(network);
            assert_eq!(inference_yml(&description), String::from_utf8(golden).unwrap());
        }
    }
}
