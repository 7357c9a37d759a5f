use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The measure that compares two vectors.
///
/// ```
/// use image_feature::gallery::Metric;
///
/// let metric: Metric = "ip".parse()?;
/// assert_eq!(metric, Metric::InnerProduct);
/// assert!(metric.larger_is_nearer());
/// assert_eq!(Metric::L2.to_string(), "l2");
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The cosine of the angle between the vectors, from -1 to 1; larger is nearer. Vectors are kept with length 1.
    #[default]
    Cosine,
    /// The sum of the products of the values (FAISS's `IP`); larger is nearer.
    InnerProduct,
    /// The squared distance (FAISS's `L2`); less is nearer.
    L2,
    /// The number of values that are above zero in one vector only; less is nearer.
    Hamming,
}

/// The form of each value that a search reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Storage {
    /// A float of 4 bytes.
    #[default]
    F32,
    /// A half float of 2 bytes. Hits and scores are those of f32.
    F16,
    /// A whole number of 1 byte, with a scale for each vector. Hits and scores are those of f32.
    I8,
    /// One bit: whether the value is above zero. With metric cosine the nearest by bits are ranked by their f32 values:
    /// scores are those of f32, and about one hit in a thousand may be missing.
    Bit,
}

const METRICS: [(Metric, &str); 4] =
    [(Metric::Cosine, "cosine"), (Metric::InnerProduct, "ip"), (Metric::L2, "l2"), (Metric::Hamming, "hamming")];
const STORAGES: [(Storage, &str); 4] =
    [(Storage::F32, "f32"), (Storage::F16, "f16"), (Storage::I8, "i8"), (Storage::Bit, "bit")];

impl Metric {
    /// Whether a larger score is nearer.
    pub fn larger_is_nearer(self) -> bool {
        matches!(self, Metric::Cosine | Metric::InnerProduct)
    }

    /// The score of two prepared vectors.
    pub(super) fn score(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Metric::L2 => sum_of(a, b, |a, b| (a - b) * (a - b)) as f32,
            _ => sum_of(a, b, |a, b| a * b) as f32,
        }
    }

    /// Whether a score is at least as near as the threshold.
    pub(super) fn reaches(self, score: f32, threshold: f32) -> bool {
        if self.larger_is_nearer() { score >= threshold } else { score <= threshold }
    }

    /// Nearest first.
    pub(super) fn compare(self, a: f32, b: f32) -> std::cmp::Ordering {
        if self.larger_is_nearer() { b.total_cmp(&a) } else { a.total_cmp(&b) }
    }
}

/// The length of a vector.
pub(super) fn length(vector: &[f32]) -> f64 {
    sum_of(vector, vector, |a, b| a * b).sqrt()
}

/// A sum over two vectors, in 64 bits and in an order that is the same on every machine.
fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(f64::from(a), f64::from(b));
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| term(f64::from(a), f64::from(b))).sum();
    sums.iter().sum::<f64>() + rest
}

macro_rules! named {
    ($type:ty, $all:ident, $what:literal, $names:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = $all.iter().find(|(value, _)| value == self).map_or("", |(_, name)| name);
                f.write_str(name)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let found = $all.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
                found
                    .map(|(value, _)| *value)
                    .ok_or_else(|| Error::usage(format!("`{text}` is not a {}; there are {}", $what, $names)))
            }
        }
    };
}
named!(Metric, METRICS, "metric", "cosine, ip, l2 and hamming");
named!(Storage, STORAGES, "storage", "f32, f16, i8 and bit");
