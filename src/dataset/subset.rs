//! The three lists of a data set.

use serde::{Serialize, Serializer};

/// One of the three lists, by the use of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subset {
    /// Images for training.
    Train,
    /// Images that are searched in evaluation.
    Gallery,
    /// Images that evaluation searches for.
    Query,
}

impl Subset {
    /// All three lists, in the order of PaddleX's checks.
    pub const ALL: [Subset; 3] = [Subset::Train, Subset::Gallery, Subset::Query];

    /// `train`, `gallery` or `query`.
    pub fn as_str(self) -> &'static str {
        match self {
            Subset::Train => "train",
            Subset::Gallery => "gallery",
            Subset::Query => "query",
        }
    }

    /// The file name of the list.
    ///
    /// ```
    /// assert_eq!(image_feature::dataset::Subset::Train.list(), "train.txt");
    /// ```
    pub fn list(self) -> &'static str {
        match self {
            Subset::Train => "train.txt",
            Subset::Gallery => "gallery.txt",
            Subset::Query => "query.txt",
        }
    }

    /// Whether equal labels in both lists surely mean the same class. Training may number its classes differently.
    pub(crate) fn shares_labels_with(self, other: Subset) -> bool {
        (self == Subset::Train) == (other == Subset::Train)
    }
}

impl Serialize for Subset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
