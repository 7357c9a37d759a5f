//! The best rows so far, where each score is known only to lie between two bounds.

/// Minimum number of rows before rows below the floor are removed.
const KEPT: usize = 256;

/// Keeps every row that can still be among the `k` best.
#[derive(Default)]
pub(super) struct Best {
    k: usize,
    /// The k-th best lower bound, or a threshold. Rows with an upper bound below it are out.
    floor: f32,
    /// The `k` best lower bounds, as a heap with the least on top; not kept where all rows are wanted.
    lower_bounds: Vec<f32>,
    /// Upper bounds and rows.
    rows: Vec<(f32, u32)>,
    /// Number of rows from which on rows below the floor are removed.
    prune_at: usize,
}

impl Best {
    /// Starts a search for the best `k` rows (`None`: all) that reach `floor`.
    pub fn start(&mut self, k: Option<usize>, floor: f32) {
        self.k = k.unwrap_or(0);
        self.floor = floor;
        self.lower_bounds.clear();
        self.rows.clear();
        self.prune_at = KEPT.max(4 * self.k);
        if k.is_none() {
            self.prune_at = usize::MAX;
        }
    }

    /// The least upper bound of a row that is taken.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Takes a row whose score lies between `lower` and `upper`.
    pub fn take(&mut self, row: u32, lower: f32, upper: f32) {
        self.rows.push((upper, row));
        if self.k == 0 {
            return;
        }
        if self.lower_bounds.len() < self.k {
            self.lower_bounds.push(lower);
            self.rise(self.lower_bounds.len() - 1);
        } else if lower > self.lower_bounds[0] {
            self.lower_bounds[0] = lower;
            self.sink();
        }
        if self.lower_bounds.len() == self.k {
            self.floor = self.floor.max(self.lower_bounds[0]);
        }
        if self.rows.len() >= self.prune_at {
            self.prune();
            self.prune_at = KEPT.max(4 * self.k).max(2 * self.rows.len());
        }
    }

    /// The rows that can be among the best. `floor` is the highest floor of all threads.
    pub fn rows(&mut self, floor: f32) -> &[(f32, u32)] {
        self.floor = self.floor.max(floor);
        self.prune();
        &self.rows
    }

    fn prune(&mut self) {
        let floor = self.floor;
        self.rows.retain(|&(upper, _)| upper >= floor);
    }

    fn rise(&mut self, mut at: usize) {
        let heap = &mut self.lower_bounds;
        while at > 0 && heap[at] < heap[(at - 1) / 2] {
            heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self) {
        let heap = &mut self.lower_bounds;
        let mut at = 0;
        loop {
            let mut least = 2 * at + 1;
            if least + 1 < heap.len() && heap[least + 1] < heap[least] {
                least += 1;
            }
            if least >= heap.len() || heap[at] <= heap[least] {
                return;
            }
            heap.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn none_of_the_best_is_lost(scores in prop::collection::vec((-50i32..50, 0u8..4), 0..600), k in 1usize..20) {
            let mut best = Best::default();
            best.start(Some(k), f32::NEG_INFINITY);
            for (row, &(score, margin)) in scores.iter().enumerate() {
                let (lower, upper) = (score as f32 - f32::from(margin), score as f32 + f32::from(margin));
                if upper >= best.floor() {
                    best.take(row as u32, lower, upper);
                }
            }
            let mut sorted: Vec<i32> = scores.iter().map(|(score, _)| *score).collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let least = sorted.get(k.min(sorted.len()).wrapping_sub(1)).copied().unwrap_or(i32::MAX);
            let kept: Vec<u32> = best.rows(f32::NEG_INFINITY).iter().map(|(_, row)| *row).collect();
            for (row, (score, _)) in scores.iter().enumerate() {
                prop_assert!(*score < least || kept.contains(&(row as u32)), "row {} is lost", row);
            }
        }
    }
}
