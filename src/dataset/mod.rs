//! Data sets for image retrieval: checking, repairing, converting and splitting lists of labelled images.
//!
//! A data set is a [`FileTree`](crate::file_tree::FileTree) in the format of PaddleX's ShiTuRecDataset: a folder
//! `images`, and beside it the lists `train.txt`, `gallery.txt` and `query.txt`, with a line `PATH LABEL` for each
//! image.
//!
//! A check has two steps, so that many threads can share the work. First, [`ImageFacts`] are measured from the bytes of
//! one file, by threads ([`survey`]) or by a page's workers. Then [`audit`] judges the lists and all facts, and returns
//! [`Findings`].
//!
//! [`Session`] has one opened data set with its facts and all changes, as the page needs it.
//!
//! ```
//! use image_feature::dataset::{AuditOptions, Code, Dataset, Evidence, ImageFacts, audit};
//! use image_feature::file_tree::Memory;
//!
//! let list = b"images/a.ppm 0\nimages/b.ppm 1\n".to_vec();
//! let tree = Memory::new("shop", [("train.txt", list), ("images/a.ppm", b"P3 1 1 255  9 9 9".to_vec())]);
//! let dataset = Dataset::read(&tree);
//! let facts: Vec<Option<ImageFacts>> =
//!     dataset.images().iter().map(|&index| Some(ImageFacts::read(&tree, index, &Default::default()))).collect();
//! let audit = audit(&dataset, &Evidence { facts: &facts, ..Evidence::default() }, &AuditOptions::default());
//! assert!(!audit.passed());
//! let missing = &audit.findings.of(Code::FileMissing)[0];
//! assert_eq!((missing.line, missing.image.as_deref()), (Some(2), Some("images/b.ppm")));
//! ```

mod audit;
pub mod compat;
mod convert;
mod covered;
#[allow(clippy::module_inception)] // the type `Dataset`
mod dataset;
mod facts;
mod findings;
mod fix;
#[cfg(not(target_arch = "wasm32"))]
mod folder_target;
mod hex;
mod item;
mod lists;
mod near;
mod output;
mod report;
mod session;
mod split;
mod subset;
#[cfg(not(target_arch = "wasm32"))]
mod survey;
mod text;
mod thumbnail;

pub use audit::{Audit, AuditOptions, ClassSizes, Evaluation, Evidence, audit};
pub use convert::{ConvertOptions, Converted, CsvColumns, Divisions, SourceForm, convert, convert_with};
pub use dataset::{Dataset, LabelledImage};
pub use facts::{Digest, ImageFacts, PixelFacts, Problem};
pub use findings::{Code, Finding, Findings, Severity};
pub use fix::{Fixed, fix};
#[cfg(not(target_arch = "wasm32"))]
pub use folder_target::{FolderTarget, delete_unfinished_folders};
pub use lists::Row;
pub use output::{NewDataset, Target, ZipTarget};
pub use report::{Thumbnails, report, report_html, shown_images};
pub use session::{ConvertOutcome, FixOutcome, ImageFile, ListSizes, Session};
pub use split::{SplitBy, SplitOptions, split};
pub use subset::Subset;
#[cfg(not(target_arch = "wasm32"))]
pub use survey::survey;
pub use text::{DecodedText, OldEncoding, decode_text};
pub use thumbnail::shrunk;
#[cfg(not(target_arch = "wasm32"))]
pub use thumbnail::thumbnail;

/// The most bytes of an image file in a data set: larger files are not read.
pub const MOST_FILE_BYTES: u64 = 1 << 30;
