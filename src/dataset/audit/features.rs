//! Findings by a model's features: similar images, labels that differ from those of all neighbours, outliers.

use std::collections::HashMap;

use super::super::dataset::Dataset;
use super::super::findings::{Code, Finding, Findings};
use super::super::subset::Subset;
use super::duplicates::Copies;
use super::{AuditOptions, Uses};

/// The number of neighbours that vote on a label.
const NEIGHBOURS: usize = 5;
/// The votes needed to doubt a label.
const AGREEING: usize = 4;
/// The fewest other images of a class of which some are expected among the neighbours.
const LEAST_CLASSMATES: usize = 3;
/// The most images that each image is compared with, evenly chosen: 20 000 take about a second for a hundred images.
const MOST_COMPARED: usize = 20_000;
/// An outlier's cosine to its nearest neighbour is this many deviations below the median.
const OUTLIER_DEVIATIONS: f32 = 5.0;
/// With at least this mean cosine of two images, the model cannot distinguish them: it is hardly trained, or made for
/// other images.
const BLIND_COSINE: f32 = 0.9;
/// The number of images that are compared with another one while that is in the cache.
const BLOCK: usize = 16;

#[derive(Clone, Default)]
struct Neighbours {
    /// The nearest images in lists with comparable labels, nearest first.
    nearest: Vec<(f32, usize)>,
    /// The nearest image of all that come earlier in the lists.
    earlier: Option<(f32, usize)>,
}

impl Neighbours {
    /// Adds an image to the nearest ones, if it is one of them.
    fn insert(&mut self, cosine: f32, image: usize) {
        let place = self.nearest.partition_point(|&(nearer, _)| nearer >= cosine);
        if place < NEIGHBOURS {
            self.nearest.truncate(NEIGHBOURS - 1);
            self.nearest.insert(place, (cosine, image));
        }
    }
}

pub(super) fn judge(
    dataset: &Dataset,
    uses: &Uses<'_>,
    features: &[Option<Vec<f32>>],
    copies: &Copies,
    options: &AuditOptions,
    findings: &mut Findings,
) {
    let mut copies = copies.clone();
    let group: Vec<usize> = (0..features.len()).map(|image| copies.of(image)).collect();
    let images: Vec<usize> = (0..features.len()).filter(|&image| features[image].is_some()).collect();
    let units: Vec<Vec<f32>> =
        images.iter().map(|&image| unit(features[image].as_deref().unwrap_or_default())).collect();
    let likeness = mean_cosine(&units);
    if likeness >= BLIND_COSINE {
        let reason = format!("the mean cosine of two images is {likeness:.3}");
        findings.add(Code::ModelBlind, |code| Finding::new(code, reason));
        return;
    }
    let neighbours = find_neighbours(uses, &images, &units, &group);

    let mut classes: HashMap<(bool, i64), usize> = HashMap::new();
    let class = |image: usize| Some((uses.list(image).shares_labels_with(Subset::Train), uses.label(image)?));
    for &image in &images {
        if let Some(class) = class(image) {
            *classes.entry(class).or_default() += 1;
        }
    }
    let closeness: Vec<f32> = neighbours.iter().filter_map(|found| Some(found.nearest.first()?.0)).collect();
    let (usual, least) = usual_and_least(closeness);

    for (at, &image) in images.iter().enumerate() {
        let row = uses.rows[image];
        let path = dataset.paths()[image].as_str();
        let mut add = |code, reason: String| {
            findings.add(code, |code| Finding::new(code, reason).at(row.list, row.line).image(path));
        };
        if let Some((cosine, other)) = neighbours[at].earlier.filter(|&(cosine, _)| cosine >= options.near_cosine) {
            let other_path = &dataset.paths()[other];
            add(Code::SimilarFeatures, format!("cosine {cosine:.3} to `{other_path}` ({})", uses.place(other)));
        }
        let nearest = &neighbours[at].nearest;
        if let Some(own) = class(image)
            && classes[&own] > LEAST_CLASSMATES
            && let Some(doubt) = doubt(uses, own.1, nearest)
        {
            add(Code::LikelyMislabel, doubt);
        }
        if let Some(&(cosine, _)) = nearest.first().filter(|&&(cosine, _)| cosine < least) {
            add(Code::Outlier, format!("cosine {cosine:.2} to its nearest neighbour, where {usual:.2} is usual"));
        }
    }
}

