//! One entry of an archive, as the archive describes it.

use super::Fault;
use super::zip::ZipPlace;
use crate::Error;
use crate::file_tree::problem::{ProblemCode, shown};

/// What an entry says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Folder,
    /// Neither, for this reason.
    Other(ProblemCode),
}

/// An entry as the archive describes it.
#[derive(Clone, Debug)]
pub struct Member {
    /// As written: any bytes at all.
    pub name: Vec<u8>,
    /// Whether the archive says that the name is UTF-8.
    pub(super) utf8: bool,
    pub kind: MemberKind,
    /// Bytes, as announced.
    pub size: u64,
    /// Counted from 1.
    pub position: u64,
    pub(super) place: Place,
    /// Why it cannot be read, where that is known before trying.
    pub(super) fault: Option<ProblemCode>,
}

/// Where an entry's content is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In a zip.
    Zip(ZipPlace),
    /// From this byte on: of the tar, or of what comes out of the `.tar.gz`.
    Tar(u64),
}

impl Member {
    /// The name as text, whatever it is made of.
    pub fn lossy_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// An error of reading it.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.into_error(Some((self.position, shown(&self.name))))
    }
}
