//! Exports and checkpoints of training, read by the real Paddle.
//!
//! Needs a Python with `paddlepaddle` (`pip install paddlepaddle`), named by `IMAGE_FEATURE_PADDLE_PYTHON`. Without it, the
//! tests print that they are skipped, and pass.

use std::path::Path;
use std::process::Command;

use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network};
use image_feature::train::{RunOptions, train};
use image_feature::{DeviceRequest, Extractor, Model, Preprocess, Resize};

use crate::common::{formula_tensors, max_abs_diff, pixels, vit_model};
use crate::runs::{dataset, recipe};

fn python() -> Option<String> {
    let python = std::env::var("IMAGE_FEATURE_PADDLE_PYTHON").ok();
    if python.is_none() {
        eprintln!("skipped: IMAGE_FEATURE_PADDLE_PYTHON names no Python with paddlepaddle");
    }
    python
}

/// Runs a script, and reads the JSON document in its last line.
fn run(python: &str, script: &str, arguments: &[&Path]) -> serde_json::Value {
    let output = Command::new(python).arg("-c").arg(script).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn model(scale: f64, input: [usize; 2], embedding: usize) -> Model {
    let config = LcNetV2Config { scale, input, embedding };
    let tensors = formula_tensors(&config, Form::Training, Some(7));
    let resize = Resize::Stretch { width: input[1], height: input[0] };
    let preprocess = Preprocess { resize, ..Preprocess::default() };
    let description = ModelDescription { name: "PP-ShiTuV2_rec".into(), network: Network::LcNetV2(config), preprocess };
    Model::new(description, Form::Training, Some(7), &tensors).unwrap()
}

/// Small vision transformers: one leaves the class token out, one averages it.
fn transformers() -> [Model; 2] {
    [([32, 48], 8, false), ([42, 42], 14, true)].map(|(input, patch, average_class_token)| {
        let sizes = VitConfig { input, patch, width: 48, depth: 2, heads: 3, hidden: 96, ..VitConfig::base() };
        vit_model(&VitConfig { projection: 40, embedding: 24, average_class_token, ..sizes })
    })
}

fn write(folder: &Path, model: &Model) {
    for (name, bytes) in model.to_paddle().unwrap() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Our reader of Paddle's exports finds the same network and the same numbers in our exports.
#[test]
fn exports_come_back() {
    let sizes = [(0.25, [32, 32], 16), (0.5, [64, 48], 128), (1.0, [224, 224], 512)];
    for model in sizes.map(|(scale, input, embedding)| model(scale, input, embedding)).into_iter().chain(transformers())
    {
        let folder = temp_dir::TempDir::new().unwrap();
        write(folder.path(), &model);
        let read = Model::open(folder.path()).unwrap();
        // PaddleX knows no other names
        let is_vit = matches!(model.description.network, Network::Vit(_));
        let name = if is_vit { "PP-ShiTuV2_rec_CLIP_vit_base" } else { "PP-ShiTuV2_rec" };
        assert_eq!(read.description, ModelDescription { name: name.into(), ..model.description.clone() });
        let expected = model.description.network.deploy_form(model.form, &model.tensors).unwrap();
        for (name, tensor) in expected.iter() {
            assert_eq!(read.tensors.get(name), Some(tensor), "{name}");
        }
    }
}

const FEATURES: &str = "
import json, sys
import numpy as np
from paddle import inference
config = inference.Config(sys.argv[1] + '/inference.json', sys.argv[1] + '/inference.pdiparams')
config.disable_gpu()
config.disable_glog_info()
predictor = inference.create_predictor(config)
images = np.fromfile(sys.argv[2], 'float32').reshape([2, 3, int(sys.argv[3]), -1])
handle = predictor.get_input_handle(predictor.get_input_names()[0])
handle.copy_from_cpu(images)
predictor.run()
features = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
features /= np.sqrt((features ** 2).sum(1, keepdims=True))
print(json.dumps(features.astype(float).ravel().tolist()))
";

#[test]
fn paddle_runs_exports_with_the_same_features() {
    let Some(python) = python() else { return };
    let sizes = [(0.25, [32, 32], 16), (0.5, [64, 48], 128)];
    for model in sizes.map(|(scale, input, embedding)| model(scale, input, embedding)).into_iter().chain(transformers())
    {
        let folder = temp_dir::TempDir::new().unwrap();
        write(folder.path(), &model);
        let input = model.description.input_size();
        let values = pixels(2 * 3 * input[0] * input[1]);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let images = folder.path().join("images.bin");
        std::fs::write(&images, bytes).unwrap();
        let height = input[0].to_string();
        let theirs = run(&python, FEATURES, &[folder.path(), &images, height.as_ref()]);
        let theirs: Vec<f32> = theirs.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
        let ours = Extractor::open(&model, DeviceRequest::Cpu).unwrap().run(values, 2).unwrap();
        let difference = max_abs_diff(&ours, &theirs);
        assert!(difference < 2e-6, "{}: differs by {difference}", model.description.name);
    }
}

const CHECKPOINT: &str = "
import json, sys
import paddle
stem = sys.argv[1]
weights = paddle.load(stem + '.pdparams')
velocities, = paddle.load(stem + '.pdopt')
states = paddle.load(stem + '.pdstates')
weight = weights['backbone.stem.0.conv.weight']
layer = paddle.nn.Conv2D(3, weight.shape[0], 3, bias_attr=False)
rate = paddle.optimizer.lr.CosineAnnealingDecay(0.05, 6)
rate = paddle.optimizer.lr.LinearWarmup(rate, 3, 0.0, 0.05)
optimizer = paddle.optimizer.Momentum(rate, parameters=layer.parameters())
layer.weight.set_value(weight)
optimizer.set_state_dict(velocities)
print(json.dumps({
    'tensors': len(weights), 'sum': float(sum(abs(value).sum() for value in weights.values())),
    'name': layer.weight.name, 'velocity': layer.weight.name + '_velocity_0' in velocities,
    'steps': rate.last_epoch, 'states': states,
}))
";

#[test]
fn paddle_loads_checkpoints() {
    let Some(python) = python() else { return };
    let folder = temp_dir::TempDir::new().unwrap();
    train(&dataset(), &recipe(2), &RunOptions::new(folder.path()), &mut |_| {}).unwrap();
    let stem = folder.path().join("latest/latest");
    let theirs = run(&python, CHECKPOINT, &[&stem]);
    let ours = image_feature::ModelLoader::new().with_head().open(stem.with_extension("pdparams")).unwrap();
    assert_eq!(theirs["tensors"], ours.tensors.len());
    let sum: f64 = ours.tensors.iter().flat_map(|(_, tensor)| &tensor.values).map(|value| f64::from(value.abs())).sum();
    let difference = (theirs["sum"].as_f64().unwrap() / sum - 1.0).abs();
    assert!(difference < 1e-5, "{difference}");
    assert_eq!((&theirs["velocity"], &theirs["steps"]), (&true.into(), &6.into()), "{theirs}");
    assert_eq!(theirs["states"]["epoch"], 2);
}
