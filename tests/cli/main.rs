//! The program, run as its users run it: every command, and every way it can go wrong.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../dataset/generated.rs"]
mod generated;

#[path = "../compat/cases.rs"]
mod cases;

mod audit;
mod dataset;
mod default_model;
mod evaluate;
mod gallery;
mod model;
#[cfg(feature = "train")]
mod paddlex;
mod photos;
mod postgres;
mod predict;
mod predict_errors;
mod program;
mod serve;
mod serve_api;
#[cfg(feature = "train")]
mod train;
mod usage;
