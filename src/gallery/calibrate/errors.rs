//! The errors that each threshold makes, and the choice of one.

use super::CalibrationOptions;
use super::nearest::Found;
use crate::{Error, Result};

/// The errors that [`recognize`](super::super::Gallery::recognize) makes with a threshold, as shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ThresholdErrors {
    /// The threshold, a score of the gallery's metric.
    pub threshold: f32,
    /// Of pictures of something unknown, those that are taken for something known.
    pub false_accepts: f32,
    /// Of pictures of something known, those that are taken for unknown.
    pub false_rejects: f32,
    /// Of pictures of something known, those that are accepted with a wrong label.
    pub wrong: f32,
}

/// The result of a [calibration](super::super::Gallery::calibrate).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// The threshold that is proposed.
    pub threshold: f32,
    /// Its errors.
    pub errors: ThresholdErrors,
    /// The errors of thresholds at equal distances, from the farthest of the nearest vectors to the nearest.
    pub curve: Vec<ThresholdErrors>,
    /// Number of searches for something known: each vector whose label has others.
    pub known: usize,
    /// Number of searches for something unknown.
    pub unknown: usize,
    scores: Scores,
}

impl Calibration {
    /// The errors of any threshold.
    pub fn at(&self, threshold: f32) -> ThresholdErrors {
        self.scores.errors(threshold)
    }

    pub(super) fn of(found: &[Found], larger_is_nearer: bool, options: &CalibrationOptions) -> Result<Self> {
        let scores = Scores::of(found, larger_is_nearer);
        if scores.unknown.is_empty() || scores.right.is_empty() && scores.wrong.is_empty() {
            return Err(Error::usage("too few vectors were searched with; take more queries"));
        }
        let threshold = scores.best(options.max_false_accepts);
        let (least, most) = scores.range();
        let step = |at: usize| at as f64 / (options.points - 1) as f64;
        let between = |at: usize| (f64::from(least) + (f64::from(most) - f64::from(least)) * step(at)) as f32;
        Ok(Calibration {
            threshold,
            errors: scores.errors(threshold),
            curve: (0..options.points).map(|at| scores.errors(scores.turned(between(at)))).collect(),
            known: scores.known(),
            unknown: scores.unknown.len(),
            scores,
        })
    }
}

/// The scores of the nearest vectors, ascending and turned so that larger is nearer.
#[derive(Clone, Debug, PartialEq)]
struct Scores {
    larger_is_nearer: bool,
    /// Of searches for something known whose nearest vector has the right label.
    right: Vec<f32>,
    /// Of those whose nearest vector has another label.
    wrong: Vec<f32>,
    /// Of searches for something unknown.
    unknown: Vec<f32>,
}

impl Scores {
    fn of(found: &[Found], larger_is_nearer: bool) -> Self {
        let mut scores = Scores { larger_is_nearer, right: Vec::new(), wrong: Vec::new(), unknown: Vec::new() };
        for Found { own, other } in found {
            let [own, other] = [own, other].map(|score| score.map(|score| scores.turned(score)));
            match (own, other) {
                (Some(own), Some(other)) if other > own => scores.wrong.push(other),
                (Some(own), _) => scores.right.push(own),
                (None, _) => {}
            }
            scores.unknown.extend(other);
        }
        for list in [&mut scores.right, &mut scores.wrong, &mut scores.unknown] {
            list.sort_unstable_by(f32::total_cmp);
        }
        scores
    }

    /// A score as a number of which the larger is nearer, and back.
    fn turned(&self, score: f32) -> f32 {
        if self.larger_is_nearer { score } else { -score }
    }

    fn known(&self) -> usize {
        self.right.len() + self.wrong.len()
    }

    /// The least and the largest score.
    fn range(&self) -> (f32, f32) {
        let lists = [&self.right, &self.wrong, &self.unknown];
        let least = lists.iter().filter_map(|list| list.first()).fold(f32::INFINITY, |least, &one| least.min(one));
        let most = lists.iter().filter_map(|list| list.last()).fold(f32::NEG_INFINITY, |most, &one| most.max(one));
        (least, most)
    }

