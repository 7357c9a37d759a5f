use super::{Gallery, Hit, Search};
use crate::Result;

/// A label and the hits that have it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vote<'g> {
    /// The label.
    pub label: &'g str,
    /// Number of hits with this label.
    pub count: usize,
    /// The score of the nearest hit with this label.
    pub best: f32,
}

impl Gallery {
    /// The nearest vectors as PP-ShiTu recognises them: all or none. Only the nearest must reach the search's threshold; if it
    /// does not, there are no hits.
    ///
    /// With metric L2, PaddleX rejects hits that are nearer than the threshold. That is an error in PaddleX; this function
    /// rejects those that are further away.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn recognize(&self, vector: &[f32], search: Search) -> Result<Vec<Hit<'_>>> {
        let hits = self.search(vector, Search { threshold: None, ..search })?;
        let known = |hit: &Hit| search.threshold.is_none_or(|threshold| self.metric().reaches(hit.score, threshold));
        Ok(if hits.first().is_some_and(known) { hits } else { Vec::new() })
    }

    /// The labels of the nearest vectors, most frequent first; of equally frequent labels the one with the nearest vector
    /// first. Vectors without a label are not counted.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// let labels = ["cup", "tea", "tea"];
    /// let entries = labels.iter().enumerate().map(|(id, label)| Entry::new(id.to_string()).label(*label)).collect();
    /// gallery.extend(entries, &[1.0, 0.0, 0.9, 0.1, 0.9, 0.2])?;
    /// let votes = gallery.classify(&[1.0, 0.0], Search { k: 3, ..Search::default() })?;
    /// assert_eq!((votes[0].label, votes[0].count), ("tea", 2));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn classify(&self, vector: &[f32], search: Search) -> Result<Vec<Vote<'_>>> {
        let mut votes: Vec<Vote> = Vec::new();
        for hit in self.search(vector, search)? {
            let Some(label) = hit.entry.label.as_deref() else { continue };
            match votes.iter_mut().find(|vote| vote.label == label) {
                Some(vote) => vote.count += 1,
                None => votes.push(Vote { label, count: 1, best: hit.score }),
            }
        }
        // stable: equally frequent labels stay in the order of their nearest
        votes.sort_by_key(|vote| std::cmp::Reverse(vote.count));
        Ok(votes)
    }
}
