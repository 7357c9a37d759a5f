//! `train`, and PaddleX's own command line.

use std::path::Path;

use temp_dir::TempDir;

use super::cases::image;
use super::program::{run, text};

const CLASSES: u8 = 4;

/// A data set of four classes of four images.
fn shop(folder: &Path) {
    std::fs::create_dir_all(folder.join("images")).unwrap();
    let mut rows = String::new();
    for (class, k) in (0..CLASSES).flat_map(|class| (0..4).map(move |k| (class, k))) {
        let name = format!("images/{class}_{k}.png");
        std::fs::write(folder.join(&name), image(class, k)).unwrap();
        rows += &format!("{name} {class}\n");
    }
    for list in ["train.txt", "gallery.txt", "query.txt"] {
        std::fs::write(folder.join(list), &rows).unwrap();
    }
}

fn json(path: &Path) -> serde_json::Value {
    let file = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&file).unwrap()
}

const SMALL: [&str; 12] = [
    "--width",
    "0.25",
    "--size",
    "32",
    "--embedding",
    "16",
    "--batch-size",
    "8",
    "--save-interval",
    "2",
    "--warmup",
    "1",
];

#[test]
fn a_small_model_is_trained_resumed_evaluated_and_exported() {
    let folder = TempDir::new().unwrap();
    let [dataset, out, exported] = ["shop", "run", "exported"].map(|name| folder.path().join(name));
    shop(&dataset);
    let train = |more: &[&str]| {
        let mut arguments = vec!["train", text(&dataset), "--output", text(&out)];
        arguments.extend(SMALL);
        arguments.extend(more);
        run(arguments)
    };
    let rehearsed = train(&["--epochs", "4", "--dry-run"]).good();
    assert!(rehearsed.contains("the whole run will take about"), "{rehearsed}");
    assert!(!out.exists(), "a dry run writes nothing");

    let trained = train(&["--epochs", "4"]);
    assert!(trained.stderr.contains("epoch 4/4  loss "), "{}", trained.stderr);
    assert!(trained.stderr.contains("16 images of 4 classes"), "{}", trained.stderr);
    assert!(trained.good().starts_with("best: recall@1 "));
    let done = json(&out.join("train_results.json"));
    assert_eq!(done["models"]["last_2"]["pdopt"], "epoch_2/epoch_2.pdopt");

    let before = std::fs::read(out.join("latest/latest.pdparams")).unwrap();
    train(&["--epochs", "4", "--resume", text(&out.join("epoch_2"))]).good();
    assert!(before == std::fs::read(out.join("latest/latest.pdparams")).unwrap(), "resumed, it is another");
    let again = train(&["--epochs", "4", "--resume", text(&out)]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("its 4 epochs are done"), "{}", again.stderr);

    run(["model", "export", text(&out), "--output", text(&exported)]).good();
    let evaluate = |model: &Path| {
        run(["evaluate", text(&dataset), "--model", text(model), "--no-cache", "--json", "--quiet"]).good()
    };
    let [own, theirs] = [evaluate(&out), evaluate(&exported)]
        .map(|report| -> serde_json::Value { serde_json::from_str(&report).unwrap() });
    assert_eq!(own["scores"], theirs["scores"]);
}

#[test]
fn a_run_is_changed_by_augmentation_and_decay() {
    let folder = TempDir::new().unwrap();
    let dataset = folder.path().join("shop");
    shop(&dataset);
    let weights = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let mut arguments = vec!["train", text(&dataset), "--output", text(&out), "--epochs", "1", "--quiet"];
        arguments.extend(SMALL);
        arguments.extend(more);
        run(arguments).good();
        let config = std::fs::read_to_string(out.join("config.yaml")).unwrap();
        (std::fs::read(out.join("latest/latest.pdparams")).unwrap(), config)
    };
    let (plain, config) = weights("plain", &[]);
    assert!(config.contains("RandCropImageV2") && config.contains("coeff: 1.0e-05"), "{config}");
    let (crops, config) = weights("crops", &["--augmentation", "crops"]);
    // from images of 46x46, parts of at least 30 %
    for expected in ["- 46\n", "- 0.3\n", "TimmAutoAugment", "degrees: 30"] {
        assert!(config.contains(expected), "no `{expected}` in {config}");
    }
    let (decayed, config) = weights("decayed", &["--weight-decay", "0.01"]);
    assert!(config.contains("coeff: 0.01"), "{config}");
    let (classified, config) = weights("classified", &["--triplet-weight", "0"]);
    assert!(config.contains("weight: 0.0"), "{config}");
    assert!(plain != crops && plain != decayed && plain != classified);
    assert!(plain == weights("again", &["--augmentation", "products", "--weight-decay", "1e-5"]).0);

    let refused = run(["train", text(&dataset), "--weight-decay=-1"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("weight decay"), "{}", refused.stderr);
}

