//! One entry of an archive, as the archive describes it.

use super::Fault;
use super::place::Place;
use crate::Error;
use crate::file_tree::problem::{ProblemCode, shown};

/// The kind of an archive's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Neither: a link or a special file, as the code says.
    Other(ProblemCode),
}

/// An entry of an archive, as the archive describes it. See [`Members`](super::Members).
#[derive(Clone, Debug)]
pub struct Member {
    /// The name's bytes as written in the archive, in any encoding.
    pub name: Vec<u8>,
    /// Whether the archive says that the name is UTF-8.
    pub(super) utf8: bool,
    /// File, folder or something else.
    pub kind: MemberKind,
    /// The announced size in bytes.
    pub size: u64,
    /// The number in the archive's order, from 1.
    pub position: u64,
    pub(super) place: Place,
    /// The reason why it cannot be read, where that is known from the listing.
    pub(super) fault: Option<ProblemCode>,
}

impl Member {
    /// The name as text, with replacement characters for bytes that are not UTF-8.
    pub fn lossy_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// The error of reading this entry.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.into_error(Some((self.position, shown(&self.name))))
    }
}
