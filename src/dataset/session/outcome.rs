//! Outcomes of changes, as plain data.

use serde::Serialize;

use crate::dataset::{Fixed, NewDataset, Subset};

/// The number of rows of each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ListSizes {
    /// Rows of `train.txt`.
    pub train: usize,
    /// Rows of `gallery.txt`.
    pub gallery: usize,
    /// Rows of `query.txt`.
    pub query: usize,
}

impl ListSizes {
    /// The sizes of the lists of a new data set; 0 for a list that it does not have.
    pub fn of(new: &NewDataset) -> Self {
        let rows = |list: Subset| {
            let text = new.files.iter().find(|(name, _)| name == list.list());
            text.map_or(0, |(_, text)| text.iter().filter(|&&byte| byte == b'\n').count())
        };
        ListSizes { train: rows(Subset::Train), gallery: rows(Subset::Gallery), query: rows(Subset::Query) }
    }
}

/// The outcome of a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConvertOutcome {
    /// The rows of the new lists.
    #[serde(flatten)]
    pub sizes: ListSizes,
    /// What was taken as what, and what was left out, in words.
    pub notes: Vec<String>,
}

/// The outcome of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FixOutcome {
    /// The number of rows kept.
    pub kept: usize,
    /// The number of rows left out, each with its reason in `set_aside.tsv`.
    pub set_aside: usize,
    /// The number of rows kept without what follows after path and label; `set_aside.tsv` has the whole rows.
    pub cut: usize,
    /// The number of images with another path.
    pub renamed: usize,
    /// Rows of the new `train.txt`.
    pub train: usize,
    /// Rows of the new `gallery.txt`.
    pub gallery: usize,
    /// Rows of the new `query.txt`.
    pub query: usize,
}

impl FixOutcome {
    /// The outcome of a [`fix`](crate::dataset::fix).
    pub fn of(fixed: &Fixed) -> Self {
        let ListSizes { train, gallery, query } = ListSizes::of(&fixed.dataset);
        let Fixed { kept, set_aside, cut, renamed, .. } = *fixed;
        FixOutcome { kept, set_aside, cut, renamed, train, gallery, query }
    }
}
