//! Image feature vectors: PaddleX's image feature module (PP-ShiTuV2_rec) in Rust, for native programs and browsers.
//!
//! A feature vector describes what a picture shows, in a few hundred numbers. Its length is 1, so the dot product of two
//! vectors is their cosine: 1 for the same picture, near 0 for unrelated ones. Search, duplicates and classification by
//! example all build on it.
//!
//! # Show me
//!
#![cfg_attr(all(feature = "cpu", feature = "default-model"), doc = "```ignore-wasm32")]
#![cfg_attr(not(all(feature = "cpu", feature = "default-model")), doc = "```ignore")]
//! use image_feature::{DeviceRequest, Extractor, Model, RgbImage};
//!
//! let model = Model::bundled()?; // or Model::open("PP-ShiTuV2_rec_infer.tar")
//! let extractor = Extractor::open(&model, DeviceRequest::Cpu)?;
//!
//! let red = RgbImage::new(64, 64, [200, 30, 30].repeat(64 * 64))?; // or RgbImage::open("photo.jpg")
//! let blue = RgbImage::new(64, 64, [30, 30, 200].repeat(64 * 64))?;
//! let features = extractor.embed_batch(&[red.clone(), red, blue])?;
//! assert_eq!(features[0].len(), 512);
//!
//! let cosine = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
//! assert!(cosine(&features[0], &features[1]) > 0.999);
//! assert!(cosine(&features[0], &features[2]) < 0.99);
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! # How do I get a model?
//!
//! - The feature `default-model` puts two into the library: `Model::bundled`, and `Model::tiny` for a quick first result.
//! - The official model, which is larger and better, is one download: `PP-ShiTuV2_rec_infer.tar`. The README has the
//!   address; with the feature `download`, `official::OfficialModel::download` fetches it.
//! - [`Model::open`] reads PaddleX's files as they are: exported inference models (`inference.json` or
//!   `inference.pdmodel` with `inference.pdiparams` and `inference.yml`), training checkpoints (`.pdparams`), and
//!   archives of these. It also reads the `.safetensors` files that this crate writes.
//! - [`finetune`] trains the last layers in seconds, from a few labelled images. The feature `train` adds training of
//!   the whole network.
//!
//! # Which device does it use?
//!
//! The device that you [request](DeviceRequest). [`DeviceRequest::Auto`] takes the first that works: CUDA, a GPU
//! through wgpu, the CPU; [`ExtractorInfo::reasons`] then tells why better ones were not chosen. A GPU must first pass
//! a self-test against the CPU. Only devices whose features are enabled are compiled.
//!
//! # How fast is it?
//!
//! With the official model on two cores of an AMD EPYC, one image takes 8.6 ms in f32 and 3.5 ms in i8. ONNX Runtime
//! takes 8.7 ms in the same run, Paddle with oneDNN 11.4 ms. `docs/benchmarks.md` in the repository has all figures,
//! those of browsers too, and the commands that measure them on your machine.
//!
//! # Are the vectors those of PaddleX?
//!
//! Yes. Images are decoded to OpenCV's pixels, resized with OpenCV's integer arithmetic and normalised as in PaddleX 3.
//! No element of a feature differs from Paddle's by more than 2e-5. The tests check every stage.
//!
//! # Is it safe with files I don't trust?
//!
//! Every file is untrusted input. Sizes are checked before memory is allocated: against [`DecodeLimits`] and against
//! the length of the file. Pickles are read by a reader that knows arrays and dictionaries only; nothing is executed. A
//! damaged file gives an [`Error`] that names the place and a remedy. `unsafe` code is in a few files only, most of
//! them kernels, and each block gives its reason.
//!
//! # Modules
//!
//! | module | content | feature |
//! |---|---|---|
//! | this page | [`Model`], [`Extractor`], [`RgbImage`], [`decode`], [`Error`] | `cpu` or `burn` for the extractor |
//! | [`weights`] | model files: reading and writing | |
//! | [`model`] | networks: sizes, parameters, preprocessing | |
//! | [`engine`] | the CPU engine: plans, executors, calibration for i8; plans as programs for GPUs | `cpu` |
//! | [`detector`] | boxes around the things in images | `cpu` |
//! | [`finetune`] | training the last layers on labelled images | |
//! | [`gallery`] | vectors stored, searched and exchanged | `gallery` |
//! | [`recognizer`] | things in photos, found and recognised | `gallery` |
//! | [`metrics`] | measures of retrieval: recall, mean average precision | `gallery` |
//! | [`dataset`] | data sets: checking, mending, splitting, converting | `dataset` |
//! | [`file_tree`] | files in folders, archives and memory | |
//! | [`train`] | training, on Burn | `train` |
//! | [`output_file`] | files that appear complete or not at all | `dataset`, `download` or `gallery` |
//! | [`official`] | PaddleX's official models: names, cache, download | `download` |
//! | [`error`] | the error type | |
//!
//! # Features
//!
//! Each feature adds one thing and changes nothing else. The only default is `cpu`. Without any feature, the library
//! still decodes images, prepares them for a network, and reads and writes model files.
//!
//! - `cpu` (default): the networks on the CPU, by this crate's own engine. Pure Rust, f32 and i8.
//! - `gpu-plan`: plans as programs of compute shaders, free of any driver.
//! - `gpu-native`: a driver that runs these programs through wgpu, without Burn. It is not a device of [`Extractor`] yet.
//! - `threads`: threads on shared memory, for wasm32. Native builds always have threads.
//! - `default-model`: two models inside the library (6 MB): `Model::bundled` and `Model::tiny`.
//! - `whitening`: last layers for a network without some, `finetune::Neck::whitened`.
//! - `gallery`: galleries of vectors, and metrics of retrieval.
//! - `model-id`: the identity of a model, by which a gallery knows the maker of its vectors. Included in `gallery`.
//! - `download`: PaddleX's official models by name, downloaded into PaddleX's cache on request. Not on wasm32.
//! - `dataset`: data sets of images, from folders and archives.
//! - `burn`: the networks on [Burn](https://burn.dev), the reference for every other implementation. Needs a backend:
//!   - `flex`: Burn on the CPU, in pure Rust.
//!   - `webgpu`: Burn on GPUs through wgpu: WebGPU in browsers; Vulkan, Metal, DX12 or GL natively.
//!   - `cuda`: Burn on NVIDIA GPUs. Its build downloads LLVM; the CUDA toolkit is needed at run time.
//! - `train`: training of whole networks with PaddleX's recipes. Includes `flex`, `dataset` and `gallery`. Not on
//!   wasm32.
//!
//! Burn takes several minutes to compile. Public items with Burn's types say so: they follow Burn's version and are not
//! stable.
//!
//! Two more packages build on this one: the program `image-feature` (crate `image-feature-cli`), and the npm package
//! `image-feature` for JavaScript.
//!
#![cfg_attr(not(feature = "cpu"), doc = "[`detector`]: #features\n[`engine`]: #features")]
#![cfg_attr(
    not(any(feature = "cpu", feature = "burn")),
    doc = "[`Extractor`]: #features\n[`ExtractorInfo::reasons`]: #features"
)]
#![cfg_attr(not(feature = "gallery"), doc = "[`gallery`]: #features\n[`metrics`]: #features")]
#![cfg_attr(not(feature = "dataset"), doc = "[`dataset`]: #features")]
#![cfg_attr(
    not(all(any(feature = "dataset", feature = "download", feature = "gallery"), not(target_arch = "wasm32"))),
    doc = "[`output_file`]: #features"
)]
#![cfg_attr(not(all(feature = "download", not(target_arch = "wasm32"))), doc = "[`official`]: #features")]
#![cfg_attr(not(all(feature = "gallery", not(target_arch = "wasm32"))), doc = "[`recognizer`]: #features")]
#![cfg_attr(not(all(feature = "train", not(target_arch = "wasm32"))), doc = "[`train`]: #features")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Modules that need `unsafe`, the kernels among them, allow it for themselves.
#![deny(unsafe_code)]