    fn errors(&self, threshold: f32) -> ThresholdErrors {
        let least = self.turned(threshold);
        let below = |list: &[f32]| list.partition_point(|&score| score < least);
        let (right, wrong, unknown) = (below(&self.right), below(&self.wrong), below(&self.unknown));
        let share = |part: usize, whole: usize| (part as f64 / whole as f64) as f32;
        ThresholdErrors {
            threshold,
            false_accepts: share(self.unknown.len() - unknown, self.unknown.len()),
            false_rejects: share(right + wrong, self.known()),
            wrong: share(self.wrong.len() - wrong, self.known()),
        }
    }

    /// The threshold with the fewest errors. Between two scores all thresholds make the same errors: the middle of the widest gap
    /// is taken, which is farthest from both.
    fn best(&self, max_false_accepts: Option<f32>) -> f32 {
        let mut scores: Vec<f32> = [&self.right[..], &self.wrong, &self.unknown].concat();
        scores.sort_unstable_by(f32::total_cmp);
        scores.dedup();
        let most = *scores.last().unwrap_or(&0.0);
        let gaps = scores.windows(2).map(|pair| (pair[0], pair[1]));
        let mut best: Option<(f64, f32, f32)> = None;
        for (below, above) in gaps.chain([(most, most.next_up())]) {
            let errors = self.errors(self.turned(above));
            if max_false_accepts.is_some_and(|most| errors.false_accepts > most) {
                continue;
            }
            // of pictures of something known, those that have no right answer
            let missed = f64::from(errors.false_rejects) + f64::from(errors.wrong);
            let cost = if max_false_accepts.is_some() { missed } else { missed + f64::from(errors.false_accepts) };
            let width = above - below;
            if best.is_none_or(|(least, widest, _)| cost < least || cost == least && width > widest) {
                let middle = below + width / 2.0;
                best = Some((cost, width, if middle > below { middle } else { above }));
            }
        }
        self.turned(best.map_or(most, |(_, _, threshold)| threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibrated(found: &[(f32, f32)], max_false_accepts: Option<f32>, larger_is_nearer: bool) -> Calibration {
        let found: Vec<Found> =
            found.iter().map(|&(own, other)| Found { own: Some(own), other: Some(other) }).collect();
        Calibration::of(&found, larger_is_nearer, &CalibrationOptions { max_false_accepts, ..Default::default() })
            .unwrap()
    }

    #[test]
    fn the_threshold_is_in_the_middle_of_the_gap() {
        let calibration = calibrated(&[(0.9, 0.1), (0.8, 0.3), (0.7, 0.2)], None, true);
        assert_eq!(calibration.threshold, 0.5);
        assert_eq!((calibration.errors.false_accepts, calibration.errors.false_rejects), (0.0, 0.0));
        let distances = calibrated(&[(1.0, 9.0), (2.0, 7.0), (3.0, 8.0)], None, false);
        assert_eq!(distances.threshold, 5.0);
        assert_eq!((distances.errors.false_accepts, distances.errors.false_rejects), (0.0, 0.0));
        assert_eq!(distances.at(2.0).false_rejects, 1.0 / 3.0);
        assert_eq!(distances.curve.len(), 101);
        assert_eq!((distances.curve[0].threshold, distances.curve[100].threshold), (9.0, 1.0));
    }

    #[test]
    fn errors_are_counted_as_recognition_makes_them() {
        let calibration = calibrated(&[(0.9, 0.5), (0.6, 0.7), (0.4, 0.3), (0.8, 0.2)], None, true);
        let errors = calibration.at(0.65);
        assert_eq!((errors.false_accepts, errors.false_rejects, errors.wrong), (0.25, 0.25, 0.25));
        let errors = calibration.at(0.0);
        assert_eq!((errors.false_accepts, errors.false_rejects, errors.wrong), (1.0, 0.0, 0.25));
    }

    #[test]
    fn a_limit_of_false_accepts_is_kept() {
        let found = [(0.9, 0.85), (0.8, 0.3), (0.7, 0.2), (0.6, 0.1)];
        assert_eq!(calibrated(&found, None, true).errors.false_accepts, 0.25);
        let strict = calibrated(&found, Some(0.0), true);
        assert!(strict.threshold > 0.85 && strict.threshold < 0.9, "{}", strict.threshold);
        assert_eq!((strict.errors.false_accepts, strict.errors.false_rejects), (0.0, 0.75));
        let never = calibrated(&[(0.1, 0.9), (0.2, 0.8)], Some(0.0), true);
        assert_eq!((never.errors.false_accepts, never.errors.false_rejects), (0.0, 1.0));
    }
}
