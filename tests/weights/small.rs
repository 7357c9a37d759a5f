//! A network of the family with some twenty thousand weights: small enough to be damaged in many ways.
//!
//! Its exported form is the golden graph with other shapes.

use std::collections::HashMap;
use std::sync::LazyLock;

use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::{ModelDescription, Network};
use image_feature::weights::Tensors;
use image_feature::{Model, Preprocess};
use serde_json::{Value, json};

use super::formula;
use super::support::golden_bytes;

pub fn config() -> LcNetV2Config {
    LcNetV2Config { scale: 0.02, embedding: 8, ..LcNetV2Config::default() }
}

/// The network in memory, in the training form, with a head.
pub fn training(classes: Option<usize>) -> Model {
    let description = ModelDescription {
        name: "small".into(),
        network: Network::LcNetV2(config()),
        preprocess: Preprocess::default(),
    };
    Model::new(description, Form::Training, classes, &formula::training(&config(), classes)).unwrap()
}

/// The values of the deploy form. They are not fused from anything.
pub fn deploy() -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in config().parameters(Form::Deploy, None) {
        let tensor = formula::tensor(&parameter.name, &parameter.shape);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// The exported model: a PIR graph and the weights that go with it. `None` without the golden files.
pub struct Exported {
    pub graph: Value,
    pub params: Vec<u8>,
}

impl Exported {
    /// The files as `Model::from_files` takes them.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        vec![
            ("inference.json".into(), self.graph.to_string().into_bytes()),
            ("inference.pdiparams".into(), self.params.clone()),
        ]
    }
}

pub fn exported() -> Option<&'static Exported> {
    static EXPORTED: LazyLock<Option<Exported>> = LazyLock::new(shrink);
    EXPORTED.as_ref()
}

/// The ops of a graph.
pub fn ops(graph: &mut Value) -> &mut Vec<Value> {
    graph["program"]["regions"][0]["blocks"][0]["ops"].as_array_mut().unwrap()
}

/// The attribute of an op, by its name.
pub fn attribute<'o>(op: &'o mut Value, name: &str) -> &'o mut Value {
    let list = op["A"].as_array_mut().unwrap();
    let entry = list.iter_mut().find(|entry| entry["N"] == name).unwrap_or_else(|| panic!("no attribute {name}"));
    &mut entry["AT"]["D"]
}

/// The structured names of parameters, by their internal names in an exported program.
pub fn structured_names(tsv: &str) -> HashMap<&str, &str> {
    tsv.lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[3], columns[0])
        })
        .collect()
}

fn shrink() -> Option<Exported> {
    let mut graph: Value = serde_json::from_slice(&golden_bytes("PP-ShiTuV2_rec_infer_pir/inference.json")?).unwrap();
    let tsv = String::from_utf8(golden_bytes("PP-ShiTuV2_rec_params.tsv")?).unwrap();
    let structured = structured_names(&tsv);
    let tensors = deploy();

    let mut values = Vec::new();
    let mut channels = HashMap::new();
    for op in ops(&mut graph) {
        if op["#"] == "p" {
            let internal = op["A"][3].as_str().unwrap().to_string();
            let name = structured[internal.split("_deepcopy").next().unwrap()];
            let tensor = tensors.get(name).unwrap();
            op["O"]["TT"]["D"][1] = json!(tensor.shape);
            channels.insert(op["O"]["%"].as_i64().unwrap(), tensor.shape[0]);
            values.push((internal, tensor));
        } else if op["#"] == "1.depthwise_conv2d" {
            let filter = op["I"][1]["%"].as_i64().unwrap();
            *attribute(op, "groups") = json!(channels[&filter]);
        }
    }
    // unused parts are left out, since the graph is parsed hundreds of times
    for op in ops(&mut graph) {
        let parameter = op["#"] == "p";
        let op = op.as_object_mut().unwrap();
        op.retain(|key, _| matches!(&key[..], "#" | "A" | "I" | "O"));
        if !parameter {
            let named = |entry: &Value| !matches!(entry["N"].as_str(), Some("struct_name" | "place" | "dtype"));
            op["A"].as_array_mut().unwrap().retain(named);
            let outputs = op["O"].as_array_mut().unwrap();
            outputs.truncate(1);
        }
    }
    values.sort_by(|(a, _), (b, _)| a.cmp(b));
    let params = values.iter().flat_map(|(_, tensor)| record(5, &tensor.shape, &floats(&tensor.values))).collect();
    Some(Exported { graph, params })
}

pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// One tensor of a `.pdiparams`.
pub fn record(data_type: u8, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let mut desc = vec![0x08, data_type];
    for &side in shape {
        desc.push(0x10);
        prost::encoding::encode_varint(side as u64, &mut desc);
    }
    let mut bytes = vec![0; 16];
    bytes.extend((desc.len() as i32).to_le_bytes());
    bytes.extend(desc);
    bytes.extend(data);
    bytes
}
