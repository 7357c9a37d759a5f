//! The program as its users run it: every command, and its errors.

#[path = "../../../../tests/common/mod.rs"]
mod common;
#[path = "../../../../tests/dataset/generated.rs"]
mod generated;

#[path = "../../../../tests/compat/cases.rs"]
mod cases;

mod audit;
mod bench;
mod convert;
mod damaged;
mod dataset;
mod default_model;
mod detect;
mod evaluate;
mod exchange;
mod finetune;
mod gallery;
mod inputs;
mod lists;
mod model;
mod output;
#[cfg(feature = "train")]
mod paddlex;
mod photos;
#[cfg(feature = "postgres")]
mod postgres;
mod predict;
mod predict_errors;
mod program;
mod recognize;
mod serve;
mod serve_api;
mod serve_detect;
mod serve_load;
mod shop;
#[cfg(feature = "train")]
mod train;
mod usage;
