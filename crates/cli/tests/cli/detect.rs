//! `predict` with a detector. Boxes and their forms beside PaddleX's are tested in `tests/detector/` and in the program's
//! `predict/detect.rs`; here are a small network without training and the program around it.

use std::path::{Path, PathBuf};

use image_feature::model::lcnet_v2::Form;
use image_feature::model::picodet::PicoDetConfig;
use image_feature::model::{ModelDescription, Network, Role};
use image_feature::weights::Tensors;
use image_feature::{Dtype, Model, Preprocess, Resize};
use serde_json::Value;

use super::common::formula_tensor;
use super::program::{Run, finish, program};

struct Bench {
    folder: temp_dir::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Bench { folder: temp_dir::TempDir::new().unwrap() };
        detector_file(bench.folder.path());
        scenes(bench.folder.path());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn predict(&self, arguments: &[&str]) -> Run {
        let mut program = program();
        program.current_dir(self.folder.path());
        finish(program.args(["predict", "--model", "det.safetensors"]).args(arguments))
    }
}

/// Writes a detector that finds boxes in noise.
pub fn detector_file(folder: &Path) -> PathBuf {
    let path = folder.join("det.safetensors");
    std::fs::write(&path, model().to_safetensors(Dtype::F32).unwrap()).unwrap();
    path
}

/// Writes two images with things in them for that detector: `a.ppm` of 90 x 60 and `b.ppm` of 64 x 64 pixels.
pub fn scenes(folder: &Path) {
    for (name, width, height, step) in [("a.ppm", 90, 60, 7919), ("b.ppm", 64, 64, 104_729)] {
        let mut file = format!("P6 {width} {height} 255\n").into_bytes();
        file.extend((0..3 * width * height).map(|index| (index * step % 251) as u8));
        std::fs::write(folder.join(name), file).unwrap();
    }
}

fn model() -> Model {
    let config = PicoDetConfig {
        scale: 0.25,
        neck: 8,
        input: [64, 64],
        labels: vec!["thing".into()],
        ..PicoDetConfig::default()
    };
    let mut tensors = Tensors::new();
    for parameter in config.parameters() {
        let mut tensor = formula_tensor(&parameter);
        if parameter.role == Role::NormMean {
            tensor.values.fill(0.0);
        }
        tensors.insert(parameter.name, tensor);
    }
    let resize = Resize::StretchCubic { width: 64, height: 64 };
    let preprocess = Preprocess { resize, ..Preprocess::default() };
    let description = ModelDescription { name: "small_det".into(), network: Network::PicoDet(config), preprocess };
    Model::new(description, Form::Deploy, None, &tensors).unwrap()
}

#[test]
fn boxes_are_printed_and_saved_with_their_picture() {
    let bench = Bench::new();
    let run = bench.predict(&["a.ppm", "b.ppm", "--threshold", "0.1", "--save", "out", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let printed: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(printed.len(), 2);
    for (result, stem, size) in [(&printed[0], "a", [90.0, 60.0]), (&printed[1], "b", [64.0, 64.0])] {
        let saved = std::fs::read(bench.path(&format!("out/{stem}_res.json"))).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), *result);
        let boxes = result["boxes"].as_array().unwrap();
        assert!(!boxes.is_empty(), "{result}");
        for found in boxes {
            assert_eq!((&found["cls_id"], &found["label"]), (&Value::from(0), &Value::from("thing")));
            assert!(found["score"].as_f64().unwrap() > 0.1, "{found}");
            let side = |index: usize| found["coordinate"][index].as_f64().unwrap();
            assert!(0.0 <= side(0) && side(0) < side(2) && side(2) <= size[0], "{found}");
            assert!(0.0 <= side(1) && side(1) < side(3) && side(3) <= size[1], "{found}");
        }
        let picture = std::fs::read(bench.path(&format!("out/{stem}_res.png"))).unwrap();
        let picture = image_feature::decode(&picture, &Default::default()).unwrap();
        assert_eq!((picture.width() as f64, picture.height() as f64), (size[0], size[1]));
        let original = std::fs::read(bench.path(&format!("{stem}.ppm"))).unwrap();
        assert!(picture != image_feature::decode(&original, &Default::default()).unwrap());
    }
}

#[test]
fn a_threshold_leaves_boxes_out() {
    let bench = Bench::new();
    let run = bench.predict(&["a.ppm", "--threshold", "1"]);
    let expected = "{'res': {'input_path': 'a.ppm', 'page_index': None, 'boxes': []}}\n";
    assert_eq!((run.code, &run.stdout[..]), (Some(0), expected), "{}", run.stderr);
    assert!(run.stderr.contains("small_det: boxes with a score above 1, on cpu"), "{}", run.stderr);
}

#[test]
fn what_does_not_fit_a_detector_is_said() {
    let bench = Bench::new();
    for (arguments, message) in [
        (&["a.ppm", "--threshold", "1.5"][..], "`1.5` is not a number from 0 to 1"),
        (&["a.ppm", "--save", "out", "--format", "npy"], "--format npy does not go with the detector small_det"),
        (&["a.ppm", "--roi", "0,0,5,5"], "--roi does not go with the detector small_det: crop the images first"),
        (&["a.ppm", "--device", "cuda"], "--device does not go with the detector small_det: it runs on the CPU"),
        (&["a.ppm", "--model", "default", "--threshold", "0.5"], "the argument '--model"),
    ] {
        let run = bench.predict(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(message), "{arguments:?}: {}", run.stderr);
    }
    let run = finish(program().current_dir(bench.folder.path()).args(["predict", "a.ppm", "--threshold", "0.5"]));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--threshold is for detectors"), "{}", run.stderr);
    let arguments = ["gallery", "build", "a.ppm", "--model", "det.safetensors", "--output", "g.ifg"];
    let run = finish(program().current_dir(bench.folder.path()).args(arguments));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("small_det is a detector"), "{}", run.stderr);
    let run = bench.predict(&["missing.ppm", "a.ppm"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.contains("'a.ppm'") && run.stderr.contains("missing.ppm"));
}

#[test]
fn a_detector_is_described_and_converted() {
    let bench = Bench::new();
    let run = finish(program().current_dir(bench.folder.path()).args(["model", "info", "det.safetensors"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    println!("{}", run.stdout);
    assert!(run.stdout.contains("PicoDet on PP-LCNet, scale 0.25, 8 channels, finds thing"));
    let arguments = ["model", "convert", "det.safetensors", "--dtype", "f16", "--output", "half.safetensors"];
    let run = finish(program().current_dir(bench.folder.path()).args(arguments));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let half = Model::open(bench.path("half.safetensors")).unwrap();
    assert_eq!(half.description, model().description);
}
