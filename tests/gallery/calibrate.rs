//! Calibration, compared with a plain search for each vector.

use std::ops::ControlFlow;

use image_feature::ErrorKind;
use image_feature::gallery::{
    Calibrating, Calibration, CalibrationOptions, Entry, Gallery, Metric, Search, Storage, ThresholdErrors,
};

use super::model::{METRICS, Plain, clustered};

const DIMENSION: usize = 24;

/// A gallery with classes of very different sizes, vectors without a label, and rows in another order than they were added.
fn gallery(metric: Metric, storage: Storage, count: usize) -> (Gallery, Plain) {
    let (mut gallery, mut plain) = (Gallery::new(DIMENSION, metric, storage).unwrap(), Plain::new(metric));
    let vectors = clustered(count, DIMENSION, 6, 0.8, 5);
    let centres = clustered(count, DIMENSION, 6, 0.0, 5);
    let mut classes: Vec<&[f32]> = Vec::new();
    for (id, (vector, centre)) in vectors.chunks(DIMENSION).zip(centres.chunks(DIMENSION)).enumerate() {
        let class = classes.iter().position(|known| *known == centre).unwrap_or_else(|| {
            classes.push(centre);
            classes.len() - 1
        });
        let entry = match id % 11 {
            3 => Entry::new(id.to_string()),
            4 => Entry::new(id.to_string()).label(""),
            // a label of its own
            5 => Entry::new(id.to_string()).label(format!("only {id}")),
            _ => Entry::new(id.to_string()).label(format!("class {class}")),
        };
        gallery.add(entry.clone(), vector).unwrap();
        plain.items.push((entry, vector.to_vec()));
    }
    gallery.remove("0").unwrap();
    plain.items.remove(0);
    (gallery, plain)
}

fn calibrated(gallery: &Gallery, options: CalibrationOptions) -> image_feature::Result<Calibration> {
    gallery.calibrate(options, &mut |_| ControlFlow::Continue(()))
}

fn has_label(entry: &Entry) -> bool {
    entry.label.as_ref().is_some_and(|label| !label.is_empty())
}

/// Counts the errors by searching as a user would.
fn plain_errors(plain: &Plain, threshold: f32) -> (usize, usize, [usize; 3]) {
    let reaches = |score: f64| {
        if plain.metric.larger_is_nearer() { score >= f64::from(threshold) } else { score <= f64::from(threshold) }
    };
    let (mut known, mut unknown, mut errors) = (0, 0, [0; 3]);
    for (entry, vector) in plain.items.iter().filter(|(entry, _)| has_label(entry)) {
        let is_mate = |other: &Entry| other.id != entry.id && other.label == entry.label;
        if plain.items.iter().any(|(other, _)| is_mate(other)) {
            known += 1;
            let nearest = plain.search(vector, &|other| has_label(other) && other.id != entry.id).remove(0);
            let (found, _) = &plain.items[plain.place(&nearest.0).unwrap()];
            match reaches(nearest.1) {
                false => errors[1] += 1,
                true if found.label != entry.label => errors[2] += 1,
                true => {}
            }
        }
        unknown += 1;
        let nearest = plain.search(vector, &|other| has_label(other) && other.label != entry.label).remove(0);
        errors[0] += usize::from(reaches(nearest.1));
    }
    (known, unknown, errors)
}

fn shares(errors: &ThresholdErrors) -> [f32; 3] {
    [errors.false_accepts, errors.false_rejects, errors.wrong]
}

#[test]
fn errors_are_those_of_searches_one_by_one() {
    for (metric, storage) in METRICS {
        let (gallery, plain) = gallery(metric, storage, 300);
        let calibration = calibrated(&gallery, CalibrationOptions::default()).unwrap();
        let (first, last) = (calibration.curve[0].threshold, calibration.curve[100].threshold);
        assert_eq!(metric.larger_is_nearer(), first < last);
        for share in [0.11, 0.37, 0.52, 0.73, 0.94] {
            let threshold = first + (last - first) * share;
            let (known, unknown, errors) = plain_errors(&plain, threshold);
            assert_eq!((calibration.known, calibration.unknown), (known, unknown));
            let whole = [unknown, known, known];
            let expected: Vec<f32> =
                errors.iter().zip(whole).map(|(&part, whole)| part as f32 / whole as f32).collect();
            let found = calibration.at(threshold);
            // with bits there are ties, of which either may come first: only what has no ties is compared
            if metric == Metric::Hamming {
                assert_eq!(found.false_accepts, expected[0], "{metric} {threshold}");
                assert_eq!(found.false_rejects, expected[1], "{metric} {threshold}");
            } else {
                assert_eq!(shares(&found)[..], expected[..], "{metric} {storage} {threshold}");
            }
        }
        let sum = |errors: &ThresholdErrors| errors.false_accepts + errors.false_rejects + errors.wrong;
        assert_eq!(calibration.errors, calibration.at(calibration.threshold));
        for point in &calibration.curve {
            assert!(sum(&calibration.errors) <= sum(point) + 1e-6, "{metric}: {point:?} is better");
        }
    }
}

