//! Files of type i8: written, read back, and refused where they are damaged.

use std::collections::BTreeMap;

use image_feature::model::lcnet_v2::Form;
use image_feature::model::{Calibration, Role};
use image_feature::{Dtype, ErrorKind, Model};
use serde_json::{Value, json};

use super::safetensors_files::{join, split};
use super::small;
use super::support::{expect_error, report};

const LAYER: &str = "backbone.stem.1.pw_conv";

/// A small model with a calibration made up by formula.
fn calibrated(classes: Option<usize>) -> Model {
    let mut model = small::training(classes);
    let config = small::config();
    let mut layers = BTreeMap::new();
    for parameter in config.parameters(Form::Deploy, None) {
        if let Some(layer) = parameter.name.strip_suffix(".conv.weight").filter(|layer| layer.contains(".pw_conv")) {
            let scales = (0..parameter.shape[1]).map(|channel| 0.01 * (1 + channel % 9) as f32).collect();
            layers.insert(layer.to_string(), scales);
        }
    }
    model.calibration = Some(Calibration::new(layers).unwrap());
    model
}

#[test]
fn weights_are_near_and_then_stay() {
    let model = calibrated(Some(3));
    let bytes = model.to_safetensors(Dtype::I8).unwrap();
    let back = Model::from_bytes("i8.safetensors", &bytes).unwrap();
    assert_eq!((&back.description, back.form, back.classes), (&model.description, Form::Deploy, None));
    assert_eq!(back.calibration, model.calibration);
    assert_eq!(back.info().notes, Vec::<String>::new());
    assert!(back.info().skipped.is_empty(), "{:?}", back.info().skipped);
    // a second time no integer changes; a scale may, in its last digit
    let (header, data) = split(&bytes);
    let (again_header, again) = split(&back.to_safetensors(Dtype::I8).unwrap());
    assert!(header == again_header);
    for (name, entry) in header.as_object().unwrap().iter().filter(|(_, entry)| entry["dtype"] == "I8") {
        let [start, end] = [0, 1].map(|at| entry["data_offsets"][at].as_u64().unwrap() as usize);
        assert!(data[start..end] == again[start..end], "{name}");
    }

    let config = &small::config();
    let fused = image_feature::model::lcnet_v2::fuse(config, &model.tensors).unwrap();
    for parameter in config.parameters(Form::Deploy, None) {
        let (name, before) = (&parameter.name, &fused.get(&parameter.name).unwrap().values);
        let after = &back.tensors.get(name).unwrap().values;
        let dtype = back.info().tensors.iter().find(|tensor| tensor.name == *name).unwrap().dtype;
        match (parameter.role, &parameter.shape[..]) {
            (Role::ConvWeight, &[_, inner, 1, 1]) => {
                assert_eq!(dtype, "int8", "{name}");
                let scales =
                    model.calibration.as_ref().unwrap().scales(name.strip_suffix(".conv.weight").unwrap_or(name));
                for (before, after) in before.chunks_exact(inner).zip(after.chunks_exact(inner)) {
                    let scale = |channel: usize| scales.map_or(1.0, |scales| scales[channel]);
                    let largest = (0..inner).map(|at| (before[at] * scale(at)).abs()).fold(0.0, f32::max);
                    for at in 0..inner {
                        let error = (before[at] - after[at]).abs() * scale(at);
                        assert!(error <= 0.501 * largest / 127.0, "{name}: {} became {}", before[at], after[at]);
                    }
                }
            }
            (Role::ConvWeight, _) => {
                assert_eq!(dtype, "float16", "{name}");
                let rounded: Vec<f32> = before.iter().map(|&value| half::f16::from_f32(value).to_f32()).collect();
                assert!(*after == rounded, "{name}");
            }
            _ => assert!(dtype == "float32" && after == before, "{name}"),
        }
    }
}

/// The other types compute in floats.
#[test]
fn only_i8_keeps_the_calibration() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let bytes = calibrated(None).to_safetensors(dtype).unwrap();
        assert_eq!(Model::from_bytes("model", &bytes).unwrap().calibration, None);
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    let error = small::training(None).to_safetensors(Dtype::I8).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("--calibrate"), "{error}");
    let mut model = calibrated(None);
    for (layer, scales) in [("stranger", vec![1.0]), (LAYER, vec![1.0])] {
        model.calibration = Some(Calibration::new([(layer.to_string(), scales)].into()).unwrap());
        let error = model.to_safetensors(Dtype::I8).unwrap_err();
        assert!(error.is_model() && error.to_string().contains(layer), "{error}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let (header, data) = split(&calibrated(None).to_safetensors(Dtype::I8).unwrap());
    let weight = format!("{LAYER}.conv.weight");
    let (scale, input) = (format!("{weight}_scale"), format!("{LAYER}.input_scale"));
    let changed = |change: &dyn Fn(&mut Value, &mut Vec<u8>)| {
        let (mut header, mut data) = (header.clone(), data.clone());
        change(&mut header, &mut data);
        join(&header, &data)
    };
    let put = |name: &str, value: f32| {
        changed(&|header, data| {
            let start = header[name]["data_offsets"][0].as_u64().unwrap() as usize;
            data[start..start + 4].copy_from_slice(&value.to_le_bytes());
        })
    };
    let renamed = |name: &str| {
        changed(&|header, _| {
            let entry = header.as_object_mut().unwrap().remove(name).unwrap();
            header["other"] = entry;
        })
    };
    let reshaped = |name: &str, shape: Value| changed(&|header, _| header[name]["shape"] = shape.clone());
    let len = header[&scale]["shape"][0].as_u64().unwrap();
    let inner = header[&input]["shape"][0].as_u64().unwrap();
    let mut cases = vec![
        (
            "no weights".to_string(),
            changed(&|header, _| {
                let entry = header.as_object_mut().unwrap().remove(&input).unwrap();
                header["stranger.input_scale"] = entry;
            }),
            vec!["stranger.input_scale".into(), "stranger.conv.weight".into()],
        ),
        ("no scales".into(), renamed(&scale), vec![weight.clone(), "lacks".into()]),
        (
            "scales of two dimensions".into(),
            reshaped(&scale, json!([1, len])),
            vec![weight.clone(), "one dimension".into()],
        ),
        (
            "input scales of two dimensions".into(),
            reshaped(&input, json!([1, inner])),
            vec![input.clone(), "one dimension".into()],
        ),
        (
            "other weights".into(),
            reshaped(&weight, json!([1, inner * len, 1, 1])),
            vec![weight.clone(), "[out, in, 1, 1]".into()],
        ),
        ("weights of one dimension".into(), reshaped(&weight, json!([inner * len])), vec![weight.clone()]),
        (
            "scales of whole numbers".into(),
            changed(&|header, _| {
                header[&scale]["dtype"] = json!("I8");
                header[&scale]["shape"] = json!([4 * len]);
            }),
            vec![scale.clone()],
        ),
    ];
    for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-42] {
        for name in [&scale, &input] {
            cases.push((format!("{name} of {wrong}"), put(name, wrong), vec![LAYER.into(), "scale of".into()]));
        }
    }
    // a finite scale that makes a weight infinite
    cases.push(("huge".into(), put(&scale, 3e38), vec![weight.clone()]));
    report(cases.iter().map(|(case, bytes, parts)| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        expect_error(case, Model::from_bytes("i8.safetensors", bytes), ErrorKind::Model, &parts)
    }));
}
