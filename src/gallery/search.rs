//! The search: every row is read once, for several queries at a time; then the scores of the best are computed exactly.

use std::ops::Range;
use std::sync::PoisonError;

use super::best::Best;
use super::codes::Values;
use super::metric::{self, Metric, Storage};
use super::{Entry, Gallery};
use crate::engine::cpu::scan::in_pieces;
use crate::engine::cpu::scan::{PackedQueries, TOGETHER};
use crate::{Error, Result};

/// Rows that a thread takes at once.
const PIECE: usize = 2048;
/// Rows whose rounded scores are computed together: for one query, and for many.
const BLOCK: usize = 256;
const BLOCK_OF_MANY: usize = 64;
/// Rows whose exact scores a thread computes at once.
const EXACT: usize = 256;
/// Maximum number of pairs of [`Gallery::duplicates`].
const MAX_PAIRS: usize = 10_000_000;
/// Relative margin of a threshold for rounded scores. The exact scores are compared with the threshold itself.
const LEEWAY: f64 = 1e-6;
/// Number of queries from which on one product with the f32 vectors is faster than a search by bits for each.
const MANY_FOR_BITS: usize = 8;

/// A function that says which entries take part in a search. It is called on several threads, for rows near enough only.
pub type EntryFilter<'f> = &'f (dyn Fn(&Entry) -> bool + Sync);

/// The options of a search.
///
/// ```
/// use image_feature::gallery::{Entry, Search};
///
/// let only_tea = |entry: &Entry| entry.label.as_deref() == Some("tea");
/// let search = Search { k: 5, threshold: Some(0.5), filter: Some(&only_tea) };
/// # let _ = search;
/// ```
#[derive(Clone, Copy)]
pub struct Search<'f> {
    /// Maximum number of hits.
    pub k: usize,
    /// The least score of a hit; the largest with L2 and Hamming, where less is nearer. `None`: any score.
    pub threshold: Option<f32>,
    /// The entries that take part; `None`: all.
    pub filter: Option<EntryFilter<'f>>,
}

impl Default for Search<'_> {
    /// The 10 nearest vectors.
    fn default() -> Self {
        Search { k: 10, threshold: None, filter: None }
    }
}

/// A result of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit<'g> {
    /// The entry of the vector that was found.
    pub entry: &'g Entry,
    /// The score by the gallery's metric.
    pub score: f32,
}

/// Two vectors that are near each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Duplicate<'g> {
    /// The entry that was added first.
    pub first: &'g Entry,
    /// The entry that was added later.
    pub second: &'g Entry,
    /// The score by the gallery's metric.
    pub score: f32,
}

/// The options of a scan.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'f> {
    /// Number of hits; `None`: all.
    pub k: Option<usize>,
    pub threshold: Option<f32>,
    pub filter: Option<EntryFilter<'f>>,
    /// The rows that are read.
    pub from: usize,
    pub to: usize,
    /// Says for a query and a row whether they count. It is called for rows near enough only, and not by a search of bits.
    pub pair: Option<PairFilter<'f>>,
}

/// A function that says for the number of a query and a row whether they count.
pub(super) type PairFilter<'f> = &'f (dyn Fn(usize, usize) -> bool + Sync);

/// The working memory of a thread.
#[derive(Default)]
pub(super) struct Workspace {
    /// By query.
    bests: Vec<Best>,
    /// The least score of each query that counts, by column of a product.
    floors: Vec<f32>,
    scores: Vec<f32>,
    /// Rows as floats.
    wide: Vec<f32>,
}

/// Queries in the form that a scan needs.
struct Queries<'q> {
    values: &'q [f32],
    /// The queries of a product; `None` for one query.
    packed: Option<PackedQueries>,
    /// Lengths of the queries, by column of a product; zeros for columns beyond the queries.
    lengths: Vec<f32>,
    /// The least score that counts at the start, by column.
    floors: Vec<f32>,
}