#[test]
fn few_queries_give_nearly_the_same() {
    let (gallery, _) = gallery(Metric::Cosine, Storage::F32, 3000);
    let all = calibrated(&gallery, CalibrationOptions::default()).unwrap();
    let some = calibrated(&gallery, CalibrationOptions { queries: 700, ..CalibrationOptions::default() }).unwrap();
    assert_eq!(some.unknown, 700);
    assert!((all.at(all.threshold).false_accepts - some.at(all.threshold).false_accepts).abs() < 0.05);
    let limited = CalibrationOptions { max_false_accepts: Some(0.01), ..CalibrationOptions::default() };
    let limited = calibrated(&gallery, limited).unwrap();
    assert!(limited.errors.false_accepts <= 0.01 && limited.threshold > all.threshold, "{:?}", limited.errors);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut gallery = Gallery::new(2, Metric::Cosine, Storage::F32).unwrap();
    let message = |gallery: &Gallery, options| {
        let error = calibrated(gallery, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    };
    let usual = CalibrationOptions::default();
    assert!(message(&gallery, usual).contains("the gallery has 0"));
    gallery.add(Entry::new("a").label("tea"), &[1.0, 0.0]).unwrap();
    assert!(message(&gallery, usual).contains("the gallery has 1"));
    gallery.add(Entry::new("b").label("cup"), &[0.0, 1.0]).unwrap();
    assert!(message(&gallery, usual).contains("no label has two images"));
    gallery.add(Entry::new("c").label("cup"), &[0.1, 1.0]).unwrap();
    calibrated(&gallery, usual).unwrap();
    assert!(message(&gallery, CalibrationOptions { max_false_accepts: Some(1.5), ..usual }).contains("1.5"));
    message(&gallery, CalibrationOptions { max_false_accepts: Some(f32::NAN), ..usual });
    message(&gallery, CalibrationOptions { queries: 0, ..usual });
    message(&gallery, CalibrationOptions { points: 1, ..usual });
    let broken = gallery.calibrate(usual, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Cancelled);
    let mut calibrating = Calibrating::new(&gallery, usual).unwrap();
    gallery.remove("a").unwrap();
    assert_eq!(calibrating.advance(&gallery).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn the_threshold_is_used_and_kept() {
    for metric in [Metric::Cosine, Metric::L2] {
        let mut gallery = Gallery::new(2, metric, Storage::F32).unwrap();
        gallery.extend(vec![Entry::new("a"), Entry::new("b")], &[1.0, 0.0, 0.0, 1.0]).unwrap();
        let far = [0.6, 0.8];
        assert_eq!(gallery.recognize(&far, Search::default()).unwrap().len(), 2);
        let threshold = if metric == Metric::Cosine { 0.9 } else { 0.1 };
        gallery.set_threshold(Some(threshold)).unwrap();
        let read = Gallery::from_bytes(&gallery.to_bytes().unwrap()).unwrap();
        for gallery in [&gallery, &read, &gallery.with_metric(metric, Storage::F16).unwrap()] {
            assert_eq!(gallery.threshold(), Some(threshold));
            assert!(gallery.recognize(&far, Search::default()).unwrap().is_empty());
            assert_eq!(gallery.recognize(&[1.0, 0.05], Search::default()).unwrap().len(), 2);
            // a search's own threshold goes before
            let own = if metric == Metric::Cosine { 0.5 } else { 3.0 };
            assert_eq!(gallery.recognize(&far, Search { threshold: Some(own), ..Search::default() }).unwrap().len(), 2);
            // other searches have no threshold unless they are given one
            assert_eq!(gallery.search(&far, Search::default()).unwrap().len(), 2);
        }
        assert_eq!(gallery.with_metric(Metric::InnerProduct, Storage::F32).unwrap().threshold(), None);
        assert_eq!(gallery.set_threshold(Some(f32::INFINITY)).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(gallery.threshold(), Some(threshold));
        gallery.set_threshold(None).unwrap();
        assert_eq!(Gallery::from_bytes(&gallery.to_bytes().unwrap()).unwrap().threshold(), None);
    }
}
