//! `recognize`, and galleries of the things in photos. Results beside PaddleX's are tested in `tests/detector/pipeline.rs`
//! and in the program's `recognize/result.rs`.

use image_feature::gallery::Gallery;
use serde_json::Value;

use super::bench::Bench;
use super::detect::{detector_file, scenes};
use super::program::{Run, finish, program, text};

/// A score that some boxes of the scenes have, and others have not.
pub const SCORE: &str = "0.1";

impl Bench {
    /// With a detector, `det.safetensors`, and the scenes in `tea/` and `cup/`.
    pub fn with_scenes() -> Self {
        let bench = Bench::new();
        detector_file(bench.folder.path());
        scenes(bench.folder.path());
        for (name, folder) in [("a.ppm", "tea"), ("b.ppm", "cup")] {
            std::fs::create_dir(bench.path(folder)).unwrap();
            std::fs::copy(bench.path(name), bench.path(folder).join(name)).unwrap();
        }
        bench
    }

    fn with_model(&self, arguments: &[&str]) -> Run {
        self.with_other_model(text(&self.model), &[arguments, &["--device", "cpu"]].concat())
    }

    fn with_other_model(&self, model: &str, arguments: &[&str]) -> Run {
        finish(program().current_dir(self.folder.path()).args(arguments).args(["--model", model]))
    }

    /// Builds `g.safetensors` of the scenes.
    fn build_scenes(&self, more: &[&str]) -> Gallery {
        let arguments = ["gallery", "build", "tea", "cup", "--output", "g.safetensors", "--force", "--quiet"];
        self.with_model(&[&arguments, more].concat()).good();
        Gallery::open(self.path("g.safetensors")).unwrap()
    }

    fn recognize(&self, more: &[&str]) -> Vec<Value> {
        let arguments = ["recognize", "--gallery", "g.safetensors", "--detector", "det.safetensors", "--json"];
        let run = self.with_model(&[&arguments, more].concat());
        run.good().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

fn boxes(result: &Value) -> &[Value] {
    result["boxes"].as_array().unwrap()
}

#[test]
fn each_box_has_its_nearest_hits() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&[]);
    let results =
        bench.recognize(&["a.ppm", "b.ppm", "--det-threshold", SCORE, "--rec-threshold", "-1", "--save", "out"]);
    let detected = finish(program().current_dir(bench.folder.path()).args([
        "predict",
        "a.ppm",
        "b.ppm",
        "--model",
        "det.safetensors",
        "--threshold",
        SCORE,
        "--json",
    ]));
    let detected: Vec<Value> = detected.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for ((result, detected), stem) in results.iter().zip(&detected).zip(["a", "b"]) {
        assert_eq!(result.as_object().unwrap().keys().collect::<Vec<_>>(), ["boxes", "input_path"]);
        let sides =
            |result: &Value| -> Vec<Value> { boxes(result).iter().map(|found| found["coordinate"].clone()).collect() };
        assert!(boxes(result).len() > 1, "{result}");
        assert_eq!(sides(result), sides(detected));
        for found in boxes(result) {
            assert!(found["labels"].as_array().unwrap().len() == 2 && found["det_score"].as_f64().unwrap() > 0.1);
            assert!(found["rec_scores"][0].as_f64() >= found["rec_scores"][1].as_f64(), "{found}");
        }
        let saved = std::fs::read(bench.path(&format!("out/{stem}_res.json"))).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&saved).unwrap(), *result);
        let picture = std::fs::read(bench.path(&format!("out/{stem}_res.png"))).unwrap();
        let original = std::fs::read(bench.path(&format!("{stem}.ppm"))).unwrap();
        let [picture, original] =
            [picture, original].map(|file| image_feature::decode(&file, &Default::default()).unwrap());
        assert!(picture.width() == original.width() && picture != original);
    }
}

#[test]
fn without_a_box_the_whole_photo_is_recognised() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&[]);
    let result = &bench.recognize(&["b.ppm", "--det-threshold", "1.0", "-k", "1"])[0];
    let [whole] = boxes(result) else { panic!("{result}") };
    assert_eq!((&whole["det_score"], &whole["coordinate"]), (&Value::from(0), &serde_json::json!([0, 0, 64, 64])));
    assert_eq!(whole["labels"], serde_json::json!(["cup"]));
    assert!((whole["rec_scores"][0].as_f64().unwrap() - 1.0).abs() < 1e-5);
    let rejected = &bench.recognize(&["b.ppm", "--det-threshold", "1.0", "--rec-threshold", "1.01"])[0];
    let none = serde_json::json!([null]);
    assert_eq!((&boxes(rejected)[0]["labels"], &boxes(rejected)[0]["rec_scores"]), (&none, &none));
    let run = bench.with_model(&[
        "recognize",
        "b.ppm",
        "-g",
        "g.safetensors",
        "-d",
        "det.safetensors",
        "--det-threshold",
        "1.0",
        "--whole",
        "never",
    ]);
    assert_eq!(run.good(), "{'res': {'input_path': 'b.ppm', 'boxes': []}}\n");
}

#[test]
fn more_than_paddlex_is_an_option() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&[]);
    let all = bench.recognize(&["a.ppm", "--det-threshold", SCORE]);
    let with_whole = bench.recognize(&["a.ppm", "--det-threshold", SCORE, "--whole", "always"]);
    assert_eq!(boxes(&with_whole[0])[..boxes(&all[0]).len()], *boxes(&all[0]));
    assert_eq!(boxes(&with_whole[0]).last().unwrap()["coordinate"], serde_json::json!([0, 0, 90, 60]));
    let apart = bench.recognize(&["a.ppm", "--det-threshold", SCORE, "--overlap", "0"]);
    let kept = boxes(&apart[0]);
    assert!(!kept.is_empty() && kept.len() < boxes(&all[0]).len(), "{} of {}", kept.len(), boxes(&all[0]).len());
    assert!(kept.iter().all(|found| boxes(&all[0]).contains(found)));
}