impl Gallery {
    /// The nearest vectors, nearest first; equally near ones in the order in which they were added.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the vector has another number of values than the gallery's, holds
    /// NaN or infinity, or is zero with metric cosine, or the threshold is NaN.
    pub fn search(&self, vector: &[f32], search: Search) -> Result<Vec<Hit<'_>>> {
        let query = self.prepared(vector)?;
        let mut found = self.nearest(&query, self.wanted(search)?);
        Ok(self.hits(found.pop().unwrap_or_default()))
    }

    /// Searches for many vectors, one after the other in `vectors`. Takes a fraction of the time of one search each.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// gallery.extend(vec![Entry::new("right"), Entry::new("up")], &[1.0, 0.0, 0.0, 1.0])?;
    /// let found = gallery.search_many(&[0.9, 0.1, 0.1, 0.9], Search { k: 1, ..Search::default() })?;
    /// assert_eq!((found[0][0].entry.id.as_str(), found[1][0].entry.id.as_str()), ("right", "up"));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search), naming the vector by its number from 0.
    pub fn search_many(&self, vectors: &[f32], search: Search) -> Result<Vec<Vec<Hit<'_>>>> {
        if !vectors.len().is_multiple_of(self.dimension) {
            let dimension = self.dimension;
            return Err(Error::usage(format!("{} values do not make vectors of {dimension}", vectors.len())));
        }
        let mut queries = Vec::with_capacity(vectors.len());
        for (number, vector) in vectors.chunks_exact(self.dimension).enumerate() {
            let query = self.prepared(vector).map_err(|error| error.context(format!("vector {number}")))?;
            queries.extend_from_slice(&query);
        }
        let found = self.nearest(&queries, self.wanted(search)?);
        Ok(found.into_iter().map(|found| self.hits(found)).collect())
    }

    /// All pairs of vectors with a score of at least `threshold` (with L2 and Hamming: at most), in the order in which they
    /// were added.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the threshold is NaN,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more than ten million pairs.
    pub fn duplicates(&self, threshold: f32) -> Result<Vec<Duplicate<'_>>> {
        let wanted = self.wanted(Search { k: usize::MAX, threshold: Some(threshold), filter: None })?;
        let mut pairs = Vec::new();
        for from in (0..self.len()).step_by(TOGETHER) {
            let rows = from..self.len().min(from + TOGETHER);
            let queries = self.vectors_of(rows.clone());
            let found = self.nearest(&queries, Wanted { k: None, from, ..wanted });
            for (row, found) in rows.zip(found) {
                let later = found.into_iter().filter(|&(other, _)| other as usize > row);
                pairs.extend(later.map(|(other, score)| {
                    let other = other as usize;
                    if self.serials[row] < self.serials[other] { (row, other, score) } else { (other, row, score) }
                }));
            }
            if pairs.len() > MAX_PAIRS {
                return Err(Error::limit(format!(
                    "more than {MAX_PAIRS} pairs are as near as {threshold}; choose a threshold that fewer reach"
                )));
            }
        }
        pairs.sort_unstable_by_key(|&(first, second, _)| (self.serials[first], self.serials[second]));
        let duplicate = |(first, second, score): (usize, usize, f32)| Duplicate {
            first: &self.entries[first],
            second: &self.entries[second],
            score,
        };
        Ok(pairs.into_iter().map(duplicate).collect())
    }

    /// The scan of all rows for a search.
    pub(super) fn wanted<'f>(&self, search: Search<'f>) -> Result<Wanted<'f>> {
        let Search { k, threshold, filter } = search;
        if threshold.is_some_and(f32::is_nan) {
            return Err(Error::usage("the threshold is NaN; a number is needed"));
        }
        Ok(Wanted { k: Some(k), threshold, filter, from: 0, to: self.len(), pair: None })
    }

    fn hits(&self, found: Vec<(u32, f32)>) -> Vec<Hit<'_>> {
        found.into_iter().map(|(row, score)| Hit { entry: &self.entries[row as usize], score }).collect()
    }

    /// The vectors of rows as queries, one after the other.
    pub(super) fn vectors_of(&self, rows: impl Iterator<Item = usize>) -> Vec<f32> {
        rows.flat_map(|row| self.row_vector(row).into_owned()).collect()
    }

    /// Rows and scores for each of the prepared queries, nearest first.
    pub(super) fn nearest(&self, queries: &[f32], wanted: Wanted) -> Vec<Vec<(u32, f32)>> {
        if wanted.k == Some(0) || wanted.from >= wanted.to {
            return vec![Vec::new(); queries.len() / self.dimension];
        }
        let few = queries.len() < MANY_FOR_BITS * self.dimension;
        if self.storage == Storage::Bit && (few || !self.codes.keeps_vectors()) {
            return queries.chunks_exact(self.dimension).map(|query| self.nearest_by_bits(query, wanted)).collect();
        }
        queries.chunks(TOGETHER * self.dimension).flat_map(|queries| self.nearest_of_some(queries, wanted)).collect()
    }

    /// Rows and scores for each of at most [`TOGETHER`] prepared queries, nearest first.
    fn nearest_of_some(&self, queries: &[f32], wanted: Wanted) -> Vec<Vec<(u32, f32)>> {
        let queries = self.queries(queries, wanted);
        let count = queries.values.len() / self.dimension;
        let wanted_of_scan = Wanted { k: wanted.k.filter(|&k| k < wanted.to - wanted.from), ..wanted };
        let make = || {
            let mut workspace = self.workspace();
            workspace.bests.resize_with(count.max(workspace.bests.len()), Best::default);
            for (best, &floor) in workspace.bests.iter_mut().zip(&queries.floors[..count]) {
                best.start(wanted_of_scan.k, floor);
            }
            workspace.floors.clear();
            workspace.floors.extend_from_slice(&queries.floors);
            workspace
        };
        let work = |workspace: &mut Workspace, piece: usize| {
            let start = wanted.from + piece * PIECE;
            let rows = start..wanted.to.min(start + PIECE);
            match &queries.packed {
                None => self.scan_for_one(workspace, &queries, rows, wanted),
                Some(packed) => self.scan_for_many(workspace, &queries, packed, rows, wanted),
            }
        };
        let mut workspaces = in_pieces((wanted.to - wanted.from).div_ceil(PIECE), &make, &work);
        let found = (0..count).map(|query| {
            let floors = workspaces.iter().map(|workspace| workspace.bests[query].floor());
            let floor = floors.fold(f32::NEG_INFINITY, f32::max);
            let rows: Vec<u32> = workspaces
                .iter_mut()
                .flat_map(|workspace| workspace.bests[query].rows(floor).iter().map(|(_, row)| *row))
                .collect();
            let values = &queries.values[query * self.dimension..][..self.dimension];
            self.sorted(self.scored(values, &rows), wanted)
        });
        let found = found.collect();
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).append(&mut workspaces);
        found
    }

    fn workspace(&self) -> Workspace {
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn queries<'q>(&self, values: &'q [f32], wanted: Wanted) -> Queries<'q> {
        let packed = (values.len() > self.dimension).then(|| self.scanner.pack(values, self.dimension));
        let columns = packed.as_ref().map_or(1, PackedQueries::columns);
        let (mut lengths, mut floors) = (vec![0.0; columns], vec![f32::INFINITY; columns]);
        for (column, query) in values.chunks_exact(self.dimension).enumerate() {
            let length = metric::length(query);
            // rounded up
            lengths[column] = (length * (1.0 + LEEWAY)) as f32;
            floors[column] = wanted.threshold.map_or(f32::NEG_INFINITY, |threshold| {
                let threshold = f64::from(threshold);
                let floor = match self.metric {
                    // the scan compares the product less half the row's squared length
                    Metric::L2 => 0.5 * (length * length - threshold) - LEEWAY * (length * length + threshold.abs()),
                    _ => threshold - LEEWAY * threshold.abs(),
                };
                floor as f32
            });
        }
        Queries { values, packed, lengths, floors }
    }

    /// The largest error of a row's rounded score, for a query of this length.
    fn margin(&self, row: usize, length: f32) -> f32 {
        let margin = length * self.codes.slack[row];
        if self.metric == Metric::L2 { margin - self.codes.bias[row] * f32::EPSILON } else { margin }
    }

    fn scan_for_one(&self, workspace: &mut Workspace, queries: &Queries, rows: Range<usize>, wanted: Wanted) {
        let Workspace { bests, scores, .. } = workspace;
        let counts = |row: usize| {
            wanted.filter.is_none_or(|filter| filter(&self.entries[row])) && wanted.pair.is_none_or(|pair| pair(0, row))
        };
        let (best, length, dimension) = (&mut bests[0], queries.lengths[0], self.dimension);
        scores.resize(scores.len().max(BLOCK), 0.0);
        for start in rows.clone().step_by(BLOCK) {
            let block = start..rows.end.min(start + BLOCK);
            let values = block.start * dimension..block.end * dimension;
            let scores = &mut scores[..block.len()];
            match &self.codes.values {
                // one query is searched by bits, unless it is the rest of many queries
                Values::F32 | Values::Bits(_) => {
                    self.scanner.dots_f32(queries.values, &self.vectors[values], scores);
                }
                Values::F16(codes) => self.scanner.dots_f16(queries.values, &codes[values], scores),
                Values::I8(codes, scales) => {
                    self.scanner.dots_i8(queries.values, &codes[values], scores);
                    scores.iter_mut().zip(&scales[block.clone()]).for_each(|(score, scale)| *score *= scale);
                }
            }
            // from here on, `scores` are upper bounds
            let slack = &self.codes.slack[block.clone()];
            scores.iter_mut().zip(slack).for_each(|(score, slack)| *score += length * slack);
            if self.metric == Metric::L2 {
                let bias = &self.codes.bias[block.clone()];
                scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias - bias * f32::EPSILON);
            }
            for (sixteen, scores) in scores.chunks(16).enumerate() {
                let floor = best.floor();
                if !scores.iter().fold(false, |any, &upper| any | (upper >= floor)) {
                    continue;
                }
                for (row, &upper) in (block.start + 16 * sixteen..).zip(scores) {
                    if upper >= best.floor() && counts(row) {
                        best.take(row as u32, upper - 2.0 * self.margin(row, length), upper);
                    }
                }
            }
        }
    }

    fn scan_for_many(
        &self,
        workspace: &mut Workspace,
        queries: &Queries,
        packed: &PackedQueries,
        rows: Range<usize>,
        Wanted { filter, pair, .. }: Wanted,
    ) {
        let Workspace { bests, floors, scores, wide } = workspace;
        let (dimension, columns) = (self.dimension, packed.columns());
        scores.resize(scores.len().max(BLOCK_OF_MANY * columns), 0.0);
        if matches!(self.storage, Storage::F16 | Storage::I8) {
            wide.resize(wide.len().max(BLOCK_OF_MANY * dimension), 0.0);
        }
        for start in rows.clone().step_by(BLOCK_OF_MANY) {
            let block = start..rows.end.min(start + BLOCK_OF_MANY);
            let values = block.start * dimension..block.end * dimension;
            let source = match &self.codes.values {
                Values::F32 | Values::Bits(_) => &self.vectors[values],
                Values::F16(codes) => {
                    let wide = &mut wide[..values.len()];
                    self.scanner.widen_f16(&codes[values], wide);
                    &*wide
                }
                Values::I8(codes, _) => {
                    let wide = &mut wide[..values.len()];
                    self.scanner.widen_i8(&codes[values], wide);
                    &*wide
                }
            };
            let scores = &mut scores[..block.len() * columns];
            self.scanner.products(packed, source, scores);
            for (row, scores) in block.zip(scores.chunks_exact_mut(columns)) {
                let scale = if let Values::I8(_, scales) = &self.codes.values { scales[row] } else { 1.0 };
                let bias = if self.metric == Metric::L2 { self.codes.bias[row] } else { 0.0 };
                let (slack, bias) = (self.codes.slack[row], bias - bias * f32::EPSILON);
                let mut any = false;
                for ((score, length), floor) in scores.iter_mut().zip(&queries.lengths).zip(&*floors) {
                    *score = *score * scale + bias + length * slack;
                    any |= *score >= *floor;
                }
                if !any || filter.is_some_and(|filter| !filter(&self.entries[row])) {
                    continue;
                }
                for (query, best) in bests[..packed.count()].iter_mut().enumerate() {
                    let upper = scores[query];
                    if upper >= best.floor() && pair.is_none_or(|pair| pair(query, row)) {
                        best.take(row as u32, upper - 2.0 * self.margin(row, queries.lengths[query]), upper);
                        floors[query] = best.floor();
                    }
                }
            }
        }
    }

    /// The exact scores of rows.
    pub(super) fn scored(&self, query: &[f32], rows: &[u32]) -> Vec<(u32, f32)> {
        let score = |&row: &u32| {
            let vector = &self.vectors[row as usize * self.dimension..][..self.dimension];
            (row, self.metric.score(query, vector))
        };
        if rows.len() <= EXACT {
            return rows.iter().map(score).collect();
        }
        let work = |scores: &mut Vec<(u32, f32)>, piece: usize| {
            scores.extend(rows[piece * EXACT..].iter().take(EXACT).map(score));
        };
        in_pieces(rows.len().div_ceil(EXACT), &Vec::new, &work).concat()
    }

    /// The rows that are wanted, nearest first.
    pub(super) fn sorted(&self, mut scored: Vec<(u32, f32)>, wanted: Wanted) -> Vec<(u32, f32)> {
        if let Some(threshold) = wanted.threshold {
            scored.retain(|&(_, score)| self.metric.reaches(score, threshold));
        }
        let order = |&(a, score_a): &(u32, f32), &(b, score_b): &(u32, f32)| {
            let serials = self.serials[a as usize].cmp(&self.serials[b as usize]);
            self.metric.compare(score_a, score_b).then(serials)
        };
        if let Some(k) = wanted.k.filter(|&k| k < scored.len()) {
            scored.select_nth_unstable_by(k, order);
            scored.truncate(k);
        }
        scored.sort_unstable_by(order);
        scored
    }
}
