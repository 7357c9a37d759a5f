//! Searches compared with the plain model, after vectors were added, changed and removed.

use image_feature::gallery::{Entry, Filter, Gallery, Metric, Search, Storage};
use proptest::prelude::*;

use super::model::{Plain, clustered, numbers};

const KINDS: [(Metric, Storage); 11] = [
    (Metric::Cosine, Storage::F32),
    (Metric::Cosine, Storage::F16),
    (Metric::Cosine, Storage::I8),
    (Metric::Cosine, Storage::Bit),
    (Metric::InnerProduct, Storage::F32),
    (Metric::InnerProduct, Storage::F16),
    (Metric::InnerProduct, Storage::I8),
    (Metric::L2, Storage::F32),
    (Metric::L2, Storage::F16),
    (Metric::L2, Storage::I8),
    (Metric::Hamming, Storage::Bit),
];

#[derive(Clone, Debug)]
enum Step {
    Add(u8, u64),
    Update(u8, Option<u64>),
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..60, 0u64..40).prop_map(|(id, seed)| Step::Add(id, seed)),
        1 => (0u8..60, prop::option::of(0u64..40)).prop_map(|(id, seed)| Step::Update(id, seed)),
        2 => (0u8..60).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..120)
}

/// A vector of a few different values: there are ties, and the same vector more than once.
fn vector(dimension: usize, seed: u64) -> Vec<f32> {
    let mut number = numbers(seed);
    let mut vector: Vec<f32> = (0..dimension).map(|_| (number() * 3.0).round()).collect();
    vector[0] += 4.0; // never all zeros
    vector
}

fn entry(id: u8, version: usize) -> Entry {
    let entry = Entry::new(format!("id {id}")).metadata("version", version);
    if id.is_multiple_of(4) { entry } else { entry.label(format!("label {}", id % 3)) }
}

/// Asserts that hits are the plain model's, where scores that differ by less than a float can tell may change places only if
/// they are not equal.
fn assert_hits(hits: &[(String, f32)], plain: &[(String, f64)], k: usize, tolerance: f64) {
    assert_eq!(hits.len(), plain.len().min(k));
    for (at, (id, score)) in hits.iter().enumerate() {
        assert!((f64::from(*score) - plain[at].1).abs() <= tolerance, "place {at}: {score} for {}", plain[at].1);
        let own = plain.iter().find(|(other, _)| other == id).expect("it is in the gallery and passes");
        assert!((own.1 - plain[at].1).abs() <= tolerance, "place {at}: {id} instead of {}", plain[at].0);
    }
    let mut ids: Vec<&String> = hits.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), hits.len(), "an id twice");
}

