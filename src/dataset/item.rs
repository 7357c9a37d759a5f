//! An image to be divided into lists.

/// An image to be divided into lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub label: i64,
    /// Items of the same group stay together.
    pub group: usize,
}
