//! `predict` with a detector: boxes around the things in images.

use std::ops::ControlFlow;

use super::{Objects, PredictArgs, Predicted, Prediction, Report, SaveFormat, Saver, box_sides};
use crate::Outcome;
use crate::embed::{Inputs, decode_all, decoding_alone};
use crate::format::value::Value;
use crate::terminal::note;
use image_feature::dataset::compat::draw::LabelledBox;
use image_feature::detector::{Detection, Detector};
use image_feature::{DeviceRequest, Error, Model, Result, RgbImage};

/// Runs `predict` with a detector.
pub fn run(args: &PredictArgs, inputs: Inputs, model: &Model, threads: usize, mut report: Report) -> Result<Outcome> {
    let wrong = |option: &str, reason: &str| {
        Err(Error::usage(format!("{option} does not go with the detector {}: {reason}", model.description.name)))
    };
    if args.format == SaveFormat::Npy {
        return wrong("--format npy", "boxes are no feature vectors");
    }
    if args.roi.is_some() {
        return wrong("--roi", "crop the images first");
    }
    if !matches!(args.device, DeviceRequest::Auto | DeviceRequest::Cpu) {
        return wrong("--device", "it runs on the CPU");
    }
    let detector = Detector::open(model, Some(threads))?;
    let threshold = args.threshold.unwrap_or(detector.threshold());
    if !args.quiet {
        note(&format!(
            "{}: boxes with a score above {threshold}, on cpu ({}, {threads} thread{})",
            model.description.name,
            detector.instruction_set(),
            if threads == 1 { "" } else { "s" }
        ));
    }
    if let Some(folder) = &args.save {
        report.saver = Some(Saver::create(folder, args.format, 0)?);
    }
    report.progress.start();
    decode_all(inputs, &decoding_alone(args.decoding, threads), &mut |origin, image| {
        let predicted = image.and_then(|(image, damage)| {
            let found = detector.detect(&image, Some(threshold))?;
            Ok(Predicted { prediction: Prediction::Objects(objects(&found, image)), damage })
        });
        report.add(origin, predicted)?;
        Ok(if report.is_unwanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    report.finish()
}

/// PaddleX's detection result.
fn objects(found: &[Detection], image: RgbImage) -> Objects {
    let entry = |found: &Detection| {
        Value::Dict(vec![
            ("cls_id", Value::Whole(found.class as u64)),
            ("label", Value::Text(found.label.clone())),
            ("score", Value::Double(f64::from(found.score))),
            ("coordinate", box_sides(found.coordinate, &image)),
        ])
    };
    let frame = |found: &Detection| LabelledBox {
        coordinate: found.coordinate,
        name: found.label.clone(),
        score: Some(found.score),
    };
    Objects {
        has_page: true,
        boxes: Value::List(found.iter().map(entry).collect()),
        frames: found.iter().map(frame).collect(),
        image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::value::Layout;
    use crate::predict::report::paddlex_line;

    fn golden_boxes(result: &serde_json::Value) -> Objects {
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let detection = |entry: &serde_json::Value| Detection {
            class: entry["cls_id"].as_u64().unwrap() as usize,
            label: entry["label"].as_str().unwrap().into(),
            score: number(&entry["score"]),
            coordinate: [0, 1, 2, 3].map(|side| number(&entry["coordinate"][side])),
        };
        let found: Vec<Detection> = result["boxes"].as_array().unwrap().iter().map(detection).collect();
        // chelsea.png
        objects(&found, RgbImage::new(451, 300, vec![0; 3 * 451 * 300]).unwrap())
    }

    #[test]
    fn results_are_written_as_paddlex_writes_them() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/detector/forms");
        if !golden.exists() {
            return println!("skipped: {} is not there", golden.display());
        }
        let read = |name: &str| std::fs::read_to_string(golden.join(name)).unwrap();
        let saved = read("chelsea_res.json");
        let boxes = golden_boxes(&serde_json::from_str(&saved).unwrap());
        assert_eq!(saved, boxes.value("chelsea.png").json(Layout::Indented));
        let line = paddlex_line("chelsea.png", &Prediction::Objects(boxes));
        assert_eq!(line, read("str.txt").trim_end());
    }
}
