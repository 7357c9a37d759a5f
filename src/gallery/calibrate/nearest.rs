//! For each vector with a label, the nearest one of its label and the nearest one of another label.

use std::collections::HashMap;
use std::ops::Range;

use super::super::{Gallery, Metric};
use crate::engine::cpu::scan::{PackedQueries, TOGETHER, in_pieces};
use crate::{Error, Result};

/// Rows that a thread takes at once, and those whose products are computed together.
const PIECE: usize = 2048;
const BLOCK: usize = 64;
/// The number of the label of vectors without one.
const NO_LABEL: u32 = u32::MAX;

/// The scores of the nearest vectors of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Of another vector with its label; `None` where there is none.
    pub own: Option<f32>,
    /// Of a vector with another label.
    pub other: Option<f32>,
}

/// A search that is done step by step.
pub struct Nearest {
    metric: Metric,
    /// By row, the label's number.
    labels: Vec<u32>,
    label_count: usize,
    /// Rows, label by label.
    queries: Vec<usize>,
    found: Vec<Found>,
}

/// The nearest of one query so far: the rounded score and the row.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    row: usize,
}

impl Best {
    const NONE: Best = Best { score: f32::NEG_INFINITY, row: usize::MAX };

    /// Of equal scores, the one of the lowest row is kept.
    fn take(&mut self, score: f32, row: usize) {
        if score > self.score || score == self.score && row < self.row {
            *self = Best { score, row };
        }
    }
}

/// The nearest of each query of a block.
struct Bests {
    own: Vec<Best>,
    other: Vec<Best>,
    products: Vec<f32>,
}

impl Nearest {
    pub fn new(gallery: &Gallery, most_queries: usize) -> Result<Self> {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut labels = vec![NO_LABEL; gallery.len()];
        let mut counts: Vec<usize> = Vec::new();
        let mut queries = gallery.in_order();
        for &row in &queries {
            let Some(label) = gallery.entries[row].label.as_deref().filter(|label| !label.is_empty()) else { continue };
            labels[row] = *numbers.entry(label).or_insert_with(|| {
                counts.push(0);
                counts.len() as u32 - 1
            });
            counts[labels[row] as usize] += 1;
        }
        if counts.len() < 2 {
            return Err(Error::usage(format!(
                "a threshold for what is unknown is measured between labels: two at least are needed, the gallery has {}",
                counts.len()
            )));
        }
        if counts.iter().all(|&count| count < 2) {
            return Err(Error::usage("no label has two images, one to search with and one to find; add images"));
        }
        queries.retain(|&row| labels[row] != NO_LABEL);
        queries.sort_by_key(|&row| labels[row]);
        let count = queries.len();
        if count > most_queries {
            queries = (0..most_queries).map(|at| queries[at * count / most_queries]).collect();
        }
        Ok(Nearest { metric: gallery.metric(), labels, label_count: counts.len(), queries, found: Vec::new() })
    }

    pub fn larger_is_nearer(&self) -> bool {
        self.metric.larger_is_nearer()
    }

    pub fn share(&self) -> f32 {
        self.found.len() as f32 / self.queries.len() as f32
    }

    /// What was found so far.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Searches with the next queries.
    pub fn advance(&mut self, gallery: &Gallery) {
        let queries = &self.queries[self.found.len()..];
        let queries = &queries[..queries.len().min(TOGETHER)];
        let values = gallery.vectors_of(queries.iter().copied());
        let packed = gallery.scanner.pack(&values, gallery.dimension);
        let mut own_labels = vec![false; self.label_count];
        queries.iter().for_each(|&row| own_labels[self.labels[row] as usize] = true);
        let make = || Bests {
            own: vec![Best::NONE; queries.len()],
            other: vec![Best::NONE; queries.len()],
            products: vec![0.0; BLOCK * packed.columns()],
        };
        let work = |bests: &mut Bests, piece: usize| {
            let rows = piece * PIECE..gallery.len().min((piece + 1) * PIECE);
            self.scan(gallery, queries, (&packed, &own_labels), rows, bests);
        };
        let parts = in_pieces(gallery.len().div_ceil(PIECE), &make, &work);
        let best_of = |query: usize, of: &dyn Fn(&Bests) -> &[Best]| {
            let mut best = Best::NONE;
            parts.iter().map(|part| of(part)[query]).for_each(|one| best.take(one.score, one.row));
            let vector = &values[query * gallery.dimension..][..gallery.dimension];
            (best.row != usize::MAX).then(|| gallery.scores_of(vector, &[best.row as u32])[0].1)
        };
        let found = (0..queries.len())
            .map(|query| Found { own: best_of(query, &|part| &part.own), other: best_of(query, &|part| &part.other) });
        let found: Vec<Found> = found.collect();
        self.found.extend(found);
    }

    /// Compares queries with rows.
    fn scan(
        &self,
        gallery: &Gallery,
        queries: &[usize],
        (packed, own_labels): (&PackedQueries, &[bool]),
        rows: Range<usize>,
        bests: &mut Bests,
    ) {
        let columns = packed.columns();
        for start in rows.clone().step_by(BLOCK) {
            let block = start..rows.end.min(start + BLOCK);
            let products = &mut bests.products[..block.len() * columns];
            if gallery.codes.keeps_vectors() {
                let values = &gallery.vectors[block.start * gallery.dimension..block.end * gallery.dimension];
                gallery.scanner.products(packed, values, products);
            } else {
                gallery.scanner.products(packed, &gallery.vectors_of(block.clone()), products);
            }
            for (row, products) in block.zip(products.chunks_exact(columns)) {
                let label = self.labels[row];
                if label == NO_LABEL {
                    continue;
                }
                let bias = if self.metric == Metric::L2 { gallery.codes.bias[row] } else { 0.0 };
                let scores = &products[..queries.len()];
                let nearer = |(score, best): (&f32, &Best)| score + bias > best.score;
                if !own_labels[label as usize] && !scores.iter().zip(&bests.other).any(nearer) {
                    continue;
                }
                for (query, (&score, &of)) in scores.iter().zip(queries).enumerate() {
                    match self.labels[of] == label {
                        true if of == row => {}
                        true => bests.own[query].take(score + bias, row),
                        false => bests.other[query].take(score + bias, row),
                    }
                }
            }
        }
    }
}
