//! Groups of near vectors, compared with sets that a plain loop joins.

use std::ops::ControlFlow;

use image_feature::gallery::{Entry, Gallery, Group, Grouping, Metric, Storage};
use image_feature::{ErrorKind, Result};
use proptest::prelude::*;

use super::model::{Plain, clustered, numbers};

const KINDS: [(Metric, Storage, f32); 8] = [
    (Metric::Cosine, Storage::F32, 0.8),
    (Metric::Cosine, Storage::F16, 0.8),
    (Metric::Cosine, Storage::I8, 0.8),
    (Metric::Cosine, Storage::Bit, 0.8),
    (Metric::InnerProduct, Storage::F32, 60.25),
    (Metric::L2, Storage::F32, 30.5),
    (Metric::L2, Storage::I8, 30.5),
    (Metric::Hamming, Storage::Bit, 4.0),
];

fn all(gallery: &Gallery, threshold: f32) -> Result<Vec<Group<'_>>> {
    gallery.groups(threshold, &mut |_| ControlFlow::Continue(()))
}

fn ids(groups: &[Group]) -> Vec<Vec<String>> {
    groups.iter().map(|group| group.members.iter().map(|hit| hit.entry.id.clone()).collect()).collect()
}

fn reaches(metric: Metric, score: f64, threshold: f32) -> bool {
    if metric.larger_is_nearer() { score >= f64::from(threshold) } else { score <= f64::from(threshold) }
}

/// Sets of places, joined until nothing changes.
fn plain_groups(plain: &Plain, threshold: f32) -> Vec<Vec<String>> {
    let mut sets: Vec<usize> = (0..plain.items.len()).collect();
    loop {
        let before = sets.clone();
        for (a, (_, one)) in plain.items.iter().enumerate() {
            for (b, (_, other)) in plain.items.iter().enumerate() {
                if a != b && reaches(plain.metric, plain.score(one, other), threshold) {
                    let least = sets[a].min(sets[b]);
                    (sets[a], sets[b]) = (least, least);
                }
            }
        }
        if sets == before {
            break;
        }
    }
    let members = |set: usize| -> Vec<String> {
        let of_set = (0..sets.len()).filter(|&at| sets[at] == set);
        of_set.map(|at| plain.items[at].0.id.clone()).collect()
    };
    (0..sets.len()).map(members).filter(|members| members.len() > 1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn groups_are_those_of_a_plain_loop(
        count in 0usize..150,
        (metric, storage, threshold) in prop::sample::select(&KINDS[..]),
        seed in 0u64..1000,
    ) {
        let (mut gallery, mut plain) = (Gallery::new(16, metric, storage).unwrap(), Plain::new(metric));
        for id in 0..count {
            let mut number = numbers((seed * id as u64) % 97);
            let mut vector: Vec<f32> = (0..16).map(|_| (number() * 3.0).round()).collect();
            vector[0] += 4.0; // never all zeros
            gallery.add(Entry::new(id.to_string()), &vector).unwrap();
            plain.items.push((Entry::new(id.to_string()), vector));
        }
        if count > 3 {
            // rows are in another order than the vectors were added
            gallery.remove("1").unwrap();
            plain.items.remove(1);
        }
        for (at, (_, a)) in plain.items.iter().enumerate() {
            for (_, b) in &plain.items[at + 1..] {
                // a cosine within rounding of the threshold may be on either side
                let margin = (plain.score(a, b) - f64::from(threshold)).abs();
                prop_assume!(margin > 1e-6 || metric == Metric::Hamming);
            }
        }
        let groups = all(&gallery, threshold).unwrap();
        prop_assert_eq!(ids(&groups), plain_groups(&plain, threshold));
        for group in &groups {
            let vector = |id: &str| &plain.items[plain.place(id).unwrap()].1;
            for member in &group.members {
                let score = plain.score(vector(&group.members[0].entry.id), vector(&member.entry.id));
                prop_assert!((f64::from(member.score) - score).abs() < 1e-3, "{} for {}", member.score, score);
            }
        }
    }
}

/// More vectors than are compared at once, all copies of one: the number of pairs is far above what memory holds.
#[test]
fn many_copies_are_one_group() {
    let mut gallery = Gallery::new(4, Metric::Cosine, Storage::F32).unwrap();
    let count = 70_000;
    gallery
        .extend((0..count).map(|id| Entry::new(id.to_string())).collect(), &[1.0, 0.0, 0.0, 0.0].repeat(count))
        .unwrap();
    gallery.add(Entry::new("other"), &[0.0, 1.0, 0.0, 0.0]).unwrap();
    let groups = all(&gallery, 0.9).unwrap();
    assert_eq!((groups.len(), groups[0].members.len()), (1, count));
}

#[test]
fn progress_rises_to_one_and_can_break_off() {
    let mut gallery = Gallery::new(8, Metric::Cosine, Storage::F32).unwrap();
    gallery.extend((0..500).map(|id| Entry::new(id.to_string())).collect(), &clustered(500, 8, 40, 0.3, 1)).unwrap();
    let mut shares = Vec::new();
    let whole = gallery.groups(0.95, &mut |share| {
        shares.push(share);
        ControlFlow::Continue(())
    });
    assert!(whole.is_ok() && shares.len() == 8 && shares.is_sorted(), "{shares:?}");
    assert_eq!(shares.last(), Some(&1.0));
    let broken = gallery.groups(0.95, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Cancelled);
    assert_eq!(all(&gallery, f32::NAN).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_gallery_that_was_changed_in_between_is_refused() {
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    gallery.extend(vec![Entry::new("a"), Entry::new("b")], &[1.0, 0.0, 1.0, 0.1]).unwrap();
    let mut grouping = Grouping::new(&gallery, 0.9).unwrap();
    grouping.advance(&gallery).unwrap();
    assert_eq!(grouping.groups(&gallery).unwrap().len(), 1);
    gallery.remove("a").unwrap();
    gallery.add(Entry::new("c"), &[0.0, 1.0]).unwrap();
    assert_eq!(grouping.advance(&gallery).unwrap_err().kind(), ErrorKind::Usage);
    assert!(grouping.groups(&gallery).unwrap_err().to_string().contains("begin again"));
}

/// `cargo test --release --no-default-features --features cpu,gallery --test gallery hundred_and_thirty -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, of about a minute"]
fn the_time_for_a_hundred_and_thirty_thousand() {
    let mut gallery = Gallery::new(512, Metric::Cosine, Storage::F32).unwrap();
    let vectors = clustered(130_000, 512, 6_500, 1.1, 3);
    gallery.extend((0..130_000).map(|id| Entry::new(id.to_string())).collect(), &vectors).unwrap();
    let start = std::time::Instant::now();
    let groups = all(&gallery, 0.9).unwrap();
    eprintln!("{} groups, {:?}", groups.len(), start.elapsed());
}
