//! The three lists of a data set.

use serde::{Serialize, Serializer};

/// What the images of a list are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subset {
    /// The network learns from these.
    Train,
    /// What is searched.
    Gallery,
    /// What is searched for.
    Query,
}

impl Subset {
    /// All three, in the order in which PaddleX checks them.
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

    /// Whether labels of both lists mean the same classes for certain. Training numbers its classes for itself.
    pub(crate) fn shares_labels_with(self, other: Subset) -> bool {
        (self == Subset::Train) == (other == Subset::Train)
    }
}

impl Serialize for Subset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
