//! An archive's entries in its own order, as it describes them.

use std::ops::Range;
use std::vec;

use super::tar::Tar;
use super::zip::{self, ZipPlace};
use super::{ArchiveFormat, Fault, Limits};
use crate::file_tree::problem::{ProblemCode, ProblemEffect, Problems, shown};
use crate::file_tree::source::Source;
use crate::{Error, Result};

/// What an entry says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// Neither, for this reason.
    Other(ProblemCode),
}

/// An entry as the archive describes it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// As written: any bytes at all.
    pub name: Vec<u8>,
    /// Whether the archive says that the name is UTF-8.
    pub(super) utf8: bool,
    pub kind: Kind,
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

/// An archive, entry by entry, in its own order.
pub(crate) struct Members<'a> {
    source: Source<'a>,
    archive: Opened<'a>,
    pub(super) problems: Problems,
}

enum Opened<'a> {
    Zip(vec::IntoIter<Member>),
    Tar(Box<Tar<'a>>),
}

impl<'a> Members<'a> {
    /// Begins to read an archive. Of a `.tar` or `.tar.gz` no more than its first entry is looked at.
    ///
    /// # Errors
    /// Where a zip has no directory that can be read.
    pub fn open(source: Source<'a>, format: ArchiveFormat, limits: Limits) -> Result<Self> {
        let mut problems = Problems::default();
        let archive = match format {
            ArchiveFormat::Zip => {
                let members = zip::list(&source, &limits, &mut problems);
                Opened::Zip(members.map_err(|fault| fault.into_error(None))?.into_iter())
            }
            ArchiveFormat::Tar => Opened::Tar(Box::new(Tar::plain(source.clone(), limits))),
            ArchiveFormat::TarGz => Opened::Tar(Box::new(Tar::gz(source.clone(), limits))),
        };
        Ok(Members { source, archive, problems })
    }

    /// The next entry.
    ///
    /// # Errors
    /// Where the archive cannot be read on.
    pub fn next(&mut self) -> Result<Option<Member>> {
        match &mut self.archive {
            Opened::Zip(members) => Ok(members.next()),
            Opened::Tar(tar) => tar.next(&mut self.problems).map_err(|fault| fault.into_error(None)),
        }
    }

    /// The content of the entry that was given last.
    ///
    /// # Errors
    /// Where it cannot be read, or has more than `limit` bytes.
    pub fn read(&mut self, member: &Member, limit: u64) -> Result<Vec<u8>> {
        if let Some(code) = member.fault {
            return Err(member.error(code.into()));
        }
        let content = match (&mut self.archive, &member.place) {
            (Opened::Zip(_), Place::Zip(place)) => {
                let problems = &mut self.problems;
                zip::read(&*self.source, place, limit, &mut |code| {
                    problems.entry(code, member.position, &member.name, String::new());
                })
            }
            (Opened::Tar(tar), Place::Tar(offset)) => tar.read(*offset, member.size, limit),
            _ => Err(Fault::Problem(ProblemCode::HeaderMismatch, String::new())),
        };
        content.map_err(|fault| member.error(fault))
    }

    /// Where in the source the content of an entry of a `.tar` lies as it is.
    pub fn plain_range(&self, member: &Member) -> Option<Range<u64>> {
        match (&self.archive, member.place, member.fault) {
            (Opened::Tar(tar), Place::Tar(start), None) if tar.is_plain() => Some(start..start + member.size),
            _ => None,
        }
    }

    /// Why there may be more in the archive than was given.
    pub fn incomplete(&self) -> Option<Error> {
        let all = self.problems.sorted();
        all.into_iter().find(|problem| problem.code.effect() == ProblemEffect::Incomplete).map(|one| one.into_error())
    }
}
