//! Metrics of retrieval: recall@k and mean average precision as PaddleClas computes them, and the queries, labels and confusions
//! behind them.
//!
//! ```
//! use image_feature::metrics::{Labelled, Options, evaluate};
//!
//! let gallery = Labelled { features: &[1.0, 0.0, 0.8, 0.2, 0.0, 1.0], labels: &[0, 0, 1] };
//! let queries = Labelled { features: &[0.9, 0.1, 0.8, 0.6], labels: &[0, 1] };
//! let options = Options { recall_at: vec![1], ..Options::default() };
//! let report = evaluate(&queries, &gallery, 2, &options)?;
//! assert_eq!(report.scores.recall, [(1, 0.5)]);
//! assert_eq!(report.worst[0].query, 1);
//! # Ok::<(), image_feature::Error>(())
//! ```

mod equal_error;

use std::collections::BTreeMap;

pub use self::equal_error::EqualError;
use self::equal_error::Pairs;
use crate::engine::cpu::scan::{PackedQueries, Scanner, in_pieces};
use crate::{Error, Result};

/// Queries and rows of the gallery that are multiplied together.
const QUERIES: usize = 16;
const ROWS: usize = 256;

/// Features and the label of each.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// One feature after the other, of any length above 0.
    pub features: &'a [f32],
    /// The label of each feature.
    pub labels: &'a [i64],
}

/// Options of an evaluation.
#[derive(Clone, Debug)]
pub struct Options {
    /// The values of k for recall@k.
    pub recall_at: Vec<usize>,
    /// Queries that PaddleClas takes at once (`Global.sim_block_size`); [`Report::scores`] depends on it.
    pub block: usize,
    /// For each query the place of the same image in the gallery, which is left out of its ranking; `None` where it is not
    /// there. Empty: nothing is left out, as in PaddleClas. A gallery that is its own query set then has recall@1 = 1.
    pub itself: Vec<Option<usize>>,
    /// Maximum number of queries in [`Report::worst`].
    pub worst: usize,
    /// Number of images nearest to each of the worst queries.
    pub nearest: usize,
}

impl Default for Options {
    /// The options of PaddleClas: recall@1 and recall@5, blocks of 64 queries, nothing left out. 20 worst queries, with 5
    /// images each.
    fn default() -> Self {
        Options { recall_at: vec![1, 5], block: 64, itself: Vec::new(), worst: 20, nearest: 5 }
    }
}

/// Scores of many queries.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scores {
    /// Each k with recall@k: the share of queries with an image of their label among the first k.
    pub recall: Vec<(usize, f32)>,
    /// Mean average precision.
    pub map: f32,
}

/// The scores of one label.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Class {
    /// The label.
    pub label: i64,
    /// Number of queries with this label.
    pub queries: usize,
    /// Number of images of the gallery with this label.
    pub images: usize,
    /// The share of its queries with a nearest image of this label; NaN where the gallery has no image for them.
    pub recall_at_1: f32,
    /// Mean average precision of its queries; NaN where the gallery has no image for them.
    pub map: f32,
}

/// The ranking of one query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The place among the queries, from 0.
    pub query: usize,
    /// Average precision of the ranking.
    pub average_precision: f32,
    /// The rank, from 1, of the first image with the query's label.
    pub first: usize,
    /// Places and cosines of the nearest images, nearest first.
    pub nearest: Vec<(usize, f32)>,
}

/// A label that is taken for another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Confusion {
    /// The label of the queries.
    pub label: i64,
    /// The label of their nearest images.
    pub taken_for: i64,
    /// Number of such queries.
    pub count: usize,
}

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Scores as PaddleClas computes them: the mean over blocks of queries, weighted by all queries of a block. Within a
    /// block only queries with an image of their label in the gallery count. NaN where a block has no such query.
    pub scores: Scores,
    /// Scores over all queries with an image of their label in the gallery: the usual definition.
    pub overall: Scores,
    /// How well one threshold of the cosine tells images of one label from others; `None` where all pairs, or none, are of one
    /// label.
    pub equal_error: Option<EqualError>,
    /// Number of queries.
    pub queries: usize,
    /// Number of images of the gallery.
    pub images: usize,
    /// Number of queries without an image of their label in the gallery.
    pub without_match: usize,
    /// Scores of each label of the queries, by label.
    pub classes: Vec<Class>,
    /// The queries with the lowest average precision below 1, lowest first.
    pub worst: Vec<Outcome>,
    /// Labels that are taken for others, most frequent first.
    pub confusions: Vec<Confusion>,
}