#[test]
fn paddlexs_command_line_is_carried_out() {
    let folder = TempDir::new().unwrap();
    let [dataset, out, config] = ["shop", "run", "PP-ShiTuV2_rec.yaml"].map(|name| folder.path().join(name));
    shop(&dataset);
    let settings = format!(
        "Global:\n  model: PP-ShiTuV2_rec\n  mode: check_dataset\n  dataset_dir: {}\n  device: cpu\n  output: {}\n\
         CheckDataset:\n  convert:\n    enable: False\n  split:\n    enable: False\n\
         Train:\n  num_classes: 4\n  epochs_iters: 1\n  batch_size: 8\n  learning_rate: 0.01\n  pretrain_weight_path: \
         https://paddle-model-ecology.bj.bcebos.com/x.pdparams\n  warmup_steps: 5\n  resume_path: null\n  log_interval: 1\n  \
         eval_interval: 1\n  save_interval: 1\nEvaluate:\n  weight_path: {2}/best_model/best_model.pdparams\n  log_interval: 1\n\
         Export:\n  weight_path: {2}/best_model/best_model.pdparams\n",
        text(&dataset),
        text(&out),
        text(&out),
    );
    std::fs::write(&config, settings).unwrap();
    let paddlex = |options: &[&str]| {
        let mut arguments = vec!["-c", text(&config)];
        options.iter().for_each(|option| arguments.extend(["-o", option]));
        run(arguments)
    };
    paddlex(&[]).good();
    assert_eq!(json(&out.join("check_dataset_result.json"))["check_pass"], true);

    // PaddleX would fetch these weights
    let refused = paddlex(&["Global.mode=train", "Train.colour=red"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("warning: A new field (colour) detected!"), "{}", refused.stderr);
    assert!(refused.stderr.contains("download it and set Train.pretrain_weight_path"), "{}", refused.stderr);
    let failed = json(&out.join("train_result.json"));
    assert_eq!((&failed["done_flag"], &failed["err_type"]), (&false.into(), &"<class 'AssertionError'>".into()));

    let trained = paddlex(&["Global.mode=train", "Train.pretrain_weight_path="]);
    assert!(trained.stderr.contains("warm-up takes all 1 epochs"), "{}", trained.stderr);
    trained.good();
    assert_eq!(json(&out.join("train_results.json"))["done_flag"], true);
    let written = std::fs::read_to_string(out.join("config.yaml")).unwrap();
    assert!(written.contains("  pdx_model_name: PP-ShiTuV2_rec\n") && written.contains("warmup_epoch: 5\n"));

    paddlex(&["Global.mode=evaluate"]).good();
    let info = json(&out.join("best_model/best_model.info.json"));
    let evaluated = json(&out.join("evaluate_result.json"));
    let recall = evaluated["metrics"]["recall1"].as_f64().unwrap();
    assert!((recall - info["metric"].as_f64().unwrap()).abs() < 1e-5, "{evaluated} {info}");
    paddlex(&["Global.mode=export"]).good();
    assert!(out.join("inference.pdiparams").is_file() && out.join("inference.yml").is_file());

    let unknown = paddlex(&["Global.mode=dance"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("Global.mode is `dance`"), "{}", unknown.stderr);
    assert_eq!(run(["-c", text(&config), "--what"]).code, Some(2));
}
