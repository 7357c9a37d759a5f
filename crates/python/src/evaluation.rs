//! Evaluations as JSON.

use image_feature::Result;
use image_feature::gallery::{Evaluation, Gallery, Queries};
use image_feature::metrics::{Options, Scores};
use serde_json::{Map, Value, json};

/// The evaluation of a gallery by its own entries.
pub fn own(gallery: &Gallery, options: &Options) -> Result<String> {
    of(gallery, Queries::Own, options)
}

/// The evaluation of a gallery by queries.
pub fn of(gallery: &Gallery, queries: Queries, options: &Options) -> Result<String> {
    Ok(to_json(&gallery.evaluate(queries, options)?).to_string())
}

/// The names are those of `image-feature evaluate --json`. A query from elsewhere is named by its number.
fn to_json(evaluation: &Evaluation) -> Value {
    let report = &evaluation.report;
    let label = |number: i64| evaluation.label(number);
    let classes = report.classes.iter().map(|class| {
        json!({
            "label": label(class.label), "queries": class.queries, "images": class.images, "recall1": class.recall_at_1,
            "mAP": class.map,
        })
    });
    let worst = report.worst.iter().map(|worst| {
        let nearest = worst.nearest.iter().map(|&(place, score)| {
            let entry = evaluation.entry(place);
            json!({ "id": entry.id, "label": entry.label, "score": score })
        });
        json!({
            "query": worst.query, "id": evaluation.query_entry(worst.query).map(|entry| &entry.id),
            "label": evaluation.query_label(worst.query), "average_precision": worst.average_precision, "first": worst.first,
            "nearest": nearest.collect::<Vec<_>>(),
        })
    });
    let confusions = report.confusions.iter().map(|confusion| {
        json!({ "label": label(confusion.label), "taken_for": label(confusion.taken_for), "count": confusion.count })
    });
    json!({
        "scores": scores(&report.scores), "overall": scores(&report.overall), "queries": report.queries,
        "equal_error": report.equal_error.map(|error| json!({ "rate": error.rate, "threshold": error.threshold })),
        "images": report.images, "without_match": report.without_match, "classes": classes.collect::<Vec<_>>(),
        "worst": worst.collect::<Vec<_>>(), "confusions": confusions.collect::<Vec<_>>(),
    })
}

fn scores(scores: &Scores) -> Value {
    let recall: Map<_, _> = scores.recall.iter().map(|(k, value)| (format!("recall{k}"), json!(value))).collect();
    json!({ "recall": recall, "mAP": scores.map })
}
