//! CLIP's vision transformers: every file format, and files that are almost right.

use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network};
use image_feature::{Dtype, ErrorKind, Model, ModelLoader, Preprocess, Resize};
use serde_json::{Value, json};

use super::formula;
use super::pickles::pickled;
use super::small::{floats, ops, record, structured_names};
use super::support::{expect_error, golden, golden_bytes, report};

const BASE: &str = "PP-ShiTuV2_rec_CLIP_vit_base";

fn small() -> VitConfig {
    VitConfig {
        input: [32, 48],
        patch: 8,
        width: 24,
        depth: 2,
        heads: 3,
        hidden: 40,
        projection: 16,
        average_class_token: true,
        embedding: 12,
    }
}

fn model(classes: Option<usize>) -> Model {
    let config = small();
    let tensors = formula::vit(&config, classes);
    let preprocess = Preprocess { resize: Resize::Stretch { width: 48, height: 32 }, ..Preprocess::default() };
    let description = ModelDescription { name: "small".into(), network: Network::Vit(config), preprocess };
    Model::new(description, image_feature::model::lcnet_v2::Form::Deploy, classes, &tensors).unwrap()
}

/// The weights of the golden base model in the order of its graph.
fn base_params() -> Option<Vec<u8>> {
    let graph = golden_bytes(&format!("{BASE}_infer_pir_graph_only/inference.json"))?;
    let mut graph: Value = serde_json::from_slice(&graph).unwrap();
    let tsv = String::from_utf8(golden_bytes(&format!("{BASE}_params.tsv"))?).unwrap();
    let structured = structured_names(&tsv);
    let mut parameters: Vec<(String, Vec<usize>)> = ops(&mut graph)
        .iter()
        .filter(|op| op["#"] == "p")
        .map(|op| {
            let shape = op["O"]["TT"]["D"][1].as_array().unwrap().iter().map(|side| side.as_u64().unwrap() as usize);
            (op["A"][3].as_str().unwrap().to_string(), shape.collect())
        })
        .collect();
    parameters.sort();
    let mut bytes = Vec::new();
    for (internal, shape) in parameters {
        let name = structured[internal.split("_deepcopy").next().unwrap()];
        bytes.extend(record(5, &shape, &floats(&formula::tensor(name, &shape).values)));
    }
    Some(bytes)
}

/// Both kinds of exported graph, and the training weights, of the base model: every value is in its place.
#[test]
fn every_format_of_base_holds_the_formula() {
    let Some(params) = base_params() else { return };
    let part = |name: &str| {
        let bytes = golden_bytes(&format!("{BASE}_infer_pir_graph_only/{name}")).unwrap();
        (name.to_string(), bytes)
    };
    let expected = formula::vit(&VitConfig::base(), None);
    let check = |format: &str, model: &Model| {
        assert_eq!(model.description.network, Network::Vit(VitConfig::base()), "{format}");
        assert_eq!(model.description.name, BASE, "{format}");
        assert_eq!(model.description.preprocess, Preprocess::default(), "{format}");
        assert!(model.tensors == expected, "{format}: the tensors are not those of the formula");
        assert_eq!(model.classes, None, "{format}");
    };
    for graph in ["inference.json", "inference.pdmodel"] {
        let files = vec![part(graph), ("inference.pdiparams".into(), params.clone()), part("inference.yml")];
        let model = Model::from_files(files).unwrap();
        check(graph, &model);
        let info = model.info();
        assert_eq!((info.parameters, info.tensors.len(), info.dimension), (86_455_296, 154, 512));
        assert_eq!((info.form, info.notes), ("deploy", vec![]));
        assert!(info.network.contains("12 blocks of 768 channels"), "{}", info.network);
    }
    drop(params);
    let with_head = pickled(&formula::vit(&VitConfig::base(), Some(10)));
    let model = Model::from_bytes("best_model.pdparams", &with_head).unwrap();
    check(".pdparams", &model);
    assert_eq!(model.info().classes, Some(10));
    assert!(model.info().notes[0].contains(BASE), "{:?}", model.info().notes);
}

/// A graph without weights is recognised, and the missing file is named.
#[test]
fn what_is_missing_is_the_weights() {
    report(["base", "large"].into_iter().map(|name| {
        let path = golden(&format!("PP-ShiTuV2_rec_CLIP_vit_{name}_infer_pir_graph_only"))?;
        expect_error(name, Model::open(&path), ErrorKind::Model, &["`inference.pdiparams` is missing"])
    }));
}

#[test]
fn safetensors_are_read_back() {
    let model = model(Some(7));
    for (dtype, exact) in [(Dtype::F32, true), (Dtype::F16, false)] {
        let bytes = model.to_safetensors(dtype).unwrap();
        let back = ModelLoader::new().with_head().from_bytes("ours", &bytes).unwrap();
        assert_eq!(back.description, model.description);
        assert_eq!((back.form, back.classes), (model.form, Some(7)));
        assert_eq!(back.tensors == model.tensors, exact, "{dtype:?}");
        assert_eq!(back.to_safetensors(dtype).unwrap(), bytes);
        let without = Model::from_bytes("ours", &bytes).unwrap();
        assert_eq!((without.classes, without.info().classes), (None, Some(7)));
        assert_eq!(without.info().skipped[0].name, "head.weight");
    }
}

