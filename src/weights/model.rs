//! A model in memory.

use super::origin::{Format, Origin};
use crate::model::lcnet_v2::Form;
use crate::model::{Calibration, ModelDescription};
use crate::tensors::Tensors;
use crate::{Error, Result};

/// A model: its [description](ModelDescription) and its tensors.
///
/// [`open`](Self::open) reads one from a file, a folder or an archive; `bundled` is a small one that needs no file.
///
#[cfg_attr(feature = "default-model", doc = "```")]
#[cfg_attr(not(feature = "default-model"), doc = "```ignore")]
/// use image_feature::Model;
///
/// let model = Model::bundled()?; // or Model::open("PP-ShiTuV2_rec_infer.tar")
/// assert_eq!(model.description.dimension(), 512);
/// assert_eq!(model.info().format, "safetensors");
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// The network, and the preprocessing of its input.
    pub description: ModelDescription,
    /// Whether re-parameterised blocks are stored as branches or fused.
    pub form: Form,
    /// Classes of the classification head, where `tensors` hold one: see [`ModelLoader::with_head`](super::ModelLoader::with_head).
    pub classes: Option<usize>,
    /// The tensors of [`Network::parameters`](crate::model::Network::parameters) for `form` and `classes`: exactly these names
    /// and shapes, in this order. Every value is finite.
    pub tensors: Tensors,
    /// The scales for computing in 8 bits, where they were measured: see [`Dtype::I8`](super::Dtype::I8).
    pub calibration: Option<Calibration>,
    pub(super) origin: Origin,
}

impl Model {
    /// A model from tensors made elsewhere, for example by training.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model) where a tensor is missing, has another shape than the description asks for, or is
    /// not part of the network.
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
}
