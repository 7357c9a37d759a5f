//! Formats of other programs, from and to galleries.

pub mod faiss;
pub mod json_lines;
pub mod npy;
pub mod paddlex;
