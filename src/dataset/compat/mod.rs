//! PaddleX's verdict on a data set, to the letter: its order of checks, its error types and texts, the samples it
//! draws, its conversion from LabelMe and its division into three lists.
//!
//! ```
//! use image_feature::dataset::compat::{Flavor, Place, ShiTuRec, result_json};
//! use image_feature::file_tree::Memory;
//!
//! let tree = Memory::new("shop", [("images/a.png", vec![]), ("train.txt", b"images/a.png\n".to_vec())]);
//! let dataset = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3)?;
//! let verdict = dataset.check(&mut |_, _| Ok(()))?;
//! let exception = verdict.as_ref().unwrap_err();
//! assert_eq!(exception.err_type(), "<class 'paddlex.utils.errors.dataset_checker.CheckFailedError'>");
//! assert!(result_json(&verdict).starts_with("{\n  \"done_flag\": false,"));
//! # Ok::<(), image_feature::dataset::compat::Stop>(())
//! ```
//!
//! Nothing is written here: lists that change are given back as [`Change`]s.
//!
//! # Where it departs from PaddleX
//!
//! - Annotations are read in the order of their names; PaddleX takes them as the file system lists them.
//! - Lists in GBK, which PaddleX converts and divides (and then refuses), are an error of ours.
//! - Of a truncated or damaged image the error's type is Pillow's, its text mostly.

mod annotation;
mod check;
mod convert;
mod files;
mod json;
mod mersenne;
mod picture;
mod python;
mod split;

#[cfg(not(target_arch = "wasm32"))]
pub mod draw;

pub use check::{Counts, Sample, Summary, Tag};
#[cfg(not(target_arch = "wasm32"))]
pub use files::Disk;
pub use files::{Beyond, Change, Place, ShiTuRec};
pub use json::result_json;
pub use mersenne::PythonRandom;
pub use picture::SampleFormat;
pub use python::string_repr;
pub use split::Percent;

use crate::Error;

/// Which PaddleX is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// 3.0 and later.
    Paddlex3,
    /// 3.0-beta: it gives `dataset_path` as it was given, and misses an import where a conversion fails.
    Beta,
}

/// What PaddleX raises: the data set did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The class, such as `ValueError` or `PIL.UnidentifiedImageError`.
    pub class: &'static str,
    /// What `str` gives for it.
    pub message: String,
}

impl Exception {
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Exception { class, message: message.into() }
    }

    /// `str(type(exception))`, as the result file has it.
    pub fn err_type(&self) -> String {
        format!("<class '{}'>", self.class)
    }
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// PaddleX raises here, too.
    Raised(Exception),
    /// The data set cannot be read, so that there is no verdict.
    Error(Error),
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Stop::Raised(exception)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

/// What PaddleX logs when a step is done.
pub const CONVERTED: &str = "Convert dataset successfully !";
/// See [`CONVERTED`].
pub const DIVIDED: &str = "Split dataset successfully !";
/// See [`CONVERTED`].
pub const PASSED: &str = "Check dataset passed !";
