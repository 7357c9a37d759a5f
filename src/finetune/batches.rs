//! Chooses the images of a batch.

use crate::random::SplitMix64;

/// Draws `count` classes and `each` images of each class, one class after the other. `classes` has the images of each.
///
/// Classes are drawn in proportion to their sizes, without replacement. Images are drawn without replacement, too, unless a
/// class has fewer than `each`.
pub(crate) fn per_class(classes: &[Vec<usize>], count: usize, each: usize, random: &mut SplitMix64) -> Vec<usize> {
    // Weighted sampling without replacement: each class gets an exponential random number with its size as the rate, and
    // the classes with the smallest numbers are taken (Efraimidis and Spirakis, 2006).
    let mut clocks: Vec<(f64, usize)> = classes
        .iter()
        .enumerate()
        .map(|(class, images)| (-(1.0 - random.unit()).ln() / images.len() as f64, class))
        .collect();
    clocks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let drawn = clocks.iter().take(count);
    let mut batch = Vec::with_capacity(count * each);
    for images in drawn.map(|&(_, class)| &classes[class]) {
        if images.len() < each {
            batch.extend((0..each).map(|_| images[random.below(images.len() as u64) as usize]));
        } else {
            let mut left = images.clone();
            batch.extend((0..each).map(|_| left.swap_remove(random.below(left.len() as u64) as usize)));
        }
    }
    batch
}
