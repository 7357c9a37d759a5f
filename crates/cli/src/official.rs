//! The models of `--model`.

use std::path::{Path, PathBuf};

use crate::address::refuse_address;
pub use image_feature::official::{OFFICIAL_MODELS, OfficialModel};
use image_feature::{Error, ErrorKind, Result};

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
            "not in PaddleX's cache ({looked}); `image-feature model download {}` fetches it, from {}",
            official.name,
            official.url()
        ));
    };
    Ok(folder)
}
