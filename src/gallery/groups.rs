//! Groups of vectors that are near each other: copies and variants of one picture.

use std::ops::ControlFlow;

use super::search::{Search, Wanted};
use super::{Gallery, Hit};
use crate::clusters::Clusters;
use crate::engine::cpu::scan::TOGETHER;
use crate::{Error, Result};

/// Rows that are compared with [`TOGETHER`] others at once. It limits the memory for pairs to 50 MB, however many are near.
const ROWS: usize = 1 << 16;

/// Vectors that are near each other, directly or through others of the group.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Group<'g> {
    /// The members in the order in which they were added, at least two. Each score is that of the member and the first one.
    pub members: Vec<Hit<'g>>,
}

/// A search for groups that is done step by step, for callers that do other things in between.
///
/// ```
/// use image_feature::gallery::{Entry, Gallery, Grouping, Metric, Storage};
///
/// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
/// gallery.extend(vec![Entry::new("a"), Entry::new("b"), Entry::new("c")], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.1])?;
/// let mut grouping = Grouping::new(&gallery, 0.9)?;
/// while grouping.share() < 1.0 {
///     grouping.advance(&gallery)?;
/// }
/// assert_eq!(grouping.groups(&gallery)?[0].members[1].entry.id, "c");
/// # Ok::<(), image_feature::Error>(())
/// ```
pub struct Grouping {
    threshold: f32,
    /// By row.
    sets: Clusters,
    /// The first row that was not compared with later ones.
    next: usize,
    version: (usize, u64),
}

impl Grouping {
    /// Begins a search for groups of vectors with a score of at least `threshold` (with L2 and Hamming: at most).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the threshold is NaN.
    pub fn new(gallery: &Gallery, threshold: f32) -> Result<Self> {
        gallery.wanted(Search { threshold: Some(threshold), ..Search::default() })?;
        Ok(Grouping { threshold, sets: Clusters::new(gallery.len()), next: 0, version: gallery.version() })
    }

    /// The share of the work that is done, from 0 to 1.
    pub fn share(&self) -> f32 {
        let (rows, _) = self.version;
        if self.next >= rows {
            return 1.0;
        }
        let left = (rows - self.next) as f32 / rows as f32;
        1.0 - left * left
    }

    /// Compares some vectors with all later ones.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where vectors were added or removed since the begin.
    pub fn advance(&mut self, gallery: &Gallery) -> Result<()> {
        gallery.check_version(self.version)?;
        let rows = self.next..gallery.len().min(self.next + TOGETHER);
        let queries = gallery.vectors_of(rows.clone());
        for from in (rows.start..gallery.len()).step_by(ROWS) {
            // of vectors that are in one set already, nothing new can be learnt
            let sets: Vec<usize> = (0..gallery.len()).map(|row| self.sets.of(row)).collect();
            let pair = |query: usize, row: usize| {
                let query = rows.start + query;
                row > query && sets[row] != sets[query]
            };
            let wanted = Wanted {
                k: None,
                from,
                to: gallery.len().min(from + ROWS),
                pair: Some(&pair),
                ..gallery.wanted(Search { threshold: Some(self.threshold), ..Search::default() })?
            };
            for (query, found) in rows.clone().zip(gallery.nearest(&queries, wanted)) {
                for (row, _) in found.into_iter().filter(|(row, _)| *row as usize > query) {
                    self.sets.join(query, row as usize);
                }
            }
        }
        self.next = rows.end;
        Ok(())
    }

    /// The groups that were found so far, in the order of their first members.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn groups<'g>(&mut self, gallery: &'g Gallery) -> Result<Vec<Group<'g>>> {
        gallery.check_version(self.version)?;
        let mut places: Vec<Option<usize>> = vec![None; gallery.len()];
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for row in gallery.in_order() {
            let set = self.sets.of(row);
            let place = *places[set].get_or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[place].push(row as u32);
        }
        groups.retain(|rows| rows.len() > 1);
        let group = |rows: Vec<u32>| {
            let first = gallery.row_vector(rows[0] as usize);
            let scores = gallery.scores_of(&first, &rows);
            let member = |(row, score): (u32, f32)| Hit { entry: &gallery.entries[row as usize], score };
            Group { members: scores.into_iter().map(member).collect() }
        };
        Ok(groups.into_iter().map(group).collect())
    }
}

impl Gallery {
    /// Groups of vectors that are near each other, in the order of their first members: two vectors are in one group where their
    /// score is at least `threshold` (with L2 and Hamming: at most), or where others lead from one to the other. Vectors without
    /// another near them are in no group.
    ///
    /// All vectors are compared with each other. Beside the gallery this takes some bytes for each vector and 50 MB, however many
    /// are near. `progress` is told the share that is done, from 0 to 1, and may break off.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use image_feature::gallery::{Entry, Gallery, Metric, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// let entries = ["a", "b", "c", "d"].map(Entry::new).into();
    /// gallery.extend(entries, &[1.0, 0.0, 0.0, 1.0, 1.0, 0.1, 1.0, 0.2])?;
    /// let groups = gallery.groups(0.99, &mut |_| ControlFlow::Continue(()))?;
    /// let ids: Vec<&str> = groups[0].members.iter().map(|hit| hit.entry.id.as_str()).collect();
    /// assert_eq!((groups.len(), ids), (1, vec!["a", "c", "d"]), "d is near c, though not near a");
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the threshold is NaN,
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) where `progress` broke off.
    pub fn groups(&self, threshold: f32, progress: &mut dyn FnMut(f32) -> ControlFlow<()>) -> Result<Vec<Group<'_>>> {
        let mut grouping = Grouping::new(self, threshold)?;
        while grouping.share() < 1.0 {
            grouping.advance(self)?;
            if progress(grouping.share()).is_break() {
                return Err(Error::cancelled("the search for groups was cancelled"));
            }
        }
        grouping.groups(self)
    }

    /// The exact score of a prepared vector and each of these rows.
    pub(super) fn scores_of(&self, vector: &[f32], rows: &[u32]) -> Vec<(u32, f32)> {
        if self.codes.keeps_vectors() {
            return self.scored(vector, rows);
        }
        let differing = |row: u32| {
            let other = self.row_vector(row as usize);
            vector.iter().zip(&*other).filter(|(a, b)| (**a > 0.0) != (**b > 0.0)).count()
        };
        rows.iter().map(|&row| (row, differing(row) as f32)).collect()
    }

    /// Changes with each vector that is added or removed.
    pub(super) fn version(&self) -> (usize, u64) {
        (self.len(), self.next_serial)
    }

    pub(super) fn check_version(&self, version: (usize, u64)) -> Result<()> {
        if self.version() == version {
            return Ok(());
        }
        Err(Error::usage("the gallery was changed since this began; begin again"))
    }
}
