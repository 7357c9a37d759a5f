//! The search where one bit of each value is read.

use std::sync::{Mutex, PoisonError};

use super::Gallery;
use super::codes::{Codes, Values};
use super::metric::Metric;
use super::search::Wanted;
use crate::engine::cpu::scan::in_pieces;

/// Rows that a thread takes at once.
const PIECE: usize = 16_384;
/// Rows whose scores are computed first, to learn how near the best are: a minimum, and a number for each wanted hit.
const SAMPLE: usize = 256;
const SAMPLE_EACH: usize = 8;
/// Standard deviations by which differing bits may exceed the number that the angle makes likely.
const DEVIATIONS: f64 = 4.0;
/// Count of rows that the filter leaves out: no two rows differ in that many bits.
const LEFT_OUT: u16 = u16::MAX;

impl Gallery {
    /// Rows and scores, nearest first.
    pub(super) fn nearest_by_bits(&self, query: &[f32], wanted: Wanted) -> Vec<(u32, f32)> {
        let mut differing = vec![LEFT_OUT; wanted.to - wanted.from];
        let counts = self.count_differing(query, wanted, &mut differing);
        // rows that differ in at least `from` and at most `to` bits
        let rows = |from: usize, to: usize| -> Vec<u32> {
            let within = |&(_, &count): &(usize, &u16)| (from..=to).contains(&usize::from(count)) && count != LEFT_OUT;
            differing.iter().enumerate().filter(within).map(|(row, _)| (wanted.from + row) as u32).collect()
        };
        if self.metric == Metric::Hamming {
            let radius = wanted.k.map_or(self.dimension, |k| radius(&counts, k));
            let radius = wanted.threshold.map_or(radius, |most| radius.min(most.max(-1.0) as usize));
            let score = |row: u32| (row, f32::from(differing[row as usize - wanted.from]));
            return self.sorted(rows(0, radius).into_iter().map(score).collect(), wanted);
        }
        // Scores of the rows that are nearest by their bits show how near the best are, and so in how many bits they may differ.
        let (mut scored, mut next) = (Vec::new(), 0);
        let mut least = wanted.threshold.unwrap_or(-1.0);
        if let Some(k) = wanted.k {
            let sample = radius(&counts, SAMPLE.max(k.saturating_mul(SAMPLE_EACH)));
            scored = self.sorted(self.scored(query, &rows(0, sample)), Wanted { k: None, threshold: None, ..wanted });
            next = sample + 1;
            if let Some(&(_, score)) = scored.get(k - 1) {
                least = least.max(score);
            }
        }
        let bits = self.dimension as f64;
        let share = f64::from(least.clamp(-1.0, 1.0)).acos() / std::f64::consts::PI;
        let radius = bits * share + DEVIATIONS * (bits * share * (1.0 - share)).sqrt() + 1.0;
        let rest = rows(next, (radius as usize).min(self.dimension));
        scored.extend(self.scored(query, &rest));
        self.sorted(scored, wanted)
    }

    /// Writes to `differing` in how many bits each row differs from the query. Gives the number of rows for 0, 1, 2 … bits.
    fn count_differing(&self, query: &[f32], wanted: Wanted, differing: &mut [u16]) -> Vec<usize> {
        let Values::Bits(bits) = &self.codes.values else { return Vec::new() };
        let (query, words): (Vec<u64>, usize) = (Codes::bits_of(query).collect(), self.codes.words());
        let parts: Vec<Mutex<&mut [u16]>> = differing.chunks_mut(PIECE).map(Mutex::new).collect();
        let work = |counts: &mut Vec<usize>, piece: usize| {
            let mut part = parts[piece].lock().unwrap_or_else(PoisonError::into_inner);
            let first = wanted.from + piece * PIECE;
            self.scanner.differing_bits(&query, &bits[first * words..(first + part.len()) * words], &mut part);
            for (row, count) in part.iter_mut().enumerate() {
                if wanted.filter.is_some_and(|filter| !filter(&self.entries[first + row])) {
                    *count = LEFT_OUT;
                } else {
                    counts[usize::from(*count)] += 1;
                }
            }
        };
        let counts = in_pieces(parts.len(), &|| vec![0; self.dimension + 1], &work);
        (0..=self.dimension).map(|count| counts.iter().map(|counts| counts[count]).sum()).collect()
    }
}

/// The least number of bits such that at least `wanted` rows differ in no more.
fn radius(counts: &[usize], wanted: usize) -> usize {
    let mut sum = 0;
    let enough = counts.iter().position(|count| {
        sum += count;
        sum >= wanted
    });
    enough.unwrap_or(counts.len() - 1)
}
