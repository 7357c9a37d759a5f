//! The maps of a detector to boxes.
//!
//! Each cell of a level has a number for each class, and for each side of its box a distribution over the distances 0 to 7
//! from the cell's centre, in cells. A number's sigmoid is the score, a distribution's mean the distance.

use crate::model::picodet::{Level, PicoDetConfig};

/// Distances that a side's distribution is over.
const BINS: usize = 8;

/// A box with the score of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub score: f32,
    /// Left, top, right, bottom, in pixels of the image.
    pub coordinate: [f32; 4],
}

/// For each class the boxes with a score above that of [`Nms`](crate::model::picodet::Nms), in the order of levels and
/// cells. `scale` are the factors by which the image was stretched, of its width and of its height.
pub(super) fn boxes(config: &PicoDetConfig, maps: &[f32], scale: [f32; 2]) -> Vec<Vec<Candidate>> {
    let classes = config.labels.len();
    let mut found = vec![Vec::new(); classes];
    let mut rest = maps;
    for level in config.levels() {
        let (map, behind) = rest.split_at(level.height * level.width * config.head_channels());
        rest = behind;
        for (cell, values) in map.chunks_exact(config.head_channels()).enumerate() {
            let (numbers, distances) = values.split_at(classes);
            let mut coordinate = None;
            for (&number, found) in numbers.iter().zip(&mut found) {
                let score = 1.0 / (1.0 + (-number).exp());
                if score > config.nms.score {
                    let coordinate = *coordinate.get_or_insert_with(|| of_cell(level, cell, distances, scale));
                    found.push(Candidate { score, coordinate });
                }
            }
        }
    }
    found
}

/// The box of a cell, from its four distributions.
fn of_cell(level: Level, cell: usize, distributions: &[f32], [scale_x, scale_y]: [f32; 2]) -> [f32; 4] {
    let (x, y) = ((cell % level.width) as f32 + 0.5, (cell / level.width) as f32 + 0.5);
    let mut distances = [0.0; 4];
    for (distance, distribution) in distances.iter_mut().zip(distributions.chunks_exact(BINS)) {
        *distance = mean(distribution);
    }
    let [left, top, right, bottom] = distances;
    let stride = level.stride as f32;
    [
        (x - left) * stride / scale_x,
        (y - top) * stride / scale_y,
        (x + right) * stride / scale_x,
        (y + bottom) * stride / scale_y,
    ]
}

/// The mean of the distances 0 to 7, weighted by the softmax of these numbers.
fn mean(numbers: &[f32]) -> f32 {
    let most = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (bin, number) in numbers.iter().enumerate() {
        let weight = (number - most).exp();
        sum += weight;
        weighted += weight * bin as f32;
    }
    weighted / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_the_distance_in_the_middle() {
        assert_eq!(mean(&[2.0; BINS]), 3.5);
        assert!((mean(&[-90.0, 0.0, 0.0, 90.0, 0.0, 0.0, 0.0, 0.0]) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_box_lies_around_its_cell() {
        let level = PicoDetConfig::default().levels()[3];
        // 0 to the left, 1 up, 7 to the right, 3.5 down
        let mut distributions = [0.0; 4 * BINS];
        (distributions[0], distributions[BINS + 1], distributions[2 * BINS + 7]) = (200.0, 200.0, 200.0);
        // the second row's third cell
        let coordinate = of_cell(level, 12, &distributions, [2.0, 0.5]);
        assert_eq!(coordinate, [80.0, 64.0, 304.0, 640.0]);
    }
}
