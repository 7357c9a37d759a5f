//! Image feature vectors, in the browser and natively: PaddleX's image feature module (PP-ShiTuV2_rec) on Burn.
//!
//! # Show me
//!
#![cfg_attr(feature = "cpu", doc = "```no_run,ignore-wasm32")]
#![cfg_attr(not(feature = "cpu"), doc = "```ignore")]
//! use image_feature::{DecodeLimits, DeviceRequest, Extractor, Model, decode};
//!
//! let model = Model::open("PP-ShiTuV2_rec_infer.tar".as_ref())?;
//! let extractor = Extractor::open(&model, DeviceRequest::Auto)?;
//! let image = decode(&std::fs::read("photo.jpg")?, &DecodeLimits::default())?;
//! let feature: Vec<f32> = extractor.embed(&image)?; // 512 numbers, of length 1
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! The product of two such vectors is their cosine: 1 for the same picture, near 0 for unrelated ones.
//!
//! # How do I get a model?
//!
//! [`Model`] reads the official files as they are: exported inference models (`inference.json` or `inference.pdmodel`
//! with `inference.pdiparams` and `inference.yml`), training checkpoints (`.pdparams`), our own safetensors, and archives
//! of these. The official archive is `PP-ShiTuV2_rec_infer.tar`; the README says where it is. With the feature `default-model`,
//! `Model::bundled` is a small model that needs no file.
//!
//! # Which device does it use?
//!
//! The one asked for, or with [`DeviceRequest::Auto`] the first that works; [`ExtractorInfo`] says which, and why others
//! were not chosen. A GPU is trusted only after it gave the CPU's feature for a test input.
//!
//! # Are the vectors those of PaddleX?
//!
//! Yes: images are decoded to OpenCV's pixels, resized by OpenCV's integer arithmetic and normalised as PaddleX 3 does, and
//! the network's output differs by less than 2e-5 from Paddle's in any element. The tests hold each stage to it.
//!
//! # Is it safe with files I don't trust?
//!
//! Every file is untrusted input: sizes are checked against [`DecodeLimits`] and against the file before memory is taken,
//! no pickle is ever executed, and damage is an [`Error`] that says what, where, and what to do.
//!
//! # Features
//!
//! - `cpu` (default): the CPU, by this crate's own engine.
//! - `flex` (default): Burn's CPU backend, the reference that the others are tested against.
//! - `webgpu` (default): GPUs, through wgpu.
//! - `cuda`: NVIDIA GPUs; compiled only on request.
//! - `dataset`: data sets of images, from folders and archives.
//! - `gallery`: vectors kept, searched, saved and exchanged, and how well they retrieve; part of `cli`.
//! - `postgres`: galleries in PostgreSQL, for the program; part of `cli`.
//! - `train` (default): training, on Burn's backends.
//! - `cli` (default): the program `image-feature`.
//!
//! Without any of the devices, decoding, preprocessing and model files remain.
// only code for what a processor has beyond its kind may ask for it: the CPU's kernels, and measures of pixels
#![deny(unsafe_code)]

#[cfg(feature = "dataset")]
pub mod dataset;
mod device;
#[cfg(feature = "cpu")]
pub mod engine;
pub mod error;
#[cfg(any(feature = "cpu", feature = "burn"))]
mod extractor;
pub mod file_tree;
pub mod finetune;
#[cfg(feature = "gallery")]
pub mod gallery;
mod image;
#[cfg(feature = "gallery")]
pub mod metrics;
pub mod model;
#[cfg(all(feature = "gallery", not(target_arch = "wasm32")))]
pub mod output_file;
mod random;
mod tensors;
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
pub mod train;
#[cfg(feature = "cpu")]
mod warm_up;
pub mod weights;

pub use device::DeviceRequest;
pub use error::{Error, ErrorKind, Result};
#[cfg(any(feature = "cpu", feature = "burn"))]
pub use extractor::{Extractor, ExtractorInfo, ExtractorOptions};
pub use image::{
    DecodeBudget, DecodeLimits, DecodeShare, ImageFormat, ImageInfo, Normalize, Preprocess, Resize, RgbImage, Roi,
    decode, probe,
};
#[cfg(feature = "cpu")]
pub use warm_up::warm_up;
pub use weights::{Dtype, Model, ModelInfo, ModelLoader, PreprocessInfo, SkippedTensor, TensorInfo};

/// The README's examples.
#[cfg(all(doctest, feature = "cpu"))]
#[doc = include_str!("../README.md")]
struct Readme;
