//! What a model makes of the images: copies that look different to a hash, labels that the neighbours doubt, strangers.

use std::collections::HashMap;

use super::super::dataset::Dataset;
use super::super::findings::{Code, Finding, Findings};
use super::duplicates::Copies;
use super::{AuditOptions, Uses};

/// Neighbours that vote on a label, and of these, how many must agree on another one.
const NEIGHBOURS: usize = 5;
const AGREEING: usize = 4;
/// A class with fewer other images cannot be expected among the neighbours.
const LEAST_CLASSMATES: usize = 3;
/// Each image is compared with at most so many others, evenly chosen: 20 000 cost a second for every hundred images or so.
const MOST_COMPARED: usize = 20_000;
/// An outlier's cosine to its nearest neighbour lies so many deviations below the median of all.
const OUTLIER_DEVIATIONS: f32 = 5.0;
/// A model for which any two images have this mean cosine knows nothing about them: it is hardly trained, or of other things.
const BLIND_COSINE: f32 = 0.9;
/// Images compared at a time with each of the others.
const BLOCK: usize = 16;

#[derive(Clone, Default)]
struct Neighbours {
    /// The nearest with labels that mean the same, nearest first.
    nearest: Vec<(f32, usize)>,
    /// The nearest of all that come earlier in the lists.
    earlier: Option<(f32, usize)>,
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
    let class =
        |image: usize| Some((uses.list(image).shares_labels_with(crate::dataset::Subset::Train), uses.label(image)?));
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
            && let Some((label, votes)) = vote(uses, nearest)
            && votes >= AGREEING
            && !nearest.iter().any(|&(_, other)| uses.label(other) == Some(own.1))
        {
            let reason = format!(
                "labelled {}, and {votes} of its {} nearest neighbours are of class {label}, none of its own",
                own.1,
                nearest.len()
            );
            add(Code::LikelyMislabel, reason);
        }
        if let Some(&(cosine, _)) = nearest.first().filter(|&&(cosine, _)| cosine < least) {
            add(Code::Outlier, format!("cosine {cosine:.2} to its nearest neighbour, where {usual:.2} is usual"));
        }
    }
}

/// For each image its neighbours, copies of it left out.
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
                    let place = found.nearest.partition_point(|&(nearer, _)| nearer >= cosine);
                    if place < NEIGHBOURS {
                        found.nearest.truncate(NEIGHBOURS - 1);
                        found.nearest.insert(place, (cosine, other_image));
                    }
                }
            }
        }
    }
    neighbours
}

/// The label most neighbours have, and how many.
fn vote(uses: &Uses<'_>, nearest: &[(f32, usize)]) -> Option<(i64, usize)> {
    let labels: Vec<i64> = nearest.iter().filter_map(|&(_, other)| uses.label(other)).collect();
    let votes = |label: i64| labels.iter().filter(|&&other| other == label).count();
    labels.iter().map(|&label| (votes(label), label)).max().map(|(votes, label)| (label, votes))
}

/// The median closeness, and that below which an image is an outlier, by the median deviation.
fn usual_and_least(closeness: Vec<f32>) -> (f32, f32) {
    if closeness.is_empty() {
        return (0.0, f32::NEG_INFINITY);
    }
    let usual = median(closeness.clone());
    let deviation = median(closeness.iter().map(|value| (value - usual).abs()).collect());
    // 1.4826: what makes the median deviation of a normal distribution its standard deviation
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
    // the square of the sum has each pair twice, and each vector with itself
    let square: f64 = sum.iter().map(|value| value * value).sum();
    ((square - count) / (count * (count - 1.0))) as f32
}

fn unit(feature: &[f32]) -> Vec<f32> {
    let length = feature.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    feature.iter().map(|value| value / length).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // eight sums side by side, so that the compiler may keep them in one register
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
