//! The golden detector, with its weights made anew.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use half::f16;
use image_feature::Model;
use image_feature::model::{Parameter, Role};
use image_feature::weights::Tensor;
use sha2::{Digest, Sha256};

use crate::common::{formula_tensor_within, shared};

/// Of the file that `make_det_pdiparams.py` writes.
const SHA256: &str = "e6fe299875dcf5b1f7a1a005d48a047ecd334a2772742b82f0a2d45f9be47a5e";
/// The class's bias at each level.
const CLASS_BIAS: [f32; 4] = [-8.0, -9.0, -3.0, -2.0];

/// `inference.pdiparams`.
pub fn params() -> Option<&'static [u8]> {
    static BYTES: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    BYTES.get_or_init(make).as_deref()
}

/// The files of an exported detector, `pir` or `pdmodel`.
pub fn files(form: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let folder = shared(&format!("golden/models/PP-ShiTuV2_det_infer_{form}"))?;
    let graph = if form == "pir" { "inference.json" } else { "inference.pdmodel" };
    let mut files: Vec<(String, Vec<u8>)> = [graph, "inference.yml"]
        .into_iter()
        .map(|name| (name.to_string(), std::fs::read(folder.join(name)).unwrap()))
        .collect();
    files.push(("inference.pdiparams".into(), params()?.to_vec()));
    Some(files)
}

/// The golden detector.
pub fn golden() -> Option<&'static Model> {
    static MODEL: OnceLock<Option<Model>> = OnceLock::new();
    MODEL.get_or_init(|| Some(Model::from_files(files("pir")?).unwrap())).as_ref()
}

fn make() -> Option<Vec<u8>> {
    let order = std::fs::read_to_string(shared("golden/models/PP-ShiTuV2_det_pdiparams_order.tsv")?).unwrap();
    let statistics = statistics();
    let mut bytes = Vec::new();
    for line in order.lines() {
        let mut columns = line.split('\t');
        let (name, shape) = (columns.next().unwrap(), columns.next().unwrap());
        let shape: Vec<usize> = serde_json::from_str(shape).unwrap();
        push(&mut bytes, &shape, &values(name, &shape, &statistics));
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, SHA256);
    Some(bytes)
}

/// The means and variances of the BatchNorms, which have no formula.
fn statistics() -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(shared("golden/models/PP-ShiTuV2_det_bn_stats.safetensors").unwrap()).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let widen = |data: &[u8]| data.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect();
    file.iter().map(|(name, tensor)| (name.to_string(), widen(tensor.data()))).collect()
}

fn values(name: &str, shape: &[usize], statistics: &BTreeMap<String, Vec<f32>>) -> Vec<f32> {
    if let Some(values) = statistics.get(name) {
        return values.clone();
    }
    match name {
        "const:project" => return (0..8).map(|bin| bin as f32).collect(),
        "const:anchor_points" => return cells().flat_map(|(_, x, y)| [x, y]).collect(),
        name if name.starts_with("const:") => return cells().map(|(stride, ..)| stride).collect(),
        _ => {}
    }
    let role = if shape.len() == 4 { Role::ConvWeight } else { Role::ConvBias };
    let parameter = Parameter { name: name.into(), shape: shape.to_vec(), role };
    let Tensor { mut values, .. } = formula_tensor_within(&parameter, bounds(name, shape));
    if let Some(level) = name.strip_prefix("head.head_cls").and_then(|rest| rest.strip_suffix(".bias")) {
        values[0] = CLASS_BIAS[level.parse::<usize>().unwrap()];
    }
    values
}

fn bounds(name: &str, shape: &[usize]) -> (f64, f64) {
    let of_norm =
        |part: &str| ["bn", "bn1", "bn2", "norm"].iter().any(|norm| name.ends_with(&format!(".{norm}.{part}")));
    match *shape {
        _ if of_norm("weight") => (0.7, 1.3),
        _ if of_norm("bias") => (0.0, 1.0),
        [_, _, _, _] if name.starts_with("head.head_cls") => (-0.45, 0.45),
        _ if name.starts_with("head.head_cls") => (-0.5, 0.5),
        [_, inner, height, width] => {
            let bound = (6.0 / (inner * height * width) as f64).sqrt();
            (-bound, bound)
        }
        _ => (-0.17, 0.17),
    }
}

/// The stride and the centre of each cell.
fn cells() -> impl Iterator<Item = (f32, f32, f32)> {
    [8usize, 16, 32, 64].into_iter().flat_map(|stride| {
        let side = 640 / stride;
        (0..side * side).map(move |cell| (stride as f32, (cell % side) as f32 + 0.5, (cell / side) as f32 + 0.5))
    })
}

/// A tensor as Paddle writes it.
fn push(bytes: &mut Vec<u8>, shape: &[usize], values: &[f32]) {
    let mut description = vec![0x08, 0x05];
    for &side in shape {
        description.push(0x10);
        let mut side = side;
        while side > 127 {
            description.push((side & 127) as u8 | 128);
            side >>= 7;
        }
        description.push(side as u8);
    }
    bytes.extend([0; 16]);
    bytes.extend((description.len() as i32).to_le_bytes());
    bytes.extend(description);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
