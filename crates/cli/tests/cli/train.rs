//! `train`, and PaddleX's own command line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use temp_dir::TempDir;

use super::cases::image;
use super::program::{finish, program, run, text};
use super::shop::{CLASSES, shop};

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

/// No batch size is recommended that is then refused.
#[test]
fn one_class_is_too_few_for_any_batch() {
    let folder = TempDir::new().unwrap();
    let [dataset, out] = ["shop", "run"].map(|name| folder.path().join(name));
    shop(&dataset);
    let rows: String = (0..4).map(|k| format!("images/0_{k}.png 0\n")).collect();
    std::fs::write(dataset.join("train.txt"), rows).unwrap();
    for batch in ["4", "8"] {
        let mut arguments = vec!["train", text(&dataset), "--output", text(&out), "--width", "0.25", "--size", "32"];
        arguments.extend(["--batch-size", batch, "--quiet"]);
        let run = run(arguments);
        run.fails(2, &["one class", "add images of another class"]);
        assert!(!run.stderr.contains("at most"), "{run:?}");
    }
}

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
    let other = ["--epochs", "6", "--batch-size", "8", "--resume", text(&out)];
    let other = run([&["train", text(&dataset), "--output", text(&out)][..], &other].concat());
    assert!(
        other.code != Some(0) && other.stderr.contains("ask for the one that the run was begun with"),
        "{}",
        other.stderr
    );

    run(["model", "export", text(&out), "--output", text(&exported)]).good();
    let evaluate = |model: &Path| {
        run(["evaluate", text(&dataset), "--model", text(model), "--no-cache", "--json", "--quiet"]).good()
    };
    let [own, theirs] = [evaluate(&out), evaluate(&exported)]
        .map(|report| -> serde_json::Value { serde_json::from_str(&report).unwrap() });
    assert_eq!(own["scores"], theirs["scores"]);
}

/// A second run into the folder of another is refused, and loses nothing.
#[test]
fn a_run_is_not_trained_over_by_accident() {
    let folder = TempDir::new().unwrap();
    let [dataset, out] = ["shop", "run"].map(|name| folder.path().join(name));
    shop(&dataset);
    let train = |more: &[&str]| {
        let arguments = ["train", text(&dataset), "--output", text(&out), "--quiet"];
        run(arguments.iter().chain(&SMALL).chain(more))
    };
    train(&["--epochs", "2"]).good();
    let best = || std::fs::read(out.join("best_model/best_model.pdparams")).unwrap();
    let before = best();
    let advice = ["holds a run already", "--resume", "--output", "--overwrite"];
    train(&["--epochs", "1", "--seed", "7"]).fails(2, &advice);
    train(&["--epochs", "1", "--dry-run"]).fails(2, &advice);
    assert!(before == best());
    train(&["--epochs", "1", "--seed", "7", "--overwrite"]).good();
    assert!(before != best() && !out.join("epoch_2").exists());
    // after a kill between two renames
    std::fs::rename(out.join("latest"), out.join(".latest.old")).unwrap();
    train(&["--epochs", "2", "--seed", "7", "--resume", text(&out)]).good();
    assert_eq!(json(&out.join("latest/latest.info.json"))["epoch"], 2);

    // PaddleX's settings
    let config = folder.path().join("settings.yaml");
    let settings = format!(
        "Global:\n  model: PP-ShiTuV2_rec\n  mode: train\n  dataset_dir: {}\n  device: cpu\n  output: {}\n\
         Train:\n  epochs_iters: 1\n  batch_size: 8\n",
        text(&dataset),
        text(&out)
    );
    std::fs::write(&config, settings).unwrap();
    let refused = run(["-c", text(&config)]);
    assert!(refused.code == Some(2) && refused.stderr.contains("Train.overwrite"), "{}", refused.stderr);
    run(["-c", text(&config), "-o", "Train.overwrite=True"]).good();
    assert!(!out.join("epoch_2").exists() && out.join("epoch_1").exists());
}

/// `--quiet` hides progress, and not what is wrong with the images.
#[test]
fn replaced_images_are_told_also_when_quiet() {
    let folder = TempDir::new().unwrap();
    let [dataset, out] = ["shop", "run"].map(|name| folder.path().join(name));
    shop(&dataset);
    let damaged = std::fs::read(dataset.join("images/1_0.png")).unwrap();
    std::fs::write(dataset.join("images/damaged.png"), &damaged[..40]).unwrap();
    let list = std::fs::read_to_string(dataset.join("train.txt")).unwrap();
    std::fs::write(dataset.join("train.txt"), list + "images/damaged.png 1\n").unwrap();
    let arguments = ["train", text(&dataset), "--output", text(&out), "--epochs", "4", "--quiet"];
    let trained = run(arguments.iter().chain(&SMALL));
    let notes: Vec<&str> = trained.stderr.lines().filter(|line| line.contains("cannot be read")).collect();
    assert!(notes.len() == 1 && notes[0].contains("1 images cannot be read"), "{}", trained.stderr);
    assert!(!trained.stderr.contains("epoch 1/4"), "{}", trained.stderr);
    trained.good();
    let log = std::fs::read_to_string(out.join("train.log")).unwrap();
    assert_eq!(log.matches("images/damaged.png").count(), 1);
}

