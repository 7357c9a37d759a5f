//! The models inside the library.

use super::{Model, ModelLoader};
use crate::Result;

/// The name of the default model inside the library, where a program takes a name or a path.
pub const DEFAULT_MODEL: &str = "default";
/// The name of the smaller one.
pub const TINY_MODEL: &str = "tiny";

// The model card beside these files says how they were made.
static DEFAULT: &[u8] = include_bytes!("../../www/image-feature/models/default.safetensors");
static TINY: &[u8] = include_bytes!("../../www/image-feature/models/tiny.safetensors");

impl Model {
    /// The default model inside the library (feature `default-model`): it needs no file and no download.
    ///
    /// It is an EfficientNet-Lite0 in 8 bits, with features of length 512. `./build.sh model` makes it. Its
    /// model card, `www/image-feature/models/README.md`, says what it was trained on and how good it is.
    ///
    /// ```
    /// use image_feature::Model;
    ///
    /// let model = Model::bundled()?;
    /// assert_eq!(model.description.dimension(), 512);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// None, unless the library was built with another file.
    pub fn bundled() -> Result<Model> {
        ModelLoader::new().from_bytes("default.safetensors", DEFAULT)
    }

    /// The small model inside the library (feature `default-model`): the first blocks of the same network, for smaller images. It
    /// is several times as fast as [`bundled`](Self::bundled), and less accurate.
    ///
    /// ```
    /// use image_feature::Model;
    ///
    /// let (tiny, default) = (Model::tiny()?, Model::bundled()?);
    /// assert!(tiny.info().parameters * 2 < default.info().parameters);
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// None, unless the library was built with another file.
    pub fn tiny() -> Result<Model> {
        ModelLoader::new().from_bytes("tiny.safetensors", TINY)
    }

    /// The model inside the library with this name; `None` for another name.
    ///
    /// ```
    /// use image_feature::Model;
    ///
    /// assert!(Model::of_name("tiny").is_some());
    /// assert!(Model::of_name("PP-ShiTuV2_rec").is_none());
    /// ```
    pub fn of_name(name: &str) -> Option<Result<Model>> {
        match name {
            DEFAULT_MODEL => Some(Model::bundled()),
            TINY_MODEL => Some(Model::tiny()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_small_calibrated_and_whole() {
        for (file, most, model) in [(DEFAULT, 5_000_000, Model::bundled()), (TINY, 1_600_000, Model::tiny())] {
            assert!(file.len() <= most, "{} bytes", file.len());
            let model = model.unwrap();
            assert!(model.calibration.is_some());
            assert!(model.tensors.iter().all(|(_, tensor)| tensor.values.iter().all(|value| value.is_finite())));
        }
    }
}
