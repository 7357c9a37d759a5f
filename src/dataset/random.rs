//! The generator behind `split`: its numbers are a part of the format, the same seed must give the same lists for ever.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`, by the upper half of a product; numbers that would favour some are thrown away.
    fn below(&mut self, bound: u64) -> u64 {
        let favoured = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= favoured {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts things in random order: Fisher and Yates, from the end.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
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
