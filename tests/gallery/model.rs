//! A plain gallery for comparison: a list that is searched from start to end.

use image_feature::gallery::{Entry, Metric, Storage};

/// Each metric and each storage at least once.
pub const METRICS: [(Metric, Storage); 6] = [
    (Metric::Cosine, Storage::F32),
    (Metric::Cosine, Storage::I8),
    (Metric::Cosine, Storage::Bit),
    (Metric::InnerProduct, Storage::F16),
    (Metric::L2, Storage::F32),
    (Metric::Hamming, Storage::Bit),
];

pub struct Plain {
    pub metric: Metric,
    pub items: Vec<(Entry, Vec<f32>)>,
}

impl Plain {
    pub fn new(metric: Metric) -> Self {
        Plain { metric, items: Vec::new() }
    }

    pub fn place(&self, id: &str) -> Option<usize> {
        self.items.iter().position(|(entry, _)| entry.id == id)
    }

    /// The score in 64 bits of vectors as they were added.
    pub fn score(&self, a: &[f32], b: &[f32]) -> f64 {
        let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| term(f64::from(a), f64::from(b))).sum()
        };
        match self.metric {
            Metric::InnerProduct => sum(&|a, b| a * b),
            Metric::L2 => sum(&|a, b| (a - b) * (a - b)),
            Metric::Hamming => sum(&|a, b| f64::from(u8::from((a > 0.0) != (b > 0.0)))),
            Metric::Cosine => sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt(),
        }
    }

    /// Ids and scores of all that pass, nearest first, in the order of the list where scores are equal.
    pub fn search(&self, vector: &[f32], passes: &dyn Fn(&Entry) -> bool) -> Vec<(String, f64)> {
        let passing = self.items.iter().filter(|(entry, _)| passes(entry));
        let mut hits: Vec<_> = passing.map(|(entry, item)| (entry.id.clone(), self.score(vector, item))).collect();
        let larger = self.metric.larger_is_nearer();
        hits.sort_by(|a, b| if larger { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) });
        hits
    }
}

/// Numbers that look random, in [-1, 1).
pub fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Vectors around some centres, like features of photos of products.
pub fn clustered(count: usize, dimension: usize, centres: usize, spread: f32, seed: u64) -> Vec<f32> {
    let mut number = numbers(seed ^ 0x5eed);
    let centres: Vec<f32> = (0..centres * dimension).map(|_| number()).collect();
    let mut number = numbers(seed);
    let mut pick = numbers(seed ^ 1);
    let mut vectors = Vec::with_capacity(count * dimension);
    for _ in 0..count {
        let centre = ((pick() + 1.0) / 2.0 * (centres.len() / dimension) as f32) as usize;
        vectors.extend(centres[centre * dimension..][..dimension].iter().map(|value| value + spread * number()));
    }
    vectors
}