impl Report {
    /// The content of PaddleX's file `evaluate_result.json`. As in PaddleX, `metrics` is empty where a score is NaN.
    pub fn evaluate_result(&self) -> String {
        let recall = |k: usize| self.scores.recall.iter().find(|(at, _)| *at == k).map(|(_, value)| *value);
        let values = [("recall1", recall(1)), ("recall5", recall(5)), ("mAP", Some(self.scores.map))];
        if values.iter().any(|(_, value)| value.is_some_and(f32::is_nan)) {
            return "{\n  \"done_flag\": true,\n  \"metrics\": {}\n}".into();
        }
        let lines: Vec<String> = values
            .iter()
            .filter_map(|(name, value)| Some(format!("    \"{name}\": {}", five_decimals((*value)?))))
            .collect();
        format!("{{\n  \"done_flag\": true,\n  \"metrics\": {{\n{}\n  }}\n}}", lines.join(",\n"))
    }
}

/// A number from 0 to 1, rounded to five decimals, as Python writes a float.
fn five_decimals(value: f32) -> String {
    let text = format!("{value:.5}");
    let trimmed = text.trim_end_matches('0');
    match trimmed.strip_prefix("0.0000") {
        Some(digit) if !digit.is_empty() => format!("{digit}e-05"),
        _ if trimmed.ends_with('.') => format!("{trimmed}0"),
        _ => trimmed.into(),
    }
}

/// The judged ranking of one query.
#[derive(Clone, Copy)]
struct Found {
    query: usize,
    /// The rank of the first image with its label; `None` where there is no such image.
    first: Option<usize>,
    average_precision: f64,
    /// The nearest image.
    nearest: Option<usize>,
}

/// Ranks the gallery for each query by cosine and judges the order. Equally near images rank in the gallery's order.
/// `dimension` is the number of values of a feature.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there are no queries, features and labels are not equally many, a feature
/// holds NaN or infinity, or the gallery has fewer images than a k of recall@k (PaddleClas fails then, too).
pub fn evaluate(queries: &Labelled, gallery: &Labelled, dimension: usize, options: &Options) -> Result<Report> {
    let query_features = unit_features("query", queries, dimension)?;
    let gallery_features = unit_features("gallery", gallery, dimension)?;
    check(queries, gallery, options)?;
    let ranking = Ranking { queries: &query_features, gallery: &gallery_features, dimension, scanner: Scanner::best() };
    let mut by_label: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (image, &label) in gallery.labels.iter().enumerate() {
        by_label.entry(label).or_default().push(image);
    }
    let work = |(found, pairs): &mut (Vec<Found>, Pairs), piece: usize| {
        let start = piece * QUERIES;
        let range = start..queries.labels.len().min(start + QUERIES);
        for (query, scores) in range.clone().zip(ranking.scores(range)) {
            let matching = by_label.get(&queries.labels[query]).map_or(&[][..], Vec::as_slice);
            let itself = options.itself_of(query);
            found.push(judge(query, &scores, matching, itself));
            for (image, (&score, label)) in scores.iter().zip(gallery.labels).enumerate() {
                if Some(image) != itself {
                    pairs.add(score, *label == queries.labels[query]);
                }
            }
        }
    };
    let start = || (Vec::new(), Pairs::new());
    let (mut found, mut pairs) = start();
    for (more, more_pairs) in in_pieces(queries.labels.len().div_ceil(QUERIES), &start, &work) {
        found.extend(more);
        pairs.merge(&more_pairs);
    }
    found.sort_unstable_by_key(|found| found.query);
    Ok(Report {
        scores: by_blocks(&found, options),
        overall: scores(&found, &options.recall_at),
        equal_error: pairs.equal_error(),
        queries: queries.labels.len(),
        images: gallery.labels.len(),
        without_match: found.iter().filter(|found| found.first.is_none()).count(),
        classes: classes(&found, queries.labels, &by_label),
        worst: worst(&found, &ranking, options),
        confusions: confusions(&found, queries.labels, gallery.labels),
    })
}

