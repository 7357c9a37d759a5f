//! PaddleX's own command line with the settings as PaddleX ships them.

use std::path::Path;
use std::process::Stdio;

use temp_dir::TempDir;

use super::common::shared;
use super::program::{Run, files_below, finish, program, text};

/// `paddlex/configs/modules/image_feature/<M>.yaml`: every key with its default (spec F.1).
fn settings(model: &str, batch_size: usize, learning_rate: &str) -> String {
    let weights = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_pretrained_model";
    format!(
        "Global:\n  model: {model}\n  mode: check_dataset # check_dataset/train/evaluate/export/predict\n  dataset_dir: shop\n  \
         device: gpu:0,1,2,3\n  output: \"output\"\n\nCheckDataset:\n  convert:\n    enable: False\n    src_dataset_type: null\n  \
         split:\n    enable: False\n    train_percent: null\n    gallery_percent: null\n    query_percent: null\n\nTrain:\n  \
         num_classes: 159\n  epochs_iters: 20\n  batch_size: {batch_size}\n  learning_rate: {learning_rate}\n  \
         pretrain_weight_path: {weights}/{model}_pretrained.pdparams\n  warmup_steps: 5\n  resume_path: null\n  log_interval: 1\n  \
         eval_interval: 1\n  save_interval: 1\n\nEvaluate:\n  weight_path: \"output/best_model/best_model.pdparams\"\n  \
         log_interval: 1\n\nExport:\n  weight_path: {weights}/{model}_pretrained.pdparams\n\nPredict:\n  batch_size: 1\n  \
         model_dir: \"output/best_model/inference\"\n  \
         input: \"https://paddle-model-ecology.bj.bcebos.com/paddlex/imgs/demo_image/general_image_recognition_001.jpg\"\n  \
         kernel_option:\n    run_mode: paddle\n"
    )
}

/// Runs it in a folder, where relative paths begin.
fn paddlex(folder: &Path, options: &[&str]) -> Run {
    let mut command = program();
    command.current_dir(folder).args(["-c", "config.yaml"]).stdin(Stdio::null());
    for option in options {
        command.args(["-o", option]);
    }
    finish(&mut command)
}

