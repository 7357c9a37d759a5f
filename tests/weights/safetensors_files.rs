//! Our own format: written, read back, and refused where it is damaged.

use image_feature::model::Network;
use image_feature::model::lcnet_v2::LcNetV2Config;
use image_feature::weights::Tensor;
use image_feature::{Dtype, ErrorKind, Model, ModelLoader, Preprocess, Resize};
use serde_json::{Value, json};

use super::small;
use super::support::{expect_error, pir, report};

/// The header's JSON and the data.
pub fn split(bytes: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
}

pub fn join(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// The header with our description changed.
fn described(header: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut header = header.clone();
    let mut description: Value =
        serde_json::from_str(header["__metadata__"]["image_feature"].as_str().unwrap()).unwrap();
    change(&mut description);
    header["__metadata__"]["image_feature"] = json!(description.to_string());
    header
}

#[test]
fn golden_model_comes_back_as_it_was() {
    let Some(model) = pir() else { return };
    let bytes = model.to_safetensors(Dtype::F32).unwrap();
    let back = Model::from_bytes("model.safetensors", &bytes).unwrap();
    assert!(back.tensors == model.tensors);
    assert_eq!((&back.description, back.form, back.classes), (&model.description, model.form, model.classes));
    assert_eq!(back.info().format, "safetensors");
    assert_eq!(back.info().notes, Vec::<String>::new());
}

#[test]
fn every_description_comes_back() {
    for (classes, resize, scale) in [
        (None, Resize::ShortSide(96), 0.25),
        (Some(3), Resize::Stretch { width: 160, height: 96 }, 1.0 / 255.0),
        (Some(1), Resize::Stretch { width: 224, height: 224 }, 0.1 + 0.2),
    ] {
        let mut model = small::training(classes);
        model.description.preprocess = Preprocess { resize, ..Preprocess::default() };
        model.description.preprocess.normalize.scale = scale;
        model.description.network = Network::LcNetV2(LcNetV2Config { input: [96, 160], ..small::config() });
        let bytes = model.to_safetensors(Dtype::F32).unwrap();
        assert_eq!(bytes, model.clone().to_safetensors(Dtype::F32).unwrap(), "the same model gives the same bytes");
        let back = ModelLoader::new().with_head().from_bytes("model", &bytes).unwrap();
        assert_eq!((&back.description, back.form, back.classes), (&model.description, model.form, classes));
        assert!(back.tensors == model.tensors);
        assert_eq!(Model::from_bytes("model", &bytes).unwrap().classes, None);
    }
}

#[test]
fn halves_are_rounded_once_and_then_stay() {
    let model = small::training(None);
    let bytes = model.to_safetensors(Dtype::F16).unwrap();
    let back = Model::from_bytes("model", &bytes).unwrap();
    for (name, tensor) in model.tensors.iter() {
        let rounded: Vec<f32> = tensor.values.iter().map(|&v| half::f16::from_f32(v).to_f32()).collect();
        assert_eq!(back.tensors.get(name).unwrap().values, rounded, "{name}");
    }
    assert_eq!(back.to_safetensors(Dtype::F16).unwrap(), bytes);
    assert_eq!(back.info().tensors[0].dtype, "float16");
    assert!(bytes.len() < model.to_safetensors(Dtype::F32).unwrap().len());
}

#[test]
fn value_that_f16_cannot_hold_is_named() {
    let mut model = small::training(None);
    let name = "neck.feat_bn._variance";
    model.tensors.insert(name, Tensor { shape: vec![8], values: vec![1.0, 65_520.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0] });
    let error = model.to_safetensors(Dtype::F16).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().starts_with("tensor `neck.feat_bn._variance` holds 65520"), "{error}");
    model.to_safetensors(Dtype::F32).unwrap();
}

#[test]
fn file_without_our_metadata_is_told_from_its_shapes() {
    let model = small::training(None);
    let (mut header, data) = split(&model.to_safetensors(Dtype::F32).unwrap());
    header.as_object_mut().unwrap().remove("__metadata__");
    let back = Model::from_bytes("model.safetensors", &join(&header, &data)).unwrap();
    assert!(back.tensors == model.tensors);
    assert_eq!(back.description.network, model.description.network);
    assert!(back.info().notes[0].contains("no metadata `image_feature`"), "{:?}", back.info().notes);
}

