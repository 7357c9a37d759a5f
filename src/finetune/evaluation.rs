//! How well images are found that were not learnt from.

use serde::Serialize;

use super::Samples;
use super::matrix::dot;
use super::neck::Neck;
use crate::random::SplitMix64;

/// How well images are found among the others, before and after, each by last layers that have not learnt from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Every image that has another of its class among those it was searched in.
    pub queries: Vec<Query>,
}

/// An image that was left out and then searched among those that were learnt from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Query {
    /// The image, by the order in which the [`Samples`] were added.
    pub image: usize,
    /// The nearest one before and after.
    pub nearest: [usize; 2],
    /// Whether that is of the same class.
    pub right: [bool; 2],
}

impl Evaluation {
    /// The share of the images whose nearest is of their class, before and after; `None` where there was no image to search for.
    pub fn recall_at_1(&self) -> Option<[f64; 2]> {
        let share =
            |at: usize| self.queries.iter().filter(|query| query.right[at]).count() as f64 / self.queries.len() as f64;
        (!self.queries.is_empty()).then(|| [share(0), share(1)])
    }

    /// Searches images among all others, with the last layers before and after.
    pub(super) fn add(&mut self, samples: &Samples, left_out: &[usize], necks: [&Neck; 2]) {
        let gallery: Vec<usize> = (0..samples.len()).filter(|image| !left_out.contains(image)).collect();
        let answerable = |&image: &usize| gallery.iter().any(|&other| samples.class(other) == samples.class(image));
        let queries: Vec<usize> = left_out.iter().copied().filter(answerable).collect();
        let [before, after] = necks.map(|neck| {
            let width = neck.dimension();
            let among = neck.features(&samples.first_views(&gallery));
            let nearest = |feature: &[f32]| {
                let cosines = among.chunks_exact(width).map(|other| dot(feature, other));
                let best = cosines.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
                best.map_or(0, |(at, _)| gallery[at])
            };
            neck.features(&samples.first_views(&queries)).chunks_exact(width).map(nearest).collect::<Vec<_>>()
        });
        self.queries.extend(queries.iter().zip(before.into_iter().zip(after)).map(|(&image, (before, after))| Query {
            image,
            nearest: [before, after],
            right: [before, after].map(|other| samples.class(other) == samples.class(image)),
        }));
    }
}

/// The images of which there are others of their class, in `count` parts of about the same share of each class. Every class
/// keeps an image outside of each part: without a part there are as many classes to tell apart.
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
