//! Training: makes the weights of a network from the images of a data set, as PaddleX does (feature `train`, not on
//! wasm32).
//!
//! [`train()`] does a whole run. [`Recipe`] has everything that decides the weights, [`RunOptions`] the rest.
//! [`Run::rehearse`] tries a run without writing, and estimates its duration.
//!
//! ```
//! use std::sync::Arc;
//!
//! use image_feature::file_tree::{FileTree, Memory};
//! use image_feature::model::lcnet_v2::LcNetV2Config;
//! use image_feature::model::{ModelDescription, Network};
//! use image_feature::train::{Recipe, RunOptions, train};
//! use image_feature::{Preprocess, Resize};
//!
//! // two classes of small images, dark and light; `file_tree::open` opens a folder or an archive
//! let mut files = Vec::new();
//! for list in ["train", "gallery", "query"] {
//!     let mut lines = String::new();
//!     for number in 0..8 {
//!         let (class, path) = (number % 2, format!("images/{list}_{number}.ppm"));
//!         lines += &format!("{path} {class}\n");
//!         let pixels = (0..16 * 16 * 3).map(|at| (150 * class + at * (number + 7) % 97) as u8);
//!         files.push((path, b"P6 16 16 255\n".iter().copied().chain(pixels).collect()));
//!     }
//!     files.push((format!("{list}.txt"), lines.into_bytes()));
//! }
//! let tree: Arc<dyn FileTree> = Arc::new(Memory::new("dark and light", files));
//!
//! // a small network; `Recipe::published` has those of PaddleX
//! let network = Network::LcNetV2(LcNetV2Config { scale: 0.25, input: [32, 32], embedding: 16 });
//! let preprocess = Preprocess { resize: Resize::Stretch { width: 32, height: 32 }, ..Preprocess::default() };
//! let model = ModelDescription { name: "small".into(), network, preprocess };
//! let recipe = Recipe { epochs: 1, batch_size: 8, warmup_epochs: 0.0, ..Recipe::new(model, 2) };
//!
//! let output = std::env::temp_dir().join("image-feature-train-example");
//! // a folder that holds a run is refused otherwise
//! let options = RunOptions { overwrite: true, ..RunOptions::new(&output) };
//! let summary = train(&tree, &recipe, &options, &mut |event| println!("{event:?}"))?;
//! let (epoch, recall) = summary.best.expect("each epoch is evaluated");
//! assert!(epoch == 1 && recall > 0.0);
//! assert!(output.join("best_model/best_model.pdparams").exists());
//! # std::fs::remove_dir_all(&output)?;
//! # Ok::<(), image_feature::Error>(())
//! ```
//!
//! The parts of a run are public, too: [`Learner`] is a network on a device that learns from one [`Batch`] after
//! another, [`loss`] has the losses, [`Schedule`] gives the learning rate, [`Momentum`] is the optimiser. Some of them
//! take Burn's types; they are marked as unstable.

mod augment;
mod config;
mod curve;
mod disk;
mod earlier;
mod evaluation;
mod folder;
mod initial;
mod loader;
mod log;
pub mod loss;
mod network;
mod optimizer;
mod recipe;
mod run;
mod sampler;
mod samples;
mod team;
mod visual_dl;

pub use crate::finetune::Schedule;
pub use augment::{Augmentation, Crops, Products};
pub use initial::untrained;
pub use network::{Batch, Learner, Losses};
pub use optimizer::{Momentum, Rule};
pub use recipe::{Objective, Recipe, Sampling};
pub use run::{Begin, Event, Rehearsal, Run, RunOptions, StepDone, Summary, train};
