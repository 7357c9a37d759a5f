//! Data sets of image retrieval: lists of images with their labels, checked, converted and split.
//!
//! A data set is a [`FileTree`](crate::file_tree::FileTree) with PaddleX's ShiTuRecDataset in it: a folder `images`, and
//! beside it `train.txt`, `gallery.txt` and `query.txt`, a line `PATH LABEL` for each image.

pub mod compat;
