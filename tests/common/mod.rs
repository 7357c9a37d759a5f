//! Code shared by several tests: the golden data, and the formula of its weights.
#![allow(dead_code)] // each test uses a part

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network, Parameter, Role};
use image_feature::weights::{Tensor, Tensors};
use image_feature::{DecodeLimits, Model, Preprocess, Resize, decode};

/// The root folder of the repository, for the tests of any of its crates.
pub fn repository() -> &'static Path {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.find(|folder| folder.join("build.sh").is_file()).unwrap()
}

/// A path below the shared folder beside the checkout; `None`, with a message, where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = repository().join("../shared");
    if !root.is_dir() {
        eprintln!("skipped: {} is absent", root.display());
        return None;
    }
    Some(root.join(path))
}

/// The f32 tensors of a golden safetensors file.
pub fn golden(path: &str) -> Option<BTreeMap<String, Vec<f32>>> {
    let bytes = std::fs::read(shared("golden")?.join(path)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let f32s = file.iter().filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32);
    let read = |tensor: safetensors::tensor::TensorView| {
        tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    Some(f32s.map(|(name, tensor)| (name.to_string(), read(tensor))).collect())
}

/// The weights of the golden models: splitmix64 of the parameter's name and index (`golden/scripts/detweights.py`).
pub fn formula_tensor(parameter: &Parameter) -> Tensor {
    let Parameter { shape, role, .. } = parameter;
    let (low, high) = match role {
        Role::NormVariance => (0.5, 1.8),
        Role::NormMean => (-0.5, 0.5),
        Role::NormScale => (0.7, 1.3),
        Role::NormShift | Role::ConvBias | Role::LinearBias => (-0.17, 0.17),
        Role::Embedding => (-0.05, 0.05),
        Role::ConvWeight => {
            let bound = (6.0 / (shape[1] * shape[2] * shape[3]) as f64).sqrt();
            (-bound, bound)
        }
        Role::LinearWeight => {
            let bound = (3.0 / shape[0] as f64).sqrt();
            (-bound, bound)
        }
    };
    formula_tensor_within(parameter, (low, high))
}

/// The numbers of that formula in a range of one's own.
pub fn formula_tensor_within(Parameter { name, shape, .. }: &Parameter, (low, high): (f64, f64)) -> Tensor {
    let base = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let values = (1..=shape.iter().product::<usize>() as u64)
        .map(|index| {
            let z = base.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let z = z ^ (z >> 31);
            let unit = (z >> 40) as f64 / f64::from(1 << 24);
            (low + (high - low) * unit) as f32
        })
        .collect();
    Tensor { shape: shape.clone(), values }
}

/// All parameters of a network by that formula.
pub fn formula_tensors(config: &LcNetV2Config, form: Form, classes: Option<usize>) -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in config.parameters(form, classes) {
        let tensor = formula_tensor(&parameter);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// All parameters of a vision transformer by that formula.
pub fn formula_vit(config: &VitConfig) -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in config.parameters(None) {
        let tensor = formula_tensor(&parameter);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// A model of a vision transformer by that formula.
pub fn vit_model(config: &VitConfig) -> Model {
    let [height, width] = config.input;
    let description = ModelDescription {
        name: "drawn".into(),
        network: Network::Vit(config.clone()),
        preprocess: Preprocess { resize: Resize::Stretch { width, height }, ..Preprocess::default() },
    };
    Model::new(description, Form::Deploy, None, &formula_vit(config)).unwrap()
}

/// The golden photos by name, preprocessed.
pub fn golden_inputs(description: &ModelDescription) -> Vec<(String, Vec<f32>)> {
    let entries = std::fs::read_dir(shared("golden/features/inputs").unwrap()).unwrap();
    let input = |path: PathBuf| {
        let image = decode(&std::fs::read(&path).unwrap(), &DecodeLimits::default()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, description.network_input(&image).unwrap())
    };
    entries.map(|entry| input(entry.unwrap().path())).collect()
}

/// Each feature divided by its length.
pub fn normalized(features: &[f32], dimension: usize) -> Vec<Vec<f32>> {
    let normalize = |feature: &[f32]| {
        let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt();
        feature.iter().map(|value| value / length).collect()
    };
    features.chunks_exact(dimension).map(normalize).collect()
}

/// Values in the range of preprocessed pixels.
pub fn pixels(len: usize) -> Vec<f32> {
    (0..len).map(|index| (index * 7919 % 251) as f32 / 60.0 - 2.0).collect()
}

/// A vision transformer for 32 x 32 pixels, with features of 12 numbers.
pub fn small_transformer() -> VitConfig {
    VitConfig {
        input: [32, 32],
        patch: 8,
        width: 40,
        depth: 2,
        heads: 5,
        hidden: 70,
        projection: 20,
        average_class_token: false,
        embedding: 12,
    }
}

/// A network for 32 x 32 pixels, a quarter as wide as the real one: it runs in milliseconds.
pub fn small_model(embedding: usize) -> Model {
    let config = LcNetV2Config { scale: 0.25, input: [32, 32], embedding };
    let tensors = formula_tensors(&config, Form::Training, None);
    let description = ModelDescription {
        name: "small".into(),
        network: Network::LcNetV2(config),
        preprocess: Preprocess { resize: Resize::Stretch { width: 32, height: 32 }, ..Preprocess::default() },
    };
    Model::new(description, Form::Training, None, &tensors).unwrap()
}

/// The largest absolute difference of two slices of the same length; NaN if either holds a NaN.
pub fn max_abs_diff(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most: f32, value| if most.is_nan() || value <= most { most } else { value })
}
