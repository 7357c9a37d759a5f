use crate::weights::Model;

/// Which model made a gallery's vectors: those of two models cannot be compared.
///
/// ```no_run,ignore-wasm32
/// use image_feature::Model;
/// use image_feature::gallery::{Gallery, Metric, ModelId, Storage};
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar")?;
/// let mut gallery = Gallery::new(model.description.dimension(), Metric::Cosine, Storage::F32)?;
/// gallery.set_model(Some(ModelId::of(&model)));
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    /// The model's name, for people.
    pub name: String,
    /// BLAKE3 of network, preprocessing and weights, in hexadecimal: whether two models are one.
    pub hash: String,
}

impl ModelId {
    /// That of a model. Files of different formats hold the same model where they hold the same numbers: half floats or 8 bits
    /// make another of it.
    pub fn of(model: &Model) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(model.essence().as_bytes());
        for (name, tensor) in model.tensors.iter() {
            hasher.update(name.as_bytes());
            hasher.update(bytemuck::cast_slice(&tensor.values));
        }
        ModelId { name: model.description.name.clone(), hash: hasher.finalize().to_hex().to_string() }
    }

    /// Whether both are the same model, whatever they are called.
    pub fn is_same(&self, other: &ModelId) -> bool {
        self.hash == other.hash
    }
}

impl std::fmt::Display for ModelId {
    /// The name, and enough of the hash to tell two models of that name apart.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.hash.get(..8).unwrap_or(&self.hash))
    }
}
