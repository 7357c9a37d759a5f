//! A model in memory.

use super::limits::check_input;
use super::origin::{Format, Origin};
use crate::image::Resize;
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::lcnet_v2::Form;
use crate::model::{Calibration, ModelDescription, Network};
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
    /// Number of classes, where `tensors` hold a classification head: see
    /// [`ModelLoader::with_head`](super::ModelLoader::with_head).
    pub classes: Option<usize>,
    /// The tensors of [`Network::parameters`](crate::model::Network::parameters) for `form` and `classes`: exactly
    /// these names and shapes, in this order. Every value is finite.
    pub tensors: Tensors,
    /// The scales for computing in 8 bits, where they were measured: see [`Dtype::I8`](super::Dtype::I8).
    pub calibration: Option<Calibration>,
    pub(super) origin: Origin,
}

impl Model {
    /// A model from tensors made elsewhere, for example by training.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model) where a tensor is missing, has another shape than the description asks for,
    /// or is not part of the network.
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

    /// The same model for images of another height and width.
    ///
    /// # Errors
    /// [`Model`](crate::ErrorKind::Model) for a vision transformer: its positions are learnt for one size; for a detector
    /// where a side is no multiple of 32.
    pub fn with_input(mut self, [height, width]: [usize; 2]) -> Result<Model> {
        check_input([height, width])?;
        self.description.network = self.description.network.with_input([height, width])?;
        match &mut self.description.preprocess.resize {
            Resize::ShortSide(_) => {}
            resize @ Resize::Stretch { .. } => *resize = Resize::Stretch { width, height },
            resize @ Resize::StretchCubic { .. } => *resize = Resize::StretchCubic { width, height },
        }
        // activations of other sizes are not those that were measured
        self.calibration = None;
        Ok(self)
    }

    /// The model with the first `blocks` blocks of its network alone, which is smaller and quicker: see
    /// [`EfficientNetLiteConfig::shortened`]. It ends with its pooled vector; `finetune::Neck::whitened` adds last layers.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another network than EfficientNet-Lite, and for one with last layers;
    /// [`Usage`](crate::ErrorKind::Usage) where it has no more blocks.
    pub fn shortened(&self, blocks: usize) -> Result<Model> {
        let Network::EfficientNetLite(config @ EfficientNetLiteConfig { embedding: None, .. }) =
            &self.description.network
        else {
            return Err(Error::unsupported(format!(
                "{}: blocks are left out of an EfficientNet-Lite without last layers only",
                self.description.name
            )));
        };
        let all = config.blocks().len();
        let short = config.shortened(blocks);
        let next = short.next_block().filter(|next| (1..all).contains(&blocks) && next.expands());
        let next = next.ok_or_else(|| Error::usage(format!("the network has {all} blocks: keep 1 to {}", all - 1)))?;
        let mut tensors = Tensors::new();
        for parameter in short.parameters(None) {
            let from = match parameter.name.strip_prefix("backbone.head.") {
                Some(field) => format!("{}.expand.{field}", next.path),
                None => parameter.name.clone(),
            };
            tensors.insert(parameter.name, self.tensors.expect(&from, &parameter.shape)?.clone());
        }
        let network = Network::EfficientNetLite(short);
        let description = ModelDescription { network, ..self.description.clone() };
        Model::new(description, self.form, None, &tensors)
    }
}
