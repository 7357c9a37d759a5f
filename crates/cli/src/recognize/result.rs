//! The result of PaddleX's pipeline for one image.

use crate::format::value::Value;
use crate::predict::{Objects, box_sides};
use image_feature::RgbImage;
use image_feature::dataset::compat::draw::LabelledBox;
use image_feature::gallery::Hit;
use image_feature::recognizer::{Recognition, Recognized};

/// The name that is drawn at a box without hits.
const UNKNOWN: &str = "?";

/// What was found in an image.
pub fn objects(found: &Recognition, image: RgbImage) -> Objects {
    let boxes = found.things.iter().map(|thing| entry(thing, &image)).collect();
    let frames = found.things.iter().map(labelled).collect();
    Objects { has_page: false, boxes: Value::List(boxes), frames, image }
}

/// What a hit is called: its label, else its id.
pub fn name<'h>(hit: &'h Hit) -> &'h str {
    hit.entry.label.as_ref().unwrap_or(&hit.entry.id)
}

/// A box with PaddleX's keys. One without hits has one label and one score, which are None.
fn entry(thing: &Recognized, image: &RgbImage) -> Value {
    let all = |value: &dyn Fn(&Hit) -> Value| {
        let values: Vec<Value> = thing.hits.iter().map(value).collect();
        Value::List(if values.is_empty() { vec![Value::None] } else { values })
    };
    Value::Dict(vec![
        ("labels", all(&|hit| Value::Text(name(hit).into()))),
        ("rec_scores", all(&|hit| Value::Single(hit.score))),
        (
            "det_score",
            match &thing.region.detection {
                Some(found) => Value::Double(f64::from(found.score)),
                None => Value::Whole(0),
            },
        ),
        ("coordinate", box_sides(thing.region.coordinate(), image)),
    ])
}

/// A box as it is drawn.
pub fn labelled(thing: &Recognized) -> LabelledBox {
    let best = thing.hits.first();
    LabelledBox {
        coordinate: thing.region.coordinate(),
        name: best.map_or(UNKNOWN, name).into(),
        score: best.map(|hit| hit.score),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::value::Layout;
    use crate::predict::{Prediction, paddlex_line};
    use image_feature::detector::{Detection, Region};
    use image_feature::gallery::{Entry, Gallery, Metric, Search, Storage};

    /// Vectors whose scores with `[1]` are those of the result.
    fn gallery_of(golden: &serde_json::Value) -> Gallery {
        let mut gallery = Gallery::new(1, Metric::InnerProduct, Storage::F32).unwrap();
        let (labels, scores) = (golden["labels"].as_array().unwrap(), golden["rec_scores"].as_array().unwrap());
        for (at, (label, score)) in labels.iter().zip(scores).enumerate() {
            if let Some(label) = label.as_str() {
                let entry = Entry::new(at.to_string()).label(label);
                gallery.add(entry, &[score.as_f64().unwrap() as f32]).unwrap();
            }
        }
        gallery
    }

    fn region(golden: &serde_json::Value) -> Region {
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let coordinate = [0, 1, 2, 3].map(|side| number(&golden["coordinate"][side]));
        let score = number(&golden["det_score"]);
        let whole = Region::whole(451, 300);
        let detection = Detection { class: 0, label: "mainbody".into(), score, coordinate };
        if score == 0.0 { whole } else { Region { detection: Some(detection), ..whole } }
    }

    fn check(result: &serde_json::Value, check: &dyn Fn(Objects)) {
        let golden = result["boxes"].as_array().unwrap();
        let galleries: Vec<Gallery> = golden.iter().map(gallery_of).collect();
        let things = golden.iter().zip(&galleries).map(|(golden, gallery)| {
            let hits = gallery.search(&[1.0], Search::default()).unwrap();
            Recognized { region: region(golden), hits }
        });
        let found = Recognition { things: things.collect(), too_small: Vec::new() };
        // chelsea.png
        check(objects(&found, RgbImage::new(451, 300, vec![0; 3 * 451 * 300]).unwrap()));
    }

    #[test]
    fn results_are_written_as_paddlex_writes_them() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/pipeline");
        if !golden.exists() {
            return println!("skipped: {} is not there", golden.display());
        }
        let read = |name: &str| std::fs::read_to_string(golden.join(name)).unwrap();
        for file in ["forms/chelsea_res.json", "forms/chelsea_all_none.json"] {
            let saved = read(file);
            check(&serde_json::from_str(&saved).unwrap(), &|objects| {
                assert_eq!(saved, objects.value("chelsea.png").json(Layout::Indented), "{file}");
                let line = paddlex_line("chelsea.png", &Prediction::Objects(objects));
                assert!(file != "forms/chelsea_res.json" || line == read("forms/str.txt").trim_end(), "{line}");
            });
        }
        let cases: serde_json::Value = serde_json::from_str(&read("predict_cases_chelsea.json")).unwrap();
        let whole = &cases["no_box_and_rec_threshold"]["result"][0];
        check(whole, &|objects| {
            let line = objects.value("chelsea.png").json(Layout::Line);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), *whole);
            assert_eq!((&objects.frames[0].name[..], objects.frames[0].score), (UNKNOWN, None));
        });
    }
}