#[test]
fn damaged_files_are_refused() {
    let bytes = small::training(Some(3)).to_safetensors(Dtype::F32).unwrap();
    let (header, data) = split(&bytes);
    let name = "backbone.stem.0.conv.weight";
    let entry = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header[name]);
        join(&header, &data)
    };
    let describe = |change: &dyn Fn(&mut Value)| join(&described(&header, change), &data);
    let renamed = {
        let mut header = header.clone();
        let entry = header.as_object_mut().unwrap().remove(name).unwrap();
        header["other"] = entry;
        join(&header, &data)
    };
    let foreign = {
        let header = json!({ "vectors": { "dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16] } });
        join(&header, &[0; 16])
    };
    let overflow = {
        let huge = |start: u64| json!({ "dtype": "U8", "shape": [u64::MAX / 8], "data_offsets": [start, start + u64::MAX / 8] });
        let mut header = json!({});
        for index in 0..8 {
            header[format!("t{index}")] = huge(index * (u64::MAX / 8));
        }
        join(&header, &[])
    };
    let cases: Vec<(&str, Vec<u8>, ErrorKind, &[&str])> = vec![
        ("short data", bytes[..bytes.len() - 1].to_vec(), ErrorKind::Model, &["bytes of tensors; its header says"]),
        ("long data", [&bytes[..], &[0]].concat(), ErrorKind::Model, &["bytes of tensors; its header says"]),
        ("short header", bytes[..100].to_vec(), ErrorKind::Model, &["truncated"]),
        ("huge header", [&[0, 0, 0, 1, 0, 0, 0, 0][..], &bytes[8..]].concat(), ErrorKind::Limit, &["the header"]),
        ("shape", entry(&|e| e["shape"] = json!([8, 3, 3, 4])), ErrorKind::Model, &["header is damaged"]),
        (
            "other shape",
            entry(&|e| e["shape"] = json!([8, 3, 9, 1])),
            ErrorKind::Model,
            &["`backbone.stem.0.conv.weight`", "[8, 3, 9, 1]", "expected"],
        ),
        (
            "integers",
            entry(&|e| e["dtype"] = json!("I32")),
            ErrorKind::Unsupported,
            &["`backbone.stem.0.conv.weight` holds I32"],
        ),
        ("missing", renamed, ErrorKind::Model, &["`backbone.stem.0.conv.weight` is missing"]),
        ("not a model", foreign, ErrorKind::Model, &["`backbone.last_conv.weight` is missing", "`vectors`"]),
        ("overflow", overflow, ErrorKind::Model, &["safetensors"]),
        ("version", describe(&|d| d["version"] = json!(2)), ErrorKind::Unsupported, &["version 2"]),
        ("no version", describe(&|d| d["version"] = json!(null)), ErrorKind::Model, &["`version` is missing"]),
        ("scale", describe(&|d| d["network"]["scale"] = json!(1.0)), ErrorKind::Model, &["a network of scale 1"]),
        (
            "absurd scale",
            describe(&|d| d["network"]["scale"] = json!(1e300)),
            ErrorKind::Model,
            &["a network of scale"],
        ),
        ("embedding", describe(&|d| d["network"]["embedding"] = json!(9)), ErrorKind::Model, &["embedding 9"]),
        ("network", describe(&|d| d["network"]["type"] = json!("resnet")), ErrorKind::Model, &["`resnet`"]),
        ("form", describe(&|d| d["form"] = json!("deploy")), ErrorKind::Model, &["the deploy form is described"]),
        ("classes", describe(&|d| d["classes"] = json!(4)), ErrorKind::Model, &["a head of 4 classes", "3"]),
        ("input", describe(&|d| d["network"]["input"] = json!([0, 224])), ErrorKind::Unsupported, &["0 pixels"]),
        (
            "resize",
            describe(&|d| d["preprocess"]["resize"] = json!({ "short_side": 1_000_000 })),
            ErrorKind::Unsupported,
            &["1000000 pixels"],
        ),
        ("std", describe(&|d| d["preprocess"]["std"] = json!([0.2, 0.0, 0.2])), ErrorKind::Model, &["std"]),
    ];
    report(cases.into_iter().map(|(case, bytes, kind, parts)| {
        expect_error(case, Model::from_bytes("model.safetensors", &bytes), kind, parts)
    }));
}
