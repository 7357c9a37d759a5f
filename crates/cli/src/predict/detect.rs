//! `predict` with a detector: boxes around the things in images.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use super::save::{Layout, Prediction, SaveFormat, Saver, json_string};
use super::{PredictArgs, Predicted, Report};
use crate::Outcome;
use crate::embed::{Inputs, decode_all, decoding_alone};
use crate::format::python::{float_json, float_repr, float32_repr, string_repr};
use crate::terminal::note;
use image_feature::dataset::compat::{SampleFormat, draw};
use image_feature::detector::{Detection, Detector};
use image_feature::{DeviceRequest, Error, Model, Result, RgbImage};

/// The things that were found in an image.
pub struct Boxes {
    found: Vec<Detection>,
    image: RgbImage,
}

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
            Ok(Predicted { prediction: Prediction::Boxes(Boxes { found, image }), damage })
        });
        report.add(origin, predicted)?;
        Ok(if report.is_unwanted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    report.finish()
}

impl Boxes {
    /// A side as PaddleX gives it: the edge of the image, where it cuts the box, is a whole number.
    fn side(&self, index: usize, value: f32, write: impl Fn(f32) -> String) -> String {
        let edge = [0, 0, self.image.width(), self.image.height()][index];
        if value == edge as f32 { edge.to_string() } else { write(value) }
    }

    fn sides<'s>(&'s self, found: &'s Detection, write: impl Fn(f32) -> String) -> impl Iterator<Item = String> {
        found.coordinate.iter().enumerate().map(move |(index, &value)| self.side(index, value, &write))
    }

    /// As Python prints PaddleX's result.
    pub fn repr(&self) -> String {
        let entry = |found: &Detection| {
            let sides: Vec<String> =
                self.sides(found, |value| format!("np.float32({})", float32_repr(value))).collect();
            format!(
                "{{'cls_id': {}, 'label': {}, 'score': {}, 'coordinate': [{}]}}",
                found.class,
                string_repr(&found.label),
                float_repr(f64::from(found.score)),
                sides.join(", ")
            )
        };
        format!("[{}]", self.found.iter().map(entry).collect::<Vec<_>>().join(", "))
    }

    /// As JSON with PaddleX's keys. Indented as the value of a key of the outermost object.
    pub fn json(&self, layout: Layout) -> String {
        let breaks = |depth: usize| match layout {
            Layout::Indented => format!("\n{}", "    ".repeat(depth)),
            Layout::Line => String::new(),
        };
        let comma = |depth: usize| if layout == Layout::Indented { format!(",{}", breaks(depth)) } else { ", ".into() };
        if self.found.is_empty() {
            return "[]".into();
        }
        let mut json = format!("[{}", breaks(2));
        for (index, found) in self.found.iter().enumerate() {
            let sides: Vec<String> = self.sides(found, |value| float_json(f64::from(value))).collect();
            let fields = [
                format!("\"cls_id\": {}", found.class),
                format!("\"label\": {}", json_string(&found.label)),
                format!("\"score\": {}", float_json(f64::from(found.score))),
                format!("\"coordinate\": [{}{}{}]", breaks(4), sides.join(&comma(4)), breaks(3)),
            ];
            let before = if index > 0 { comma(2) } else { String::new() };
            let _ = write!(json, "{before}{{{}{}{}}}", breaks(3), fields.join(&comma(3)), breaks(2));
        }
        json.push_str(&format!("{}]", breaks(1)));
        json
    }

    /// The image with its boxes, as a PNG.
    pub fn picture(&self) -> Result<Vec<u8>> {
        let boxes: Vec<_> =
            self.found.iter().map(|found| (found.coordinate, found.label.clone(), found.score)).collect();
        let drawn = draw::with_boxes(&self.image, &boxes)?;
        draw::encode(&drawn, SampleFormat::Png)?.ok_or_else(|| Error::internal("a PNG was not written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(result: &serde_json::Value) -> Boxes {
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let detection = |entry: &serde_json::Value| Detection {
            class: entry["cls_id"].as_u64().unwrap() as usize,
            label: entry["label"].as_str().unwrap().into(),
            score: number(&entry["score"]),
            coordinate: [0, 1, 2, 3].map(|side| number(&entry["coordinate"][side])),
        };
        let found = result["boxes"].as_array().unwrap().iter().map(detection).collect();
        // chelsea.png
        Boxes { found, image: RgbImage::new(451, 300, vec![0; 3 * 451 * 300]).unwrap() }
    }

    #[test]
    fn results_are_written_as_paddlex_writes_them() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/detector/forms");
        if !golden.exists() {
            return println!("skipped: {} is not there", golden.display());
        }
        let read = |name: &str| std::fs::read_to_string(golden.join(name)).unwrap();
        let saved = read("chelsea_res.json");
        let boxes = boxes(&serde_json::from_str(&saved).unwrap());
        let expected = format!(
            "{{\n    \"input_path\": \"chelsea.png\",\n    \"page_index\": null,\n    \"boxes\": {}\n}}",
            boxes.json(Layout::Indented)
        );
        assert_eq!(saved, expected);
        let line = super::super::paddlex_line("chelsea.png", &Prediction::Boxes(boxes));
        assert_eq!(line, read("str.txt").trim_end());
    }

    #[test]
    fn without_boxes_the_list_is_empty() {
        let none = Boxes { found: Vec::new(), image: RgbImage::new(1, 1, vec![0; 3]).unwrap() };
        assert_eq!(
            (none.repr(), none.json(Layout::Line), none.json(Layout::Indented)),
            ("[]".into(), "[]".into(), "[]".into())
        );
    }
}
