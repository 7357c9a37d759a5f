//! Small models and small photos, for tests that do not need PaddleX's.

use std::path::{Path, PathBuf};

use image_feature::Dtype;

use super::common::small_model;

/// A PPM file of 24 x 16 pixels, a pattern for each `kind`.
pub fn photo(kind: usize) -> Vec<u8> {
    let mut file = b"P6 24 16 255\n".to_vec();
    file.extend((0..24 * 16 * 3).map(|at| (at * (7 + 4 * kind) / (3 + kind % 5) % 256) as u8));
    file
}

/// Writes a file, and the folders it is in.
pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Writes a model with vectors of `dimension` values. It computes one in milliseconds.
pub fn model_file(folder: &Path, dimension: usize) -> PathBuf {
    let path = folder.join(format!("model-{dimension}.safetensors"));
    write(&path, &small_model(dimension).to_safetensors(Dtype::F32).unwrap());
    path
}
