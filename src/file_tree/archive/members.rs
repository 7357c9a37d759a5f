//! The entries of an archive, one after the other.

use std::ops::Range;
use std::vec;

use super::member::Member;
use super::place::Place;
use super::tar::Tar;
use super::zip;
use super::{ArchiveFormat, ArchiveLimits, Fault};
use crate::file_tree::problem::{ProblemCode, ProblemEffect, Problems};
use crate::file_tree::source::Source;
use crate::{Error, Result};

/// The entries of an archive, one after the other in the archive's order, without a tree.
///
/// ```
/// use std::sync::Arc;
/// use image_feature::file_tree::{ArchiveFormat, ArchiveLimits, Members};
///
/// # let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
/// # zip.start_file("a.txt", zip::write::SimpleFileOptions::default()).unwrap();
/// # std::io::Write::write_all(&mut zip, b"hello").unwrap();
/// # let zip = zip.finish().unwrap().into_inner();
/// let mut members = Members::open(Arc::new(zip), ArchiveFormat::Zip, ArchiveLimits::DATA)?;
/// while let Some(member) = members.next_member()? {
///     assert_eq!(member.lossy_name(), "a.txt");
///     assert_eq!(members.read(&member, 100)?, b"hello");
/// }
/// # Ok::<(), image_feature::Error>(())
/// ```
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
    /// Starts to read an archive. Reads the directory of a zip, and nothing of a `.tar` or `.tar.gz`.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) and others for a zip without a readable directory,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the source cannot be read.
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

    /// The next entry, `None` after the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) and others where the rest of the archive cannot be read,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the source cannot be read.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        match &mut self.archive {
            Opened::Zip(members) => Ok(members.next()),
            Opened::Tar(tar) => tar.next(&mut self.problems).map_err(|fault| fault.into_error(None)),
        }
    }

    /// The content of the entry that [`next_member`](Self::next_member) returned last.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more than `limit` bytes, others where the content is damaged
    /// or cannot be read.
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

    /// The bytes of the source that are the content of an entry of a `.tar`; `None` for other archives.
    pub fn plain_range(&self, member: &Member) -> Option<Range<u64>> {
        match (&self.archive, member.place, member.fault) {
            (Opened::Tar(tar), Place::Tar(start), None) if tar.is_plain() => Some(start..start + member.size),
            _ => None,
        }
    }

    /// The damage of the archive as a whole, known after the last entry: it may contain more entries than were returned, or
    /// the checksum over all of them is wrong. `None` where there is none.
    pub fn damage(&self) -> Option<Error> {
        let is_damage =
            |code: ProblemCode| code.effect() == ProblemEffect::Incomplete || code == ProblemCode::StreamChecksum;
        self.problems.sorted().into_iter().find(|problem| is_damage(problem.code)).map(|one| one.into_error())
    }
}
