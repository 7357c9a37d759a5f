//! The random generator of this crate. Its numbers must never change: the same seed always gives the same split of a data set
//! and the same training run.

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    #[cfg(any(feature = "dataset", test))]
    pub(crate) fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// A generator for one purpose: independent of the generators for another name or other numbers.
    pub(crate) fn for_purpose(seed: u64, purpose: &str, numbers: &[u64]) -> Self {
        let mut mixed = SplitMix64(seed);
        for part in purpose.bytes().map(u64::from).chain(numbers.iter().copied()) {
            mixed.0 ^= part;
            mixed.0 = mixed.next();
        }
        mixed
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from `low` (inclusive) to `high` (exclusive).
    #[cfg(feature = "train")]
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number of the standard normal distribution (Box and Muller).
    #[cfg(feature = "train")]
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`: the upper half of a product. Draws that would make some numbers more frequent are rejected.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let favoured = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= favoured {
                return (product >> 64) as u64;
            }
        }
    }

    /// Shuffles things (Fisher and Yates, from the end).
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_numbers_are_the_published_ones() {
        // the reference implementation's first outputs for the seed 1234567
        let mut random = SplitMix64::new(1234567);
        let first = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!([(); 4].map(|()| random.next()), first);
    }

    #[cfg(feature = "train")]
    #[test]
    fn purposes_and_distributions() {
        let first = |purpose: &str, numbers: &[u64]| SplitMix64::for_purpose(7, purpose, numbers).next();
        assert_eq!(first("sampler", &[1, 2]), first("sampler", &[1, 2]));
        let others = [first("sampler", &[2, 1]), first("sampler", &[1]), first("dropout", &[1, 2])];
        assert!(others.iter().all(|&other| other != first("sampler", &[1, 2])));

        let mut random = SplitMix64::new(5);
        let drawn: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let share = (0..20_000).filter(|_| random.chance(0.3)).count() as f64 / 20_000.0;
        assert!((share - 0.3).abs() < 0.02, "{share}");
    }

    #[test]
    fn orders_stay_the_same() {
        let mut things: Vec<u32> = (0..10).collect();
        SplitMix64::new(1).shuffle(&mut things);
        let mut sorted = things.clone();
        sorted.sort();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        let mut again: Vec<u32> = (0..10).collect();
        SplitMix64::new(1).shuffle(&mut again);
        assert_eq!(things, again);
    }
}