/// Refuses options that do not fit the queries and the gallery.
fn check(queries: &Labelled, gallery: &Labelled, options: &Options) -> Result<()> {
    if queries.labels.is_empty() {
        return Err(Error::usage("there are no queries to evaluate"));
    }
    if options.block == 0 || !options.itself.is_empty() && options.itself.len() != queries.labels.len() {
        return Err(Error::usage("blocks of no queries, or another number of images to leave out than of queries"));
    }
    let images = gallery.labels.len();
    if let Some(k) = options.recall_at.iter().find(|&&k| k == 0 || k > images) {
        return Err(Error::usage(format!("recall@{k} needs a gallery of at least {k} images; there are {images}")));
    }
    Ok(())
}

impl Options {
    fn itself_of(&self, query: usize) -> Option<usize> {
        self.itself.get(query).copied().flatten()
    }
}

/// PaddleClas's mean over blocks of queries.
fn by_blocks(found: &[Found], options: &Options) -> Scores {
    let blocks: Vec<(Scores, f32)> = found
        .chunks(options.block)
        .map(|block| (scores(block, &options.recall_at), block.len() as f32 / found.len() as f32))
        .collect();
    let weighted = |value: &dyn Fn(&Scores) -> f32| blocks.iter().map(|(scores, weight)| value(scores) * weight).sum();
    let recall = options.recall_at.iter().enumerate();
    Scores {
        recall: recall.map(|(at, &k)| (k, weighted(&|scores| scores.recall[at].1))).collect(),
        map: weighted(&|scores| scores.map),
    }
}

/// The queries with the lowest average precision below 1.
fn worst(found: &[Found], ranking: &Ranking, options: &Options) -> Vec<Outcome> {
    let mut worst: Vec<&Found> =
        found.iter().filter(|found| found.first.is_some() && found.average_precision < 1.0).collect();
    worst.sort_by(|a, b| a.average_precision.total_cmp(&b.average_precision));
    worst.truncate(options.worst);
    let outcome = |found: &&Found| Outcome {
        query: found.query,
        average_precision: found.average_precision as f32,
        first: found.first.unwrap_or_default(),
        nearest: ranking.nearest(found.query, options.itself_of(found.query), options.nearest),
    };
    worst.iter().map(outcome).collect()
}

/// Features of length 1, as PaddleClas makes them; features of length 0 stay zero.
fn unit_features(what: &str, labelled: &Labelled, dimension: usize) -> Result<Vec<f32>> {
    let Labelled { features, labels } = labelled;
    if dimension == 0 || labels.len().checked_mul(dimension) != Some(features.len()) {
        return Err(Error::usage(format!(
            "{what}: {} values for {} labels do not make features of {dimension}",
            features.len(),
            labels.len()
        )));
    }
    let mut units = Vec::with_capacity(features.len());
    for (number, feature) in features.chunks_exact(dimension).enumerate() {
        if feature.iter().any(|value| !value.is_finite()) {
            return Err(Error::usage(format!("{what}: feature {number} holds NaN or infinity")));
        }
        let length = feature.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt().max(1e-12);
        units.extend(feature.iter().map(|&value| (f64::from(value) / length) as f32));
    }
    Ok(units)
}

/// Computes cosines of queries and images of the gallery.
struct Ranking<'a> {
    queries: &'a [f32],
    gallery: &'a [f32],
    dimension: usize,
    scanner: Scanner,
}

impl Ranking<'_> {
    /// For each of these queries, the cosine to each image.
    fn scores(&self, queries: std::ops::Range<usize>) -> Vec<Vec<f32>> {
        let images = self.gallery.len() / self.dimension;
        let values = &self.queries[queries.start * self.dimension..queries.end * self.dimension];
        let packed: PackedQueries = self.scanner.pack(values, self.dimension);
        let mut scores = vec![Vec::with_capacity(images); packed.count()];
        let mut products = vec![0.0; ROWS * packed.columns()];
        for rows in self.gallery.chunks(ROWS * self.dimension) {
            let products = &mut products[..rows.len() / self.dimension * packed.columns()];
            self.scanner.products(&packed, rows, products);
            for row in products.chunks_exact(packed.columns()) {
                for (scores, &score) in scores.iter_mut().zip(row) {
                    scores.push(score);
                }
            }
        }
        scores
    }

    /// The nearest images.
    fn nearest(&self, query: usize, itself: Option<usize>, count: usize) -> Vec<(usize, f32)> {
        let scores = self.scores(query..query + 1).pop().unwrap_or_default();
        let mut ranked: Vec<(usize, f32)> =
            scores.into_iter().enumerate().filter(|(image, _)| Some(*image) != itself).collect();
        let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count < ranked.len() {
            ranked.select_nth_unstable_by(count, order);
            ranked.truncate(count);
        }
        ranked.sort_unstable_by(order);
        ranked
    }
}

