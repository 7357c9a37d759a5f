//! The choice among boxes that overlap, as Paddle's `multiclass_nms3` makes it.

use super::decode::Candidate;
use crate::model::picodet::Nms;

/// The boxes that stay of each class, with the number of the class: class after class, the highest score first.
pub(super) fn choose(nms: &Nms, classes: Vec<Vec<Candidate>>) -> Vec<(usize, Candidate)> {
    let mut kept: Vec<(usize, Candidate)> = Vec::new();
    for (class, candidates) in classes.into_iter().enumerate() {
        let boxes: Vec<[f32; 4]> = candidates.iter().map(|candidate| candidate.coordinate).collect();
        let scores: Vec<f32> = candidates.iter().map(|candidate| candidate.score).collect();
        kept.extend(suppress(nms, &boxes, &scores).into_iter().map(|index| (class, candidates[index])));
    }
    if kept.len() > nms.keep {
        kept.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        kept.truncate(nms.keep);
        kept.sort_by_key(|&(class, _)| class);
    }
    kept
}

/// The boxes of one class that stay, as indices, the highest score first: of several that overlap, the one with the highest
/// score.
///
/// Boxes are left, top, right, bottom. Of equal scores the first counts as higher. [`Nms::keep`] does not count here.
///
/// # Panics
/// Where there are more scores than boxes.
///
/// ```
/// use image_feature::detector::suppress;
/// use image_feature::model::picodet::Nms;
///
/// let boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [20.0, 0.0, 30.0, 10.0]];
/// assert_eq!(suppress(&Nms::default(), &boxes, &[0.8, 0.9, 0.5]), [1, 2]);
/// ```
pub fn suppress(nms: &Nms, boxes: &[[f32; 4]], scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&index| scores[index] > nms.score).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order.truncate(nms.candidates);
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        // where the overlap is not a number, the box goes
        if kept.iter().all(|&other| overlap(boxes[index], boxes[other]) <= nms.overlap) {
            kept.push(index);
        }
    }
    kept
}

/// The area that two boxes share, divided by the area of both together. Two boxes of one point share 0 of 0, which is not a
/// number.
pub(crate) fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let [left, top, right, bottom] = a;
    let [other_left, other_top, other_right, other_bottom] = b;
    if other_left > right || other_right < left || other_top > bottom || other_bottom < top {
        return 0.0;
    }
    let shared = (right.min(other_right) - left.max(other_left)) * (bottom.min(other_bottom) - top.max(other_top));
    shared / (area(a) + area(b) - shared)
}

/// The area of a box; 0 where a side lies on the wrong side of the other.
fn area([left, top, right, bottom]: [f32; 4]) -> f32 {
    if right < left || bottom < top { 0.0 } else { (right - left) * (bottom - top) }
}
