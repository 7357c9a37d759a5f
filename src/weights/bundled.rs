//! The small model inside the library.

use super::{Model, ModelLoader};
use crate::Result;

/// The name of the model inside the library, where a program takes a name or a path.
pub const DEFAULT_MODEL: &str = "default";

/// The model card beside this file says how it was made.
static FILE: &[u8] = include_bytes!("../../www/image-feature/models/default.safetensors");

impl Model {
    /// The small model inside the library (feature `default-model`): it needs no file and no download.
    ///
    /// It is an LCNetV2 of half the width in 8 bits, with features of length 512. `./build.sh model` makes it. Its model card,
    /// `www/image-feature/models/README.md`, says what it was trained on and how good it is.
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
        ModelLoader::new().from_bytes("default.safetensors", FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_calibrated_and_whole() {
        assert!(FILE.len() < 4 << 20, "{} bytes", FILE.len());
        let model = Model::bundled().unwrap();
        assert!(model.calibration.is_some());
        assert!(model.tensors.iter().all(|(_, tensor)| tensor.values.iter().all(|value| value.is_finite())));
    }
}