/// Judges a query's ranking from the scores of all images. It counts the images before each match instead of sorting all.
fn judge(query: usize, scores: &[f32], matching: &[usize], itself: Option<usize>) -> Found {
    let before = |a: (f32, usize), b: (f32, usize)| a.0 > b.0 || a.0 == b.0 && a.1 < b.1;
    let mut matches: Vec<(f32, usize)> =
        matching.iter().filter(|&&image| Some(image) != itself).map(|&image| (scores[image], image)).collect();
    matches.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // for each match, the number of other images between it and the match before it
    let mut others = vec![0usize; matches.len()];
    let mut nearest: Option<(f32, usize)> = None;
    let mut is_match = matching.iter().copied().peekable();
    for (image, &score) in scores.iter().enumerate() {
        let matched = is_match.next_if_eq(&image).is_some();
        if Some(image) == itself {
            continue;
        }
        if nearest.is_none_or(|nearest| before((score, image), nearest)) {
            nearest = Some((score, image));
        }
        if !matched && matches.last().is_some_and(|&last| before((score, image), last)) {
            others[matches.partition_point(|&at| before(at, (score, image)))] += 1;
        }
    }
    let (mut ahead, mut precision, mut first) = (0, 0.0, None);
    for (place, others) in others.iter().enumerate() {
        ahead += others;
        let rank = ahead + place + 1;
        first = first.or(Some(rank));
        precision += (place + 1) as f64 / rank as f64;
    }
    let average_precision = precision / matches.len() as f64;
    Found { query, first, average_precision, nearest: nearest.map(|(_, image)| image) }
}

fn scores(found: &[Found], recall_at: &[usize]) -> Scores {
    let with_match: Vec<&Found> = found.iter().filter(|found| found.first.is_some()).collect();
    // 0 / 0 is NaN, as in PaddleClas
    let share = |sum: f64| (sum / with_match.len() as f64) as f32;
    let within = |k: usize| with_match.iter().filter(|found| found.first.is_some_and(|first| first <= k)).count();
    Scores {
        recall: recall_at.iter().map(|&k| (k, share(within(k) as f64))).collect(),
        map: share(with_match.iter().map(|found| found.average_precision).sum()),
    }
}

fn classes(found: &[Found], labels: &[i64], by_label: &BTreeMap<i64, Vec<usize>>) -> Vec<Class> {
    let mut by_class: BTreeMap<i64, Vec<Found>> = BTreeMap::new();
    for found in found {
        by_class.entry(labels[found.query]).or_default().push(*found);
    }
    let class = |(label, found): (i64, Vec<Found>)| {
        let scores = scores(&found, &[1]);
        let images = by_label.get(&label).map_or(0, Vec::len);
        Class { label, queries: found.len(), images, recall_at_1: scores.recall[0].1, map: scores.map }
    };
    by_class.into_iter().map(class).collect()
}

fn confusions(found: &[Found], labels: &[i64], gallery: &[i64]) -> Vec<Confusion> {
    let mut counts: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    for found in found.iter().filter(|found| found.first.is_some_and(|first| first > 1)) {
        if let Some(nearest) = found.nearest {
            *counts.entry((labels[found.query], gallery[nearest])).or_default() += 1;
        }
    }
    let mut confusions: Vec<Confusion> =
        counts.into_iter().map(|((label, taken_for), count)| Confusion { label, taken_for, count }).collect();
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    confusions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.673_076_9, "0.67308"),
            (0.5, "0.5"),
            (0.000_01, "1e-05"),
            (0.000_12, "0.00012"),
        ] {
            assert_eq!(five_decimals(value), text);
        }
    }

    #[test]
    fn places_are_those_of_a_stable_sort() {
        let scores = [0.5, 0.9, 0.5, 0.2, 0.9, 0.5];
        // sorted: 1 4 0 2 5 3
        let found = judge(0, &scores, &[2, 4], None);
        assert_eq!(found.first, Some(2));
        assert_eq!(found.average_precision, (1.0 / 2.0 + 2.0 / 4.0) / 2.0);
        assert_eq!(found.nearest, Some(1));
        let found = judge(0, &scores, &[2, 4], Some(1));
        assert_eq!(found.first, Some(1));
        assert_eq!(found.nearest, Some(4));
        assert_eq!(judge(0, &scores, &[4], Some(4)).first, None);
    }
}
