//! One block of memory for all values: the memory of a value that is no longer needed is used again.

use super::Lifetime;

/// The place of each value, and the memory of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Arena {
    /// For each value, the index at which it begins.
    pub offsets: Vec<usize>,
    /// The end of the last value.
    pub len: usize,
}

/// Places values so that no two that live at the same time overlap: large ones first, each at the lowest index where it
/// fits. The sum of the sizes must not overflow.
pub(in super::super) fn assign(sizes: &[usize], lifetimes: &[Lifetime]) -> Arena {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(sizes[index]));
    let mut placed: Vec<usize> = Vec::new();
    let mut offsets = vec![0; sizes.len()];
    for index in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| overlap(lifetimes[index], lifetimes[other]))
            .map(|&other| (offsets[other], offsets[other] + sizes[other]))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + sizes[index] <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[index] = offset;
        placed.push(index);
    }
    let len = offsets.iter().zip(sizes).map(|(offset, size)| offset + size).max().unwrap_or(0);
    Arena { offsets, len }
}

/// A step reads while it writes, so a value that is last read by the step that makes the other overlaps it, too.
fn overlap(a: Lifetime, b: Lifetime) -> bool {
    a.from <= b.to && b.from <= a.to
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let lifetimes: Vec<_> = (0..4).map(|from| Lifetime { from, to: from + 1 }).collect();
        assert_eq!(assign(&[10, 20, 30, 5], &lifetimes).len, 50);
    }

    proptest! {
        #[test]
        fn what_lives_together_lies_apart(values in prop::collection::vec((1usize..100, 0usize..12, 0usize..6), 1..20)) {
            let sizes: Vec<_> = values.iter().map(|value| value.0).collect();
            let lifetimes: Vec<_> = values.iter().map(|&(_, from, more)| Lifetime { from, to: from + more }).collect();
            let arena = assign(&sizes, &lifetimes);
            for a in 0..sizes.len() {
                prop_assert!(arena.offsets[a] + sizes[a] <= arena.len);
                for b in 0..a {
                    let apart = arena.offsets[a] + sizes[a] <= arena.offsets[b] || arena.offsets[b] + sizes[b] <= arena.offsets[a];
                    prop_assert!(apart || !overlap(lifetimes[a], lifetimes[b]), "{a} and {b}: {arena:?}");
                }
            }
            prop_assert!(arena.len <= sizes.iter().sum());
        }
    }
}
