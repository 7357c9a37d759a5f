//! A model: what it is, its tensors, and where they came from.

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::path::Path;

use super::loader::ModelLoader;
use super::{Dtype, Tensors, safetensors};
use crate::model::lcnet_v2::Form;
use crate::model::{Calibration, ModelDescription};
use crate::{Error, Result};

/// A model read from files: its [description](ModelDescription), its tensors, and where they came from.
///
/// ```no_run,ignore-wasm32
/// use image_feature::Model;
///
/// let model = Model::open("PP-ShiTuV2_rec_infer.tar".as_ref())?;
/// println!("{}: {} numbers per image", model.description.name, model.description.dimension());
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// The network, and what is done to an image before it.
    pub description: ModelDescription,
    /// Whether re-parameterised blocks are held as branches or fused.
    pub form: Form,
    /// Columns of the classification head, where `tensors` hold one: see [`ModelLoader::with_head`].
    pub classes: Option<usize>,
    /// The tensors of [`Network::parameters`](crate::model::Network::parameters) for `form` and `classes`: those names,
    /// those shapes, that order, nothing else. Every value is finite.
    pub tensors: Tensors,
    /// How to compute in 8 bits, where that was measured: see [`Dtype::I8`].
    pub calibration: Option<Calibration>,
    pub(super) origin: Origin,
}

/// Where a model's tensors came from and what was met on the way.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub format: Format,
    /// Bytes of the files that were read, unpacked.
    pub bytes: u64,
    /// Element types in the file, of the tensors that were not float32 there.
    pub elements: BTreeMap<String, &'static str>,
    pub skipped: Vec<SkippedTensor>,
    pub notes: Vec<String>,
}

/// The file formats a model can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Memory,
    Safetensors,
    Pdparams,
    Program,
    Pir,
}

impl Format {
    pub fn describe(self) -> &'static str {
        match self {
            Format::Memory => "in memory",
            Format::Safetensors => "safetensors",
            Format::Pdparams => "Paddle training weights (.pdparams)",
            Format::Program => "Paddle inference model (inference.pdmodel)",
            Format::Pir => "Paddle inference model (PIR, inference.json)",
        }
    }
}

impl Origin {
    pub fn new(format: Format) -> Self {
        Origin { format, bytes: 0, elements: BTreeMap::new(), skipped: Vec::new(), notes: Vec::new() }
    }
}

/// A tensor that the file holds and the model does not need.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SkippedTensor {
    /// Its name in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its element type in the file, as NumPy calls it.
    pub dtype: &'static str,
    /// Why it was left out.
    pub reason: &'static str,
}

impl Model {
    /// Reads a model from a file, a folder or an archive.
    ///
    /// A file is a `.safetensors`, a `.pdparams`, a `.tar`, `.tar.gz` or `.zip` archive, or one of the files of an
    /// exported model (`inference.json`, `inference.pdmodel`, `inference.pdiparams`), whose others are looked for beside
    /// it. A folder holds an exported model, or a training run's `best_model`. Where both kinds of graph lie in one
    /// folder, `inference.json` is taken, as PaddleX 3 does.
    ///
    /// The classification head of a training checkpoint is left out; [`ModelLoader`] keeps it.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) where a file cannot be read, [`Model`](crate::ErrorKind::Model) where one is missing,
    /// damaged or of another architecture, [`Unsupported`](crate::ErrorKind::Unsupported) for a known network or format
    /// that this crate does not read, [`Limit`](crate::ErrorKind::Limit) where a file asks for more memory than any
    /// supported model needs.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(path: &Path) -> Result<Model> {
        ModelLoader::new().open(path)
    }

    /// Reads a model from the bytes of one file. `name` only serves error messages; the content decides the format.
    ///
    /// # Errors
    /// As [`Model::open`], but for `Io`.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Model> {
        ModelLoader::new().from_bytes(name, bytes)
    }

    /// Reads a model from loose files, given as name (or path) and content: an archive, a `.safetensors`, a `.pdparams`,
    /// or the files of an exported model. Files that have nothing to do with it are ignored.
    ///
    /// # Errors
    /// As [`Model::from_bytes`]. Where a file is missing, its name is given.
    pub fn from_files(files: Vec<(String, Vec<u8>)>) -> Result<Model> {
        ModelLoader::new().from_files(files)
    }

    /// Reads a model from the bytes of a `.safetensors` file, and from no other format.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Model> {
        safetensors::read(bytes, false)
    }

    /// A model from tensors made elsewhere, by training or fusion.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than the description asks for.
    pub fn new(description: ModelDescription, form: Form, classes: Option<usize>, tensors: &Tensors) -> Result<Model> {
        let mut ordered = Tensors::new();
        for parameter in description.network.parameters(form, classes) {
            let tensor = tensors.expect(&parameter.name, &parameter.shape)?.clone();
            ordered.insert(parameter.name, tensor);
        }
        if let Some((name, _)) = tensors.iter().find(|(name, _)| ordered.get(name).is_none()) {
            return Err(Error::model(format!("tensor `{name}` is not part of the network")));
        }
        Ok(Model {
            description,
            form,
            classes,
            tensors: ordered,
            calibration: None,
            origin: Origin::new(Format::Memory),
        })
    }

    /// The model as a safetensors file: its tensors, and the description as JSON in the header's metadata. The same model
    /// always gives the same bytes, and reading them back gives the same model (to the precision of `dtype`).
    ///
    /// [`Dtype::I8`] writes the fused form without a classification head, and with the calibration; the other types leave
    /// the calibration out.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model), naming the tensor, where a value is too large for `f16`;
    /// [`Usage`](crate::ErrorKind::Usage) where the model has no calibration and `i8` is asked for.
    pub fn to_safetensors(&self, dtype: Dtype) -> Result<Vec<u8>> {
        safetensors::write(self, dtype)
    }

    /// What its features depend on beside its tensors, as a text that stays the same.
    #[cfg(feature = "gallery")]
    pub(crate) fn essence(&self) -> String {
        safetensors::essence(self)
    }

    /// The model as Paddle's own inference files, by name: `inference.json`, `inference.pdiparams` and `inference.yml`, which
    /// Paddle and PaddleX run. Branches are fused, the classification head is left out.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model) where a tensor of the network is missing.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn to_paddle(&self) -> Result<Vec<(String, Vec<u8>)>> {
        super::paddle::export::export(self)
    }
}