/// Changes the header of a safetensors file.
fn with_header(bytes: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut header);
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

#[test]
fn damaged_descriptions_and_tensors_are_named() {
    let bytes = model(None).to_safetensors(Dtype::F32).unwrap();
    let describe = |change: &dyn Fn(&mut Value)| {
        with_header(&bytes, |header| {
            let text = header["__metadata__"]["image_feature"].as_str().unwrap();
            let mut description: Value = serde_json::from_str(text).unwrap();
            change(&mut description);
            header["__metadata__"]["image_feature"] = json!(description.to_string());
        })
    };
    let set = |name: &'static str, value: Value| describe(&move |d: &mut Value| d["network"][name] = value.clone());
    let lcnet = json!({ "type": "lcnet_v2", "scale": 1.0, "input": [224, 224], "embedding": 512 });
    let tensor = |name: &'static str, change: &dyn Fn(&mut Value)| {
        with_header(&bytes, |header| change(&mut header.as_object_mut().unwrap()[name]))
    };
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &[&str])> = vec![
        ("heads", set("heads", json!(5)), ErrorKind::Model, &["24 channels", "5 heads"]),
        ("no heads", set("heads", json!(0)), ErrorKind::Model, &["size of 0"]),
        ("no patch", set("patch", json!(0)), ErrorKind::Model, &["size of 0"]),
        ("patch", set("patch", json!(7)), ErrorKind::Model, &["patches of 7x7"]),
        ("negative", set("depth", json!(-1)), ErrorKind::Model, &["metadata"]),
        ("too deep", set("depth", json!(1_000_000_000)), ErrorKind::Limit, &["1000000000 blocks"]),
        ("deeper", set("depth", json!(3)), ErrorKind::Model, &["`backbone.blocks.2.norm1.weight` is missing"]),
        ("too wide", set("width", json!(u64::MAX - 15)), ErrorKind::Limit, &["channels"]),
        ("wider", set("width", json!(48)), ErrorKind::Model, &["`backbone.pos_embed` has shape", "48"]),
        ("input", set("input", json!([0, 48])), ErrorKind::Model, &["size of 0"]),
        ("large input", set("input", json!([32_000, 48])), ErrorKind::Unsupported, &["32000 pixels"]),
        ("other input", set("input", json!([48, 48])), ErrorKind::Model, &["`backbone.pos_embed`"]),
        ("missing size", set("hidden", json!(null)), ErrorKind::Model, &["metadata"]),
        (
            "another kind",
            describe(&|d| d["network"] = lcnet.clone()),
            ErrorKind::Unsupported,
            &["[24, 3, 8, 8]", "[768, 3, 16, 16]"],
        ),
        (
            "no description",
            with_header(&bytes, |header| header["__metadata__"] = json!({})),
            ErrorKind::Unsupported,
            &["[24, 3, 8, 8]"],
        ),
        (
            "another shape",
            tensor("backbone.blocks.1.attn.qkv.weight", &|entry| entry["shape"] = json!([72, 24])),
            ErrorKind::Model,
            &["`backbone.blocks.1.attn.qkv.weight` has shape [72, 24]; expected [24, 72]"],
        ),
    ];
    report(cases.into_iter().map(|(case, bytes, kind, parts)| {
        expect_error(case, Model::from_bytes("model.safetensors", &bytes), kind, parts)
    }));
}

/// Training weights identify the network by their shapes alone.
#[test]
fn training_weights_of_unknown_sizes_are_refused() {
    let error = Model::from_bytes("model.pdparams", &pickled(&formula::vit(&small(), None))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("[24, 3, 8, 8]"), "{error}");
}

/// An `inference.yml` with the wrong kind of name, or with another size than that of the positions.
#[test]
fn settings_that_do_not_fit_the_graph() {
    let folder = format!("{BASE}_infer_pir_graph_only");
    let Some(graph) = golden_bytes(&format!("{folder}/inference.json")) else { return };
    let yml = String::from_utf8(golden_bytes(&format!("{folder}/inference.yml")).unwrap()).unwrap();
    let read = |from: &str, to: &str| {
        assert!(yml.contains(from), "{from}");
        Model::from_files(vec![
            ("inference.json".into(), graph.clone()),
            ("inference.pdiparams".into(), Vec::new()),
            ("inference.yml".into(), yml.replace(from, to).into_bytes()),
        ])
    };
    report([
        expect_error("name", read(BASE, "PP-ShiTuV2_rec"), ErrorKind::Model, &["`PP-ShiTuV2_rec`", "CLIP_vit"]),
        expect_error("size", read("size: 224", "size: 256"), ErrorKind::Model, &["256x256", "224x224"]),
    ]);
}
