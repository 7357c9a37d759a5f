//! Archives as trees of files: what is wrong with them is said, and the rest is read.

mod build;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod hostile;
mod torture;
mod trees;