fn pairs(hits: Vec<image_feature::gallery::Hit>) -> Vec<(String, f32)> {
    hits.into_iter().map(|hit| (hit.entry.id.clone(), hit.score)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn a_gallery_does_what_a_list_does(
        steps in steps(),
        kind in prop::sample::select(&KINDS[..]),
        dimension in prop::sample::select(vec![1usize, 3, 16, 33, 70]),
        k in 0usize..25,
    ) {
        let (metric, storage) = kind;
        let mut gallery = Gallery::new(dimension, metric, storage).unwrap();
        let mut plain = Plain::new(metric);
        for (version, step) in steps.into_iter().enumerate() {
            match step {
                Step::Add(id, seed) => {
                    let (entry, vector) = (entry(id, version), vector(dimension, seed));
                    let added = gallery.add(entry.clone(), &vector);
                    prop_assert_eq!(added.is_ok(), plain.place(&entry.id).is_none());
                    if added.is_ok() {
                        plain.items.push((entry, vector));
                    }
                }
                Step::Update(id, seed) => {
                    let (entry, vector) = (entry(id, version), seed.map(|seed| vector(dimension, seed)));
                    let updated = gallery.update(entry.clone(), vector.as_deref());
                    let place = plain.place(&entry.id);
                    prop_assert_eq!(updated.is_ok(), place.is_some());
                    if let Some(place) = place {
                        plain.items[place].0 = entry;
                        if let Some(vector) = vector {
                            plain.items[place].1 = vector;
                        }
                    }
                }
                Step::Remove(id) => {
                    let id = entry(id, 0).id;
                    let removed = gallery.remove(&id);
                    let place = plain.place(&id);
                    prop_assert_eq!(removed.ok(), place.map(|place| plain.items.remove(place).0));
                }
            }
        }
        prop_assert_eq!(gallery.len(), plain.items.len());
        let entries: Vec<Entry> = gallery.iter().map(|(entry, _)| entry.clone()).collect();
        prop_assert_eq!(entries, plain.items.iter().map(|(entry, _)| entry.clone()).collect::<Vec<_>>());

        let queries: Vec<Vec<f32>> = (100..105).map(|seed| vector(dimension, seed)).collect();
        let filter = Filter::new().label("label 1").label("label 2");
        let accept = |entry: &Entry| filter.matches(entry);
        for (filtered, search) in [
            (false, Search { k, ..Search::default() }),
            (true, Search { k, filter: Some(&accept), ..Search::default() }),
        ] {
            let many = gallery.search_many(&queries.concat(), search).unwrap();
            for (query, many) in queries.iter().zip(many) {
                let hits = pairs(gallery.search(query, search).unwrap());
                prop_assert_eq!(&hits, &pairs(many));
                let expected = plain.search(query, &|entry| !filtered || filter.matches(entry));
                let size: f64 = query.iter().map(|value| f64::from(value * value)).sum();
                assert_hits(&hits, &expected, k, 2e-6 * if metric == Metric::Cosine { 1.0 } else { size.max(1.0) });
                if let Some((_, middle)) = expected.get(expected.len() / 2) {
                    // between two scores, so that rounding does not matter
                    let threshold = (*middle + if metric.larger_is_nearer() { -1e-4 } else { 1e-4 }) as f32;
                    let within = Search { threshold: Some(threshold), k: usize::MAX, ..search };
                    let reached = expected.iter().filter(|(_, score)| {
                        if metric.larger_is_nearer() { *score >= f64::from(threshold) } else { *score <= f64::from(threshold) }
                    });
                    prop_assert_eq!(gallery.search(query, within).unwrap().len(), reached.count());
                }
            }
        }
    }

    #[test]
    fn duplicates_are_all_pairs(count in 0usize..90, kind in prop::sample::select(&KINDS[..]), seed in 0u64..1000) {
        let (metric, storage) = kind;
        let mut gallery = Gallery::new(16, metric, storage).unwrap();
        let mut plain = Plain::new(metric);
        for id in 0..count {
            let vector = vector(16, (seed * id as u64) % 37);
            gallery.add(Entry::new(id.to_string()), &vector).unwrap();
            plain.items.push((Entry::new(id.to_string()), vector));
        }
        if count > 3 {
            // rows are in another order than the vectors were added
            gallery.remove("1").unwrap();
            plain.items.remove(1);
        }
        let threshold = match metric { Metric::Cosine => 0.8, Metric::InnerProduct => 60.25, Metric::L2 => 30.5, Metric::Hamming => 4.0 };
        let mut expected = Vec::new();
        for (at, (first, a)) in plain.items.iter().enumerate() {
            for (second, b) in &plain.items[at + 1..] {
                let score = plain.score(a, b);
                // a cosine within rounding of the threshold may be on either side
                prop_assume!((score - f64::from(threshold)).abs() > 1e-6 || metric == Metric::Hamming);
                let near = if metric.larger_is_nearer() { score >= f64::from(threshold) } else { score <= f64::from(threshold) };
                if near {
                    expected.push((first.id.clone(), second.id.clone()));
                }
            }
        }
        let found = gallery.duplicates(threshold).unwrap();
        let found: Vec<_> = found.iter().map(|pair| (pair.first.id.clone(), pair.second.id.clone())).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn equal_scores_come_in_the_order_of_adding() {
    for (metric, storage) in KINDS {
        let mut gallery = Gallery::new(8, metric, storage).unwrap();
        // enough for several threads, all equal
        let entries = (0..5000).map(|id| Entry::new(id.to_string())).collect();
        gallery.extend(entries, &[1.0, 2.0, -1.0, 0.5, 0.0, 3.0, -2.0, 1.0].repeat(5000)).unwrap();
        gallery.remove("0").unwrap();
        let hits = gallery.search(&[1.0; 8], Search { k: 4, ..Search::default() }).unwrap();
        let ids: Vec<&str> = hits.iter().map(|hit| hit.entry.id.as_str()).collect();
        assert_eq!(ids, ["1", "2", "3", "4"], "{metric} {storage}");
    }
}

/// Every storage compared with f32, on clustered and on scattered vectors.
#[test]
fn smaller_storages_find_what_f32_finds() {
    const DIMENSION: usize = 128;
    for (name, vectors) in [
        ("clustered", clustered(20_000, DIMENSION, 400, 0.9, 7)),
        ("anywhere", clustered(20_000, DIMENSION, 1, 1000.0, 7)),
    ] {
        let queries =
            &clustered(20_100, DIMENSION, if name == "clustered" { 400 } else { 1 }, 0.9, 7)[20_000 * DIMENSION..];
        let of_some = |metric, storage, at_once: usize| {
            let mut gallery = Gallery::new(DIMENSION, metric, storage).unwrap();
            gallery.extend((0..20_000).map(|id| Entry::new(id.to_string())).collect(), &vectors).unwrap();
            let hits = queries
                .chunks(at_once * DIMENSION)
                .flat_map(|queries| gallery.search_many(queries, Search::default()).unwrap());
            hits.map(pairs).collect::<Vec<_>>()
        };
        let of = |metric, storage| of_some(metric, storage, 100);
        for metric in [Metric::Cosine, Metric::InnerProduct, Metric::L2] {
            let exact = of(metric, Storage::F32);
            assert_eq!(of(metric, Storage::F16), exact, "{name}, {metric}");
            assert_eq!(of(metric, Storage::I8), exact, "{name}, {metric}");
            if metric == Metric::Cosine {
                // many queries at once are not searched by bits
                assert_eq!(of(metric, Storage::Bit), exact, "{name}");
                let bits = of_some(metric, Storage::Bit, 4);
                let found =
                    bits.iter().zip(&exact).map(|(bits, exact)| exact.iter().filter(|hit| bits.contains(hit)).count());
                let recall = found.sum::<usize>() as f64 / 1000.0;
                eprintln!("{name}: recall@10 of bits {recall}");
                assert!(recall >= 0.999, "{name}: recall@10 is {recall}");
            }
        }
    }
}

#[test]
fn what_cannot_be_kept_is_refused_and_nothing_is_lost() {
    for (metric, storage) in KINDS {
        let mut gallery = Gallery::new(2, metric, storage).unwrap();
        gallery.add(Entry::new("a").label("x"), &[1.0, 2.0]).unwrap();
        let before = gallery.to_bytes().unwrap();
        let refused = [
            (gallery.add(Entry::new("b"), &[1.0, f32::NAN]), "`b`: value 1 of the vector is NaN"),
            (gallery.add(Entry::new("b"), &[f32::NEG_INFINITY, 1.0]), "`b`: value 0 of the vector is -inf"),
            (gallery.add(Entry::new("b"), &[1.0]), "`b`: a vector of 1 values; the gallery's have 2"),
            (gallery.add(Entry::new("b"), &[1e38, 1e38]), "length"),
            (gallery.add(Entry::new("a"), &[1.0, 1.0]), "`a`: the gallery has this id already"),
            (gallery.extend(vec![Entry::new("b"), Entry::new("b")], &[1.0; 4]), "`b`"),
            (gallery.extend(vec![Entry::new("b"), Entry::new("c")], &[1.0, 1.0, 1.0, f32::NAN]), "`c`"),
            (gallery.extend(vec![Entry::new("b"), Entry::new("c")], &[1.0; 3]), "3 values"),
            (gallery.update(Entry::new("a"), Some(&[f32::NAN, 1.0])), "`a`: value 0"),
            (gallery.update(Entry::new("z"), None), "no id `z`"),
            (gallery.remove("z").map(drop), "no id `z`"),
            (gallery.search(&[f32::NAN, 1.0], Search::default()).map(drop), "value 0"),
            (gallery.search(&[1.0; 3], Search::default()).map(drop), "3 values"),
            (gallery.search_many(&[1.0; 3], Search::default()).map(drop), "3 values"),
            (gallery.search_many(&[1.0, 1.0, f32::NAN, 1.0], Search::default()).map(drop), "vector 1: value 0"),
            (
                gallery.search(&[1.0; 2], Search { threshold: Some(f32::NAN), ..Search::default() }).map(drop),
                "threshold",
            ),
        ];
        for (result, part) in refused {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), image_feature::ErrorKind::Usage);
            assert!(error.to_string().contains(part), "{error}, not {part}");
        }
        if metric == Metric::Cosine {
            let error = gallery.add(Entry::new("b"), &[0.0, 0.0]).unwrap_err().to_string();
            assert!(error.contains("no direction"), "{error}");
        }
        assert_eq!(gallery.to_bytes().unwrap(), before, "{metric} {storage}");
        // an id that was refused can be added
        gallery.add(Entry::new("b"), &[2.0, 1.0]).unwrap();
        gallery.add(Entry::new("c"), &[2.0, 1.0]).unwrap();
    }
    for (dimension, metric, storage) in [
        (0, Metric::Cosine, Storage::F32),
        (65_536, Metric::Cosine, Storage::F32),
        (8, Metric::Hamming, Storage::I8),
        (8, Metric::L2, Storage::Bit),
    ] {
        assert!(Gallery::new(dimension, metric, storage).is_err());
    }
}

#[test]
fn recognition_asks_only_the_nearest_for_the_threshold() {
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    gallery.add(Entry::new("near").label("x"), &[1.0, 0.1]).unwrap();
    gallery.add(Entry::new("far").label("y"), &[0.0, 1.0]).unwrap();
    let search = Search { threshold: Some(0.9), ..Search::default() };
    assert_eq!(gallery.recognize(&[1.0, 0.0], search).unwrap().len(), 2);
    assert_eq!(gallery.recognize(&[1.0, -1.0], search).unwrap(), []);
    let mut gallery = Gallery::new(2, Metric::L2, Storage::F32).unwrap();
    gallery.add(Entry::new("near").label("x"), &[1.0, 0.1]).unwrap();
    assert_eq!(gallery.recognize(&[1.0, 0.0], search).unwrap().len(), 1);
    assert_eq!(gallery.recognize(&[5.0, 0.0], search).unwrap().len(), 0);
}

#[test]
fn filters_are_read_from_json() {
    let json = |text: &str| Filter::from_json(&serde_json::from_str(text).unwrap());
    let tea = Entry::new("1").label("tea").metadata("price", 2.0).metadata("tags", "hot");
    for (text, passes) in [
        ("{}", true),
        (r#"{"label": "tea"}"#, true),
        (r#"{"label": ["cup", "pot"]}"#, false),
        (r#"{"metadata": {"price": 2}}"#, true),
        (r#"{"metadata": {"price": {"min": 2, "max": 3}}}"#, true),
        (r#"{"metadata": {"price": {"min": 2.5}}}"#, false),
        (r#"{"metadata": {"tags": ["cold", "hot"]}}"#, true),
        (r#"{"metadata": {"other": null}}"#, false),
        (r#"{"label": "tea", "metadata": {"price": 3}}"#, false),
    ] {
        assert_eq!(json(text).unwrap().matches(&tea), passes, "{text}");
    }
    for (text, part) in [
        ("[]", "a filter is an object"),
        (r#"{"labels": "tea"}"#, "no `labels`"),
        (r#"{"label": 5}"#, "`label` of a filter takes a text"),
        (r#"{"label": []}"#, "`label`"),
        (r#"{"metadata": 5}"#, "`metadata` is an object"),
        (r#"{"metadata": {"price": {"least": 5}}}"#, "`price`"),
        (r#"{"metadata": {"price": {"min": "5"}}}"#, "`price`"),
    ] {
        let error = json(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
