//! Results of searches and evaluations as typed arrays and JSON.

use std::collections::HashMap;

use image_feature::gallery::{Duplicate, Entry, Evaluation, Hit};
use image_feature::metrics::Scores;
use serde_json::{Value, json};

use super::Found;

/// Entries of an answer, each once, with the place of each.
#[derive(Default)]
struct Entries<'g> {
    places: HashMap<*const Entry, u32>,
    list: Vec<&'g Entry>,
}

impl<'g> Entries<'g> {
    fn place(&mut self, entry: &'g Entry) -> u32 {
        *self.places.entry(entry).or_insert_with(|| {
            self.list.push(entry);
            self.list.len() as u32 - 1
        })
    }

    fn text(&self) -> String {
        json!(self.list).to_string()
    }
}

/// The hits of each query.
pub fn hits(hits: &[Vec<Hit>]) -> Found {
    let mut entries = Entries::default();
    let places = hits.iter().flatten().map(|hit| entries.place(hit.entry)).collect();
    Found {
        places,
        counts: hits.iter().map(|hits| hits.len() as u32).collect(),
        scores: hits.iter().flatten().map(|hit| hit.score).collect(),
        entries: entries.text(),
    }
}

/// Pairs of entries.
pub fn pairs(pairs: &[Duplicate]) -> Found {
    let mut entries = Entries::default();
    let both = pairs.iter().flat_map(|pair| [pair.first, pair.second]);
    let places = both.map(|entry| entries.place(entry)).collect();
    let scores = pairs.iter().map(|pair| pair.score).collect();
    Found { places, scores, counts: vec![pairs.len() as u32], entries: entries.text() }
}

/// An evaluation, with images as places among `entries`.
pub fn evaluation(evaluation: &Evaluation) -> Value {
    let report = &evaluation.report;
    let mut entries = Entries::default();
    let scores = |scores: &Scores| {
        let recall = scores.recall.iter().map(|(k, value)| json!([k, value]));
        json!({ "recall": Value::from_iter(recall), "mAP": scores.map })
    };
    let classes = report.classes.iter().map(|class| {
        json!({
            "label": evaluation.label(class.label), "queries": class.queries, "images": class.images,
            "recall1": class.recall_at_1, "mAP": class.map,
        })
    });
    let worst = report.worst.iter().map(|worst| {
        let nearest = worst.nearest.iter();
        let nearest = nearest.map(|&(at, score)| json!([entries.place(evaluation.entry(at)), score]));
        let nearest: Vec<Value> = nearest.collect();
        json!({
            "query": worst.query, "entry": evaluation.query_entry(worst.query).map(|entry| entries.place(entry)),
            "label": evaluation.query_label(worst.query), "averagePrecision": worst.average_precision,
            "first": worst.first, "nearest": nearest,
        })
    });
    let worst: Vec<Value> = worst.collect();
    let confusions = report.confusions.iter().map(|confusion| {
        json!({
            "label": evaluation.label(confusion.label), "takenFor": evaluation.label(confusion.taken_for),
            "count": confusion.count,
        })
    });
    json!({
        "scores": scores(&report.scores), "overall": scores(&report.overall), "queries": report.queries,
        "images": report.images, "withoutMatch": report.without_match, "classes": Value::from_iter(classes),
        "confusions": Value::from_iter(confusions), "worst": worst, "entries": entries.list,
        "evaluateResult": report.evaluate_result(),
        "equalError": report.equal_error.map(|error| json!({ "rate": error.rate, "threshold": error.threshold })),
    })
}