/// The neighbours of each image, without its copies.
fn find_neighbours(uses: &Uses<'_>, images: &[usize], units: &[Vec<f32>], group: &[usize]) -> Vec<Neighbours> {
    let step = images.len().div_ceil(MOST_COMPARED).max(1);
    let rank = |image: usize| (uses.rows[image].list, uses.rows[image].line);
    let mut neighbours = vec![Neighbours::default(); images.len()];
    for (block, found) in neighbours.chunks_mut(BLOCK).enumerate() {
        for other in (0..images.len()).step_by(step) {
            for (at, found) in found.iter_mut().enumerate() {
                let (at, other_image) = (BLOCK * block + at, images[other]);
                let image = images[at];
                if group[image] == group[other_image] {
                    continue;
                }
                let cosine = dot(&units[at], &units[other]);
                if rank(other_image) < rank(image) && found.earlier.is_none_or(|(best, _)| cosine > best) {
                    found.earlier = Some((cosine, other_image));
                }
                if uses.list(image).shares_labels_with(uses.list(other_image)) {
                    found.insert(cosine, other_image);
                }
            }
        }
    }
    neighbours
}

/// The reason to doubt a label: enough neighbours agree on another one, and none has this one.
fn doubt(uses: &Uses<'_>, own: i64, nearest: &[(f32, usize)]) -> Option<String> {
    let (label, votes) = vote(uses, nearest)?;
    let is_alone = !nearest.iter().any(|&(_, other)| uses.label(other) == Some(own));
    (votes >= AGREEING && is_alone).then(|| {
        let count = nearest.len();
        format!("labelled {own}, and {votes} of its {count} nearest neighbours are of class {label}, none of its own")
    })
}

/// The most frequent label among the neighbours, and its number of votes.
fn vote(uses: &Uses<'_>, nearest: &[(f32, usize)]) -> Option<(i64, usize)> {
    let labels: Vec<i64> = nearest.iter().filter_map(|&(_, other)| uses.label(other)).collect();
    let votes = |label: i64| labels.iter().filter(|&&other| other == label).count();
    labels.iter().map(|&label| (votes(label), label)).max().map(|(votes, label)| (label, votes))
}

/// The median closeness, and the bound below which an image is an outlier, by the median absolute deviation.
fn usual_and_least(closeness: Vec<f32>) -> (f32, f32) {
    if closeness.is_empty() {
        return (0.0, f32::NEG_INFINITY);
    }
    let usual = median(closeness.clone());
    let deviation = median(closeness.iter().map(|value| (value - usual).abs()).collect());
    // 1.4826: the standard deviation of a normal distribution with median absolute deviation 1
    (usual, usual - OUTLIER_DEVIATIONS * 1.4826 * deviation.max(0.02))
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

/// The mean cosine of all pairs of different vectors of length 1; 0 where there is no pair.
fn mean_cosine(units: &[Vec<f32>]) -> f32 {
    let (Some(first), count) = (units.first(), units.len() as f64) else { return 0.0 };
    if units.len() < 2 {
        return 0.0;
    }
    let mut sum = vec![0.0f64; first.len()];
    for unit in units {
        sum.iter_mut().zip(unit).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    // the square of the sum counts each pair twice, and each vector once with itself
    let square: f64 = sum.iter().map(|value| value * value).sum();
    ((square - count) / (count * (count - 1.0))) as f32
}

fn unit(feature: &[f32]) -> Vec<f32> {
    let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    feature.iter().map(|value| value / length).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // eight sums, so that the compiler can use one vector register
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
