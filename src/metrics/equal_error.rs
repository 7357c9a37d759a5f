//! The equal error rate: how well one threshold tells images of one label from others.

/// Cells of a histogram of cosines, from -1 to 1.
const CELLS: usize = 20_000;

/// The error of the best threshold for "the same or not" over all pairs of a query and an image of the gallery.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EqualError {
    /// The share of pairs of two labels at or above the threshold, which is also the share of pairs of one label below it.
    pub rate: f32,
    /// The threshold, a cosine. It is exact to 0.0001.
    pub threshold: f32,
}

/// Counts of pairs by their cosine.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    same: Vec<u64>,
    other: Vec<u64>,
}

impl Pairs {
    pub fn new() -> Self {
        Pairs { same: vec![0; CELLS], other: vec![0; CELLS] }
    }

    /// Counts a pair.
    pub fn add(&mut self, cosine: f32, is_same: bool) {
        let cell = ((f64::from(cosine) + 1.0) / 2.0 * CELLS as f64) as usize;
        let counts = if is_same { &mut self.same } else { &mut self.other };
        counts[cell.min(CELLS - 1)] += 1;
    }

    /// Adds the counts of other pairs.
    pub fn merge(&mut self, more: &Pairs) {
        for (counts, more) in [(&mut self.same, &more.same), (&mut self.other, &more.other)] {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
    }

    /// `None` where all pairs, or none, are of one label.
    pub fn equal_error(&self) -> Option<EqualError> {
        let [same, other] = [&self.same, &self.other].map(|counts| counts.iter().sum::<u64>());
        if same == 0 || other == 0 {
            return None;
        }
        let (mut missed, mut accepted) = (0, other);
        let mut best: Option<(f64, EqualError)> = None;
        for cell in 0..=CELLS {
            let [missing, accepting] = [missed as f64 / same as f64, accepted as f64 / other as f64];
            let apart = (missing - accepting).abs();
            if best.is_none_or(|(least, _)| apart < least) {
                let threshold = (2.0 * cell as f64 / CELLS as f64 - 1.0) as f32;
                best = Some((apart, EqualError { rate: ((missing + accepting) / 2.0) as f32, threshold }));
            }
            if cell < CELLS {
                missed += self.same[cell];
                accepted -= self.other[cell];
            }
        }
        best.map(|(_, error)| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(same: &[f32], other: &[f32]) -> Pairs {
        let mut pairs = Pairs::new();
        same.iter().for_each(|&cosine| pairs.add(cosine, true));
        other.iter().for_each(|&cosine| pairs.add(cosine, false));
        pairs
    }

    #[test]
    fn the_threshold_is_where_both_errors_are_equal() {
        assert_eq!(pairs(&[0.9], &[]).equal_error(), None);
        let apart = pairs(&[0.9, 0.8, 1.0], &[0.1, -1.0]).equal_error().unwrap();
        assert_eq!(apart.rate, 0.0);
        assert!((0.1..=0.8).contains(&apart.threshold), "{}", apart.threshold);
        // one of four pairs is wrong on either side
        let mixed = pairs(&[0.2, 0.6, 0.7, 0.8], &[0.1, 0.0, 0.3, 0.65]).equal_error().unwrap();
        assert_eq!(mixed.rate, 0.25);
        assert!((0.3..=0.6).contains(&mixed.threshold), "{}", mixed.threshold);
        let swapped = pairs(&[0.0], &[0.5]).equal_error().unwrap();
        assert_eq!(swapped.rate, 1.0);
    }

    #[test]
    fn counts_of_parts_add_up() {
        let (same, other) = ([0.2, 0.6, 0.7, 0.8], [0.1, 0.0, 0.3, 0.65]);
        let mut merged = pairs(&same[..2], &other[..3]);
        merged.merge(&pairs(&same[2..], &other[3..]));
        assert_eq!(merged.equal_error(), pairs(&same, &other).equal_error());
    }
}