#[test]
fn a_whole_number_as_threshold_takes_all_boxes_for_paddlex_alone() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&[]);
    let count = |more: &[&str]| boxes(&bench.recognize(&[&["a.ppm"], more].concat())[0]).len();
    let all = count(&["--det-threshold", "0.0"]);
    assert!(all > 1);
    assert_eq!(count(&["--det-threshold", "1", "--compat", "paddlex"]), all);
    assert_eq!(count(&["--det-threshold", "1.0", "--compat", "paddlex"]), 1, "the whole photo");
    assert_eq!(count(&["--det-threshold", "1"]), 1);
}

#[test]
fn a_gallery_has_the_things_in_photos() {
    let bench = Bench::with_scenes();
    let main = bench.build_scenes(&["--detector", "det.safetensors", "--det-threshold", SCORE]);
    let ids: Vec<&str> = main.iter().map(|(entry, _)| &entry.id[..]).collect();
    assert_eq!(ids, ["tea/a.ppm", "cup/b.ppm"]);
    let all = bench.build_scenes(&["--detector", "det.safetensors", "--det-threshold", SCORE, "--detect", "all"]);
    let results = bench.recognize(&["a.ppm", "b.ppm", "--det-threshold", SCORE]);
    assert_eq!(all.len(), results.iter().map(|result| boxes(result).len()).sum::<usize>());
    for (result, (label, id)) in results.iter().zip([("tea", "tea/a.ppm"), ("cup", "cup/b.ppm")]) {
        let sides = |value: &Value| [0, 1, 2, 3].map(|side| value[side].as_f64().unwrap());
        assert_eq!(sides(&main.get(id).unwrap().metadata["box"]), sides(&boxes(result)[0]["coordinate"]));
        for (number, found) in boxes(result).iter().enumerate() {
            let entry = all.get(&format!("{id}#{}", number + 1)).unwrap();
            assert_eq!((entry.label.as_deref(), &found["labels"][0]), (Some(label), &Value::from(label)));
            assert_eq!(sides(&entry.metadata["box"]), sides(&found["coordinate"]));
            // what is found is what was put in
            assert!((found["rec_scores"][0].as_f64().unwrap() - 1.0).abs() < 1e-5, "{found}");
        }
    }
    // of a photo without things, the whole
    let whole = bench.build_scenes(&["--detector", "det.safetensors", "--det-threshold", "1", "--detect", "all"]);
    assert!(whole.get("tea/a.ppm").is_some_and(|entry| !entry.metadata.contains_key("box")));
}

#[test]
fn photos_whose_things_are_known_are_not_added_again() {
    let bench = Bench::with_scenes();
    let built = bench.build_scenes(&["--detector", "det.safetensors", "--det-threshold", SCORE, "--detect", "all"]);
    let add = ["gallery", "add", "g.safetensors", "tea", "cup", "--detector", "det.safetensors", "--detect", "all"];
    let run = bench.with_model(&[&add[..], &["--det-threshold", SCORE]].concat());
    assert!(run.stderr.contains("2 images are in the gallery already"), "{}", run.stderr);
    run.good();
    assert_eq!(Gallery::open(bench.path("g.safetensors")).unwrap().len(), built.len());
}

#[test]
fn an_index_of_paddlex_is_searched_where_its_model_is_vouched_for() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&["--metric", "ip"]);
    let export = ["gallery", "export", "g.safetensors", "--output", "index"];
    finish(program().current_dir(bench.folder.path()).args(export)).good();
    let yaml = std::fs::read_to_string(bench.path("index/id_map.yaml")).unwrap();
    let plain: Vec<&str> = yaml.lines().filter(|line| !line.contains("model")).collect();
    std::fs::write(bench.path("index/id_map.yaml"), plain.join("\n") + "\n").unwrap();
    let recognize = ["recognize", "a.ppm", "--gallery", "index", "--detector", "det.safetensors"];
    let refused = bench.with_model(&recognize);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--any-model"), "{}", refused.stderr);
    assert!(bench.with_model(&[&recognize[..], &["--any-model"]].concat()).good().contains("'labels': ["));
}

#[test]
fn wrong_models_and_options_are_refused() {
    let bench = Bench::with_scenes();
    bench.build_scenes(&[]);
    for (arguments, code, message) in [
        (&["-g", "g.safetensors", "-d", "no.safetensors"][..], 1, "no.safetensors"),
        (&["-g", "no.safetensors", "-d", "det.safetensors"], 1, "no.safetensors"),
        (&["-g", "g.safetensors", "-d", "default"], 2, "finds no objects"),
        (&["-g", "g.safetensors", "-d", "det.safetensors", "-k", "0"], 2, "-k 0"),
        (&["-g", "g.safetensors", "-d", "det.safetensors", "--overlap", "2"], 2, "from 0 to 1"),
        (&["-g", "g.safetensors"], 2, "--detector"),
        (&["-d", "det.safetensors"], 2, "--gallery"),
    ] {
        let run = bench.with_model(&[&["recognize", "a.ppm"], arguments].concat());
        assert_eq!(run.code, Some(code), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(message), "{arguments:?}: {}", run.stderr);
    }
    let arguments = ["recognize", "a.ppm", "-g", "g.safetensors", "-d", "det.safetensors"];
    let other = bench.with_other_model("tiny", &arguments);
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.stderr.contains("another model"), "{}", other.stderr);
    let swapped = bench.with_other_model("det.safetensors", &arguments);
    assert!(swapped.code == Some(2) && swapped.stderr.contains("is a detector"), "{swapped:?}");
}