/// One image with the official model's files, beside what PaddleX 3.3 prints and saves.
#[test]
fn predict_mode_prints_and_saves_what_paddlex_does() {
    let (Some(model), Some(inputs)) =
        (shared("golden/models/PP-ShiTuV2_rec_infer_pir"), shared("golden/features/inputs"))
    else {
        return;
    };
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), settings("PP-ShiTuV2_rec", 128, "0.01")).unwrap();
    let best = folder.path().join("output/best_model/inference");
    std::fs::create_dir_all(&best).unwrap();
    for file in ["inference.json", "inference.pdiparams", "inference.yml"] {
        std::fs::copy(model.join(file), best.join(file)).unwrap();
    }
    let image = inputs.join("chelsea.png");
    let input = format!("Predict.input={}", text(&image));
    let predict = |more: &[&str]| {
        paddlex(folder.path(), &[&["Global.mode=predict", "Global.device=cpu", &input][..], more].concat())
    };
    let ran = predict(&[]);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let printed = ran.good();
    let theirs = shared("golden/predict/v3312").unwrap();
    let log: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(theirs.join("log.json")).unwrap()).unwrap();
    let golden = log["print()"][0].as_str().unwrap().replace("WORK/golden/features/inputs/chelsea.png", text(&image));
    // except for the feature's digits
    let frame = |text: &str| {
        (text.split("array(").next().unwrap().to_string(), text.rsplit("],").next().unwrap().trim_end().to_string())
    };
    assert_eq!(frame(&printed), frame(&golden));
    let read =
        |path: &Path| -> serde_json::Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let saved = folder.path().join("output/chelsea_res.json");
    let (ours, golden) = (read(&saved), read(&theirs.join("all/chelsea_res.json")));
    let keys = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&ours), keys(&golden));
    let feature = |object: &serde_json::Value| -> Vec<f64> {
        object["feature"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let differs = feature(&ours).iter().zip(feature(&golden)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(feature(&ours).len() == 512 && differs < 2e-5, "{differs}");

    // another model, a list, settings that change nothing
    std::fs::remove_file(&saved).unwrap();
    let list = format!("Predict.input=['{}', '{}']", text(&image), text(&inputs.join("china.jpg")));
    let more = [
        &format!("Predict.model_dir={}", text(&model)),
        &list,
        "Predict.batch_size=2",
        "Predict.kernel_option.run_mode=trt_fp16",
    ];
    let ran = predict(&more);
    assert!(
        ran.stderr.contains("warning: Predict.kernel_option.run_mode is trt_fp16, which changes nothing"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.good().lines().count(), 2);
    let files = files_below(&folder.path().join("output"));
    assert!(files.iter().any(|file| file == "china_res.json") && saved.is_file(), "{files:?}");
    assert!(!folder.path().join("output/predict_result.json").exists(), "left only on failure");
}

#[test]
fn settings_as_shipped_say_what_to_do_in_each_mode() {
    let models = [
        ("PP-ShiTuV2_rec", 128, "0.01"),
        ("PP-ShiTuV2_rec_CLIP_vit_base", 32, "0.001"),
        ("PP-ShiTuV2_rec_CLIP_vit_large", 32, "0.001"),
    ];
    for (model, batch_size, rate) in models {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), settings(model, batch_size, rate)).unwrap();
        super::shop::shop(&folder.path().join("shop"));
        let mut complaints = Vec::new();
        let mut refused = |options: &[&str], code: i32, part: &str| {
            let ran = paddlex(folder.path(), options);
            let mode = options[0].trim_start_matches("Global.mode=");
            let left = folder.path().join(format!("output/{mode}_result.json"));
            let failure = std::fs::read_to_string(&left).unwrap_or_default();
            if ran.code != Some(code) || !ran.stderr.contains(part) || !failure.contains("\"done_flag\": false") {
                complaints.push(format!("{model} {options:?}: expected {code} and `{part}`: {ran:?} {failure}"));
            }
            let _ = std::fs::remove_file(left);
        };
        // addresses that PaddleX would download
        let cpu = "Global.device=cpu";
        refused(
            &["Global.mode=train", cpu],
            2,
            &format!("{model}_pretrained.pdparams: download it and set Train.pretrain_weight_path"),
        );
        refused(&["Global.mode=train", cpu, "Train.pretrain_weight_path=default"], 2, "is default: download it");
        refused(
            &["Global.mode=export", cpu],
            2,
            &format!("{model}_pretrained.pdparams: download it and set Export.weight_path"),
        );
        refused(
            &["Global.mode=predict", cpu],
            2,
            "general_image_recognition_001.jpg: download it and set Predict.input",
        );
        // missing files
        refused(&["Global.mode=evaluate", cpu], 1, "output/best_model/best_model.pdparams");
        let input = "Predict.input=shop/images/0_0.png";
        refused(&["Global.mode=predict", cpu, input], 1, "output/best_model/inference");
        // PaddleX's official model of that name, if there is no other
        refused(
            &["Global.mode=predict", cpu, input, "Predict.model_dir=None"],
            1,
            &format!("{model}: not in PaddleX's cache"),
        );
        // values of a wrong type
        refused(&["Global.mode=predict", cpu, "Predict.input=7"], 2, "Predict.input is `7`; expected an image");
        refused(&["Global.mode=predict", cpu, input, "Global.model=ResNet50"], 2, "known are PP-ShiTuV2_rec, ");
        refused(&["Global.mode=predict", input, "Global.device=npu:0"], 2, "Global.device is `npu:0`");
        // the numbers are those of the settings
        let random = "Train.pretrain_weight_path=";
        let tried = paddlex(folder.path(), &["Global.mode=train", cpu, random, "Train.epochs_iters=0"]);
        assert!(tried.stderr.contains("epochs is 0"), "{tried:?}");
        if batch_size == 128 {
            refused(&["Global.mode=train", cpu, random], 2, "at most 16");
        }
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

#[test]
fn options_warn_as_paddlex_does() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.yaml"), settings("PP-ShiTuV2_rec", 128, "0.01")).unwrap();
    super::shop::shop(&folder.path().join("shop"));
    let options = ["Global.mode=train", "Train.epochs_iters=0", "Global.device=cpu", "Train.pretrain_weight_path="];
    let more = ["Train.amp=O1", "Train.dy2st=False", "Train.dist_ips=10.0.0.1", "Train.colour=red"];
    let ran = paddlex(folder.path(), &[&options[..], &more].concat());
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: A new field (amp) detected!",
            "warning: A new field (dy2st) detected!",
            "warning: A new field (dist_ips) detected!",
            "warning: A new field (colour) detected!",
            "warning: Train.amp is O1, which changes nothing: weights and gradients are 32 bits wide",
            "warning: Train.dist_ips is 10.0.0.1, which changes nothing: one machine is used",
        ]
    );
    assert_eq!(ran.code, Some(2));
}
