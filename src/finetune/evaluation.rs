//! The evaluation of fine-tuning by cross-validation.

use serde::Serialize;

use super::Samples;
use super::matrix::dot;
use super::neck::Neck;
use crate::random::SplitMix64;

/// The result of the cross-validation. Each image is searched among the others, with the layers before fine-tuning and with
/// layers that were fine-tuned without this image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// One search for each image that has another image of its class to find.
    pub queries: Vec<Query>,
}

/// The search for one image among those that were learnt from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Query {
    /// The image, counted in the order in which the [`Samples`] were added.
    pub image: usize,
    /// The nearest image, before and after fine-tuning.
    pub nearest: [usize; 2],
    /// Whether the nearest image has the same class, before and after.
    pub right: [bool; 2],
    /// The average precision of the whole ranking, before and after.
    pub average_precision: [f64; 2],
}

impl Evaluation {
    /// recall@1 before and after: the share of queries with a nearest image of the same class. `None` without queries.
    pub fn recall_at_1(&self) -> Option<[f64; 2]> {
        let share =
            |at: usize| self.queries.iter().filter(|query| query.right[at]).count() as f64 / self.queries.len() as f64;
        (!self.queries.is_empty()).then(|| [share(0), share(1)])
    }

    /// Mean average precision before and after. `None` without queries.
    pub fn mean_average_precision(&self) -> Option<[f64; 2]> {
        let mean = |at: usize| {
            self.queries.iter().map(|query| query.average_precision[at]).sum::<f64>() / self.queries.len() as f64
        };
        (!self.queries.is_empty()).then(|| [mean(0), mean(1)])
    }

    /// Whether fine-tuning helps: mAP rises, and recall@1 does not fall. `None` without queries.
    pub fn gained(&self) -> Option<bool> {
        let ([map_before, map_after], [recall_before, recall_after]) =
            (self.mean_average_precision()?, self.recall_at_1()?);
        Some(map_after > map_before && recall_after >= recall_before)
    }

    /// Searches the left-out images among all others, with the layers before and after.
    pub(super) fn add(&mut self, samples: &Samples, left_out: &[usize], necks: [&Neck; 2]) {
        let gallery: Vec<usize> = (0..samples.len()).filter(|image| !left_out.contains(image)).collect();
        let answerable = |&image: &usize| gallery.iter().any(|&other| samples.class(other) == samples.class(image));
        let queries: Vec<usize> = left_out.iter().copied().filter(answerable).collect();
        let [before, after] = necks.map(|neck| {
            let width = neck.dimension();
            let among = neck.features(&samples.first_views(&gallery));
            let features = neck.features(&samples.first_views(&queries));
            let ranked = queries.iter().zip(features.chunks_exact(width)).map(|(&image, feature)| {
                let cosines = among.chunks_exact(width).map(|other| dot(feature, other));
                let mut ranking: Vec<(f32, usize)> = cosines.zip(gallery.iter().copied()).collect();
                ranking.sort_by(|(a, _), (b, _)| b.total_cmp(a));
                (ranking[0].1, average_precision(samples, image, &ranking))
            });
            ranked.collect::<Vec<_>>()
        });
        let pairs = queries.iter().zip(before.into_iter().zip(after));
        self.queries.extend(pairs.map(|(&image, ((before, precision_before), (after, precision_after)))| Query {
            image,
            nearest: [before, after],
            right: [before, after].map(|other| samples.class(other) == samples.class(image)),
            average_precision: [precision_before, precision_after],
        }));
    }
}

/// The mean, over all images of the query's class, of the share of such images up to each of them.
fn average_precision(samples: &Samples, image: usize, ranking: &[(f32, usize)]) -> f64 {
    let same = ranking.iter().enumerate().filter(|(_, (_, other))| samples.class(*other) == samples.class(image));
    let (mut sum, mut found) = (0.0, 0);
    for (rank, _) in same {
        found += 1;
        sum += f64::from(found) / (rank + 1) as f64;
    }
    if found == 0 { 0.0 } else { sum / f64::from(found) }
}

/// Divides the images into `count` parts, each with about the same share of each class. Classes of one image are left out,
/// so no part holds a whole class.
pub(super) fn folds(samples: &Samples, count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut folds = vec![Vec::new(); count];
    if count == 0 {
        return folds;
    }
    let mut random = SplitMix64::for_purpose(seed, "folds", &[]);
    let mut next = 0;
    for class in 0..samples.class_count() {
        let mut images: Vec<usize> = (0..samples.len()).filter(|&image| samples.class(image) == class).collect();
        if images.len() < 2 {
            continue;
        }
        random.shuffle(&mut images);
        for image in images {
            folds[next % count].push(image);
            next += 1;
        }
    }
    folds.retain(|fold| !fold.is_empty());
    folds
}
