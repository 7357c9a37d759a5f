//! The form of the vectors that a search reads, and the largest error of its products.

use half::f16;

use super::metric::{Metric, Storage, length};
use crate::engine::cpu::scan::pages;

/// The vectors as a search reads them.
pub(super) struct Codes {
    dimension: usize,
    metric: Metric,
    pub values: Values,
    /// By row, the largest error of the product with a query of length 1; empty where only bits are kept.
    pub slack: Vec<f32>,
    /// By row, a summand of the product with metric L2: half the squared length, negative.
    pub bias: Vec<f32>,
}

/// By row, `dimension` values.
pub(super) enum Values {
    /// None: the gallery's own vectors are read.
    F32,
    /// Half floats, as bits.
    F16(Vec<u16>),
    /// Whole numbers, and the scale of each row.
    I8(Vec<i8>, Vec<f32>),
    /// Bits, padded with zeros to whole words.
    Bits(Vec<u64>),
}

impl Codes {
    pub fn new(dimension: usize, metric: Metric, storage: Storage) -> Self {
        let values = match storage {
            Storage::F32 => Values::F32,
            Storage::F16 => Values::F16(Vec::new()),
            Storage::I8 => Values::I8(Vec::new(), Vec::new()),
            Storage::Bit => Values::Bits(Vec::new()),
        };
        Codes { dimension, metric, values, slack: Vec::new(), bias: Vec::new() }
    }

    /// Whether the gallery keeps f32 values, too. Hamming needs the bits only.
    pub fn keeps_vectors(&self) -> bool {
        self.metric != Metric::Hamming
    }

    /// Number of words of a row of bits.
    pub fn words(&self) -> usize {
        self.dimension.div_ceil(64)
    }

    /// The bits of a vector.
    pub fn bits_of(vector: &[f32]) -> impl Iterator<Item = u64> {
        vector
            .chunks(64)
            .map(|values| values.iter().enumerate().fold(0, |word, (bit, &value)| word | u64::from(value > 0.0) << bit))
    }

    /// A row of bits as 1 and -1.
    pub fn signs(&self, row: usize) -> Vec<f32> {
        let Values::Bits(bits) = &self.values else { return Vec::new() };
        let words = &bits[row * self.words()..][..self.words()];
        let sign = |bit: usize| if words[bit / 64] >> (bit % 64) & 1 == 1 { 1.0 } else { -1.0 };
        (0..self.dimension).map(sign).collect()
    }

    /// Reserves memory for `count` more rows.
    pub fn reserve(&mut self, count: usize) {
        let words = self.words();
        match &mut self.values {
            Values::F32 => {}
            Values::F16(values) => pages::reserve(values, count * self.dimension),
            Values::I8(values, scales) => {
                pages::reserve(values, count * self.dimension);
                scales.reserve(count);
            }
            Values::Bits(bits) => pages::reserve(bits, count * words),
        }
    }

    /// Appends a vector.
    pub fn push(&mut self, vector: &[f32]) {
        let mut lost = 0.0;
        match &mut self.values {
            Values::F32 => {}
            Values::F16(values) => {
                values.extend(vector.iter().map(|&value| {
                    let half = to_half(value);
                    lost += squared(value - half.to_f32());
                    half.to_bits()
                }));
            }
            Values::I8(values, scales) => {
                let scale = scale_of(vector);
                scales.push(scale);
                values.extend(vector.iter().map(|&value| {
                    let whole = (value / scale).round() as i8;
                    lost += squared(value - f32::from(whole) * scale);
                    whole
                }));
            }
            Values::Bits(bits) => bits.extend(Self::bits_of(vector)),
        }
        if !self.keeps_vectors() {
            return;
        }
        let length = length(vector);
        // The error of a sum of n rounded products is less than n times half the last place; this is twice that.
        let rounding = (self.dimension + 8) as f64 * f64::from(f32::EPSILON) * length;
        self.slack.push((lost.sqrt() * 1.001 + rounding) as f32);
        if self.metric == Metric::L2 {
            self.bias.push((-0.5 * length * length) as f32);
        }
    }

    /// Replaces a row.
    pub fn set(&mut self, row: usize, vector: &[f32]) {
        self.push(vector);
        self.swap_remove(row);
    }

    /// Removes a row; the last one takes its place.
    pub fn swap_remove(&mut self, row: usize) {
        let words = self.words();
        match &mut self.values {
            Values::F32 => {}
            Values::F16(values) => swap_remove(values, row, self.dimension),
            Values::I8(values, scales) => {
                swap_remove(values, row, self.dimension);
                scales.swap_remove(row);
            }
            Values::Bits(bits) => swap_remove(bits, row, words),
        }
        if !self.keeps_vectors() {
            return;
        }
        self.slack.swap_remove(row);
        if self.metric == Metric::L2 {
            self.bias.swap_remove(row);
        }
    }
}

/// The nearest half float; larger values become the largest one.
fn to_half(value: f32) -> f16 {
    f16::from_f32(value.clamp(f16::MIN.to_f32_const(), f16::MAX.to_f32_const()))
}

/// The scale with which the largest value becomes 127, limited so that a division by it does not overflow.
fn scale_of(vector: &[f32]) -> f32 {
    (vector.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0).max(1e-30)
}

fn squared(value: f32) -> f64 {
    f64::from(value) * f64::from(value)
}

fn swap_remove<T: Copy>(values: &mut Vec<T>, row: usize, width: usize) {
    let last = values.len() - width;
    values.copy_within(last.., row * width);
    values.truncate(last);
}
