//! Galleries in the files of others.

pub mod faiss;
pub mod json_lines;
pub mod npy;
pub mod paddlex;
