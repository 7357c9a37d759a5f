//! PaddleX's official models: their names, the addresses of their archives, and PaddleX's cache.

use std::path::{Path, PathBuf};

use crate::address::refuse_address;
use image_feature::{Error, ErrorKind, Result};

/// The address of the archives `<model>_infer.tar`.
pub const ARCHIVES: &str = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2";

/// A model that PaddleX publishes for its image feature module, or for the detection before it.
pub struct OfficialModel {
    pub name: &'static str,
    /// Length of a feature; `None` for a detector.
    pub dimension: Option<usize>,
    pub network: &'static str,
}

/// All official models.
pub const OFFICIAL_MODELS: [OfficialModel; 4] = [
    OfficialModel { name: "PP-ShiTuV2_rec", dimension: Some(512), network: "PPLCNetV2_base_ShiTu" },
    OfficialModel { name: "PP-ShiTuV2_rec_CLIP_vit_base", dimension: Some(512), network: "CLIP_vit_base_patch16_224" },
    OfficialModel {
        name: "PP-ShiTuV2_rec_CLIP_vit_large",
        dimension: Some(512),
        network: "CLIP_vit_large_patch14_224",
    },
    OfficialModel { name: "PP-ShiTuV2_det", dimension: None, network: "PicoDet_LCNet_x2_5_640_mainbody" },
];

impl OfficialModel {
    /// The model of this name.
    pub fn find(name: &str) -> Option<&'static OfficialModel> {
        OFFICIAL_MODELS.iter().find(|model| model.name == name)
    }

    /// The address of its archive.
    pub fn url(&self) -> String {
        format!("{ARCHIVES}/{}_infer.tar", self.name)
    }

    /// The model's folder in PaddleX's cache, which need not exist.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        Some(cache()?.join(self.name))
    }

    /// The model's folder in PaddleX's cache, if it exists.
    pub fn cached(&self) -> Option<PathBuf> {
        self.cache_folder().filter(|folder| folder.is_dir())
    }
}

/// PaddleX's cache: `official_models` in `PADDLE_PDX_CACHE_HOME`, by default in `~/.paddlex`.
fn cache() -> Option<PathBuf> {
    let home = match std::env::var_os("PADDLE_PDX_CACHE_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()?.join(".paddlex"),
    };
    Some(home.join("official_models"))
}

/// The file or folder that `--model` means: a path that exists, else an official name in PaddleX's cache.
///
/// # Errors
/// [`ErrorKind::Io`] where there is no such path and no such model in the cache, [`ErrorKind::Usage`] for an address.
pub fn locate(model: &Path) -> Result<PathBuf> {
    if model.exists() {
        return Ok(model.to_path_buf());
    }
    refuse_address(model)?;
    let missing = |message: String| Err(Error::new(ErrorKind::Io, message).context(model.display().to_string()));
    let Some(official) = model.to_str().and_then(OfficialModel::find) else {
        return missing(format!(
            "no such file or folder, and no model's name (`image-feature model list` shows those); \
             give a model archive, folder, .pdparams or .safetensors, such as the one at {}",
            OFFICIAL_MODELS[0].url()
        ));
    };
    let Some(folder) = official.cached() else {
        let looked = official.cache_folder().map_or("no home folder".into(), |folder| folder.display().to_string());
        return missing(format!(
            "not in PaddleX's cache ({looked}); download {} and pass `--model {}_infer.tar`",
            official.url(),
            official.name
        ));
    };
    Ok(folder)
}
