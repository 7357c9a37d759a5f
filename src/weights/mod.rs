//! Model files: reading every supported format, and writing safetensors and Paddle's own files.
//!
//! [`Model::open`] reads a file, a folder or an archive; [`Model::from_bytes`] and [`Model::from_files`] read from
//! memory. [`Model::to_safetensors`] and `Model::to_paddle` write. Every file is untrusted input.
//!
#![cfg_attr(feature = "default-model", doc = "```")]
#![cfg_attr(not(feature = "default-model"), doc = "```ignore")]
//! use image_feature::{Dtype, Model};
//!
//! let model = Model::bundled()?;
//! let file = model.to_safetensors(Dtype::F16)?;
//! let again = Model::from_bytes("small.safetensors", &file)?;
//! assert_eq!(again.description, model.description);
//! # Ok::<(), image_feature::Error>(())
//! ```

mod archive;
#[cfg(feature = "default-model")]
mod bundled;
mod dtype;
mod element;
mod files;
mod identify;
mod info;
mod limits;
mod loader;
mod model;
#[cfg(feature = "model-id")]
mod model_id;
mod named;
mod origin;
mod paddle;
mod pickle;
#[cfg(feature = "cpu")]
mod plan;
mod published;
mod safetensors;
#[cfg_attr(target_arch = "wasm32", path = "torch_in_browsers.rs")]
mod torch;

pub use crate::tensors::{Tensor, Tensors};
#[cfg(feature = "default-model")]
pub use bundled::{DEFAULT_MODEL, TINY_MODEL};
pub use dtype::Dtype;
pub use info::{ModelInfo, PreprocessInfo, TensorInfo};
#[cfg(feature = "train")]
pub(crate) use limits::check_input;
pub use loader::ModelLoader;
pub use model::Model;
#[cfg(feature = "model-id")]
pub use model_id::ModelId;
pub use origin::SkippedTensor;
#[cfg(feature = "train")]
pub use paddle::parse_yaml;
#[cfg(feature = "train")]
pub(crate) use paddle::{checkpoint, dump_yaml};
#[cfg(feature = "gallery")]
pub(crate) use pickle::read_id_map;
#[cfg(feature = "train")]
pub(crate) use published::published_description;
