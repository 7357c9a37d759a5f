//! The best of results that overlap.

use super::Recognized;
use crate::detector::overlap;
use crate::gallery::Metric;

/// Keeps, of things whose boxes overlap by more than `most`, the one with the best nearest hit; one with a hit before one
/// without. The order stays.
///
/// The older PP-ShiTu of PaddleClas does so with 0.05. PaddleX's pipeline does not.
pub fn best_of_overlapping(things: &mut Vec<Recognized>, metric: Metric, most: f32) {
    let best = |thing: &Recognized| {
        let score = thing.hits.first().map(|hit| if metric.larger_is_nearer() { hit.score } else { -hit.score });
        score.unwrap_or(f32::NEG_INFINITY)
    };
    let mut order: Vec<usize> = (0..things.len()).collect();
    order.sort_by(|&a, &b| best(&things[b]).total_cmp(&best(&things[a])));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let coordinate = things[index].region.coordinate();
        if kept.iter().all(|&other| overlap(coordinate, things[other].region.coordinate()) <= most) {
            kept.push(index);
        }
    }
    let mut index = 0..;
    things.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{Detection, Region};
    use crate::gallery::{Entry, Gallery, Search, Storage};
    use crate::image::Roi;

    #[test]
    fn the_best_of_overlapping_boxes_stays() {
        let mut gallery = Gallery::new(2, Metric::L2, Storage::F32).unwrap();
        gallery.add(Entry::new("a"), &[0.0, 0.0]).unwrap();
        let thing = |left: f32, at: Option<f32>| {
            let coordinate = [left, 0.0, left + 10.0, 10.0];
            let detection = Some(Detection { class: 0, label: "x".into(), score: 0.9, coordinate });
            let hits = at.map_or(Vec::new(), |at| gallery.search(&[at, 0.0], Search::default()).unwrap());
            let roi = Roi { x: left as usize, y: 0, width: 10, height: 10 };
            Recognized { region: Region { detection, roi }, hits }
        };
        let lefts = |things: &[Recognized]| -> Vec<usize> { things.iter().map(|thing| thing.region.roi.x).collect() };
        // a third of the first two is shared; less is nearer
        let all = vec![thing(0.0, Some(3.0)), thing(5.0, Some(1.0)), thing(40.0, None), thing(41.0, Some(9.0))];
        for (metric, most, expected) in
            [(Metric::L2, 0.3, vec![5, 41]), (Metric::L2, 0.5, vec![0, 5, 41]), (Metric::Cosine, 0.3, vec![0, 41])]
        {
            let mut things = all.clone();
            best_of_overlapping(&mut things, metric, most);
            assert_eq!(lefts(&things), expected, "{metric}, {most}");
        }
    }
}
