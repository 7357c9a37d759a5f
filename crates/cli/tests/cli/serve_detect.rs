//! `serve --api` with a detector.

use base64::Engine;
use serde_json::{Value, json};

use super::bench::Bench;
use super::recognize::SCORE;
use super::serve_api::{ask, base64};

/// A detector's score that some boxes have, as a request has it.
fn score() -> Value {
    serde_json::from_str(SCORE).unwrap()
}

#[test]
fn each_thing_has_a_box_with_its_hits() {
    let bench = Bench::with_scenes();
    let server = bench.serve(&["--detector", "det.safetensors"]);
    let photo = |name: &str| base64(&std::fs::read(bench.path(name)).unwrap());
    let pairs = json!([{ "image": photo("a.ppm"), "label": "tea" }, { "image": photo("b.ppm"), "label": "cup" }]);
    let built = ask(&server, "/shitu-index-build", json!({ "imageLabelPairs": pairs }));
    let infer = |more: Value| {
        let mut request = json!({ "image": photo("a.ppm"), "indexKey": built["indexKey"], "detThreshold": score() });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&server, "/shitu-infer", request)
    };
    let objects = |result: &Value| result["detectedObjects"].as_array().unwrap().clone();

    let result = infer(json!({}));
    assert!(objects(&result).len() > 1, "{result}");
    for object in objects(&result) {
        let side = |index: usize| object["bbox"][index].as_f64().unwrap();
        assert!(0.0 <= side(0) && side(0) < side(2) && side(2) <= 90.0 && side(3) <= 60.0, "{object}");
        assert!(object["score"].as_f64().unwrap() > 0.1 && object["recResults"].as_array().unwrap().len() == 2);
    }
    let picture = base64::engine::general_purpose::STANDARD.decode(result["image"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\xff\xd8\xff"), "a JPEG");
    let picture = image_feature::decode(&picture, &Default::default()).unwrap();
    assert_eq!((picture.width(), picture.height()), (90, 60));

    let whole = infer(json!({ "detThreshold": 1, "visualize": false, "topk": 1 }));
    assert_eq!(objects(&whole).len(), 1);
    let expected = (&json!([0.0, 0.0, 90.0, 60.0]), &json!(0.0), &json!("tea"));
    let object = &whole["detectedObjects"][0];
    assert_eq!((&object["bbox"], &object["score"], &object["recResults"][0]["label"]), expected);
    assert_eq!(object["recResults"].as_array().unwrap().len(), 1);
    assert!(whole["image"].is_null());
    let rejected = infer(json!({ "recThreshold": 1.01, "visualize": false }));
    assert!(objects(&rejected).iter().all(|object| object["recResults"] == json!([])), "{rejected}");
}

#[test]
fn topk_is_ignored_for_paddlex_alone() {
    let bench = Bench::with_scenes();
    let server = bench.serve(&["--detector", "det.safetensors", "--compat", "paddlex"]);
    let image = base64(&std::fs::read(bench.path("a.ppm")).unwrap());
    let pairs = json!([{ "image": image, "label": "tea" }, { "image": image, "label": "cup" }]);
    let built = ask(&server, "/shitu-index-build", json!({ "imageLabelPairs": pairs }));
    let request = json!({ "image": image, "indexKey": built["indexKey"], "detThreshold": 1, "topk": 1 });
    let result = ask(&server, "/shitu-infer", request);
    assert_eq!(result["detectedObjects"][0]["recResults"].as_array().unwrap().len(), 2, "{result}");
}
