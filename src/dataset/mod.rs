//! Data sets of image retrieval: lists of images with their labels, checked, converted and split.
//!
//! A data set is a [`FileTree`](crate::file_tree::FileTree) with PaddleX's ShiTuRecDataset in it: a folder `images`, and
//! beside it `train.txt`, `gallery.txt` and `query.txt`, a line `PATH LABEL` for each image.
//!
//! A check has two halves, so that it can be done by many hands. [`ImageFacts`] are what one file tells of itself: they
//! are found from its bytes alone, by threads ([`survey`]) or by a page's workers. [`audit`] then judges the lists and
//! the facts of all, and gives [`Findings`].

mod audit;
pub mod compat;
mod convert;
mod csv;
#[allow(clippy::module_inception)] // the data set itself
mod dataset;
mod facts;
mod findings;
mod fix;
mod hex;
mod lists;
mod near;
mod output;
mod report;
mod split;
mod subset;
#[cfg(not(target_arch = "wasm32"))]
mod survey;
mod thumbnail;

pub use audit::{Audit, AuditOptions, ClassSizes, Evaluation, Evidence, audit};
pub use convert::{SourceForm, convert};
pub use dataset::Dataset;
pub use facts::{Digest, ImageFacts, PixelFacts, Problem};
pub use findings::{Code, Finding, Findings, Severity};
pub use fix::{Fixed, fix};
pub use lists::Row;
#[cfg(not(target_arch = "wasm32"))]
pub use output::FolderTarget;
pub use output::{NewDataset, Target, ZipTarget};
pub use report::{Thumbnails, report, report_html, shown_images};
pub use split::{SplitBy, SplitOptions, split};
pub use subset::Subset;
#[cfg(not(target_arch = "wasm32"))]
pub use survey::survey;
pub use thumbnail::shrunk;
#[cfg(not(target_arch = "wasm32"))]
pub use thumbnail::thumbnail;

/// Larger files are not images of a data set.
pub const MOST_FILE_BYTES: u64 = 1 << 30;
