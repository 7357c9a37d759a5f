//! Galleries: searched against a plain model, saved, damaged, exchanged; and the metrics.
#![cfg(feature = "gallery")]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod calibrate;
mod exchange;
mod files;
mod groups;
mod metrics;
mod model;
mod search;
