//! Pairs of similar perceptual hashes, found without comparing each hash with each.

use std::collections::HashMap;

use super::facts::PixelFacts;

/// The number of parts of 16 bits of a hash. A hash is looked up by each part, with no or one bit of it changed: of two
/// hashes that differ in at most 7 bits, some part differs in at most one bit.
const PARTS: usize = 4;
/// The largest difference for which all pairs are found.
pub const MOST_BITS: u32 = 2 * PARTS as u32 - 1;
/// Each image is compared with at most this many others with the same hash: these are blank, or copies of each other.
const MOST_OF_THE_SAME: usize = 32;
/// The largest difference of mean colours between copies, in any part of the picture.
const MOST_COLOR: u8 = 24;
/// The largest mean difference of these colours.
const MOST_MEAN_COLOR: u32 = 6;
/// Below this standard deviation of gray, a picture has no shape to compare.
const LEAST_CONTRAST: f32 = 4.0;

/// Two similar images, the smaller index first, and the number of bits in which their hashes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub first: usize,
    pub second: usize,
    pub bits: u32,
}

/// Calls `found` with each pair of similar images: their hashes differ in at most `radius` bits, and their colours
/// agree. All such pairs are found, except for images that share their hash with very many others.
pub fn near_pairs(images: &[Option<&PixelFacts>], radius: u32, mut found: impl FnMut(Pair)) {
    let radius = radius.min(MOST_BITS);
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, facts) in images.iter().enumerate() {
        if let Some(facts) = facts.filter(|facts| facts.contrast >= LEAST_CONTRAST) {
            groups.entry(facts.hash).or_default().push(at);
        }
    }
    let mut groups: Vec<(u64, Vec<usize>)> = groups.into_iter().collect();
    groups.sort_unstable();
    let mut compare = |a: usize, b: usize, bits: u32| {
        if let (Some(one), Some(other)) = (images[a], images[b])
            && same_colors(&one.colors, &other.colors)
        {
            found(Pair { first: a.min(b), second: a.max(b), bits });
        }
    };
    let pairs = |some: &[usize], others: &[usize], compare: &mut dyn FnMut(usize, usize)| {
        for &member in some.iter().take(MOST_OF_THE_SAME) {
            others.iter().take(MOST_OF_THE_SAME).for_each(|&other| compare(other, member));
        }
    };

    let mut tables: [HashMap<u16, Vec<u32>>; PARTS] = Default::default();
    let mut candidates: Vec<u32> = Vec::new();
    for (at, (hash, members)) in groups.iter().enumerate() {
        for (place, &member) in members.iter().enumerate() {
            for &other in members[..place].iter().rev().take(MOST_OF_THE_SAME) {
                compare(other, member, 0);
            }
        }
        candidates.clear();
        for (part, table) in tables.iter_mut().enumerate() {
            let key = part_of(*hash, part);
            let flips = std::iter::once(0).chain((0..16).map(|bit| 1 << bit));
            for key in flips.map(|flip| key ^ flip) {
                candidates.extend(table.get(&key).into_iter().flatten());
            }
            table.entry(key).or_default().push(at as u32);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for &other in &candidates {
            let (other_hash, others) = &groups[other as usize];
            let bits = (hash ^ other_hash).count_ones();
            if bits <= radius {
                pairs(members, others, &mut |other, member| compare(other, member, bits));
            }
        }
    }
}

fn part_of(hash: u64, part: usize) -> u16 {
    (hash >> (16 * part)) as u16
}

fn same_colors(a: &[u8], b: &[u8]) -> bool {
    let mut sum = 0;
    for (a, b) in a.iter().zip(b) {
        let difference = a.abs_diff(*b);
        if difference > MOST_COLOR {
            return false;
        }
        sum += u32::from(difference);
    }
    sum <= MOST_MEAN_COLOR * a.len() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RgbImage;

    fn with_hash(hash: u64) -> PixelFacts {
        PixelFacts { hash, contrast: 50.0, ..PixelFacts::of(&RgbImage::new(1, 1, vec![7; 3]).unwrap()) }
    }

    proptest! {
        #[test]
        fn exactly_the_near_ones_are_found(
            centers in prop::collection::vec(any::<u64>(), 1..4),
            flips in prop::collection::vec((0usize..4, prop::collection::vec(0u32..64, 0..9)), 1..40),
            radius in 0..=MOST_BITS,
        ) {
            let hashes = flips.iter().map(|(center, bits)| {
                bits.iter().fold(centers[center % centers.len()], |hash, bit| hash ^ 1 << bit)
            });
            let facts: Vec<PixelFacts> = hashes.map(with_hash).collect();
            let images: Vec<Option<&PixelFacts>> = facts.iter().map(Some).collect();
            let mut found = Vec::new();
            near_pairs(&images, radius, |pair| found.push(pair));
            found.sort();
            let mut expected = Vec::new();
            for second in 0..facts.len() {
                for first in 0..second {
                    let bits = (facts[first].hash ^ facts[second].hash).count_ones();
                    if bits <= radius {
                        expected.push(Pair { first, second, bits });
                    }
                }
            }
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_hundred_thousand_are_a_matter_of_seconds() {
        let mut state = 1u64;
        let mut facts: Vec<PixelFacts> = Vec::new();
        for index in 0..100_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // every hundredth is a blank page, and every thousandth nearly the one before
            let hash = match index {
                index if index % 100 == 0 => 5,
                index if index % 1000 == 1 && index > 1 => facts[index as usize - 2].hash ^ 1 << 40,
                _ => state ^ state >> 29,
            };
            facts.push(with_hash(hash));
        }
        let images: Vec<Option<&PixelFacts>> = facts.iter().map(Some).collect();
        let (mut same, mut near) = (0, 0);
        let start = std::time::Instant::now();
        near_pairs(&images, 6, |pair| if pair.bits == 0 { same += 1 } else { near += 1 });
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        assert!(same > 900 && same <= 1000 * MOST_OF_THE_SAME && near >= 99, "{same} {near}");
    }
}