/// Reads the output of a child up to a line that contains this. Returns all that was read.
fn read_until(lines: &mut impl BufRead, part: &str) -> String {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "no `{part}` in: {text}");
        text += &line;
        if line.contains(part) {
            return text;
        }
    }
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let folder = TempDir::new().unwrap();
    let [dataset, out, whole] = ["shop", "it's a run", "whole"].map(|name| folder.path().join(name));
    shop(&dataset);
    let train = |out: &Path, more: &[&str]| {
        let mut command = program();
        command.args(["train", text(&dataset), "--output", text(out), "--epochs", "12"]).args(SMALL).args(more);
        command
    };
    let mut child = train(&out, &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut stderr, "epoch 2/12");
    interrupt(&child);
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("stopping after this batch; once more to stop at once"), "{said}");
    assert!(said.contains("error: ") && said.contains("interrupted"), "{said}");
    let epoch = json(&out.join("latest/latest.info.json"))["epoch"].as_u64().unwrap();
    assert!((2..12).contains(&epoch));
    assert!(said.contains(&format!("latest has epoch {epoch}. To go on:")), "{said}");
    let log = std::fs::read_to_string(out.join("train.log")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains(" ppcls WARNING: ") && last.ends_with(&format!("`latest` has epoch {epoch}")), "{last}");
    assert_ne!(json(&out.join("train_results.json"))["done_flag"], true);

    // the command that the program printed
    let command = said.lines().find(|line| line.starts_with("  ") && line.contains("--resume")).unwrap();
    assert!(finish(Command::new("sh").args(["-c", command])).code == Some(0), "{command}");
    finish(&mut train(&whole, &[])).good();
    let weights = |out: &Path| std::fs::read(out.join("latest/latest.pdparams")).unwrap();
    assert!(weights(&out) == weights(&whole), "{command}");
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_a_run_at_once() {
    let folder = TempDir::new().unwrap();
    let [dataset, out] = ["shop", "run"].map(|name| folder.path().join(name));
    shop(&dataset);
    // a batch takes seconds
    let arguments = ["--batch-size", "8", "--size", "256", "--epochs", "3", "--ignore-disk"];
    let mut child = program()
        .args(["train", text(&dataset), "--output", text(&out)])
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut stderr, "16 images of 4 classes");
    // the log is there once it runs
    while !out.join("train.log").is_file() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&child);
    read_until(&mut stderr, "once more to stop at once");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "interrupted\n");
}

#[test]
fn checkpoints_that_cannot_fit_are_told_early() {
    let folder = TempDir::new().unwrap();
    let [dataset, out] = ["shop", "run"].map(|name| folder.path().join(name));
    shop(&dataset);
    let train = |more: &[&str]| {
        let epochs = ["train", text(&dataset), "--output", text(&out), "--epochs", "1000000000", "--dry-run"];
        run(epochs.iter().chain(&SMALL[..8]).chain(more))
    };
    let refused = train(&[]);
    refused.fails(
        1,
        &["the checkpoints of this run take up to ", " MB are free there", "--save-interval", "--ignore-disk"],
    );
    assert!(!out.exists());
    // twice the advice, because other programs may write to the disk, too
    let interval: u64 =
        refused.stderr.split("save only every ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let fits = train(&["--save-interval", &(2 * interval).to_string()]);
    assert!(fits.stderr.contains(" MB are free"), "{fits:?}");
    fits.good();
    train(&["--ignore-disk"]).good();
}

#[test]
fn names_in_old_encodings_are_decoded_as_asked() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("shop.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    let mut add = |name: &[u8], bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    };
    let mut rows = String::new();
    for (class, k) in (0..CLASSES).flat_map(|class| (0..4).map(move |k| (class, k))) {
        // 茶 in GBK, which is something else in Shift JIS
        let name = [b"images/\xb2\xe8", format!("{class}_{k}.png").as_bytes()].concat();
        add(&name, &image(class, k));
        rows += &format!("images/\u{8336}{class}_{k}.png {class}\n");
    }
    ["train.txt", "gallery.txt", "query.txt"].into_iter().for_each(|list| add(list.as_bytes(), rows.as_bytes()));
    tar.finish().unwrap();

    let out = folder.path().join("run");
    let with = |encoding: &str, arguments: &[&str]| {
        run([&[arguments[0], text(&archive), "--name-encoding", encoding][..], &arguments[1..]].concat())
    };
    let train = [&["train", "--output", text(&out), "--epochs", "1", "--quiet"][..], &SMALL[..8]].concat();
    assert_eq!(with("shift_jis", &train).code, Some(1));
    with("gbk", &train).good();
    let evaluate = ["evaluate", "--model", text(&out), "--no-cache", "--quiet"];
    assert_eq!(with("shift_jis", &evaluate).code, Some(1));
    assert!(with("gbk", &evaluate).good().contains("recall@1"));
    assert_eq!(with("klingon", &evaluate).code, Some(2));
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