#[cfg(any(feature = "dataset", feature = "gallery"))]
mod clusters;
#[cfg(feature = "dataset")]
pub mod dataset;
#[cfg(feature = "cpu")]
pub mod detector;
mod device;
#[cfg(feature = "cpu")]
pub mod engine;
pub mod error;
#[cfg(any(feature = "cpu", feature = "burn"))]
mod extractor;
mod file_kind;
pub mod file_tree;
pub mod finetune;
#[cfg(feature = "gallery")]
pub mod gallery;
mod image;
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
mod layers;
#[cfg(feature = "gallery")]
pub mod metrics;
pub mod model;
#[cfg(all(feature = "download", not(target_arch = "wasm32")))]
pub mod official;
#[cfg(all(any(feature = "dataset", feature = "download", feature = "gallery"), not(target_arch = "wasm32")))]
pub mod output_file;
mod random;
#[cfg(all(feature = "gallery", not(target_arch = "wasm32")))]
pub mod recognizer;
mod tensors;
#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
pub mod train;
#[cfg(feature = "cpu")]
mod warm_up;
pub mod weights;

pub use device::DeviceRequest;
#[doc(inline)]
pub use error::{Error, ErrorKind, Result};
#[cfg(any(feature = "cpu", feature = "burn"))]
pub use extractor::{Extractor, ExtractorInfo, ExtractorOptions};
pub use image::{
    DecodeBudget, DecodeLimits, DecodeOptions, DecodeShare, Decoded, ImageFormat, ImageInfo, Normalize, Orient,
    Preprocess, Resize, RgbImage, Roi, decode, decode_with, probe, probe_with,
};
#[cfg(feature = "cpu")]
pub use warm_up::warm_up;
#[doc(inline)]
pub use weights::{Dtype, Model, ModelInfo, ModelLoader, PreprocessInfo, SkippedTensor, TensorInfo};

/// The README's examples.
#[cfg(all(doctest, feature = "cpu", feature = "default-model"))]
#[doc = include_str!("../README.md")]
struct Readme;
