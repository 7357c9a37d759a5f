//! PaddleX's check of a data set, with exactly its results: the order of checks, the types and texts of errors, the
//! sample images, the conversion from LabelMe and the division into three lists.
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
//! Nothing is written to disk: changes of lists are returned as [`Change`]s.
//!
//! # Differences to PaddleX
//!
//! - Annotations are read in the order of their names; PaddleX reads them in the order of the file system.
//! - Lists in GBK are an error. PaddleX converts and divides them, and refuses them afterwards.
//! - For a truncated or damaged image, the error's type is Pillow's; its text may differ.

mod annotation;
mod check;
mod convert;
mod files;
mod json;
mod mersenne;
mod picture;
mod python;
mod split;
mod verdict;

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
pub use verdict::Verdict;

use std::fmt;

use crate::Error;

/// A version of PaddleX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// 3.0 and later.
    Paddlex3,
    /// 3.0-beta. Its result has the `dataset_path` of the user, and a missing import changes the error of a failed
    /// conversion.
    Beta,
}

/// An exception of PaddleX: the data set did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The class, such as `ValueError` or `PIL.UnidentifiedImageError`.
    pub class: &'static str,
    /// The text: `str(exception)`.
    pub message: String,
}

impl Exception {
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Exception { class, message: message.into() }
    }

    /// `str(type(exception))`, which is in the result file.
    pub fn err_type(&self) -> String {
        format!("<class '{}'>", self.class)
    }
}

/// The exception as Python prints it: `ValueError: text`, or the class alone where there is no text.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// The reason why a step ended early.
#[derive(Debug)]
pub enum Stop {
    /// PaddleX raises this exception.
    Raised(Exception),
    /// The data set cannot be read, so that there is no result.
    Error(Error),
}

impl Stop {
    /// Separates PaddleX's exceptions, which are a result, from errors.
    ///
    /// # Errors
    /// The error of [`Stop::Error`].
    ///
    /// ```
    /// use image_feature::dataset::compat::{Flavor, Place, ShiTuRec, Stop};
    /// use image_feature::file_tree::Memory;
    ///
    /// let tree = Memory::new("shop", [("train.txt", vec![])]); // no `images`
    /// let found = ShiTuRec::find(&tree, Place::named("shop"), Flavor::Paddlex3);
    /// let exception = Stop::raised(found)?.err().unwrap();
    /// assert_eq!(exception.to_string(), "AssertionError");
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    pub fn raised<T>(outcome: Result<T, Stop>) -> crate::Result<Result<T, Exception>> {
        match outcome {
            Ok(value) => Ok(Ok(value)),
            Err(Stop::Raised(exception)) => Ok(Err(exception)),
            Err(Stop::Error(error)) => Err(error),
        }
    }
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

/// PaddleX's log message after a conversion.
pub const CONVERTED: &str = "Convert dataset successfully !";
/// PaddleX's log message after a division.
pub const DIVIDED: &str = "Split dataset successfully !";
/// PaddleX's log message after a check that passed.
pub const PASSED: &str = "Check dataset passed !";
