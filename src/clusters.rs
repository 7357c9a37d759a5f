//! Sets of indices that are joined step by step (union-find).

/// Disjoint sets of indices.
#[derive(Clone)]
pub(crate) struct Clusters {
    parents: Vec<u32>,
}

impl Clusters {
    /// `count` sets of one index each; at most 2^32 - 1.
    pub fn new(count: usize) -> Self {
        Clusters { parents: (0..count as u32).collect() }
    }

    /// The smallest index of the set with this index.
    pub fn of(&mut self, at: usize) -> usize {
        let mut at = at as u32;
        while self.parents[at as usize] != at {
            let parent = self.parents[self.parents[at as usize] as usize];
            self.parents[at as usize] = parent;
            at = parent;
        }
        at as usize
    }

    /// Joins the sets of two indices.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.parents[a.max(b)] = a.min(b) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_joined_over_several_steps() {
        let mut clusters = Clusters::new(6);
        clusters.join(4, 2);
        clusters.join(5, 4);
        clusters.join(0, 5);
        assert_eq!((0..6).map(|at| clusters.of(at)).collect::<Vec<_>>(), [0, 1, 0, 3, 0, 0]);
    }
}
