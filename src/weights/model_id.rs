//! The identity of a model.

use serde::{Deserialize, Serialize};

use super::Model;

/// Identifies the model that made vectors. Vectors of two models cannot be compared.
///
#[cfg_attr(all(feature = "default-model", feature = "gallery"), doc = "```")]
#[cfg_attr(not(all(feature = "default-model", feature = "gallery")), doc = "```ignore")]
/// use image_feature::Model;
/// use image_feature::gallery::{Gallery, Metric, ModelId, Storage};
///
/// let model = Model::bundled()?;
/// let mut gallery = Gallery::new(model.description.dimension(), Metric::Cosine, Storage::F32)?;
/// gallery.set_model(Some(ModelId::of(&model)));
/// assert!(gallery.model().unwrap().is_same(&ModelId::of(&Model::bundled()?)));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// The model's name, for people.
    pub name: String,
    /// BLAKE3 of network, preprocessing and weights, in hexadecimal.
    pub hash: String,
}

impl ModelId {
    /// The id of a model. The same weights have the same hash in every file format; weights rounded to half floats or 8 bits
    /// have another.
    pub fn of(model: &Model) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(model.essence().as_bytes());
        for (name, tensor) in model.tensors.iter() {
            hasher.update(name.as_bytes());
            hasher.update(bytemuck::cast_slice(&tensor.values));
        }
        ModelId { name: model.description.name.clone(), hash: hasher.finalize().to_hex().to_string() }
    }

    /// Whether both are the same model. Names do not matter.
    pub fn is_same(&self, other: &ModelId) -> bool {
        self.hash == other.hash
    }
}

impl std::fmt::Display for ModelId {
    /// The name and the start of the hash, which distinguishes models of the same name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.hash.get(..8).unwrap_or(&self.hash))
    }
}
