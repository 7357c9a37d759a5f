//! Formats of other programs, from and to galleries.

pub mod beside;
pub mod faiss;
mod id_map;
pub mod json_lines;
mod line;
pub mod npy;
pub mod npz;
pub mod paddlex;
mod text;
