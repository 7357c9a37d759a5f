//! The metrics against PaddleClas's own.

use std::collections::BTreeMap;

use image_feature::gallery::{Entry, Gallery, Metric, Queries, Storage};
use image_feature::metrics::{Labelled, Options, Report, Scores, evaluate};
use proptest::prelude::*;
use serde_json::Value;

use super::common::shared;
use super::model::numbers;

/// Features and labels of the golden file.
type Inputs = (BTreeMap<String, Vec<f32>>, BTreeMap<String, Vec<i64>>, BTreeMap<String, usize>);

fn inputs() -> Option<Inputs> {
    let bytes = std::fs::read(shared("golden")?.join("metrics/metrics_inputs.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (mut features, mut labels, mut dimensions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in file.iter() {
        let data = tensor.data();
        match tensor.dtype() {
            safetensors::Dtype::F32 => {
                dimensions.insert(name.to_string(), tensor.shape()[1]);
                let values = data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
                features.insert(name.to_string(), values.collect());
            }
            _ => {
                let values = data.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
                labels.insert(name.to_string(), values.collect());
            }
        }
    }
    Some((features, labels, dimensions))
}

fn log_line(scores: &Scores) -> String {
    let number = |value: f32| if value.is_nan() { "nan".into() } else { format!("{value:.5}") };
    format!(
        "[Eval][Epoch 0][Avg]recall1: {}, recall5: {}, mAP: {}",
        number(scores.recall[0].1),
        number(scores.recall[1].1),
        number(scores.map)
    )
}

#[test]
fn metrics_are_those_of_paddleclas() {
    let Some((features, labels, dimensions)) = inputs() else { return };
    let text = std::fs::read_to_string(shared("golden/metrics/metrics.json").unwrap()).unwrap();
    // Python writes NaN, which JSON does not have
    let golden: Value = serde_json::from_str(&text.replace("NaN", "null")).unwrap();
    let mut failures = Vec::new();
    let cases = golden["cases"].as_object().unwrap();
    assert!(cases.len() >= 12);
    for (name, case) in cases {
        let part = |what: &str| format!("{name}/{what}");
        let queries = Labelled { features: &features[&part("query_feat")], labels: &labels[&part("query_label")] };
        let gallery = Labelled { features: &features[&part("gallery_feat")], labels: &labels[&part("gallery_label")] };
        let block = case["options"]["block"].as_u64().unwrap_or(64) as usize;
        let options = Options { block, ..Options::default() };
        let report = evaluate(&queries, &gallery, dimensions[&part("query_feat")], &options);
        if case.get("error").is_some() {
            assert!(report.unwrap_err().to_string().contains("recall@5 needs a gallery of at least 5"));
            continue;
        }
        let report = report.unwrap();
        let log = case["log"].as_str().unwrap();
        if log_line(&report.scores) != log {
            failures.push(format!("{name}: {} instead of {log}", log_line(&report.scores)));
        }
        let returned = case["returned"].as_f64().map(|value| value as f32);
        let recall = report.scores.recall[0].1;
        if returned.is_none() != recall.is_nan() || returned.is_some_and(|value| (value - recall).abs() > 2e-7) {
            failures.push(format!("{name}: recall1 {recall} instead of {returned:?}"));
        }
        // the metrics on all queries at once, which is one block
        let whole = Options { block: usize::MAX, ..Options::default() };
        let whole = evaluate(&queries, &gallery, dimensions[&part("query_feat")], &whole).unwrap();
        let values = [whole.scores.recall[0].1, whole.scores.recall[1].1, whole.scores.map];
        for (metric, value) in ["recall1", "recall5", "mAP"].into_iter().zip(values) {
            let expected = case["unblocked"][metric].as_f64().unwrap() as f32;
            if (value - expected).abs() > 3e-7 {
                failures.push(format!("{name}: {metric} {value} instead of {expected} without blocks"));
            }
        }
        assert_eq!(whole.scores, whole.overall);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_result_file_is_that_of_paddlex() {
    let Some((features, labels, dimensions)) = inputs() else { return };
    let report = |name: &str| -> Report {
        let part = |what: &str| format!("{name}/{what}");
        let queries = Labelled { features: &features[&part("query_feat")], labels: &labels[&part("query_label")] };
        let gallery = Labelled { features: &features[&part("gallery_feat")], labels: &labels[&part("gallery_label")] };
        evaluate(&queries, &gallery, dimensions[&part("query_feat")], &Options::default()).unwrap()
    };
    assert_eq!(
        report("normal").evaluate_result(),
        "{\n  \"done_flag\": true,\n  \"metrics\": {\n    \"recall1\": 0.67308,\n    \"recall5\": 0.95513,\n    \"mAP\": 0.52491\n  }\n}"
    );
    assert_eq!(
        report("one_block_without_positives").evaluate_result(),
        "{\n  \"done_flag\": true,\n  \"metrics\": {}\n}"
    );
    let without = report("query_labels_absent_from_gallery");
    assert_eq!(without.without_match, 20);
    assert!(without.classes.iter().any(|class| class.label == 77 && class.queries == 20 && class.map.is_nan()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// Compares with a plain sort, with and without images left out.
    #[test]
    fn ranks_are_those_of_a_plain_sort(
        images in 5usize..60, queries in 1usize..40, classes in 1i64..6, itself: bool, seed: u64,
    ) {
        let mut number = numbers(seed);
        // few values: many ties
        let mut features = |count: usize| -> Vec<f32> { (0..3 * count).map(|_| (number() * 2.0).round()).collect() };
        let (gallery_features, query_features) = (features(images), features(queries));
        let mut number = numbers(!seed);
        let mut labels = |count: usize| -> Vec<i64> { (0..count).map(|_| (number().abs() * classes as f32) as i64).collect() };
        let (gallery_labels, query_labels) = (labels(images), labels(queries));
        let left_out: Vec<Option<usize>> = (0..queries).map(|query| (query % 3 > 0).then_some(query % images)).collect();
        let options = Options {
            recall_at: vec![1, 3], itself: if itself { left_out.clone() } else { Vec::new() }, worst: queries, ..Options::default()
        };
        let report = evaluate(
            &Labelled { features: &query_features, labels: &query_labels },
            &Labelled { features: &gallery_features, labels: &gallery_labels },
            3,
            &options,
        ).unwrap();
        let unit = |feature: &[f32]| -> Vec<f32> {
            let length = feature.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt().max(1e-12);
            feature.iter().map(|&v| (f64::from(v) / length) as f32).collect()
        };
        let (mut first, mut precision, mut with_match, mut confused) = (0, 0.0, 0usize, 0);
        for query in 0..queries {
            let own = unit(&query_features[3 * query..][..3]);
            let mut ranked: Vec<(f32, usize)> = (0..images)
                .filter(|&image| !itself || left_out[query] != Some(image))
                .map(|image| {
                    let other = unit(&gallery_features[3 * image..][..3]);
                    (own.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(b)).sum::<f64>(), image)
                })
                // equal except for rounding
                .map(|(score, image)| ((score * 1e5).round() as f32, image))
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let matches: Vec<usize> = (0..ranked.len()).filter(|&at| gallery_labels[ranked[at].1] == query_labels[query]).collect();
            if matches.is_empty() { continue }
            with_match += 1;
            first += usize::from(matches[0] == 0);
            confused += usize::from(matches[0] > 0);
            precision += matches.iter().enumerate().map(|(n, at)| (n + 1) as f64 / (at + 1) as f64).sum::<f64>() / matches.len() as f64;
        }
        prop_assert_eq!(report.without_match, queries - with_match);
        if with_match > 0 {
            // ties that rounding breaks may change places
            let tolerance = 0.35;
            prop_assert!((report.overall.map - (precision / with_match as f64) as f32).abs() < tolerance);
            prop_assert!((report.overall.recall[0].1 - first as f32 / with_match as f32).abs() <= tolerance);
            prop_assert!(report.worst.windows(2).all(|pair| pair[0].average_precision <= pair[1].average_precision));
            let counted: usize = report.confusions.iter().map(|confusion| confusion.count).sum();
            prop_assert!(counted.abs_diff(confused) as f32 <= tolerance * queries as f32);
        }
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let one = |features, labels| {
        evaluate(
            &Labelled { features, labels },
            &Labelled { features: &[1.0; 10], labels: &[0; 5] },
            2,
            &Options::default(),
        )
    };
    for (result, part) in [
        (one(&[], &[]), "no queries"),
        (one(&[1.0, f32::NAN], &[0]), "feature 0 holds NaN"),
        (one(&[1.0], &[0]), "query: 1 values for 1 labels"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_gallery_answers_its_own_and_other_queries() {
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    let entries = ["tea", "tea", "cup"].into_iter().enumerate();
    let mut entries: Vec<Entry> = entries.map(|(id, label)| Entry::new(id.to_string()).label(label)).collect();
    entries.push(Entry::new("unlabelled"));
    gallery.extend(entries, &[1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.1, 0.9]).unwrap();
    let options = Options { recall_at: vec![1], ..Options::default() };

    let own = gallery.evaluate(Queries::Own, &options).unwrap();
    assert_eq!((own.report.queries, own.report.images, own.report.without_match), (3, 4, 1));
    assert_eq!(own.report.overall.recall, [(1, 1.0)]);
    assert_eq!((own.query_label(2), own.query_entry(2).unwrap().id.as_str()), (Some("cup"), "2"));

    let labels = ["cup", "tea", "pot"].map(String::from);
    let vectors = [0.9, 0.1, 1.0, 0.0, 1.0, 1.0];
    let given = |ids: &[String]| {
        let queries = Queries::Given { vectors: &vectors, labels: &labels, ids };
        let evaluation = gallery.evaluate(queries, &options).unwrap();
        let confusion = &evaluation.report.confusions[0];
        assert_eq!(
            (evaluation.label(confusion.label), evaluation.label(confusion.taken_for)),
            (Some("cup"), Some("tea"))
        );
        assert_eq!((evaluation.query_label(2), evaluation.query_entry(2)), (Some("pot"), None));
        let nearest = |query: usize| {
            let worst = evaluation.report.worst.iter().find(|worst| worst.query == query);
            worst.map(|worst| evaluation.entry(worst.nearest[0].0).id.clone())
        };
        (nearest(0), nearest(1))
    };
    assert_eq!(given(&[]), (Some("1".into()), None));
    assert_eq!(given(&["1", "0", "elsewhere"].map(String::from)), (Some("0".into()), None));

    let none = Queries::Given { vectors: &[], labels: &[], ids: &[] };
    assert!(gallery.evaluate(none, &options).unwrap_err().is_usage());
}
