//! An archive's entries in its own order, as it describes them.

use std::ops::Range;
use std::vec;

use super::member::{Member, Place};
use super::tar::Tar;
use super::zip;
use super::{ArchiveFormat, ArchiveLimits, Fault};
use crate::file_tree::problem::{ProblemCode, ProblemEffect, Problems};
use crate::file_tree::source::Source;
use crate::{Error, Result};

/// An archive, entry by entry, in its own order.
pub struct Members<'a> {
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
    pub fn open(source: Source<'a>, format: ArchiveFormat, limits: ArchiveLimits) -> Result<Self> {
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
