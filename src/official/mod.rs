//! PaddleX's official models: their names, the addresses of their archives, PaddleX's cache, and the download into it.
//!
//! A model lies in the cache as PaddleX puts it there, so that both programs share it: the folder
//! `~/.paddlex/official_models/NAME`. Only [`OfficialModel::download`] uses the network.
//!
//! ```
//! use image_feature::official::OfficialModel;
//!
//! let model = OfficialModel::find("PP-ShiTuV2_rec").expect("it is one of four");
//! assert!(model.url().ends_with("/PP-ShiTuV2_rec_infer.tar"));
//! assert_eq!(model.dimension, Some(512));
//! ```

mod download;
mod fetch;
#[cfg(test)]
mod tests;
mod unpack;

use std::path::PathBuf;

pub use self::download::DownloadOptions;
pub use self::fetch::Received;

/// The address of the archives `<model>_infer.tar`.
pub const ARCHIVES: &str = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0b1_v2";

/// A model that PaddleX publishes for its image feature module, or for the detection before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfficialModel {
    /// The name, by which PaddleX knows it.
    pub name: &'static str,
    /// Length of a feature; `None` for a detector.
    pub dimension: Option<usize>,
    /// The name of its network.
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

    /// The address of its archive at PaddleX's server.
    pub fn url(&self) -> String {
        format!("{ARCHIVES}/{}", self.archive())
    }

    /// The name of its archive.
    pub fn archive(&self) -> String {
        format!("{}_infer.tar", self.name)
    }

    /// The model's folder in PaddleX's cache, which need not exist; `None` where this user has no home folder.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        Some(cache_folder()?.join(self.name))
    }

    /// The model's folder in PaddleX's cache, if it exists.
    pub fn cached(&self) -> Option<PathBuf> {
        self.cache_folder().filter(|folder| folder.is_dir())
    }
}

/// PaddleX's cache: `official_models` in `PADDLE_PDX_CACHE_HOME`, by default in `~/.paddlex`. `None` where this user has no home
/// folder.
pub fn cache_folder() -> Option<PathBuf> {
    let home = match std::env::var_os("PADDLE_PDX_CACHE_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()?.join(".paddlex"),
    };
    Some(home.join("official_models"))
}
