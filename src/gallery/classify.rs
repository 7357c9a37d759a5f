use std::collections::HashMap;

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
    /// The mean score of the hits with this label.
    pub mean: f32,
}

/// The hits of one label.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassHits<'g> {
    /// The label; `None` for hits without one.
    pub label: Option<&'g str>,
    /// The score of the nearest hit.
    pub best: f32,
    /// The mean score of the hits.
    pub mean: f32,
    /// Nearest first; at least one.
    pub hits: Vec<Hit<'g>>,
}

impl Gallery {
    /// The nearest vectors as PP-ShiTu recognises them: all or none. Only the nearest must reach the threshold; if it does not,
    /// there are no hits. A search without a threshold has the gallery's [own](Self::threshold), so that a
    /// [calibrated](Self::calibrate) gallery knows what is unknown to it.
    ///
    /// With metric L2, PaddleX rejects hits that are nearer than the threshold. That is an error in PaddleX; this function
    /// rejects those that are further away.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn recognize(&self, vector: &[f32], search: Search) -> Result<Vec<Hit<'_>>> {
        let hits = self.search(vector, Search { threshold: None, ..search })?;
        let threshold = search.threshold.or(self.threshold());
        let known = |hit: &Hit| threshold.is_none_or(|threshold| self.metric().reaches(hit.score, threshold));
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
        let classes = self.search_classes(vector, search)?;
        let mut votes: Vec<Vote> = classes
            .iter()
            .filter_map(|ClassHits { label, best, mean, hits }| {
                Some(Vote { label: (*label)?, count: hits.len(), best: *best, mean: *mean })
            })
            .collect();
        // stable: equally frequent labels stay in the order of their nearest
        votes.sort_by_key(|vote| std::cmp::Reverse(vote.count));
        Ok(votes)
    }

    /// The nearest vectors by label: the label of the nearest one first. The search's `k` counts vectors, not labels.
    ///
    /// ```
    /// use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};
    ///
    /// let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32)?;
    /// let labels = ["cup", "tea", "cup"];
    /// let entries = labels.iter().enumerate().map(|(id, label)| Entry::new(id.to_string()).label(*label)).collect();
    /// gallery.extend(entries, &[1.0, 0.0, 0.8, 0.6, 0.6, 0.8])?;
    /// let classes = gallery.search_classes(&[1.0, 0.0], Search::default())?;
    /// assert_eq!((classes[0].label, classes[0].hits.len(), classes[0].best, classes[0].mean), (Some("cup"), 2, 1.0, 0.8));
    /// assert_eq!(classes[1].label, Some("tea"));
    /// # Ok::<(), image_feature::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_classes(&self, vector: &[f32], search: Search) -> Result<Vec<ClassHits<'_>>> {
        let mut classes: Vec<ClassHits> = Vec::new();
        let mut places: HashMap<Option<&str>, usize> = HashMap::new();
        for hit in self.search(vector, search)? {
            let label = hit.entry.label.as_deref();
            let place = *places.entry(label).or_insert_with(|| {
                classes.push(ClassHits { label, best: hit.score, mean: 0.0, hits: Vec::new() });
                classes.len() - 1
            });
            classes[place].hits.push(hit);
        }
        for class in &mut classes {
            let sum: f64 = class.hits.iter().map(|hit| f64::from(hit.score)).sum();
            class.mean = (sum / class.hits.len() as f64) as f32;
        }
        Ok(classes)
    }
}
