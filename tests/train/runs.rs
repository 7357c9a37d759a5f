//! Whole runs on generated images.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use image_feature::file_tree::{FileTree, Memory};
use image_feature::model::lcnet_v2::LcNetV2Config;
use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network};
use image_feature::train::{Event, Recipe, Run, RunOptions, train};
use image_feature::{DeviceRequest, ErrorKind, Extractor, Model, Preprocess, Resize, RgbImage, decode};

const CLASSES: usize = 6;
const SIDE: usize = 40;

/// A picture of a class: colour and direction of the stripes depend on the class; with some noise.
fn picture(class: usize, seed: usize) -> Vec<u8> {
    let colours = [[220, 40, 40], [40, 200, 60], [50, 70, 220], [220, 200, 40], [200, 50, 200], [40, 200, 210]];
    let mut file = format!("P6 {SIDE} {SIDE} 255\n").into_bytes();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let noise = (x * 7919 + y * 104_729 + seed * 1_299_709) % 41;
            let stripe = ((x * (1 + class % 3) + y * (class / 3) + seed) / 4).is_multiple_of(2);
            file.extend(colours[class].map(|value: usize| ((if stripe { value } else { 90 }) + noise).min(255) as u8));
        }
    }
    file
}

pub fn dataset() -> Arc<dyn FileTree> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (list, each) in [("train", 6), ("gallery", 2), ("query", 2)] {
        let mut lines = String::new();
        for class in 0..CLASSES {
            for number in 0..each {
                let path = format!("images/{list}_{class}_{number}.ppm");
                // labels need not begin at 0
                lines += &format!("{path} {}\n", class * 10);
                let seed = number + 100 * list.len();
                files.push((path, picture(class, seed)));
            }
        }
        files.push((format!("{list}.txt"), lines.into_bytes()));
    }
    Arc::new(Memory::new("pictures", files))
}

pub fn recipe(epochs: usize) -> Recipe {
    let network = Network::LcNetV2(LcNetV2Config { scale: 0.25, input: [32, 32], embedding: 32 });
    let preprocess = Preprocess { resize: Resize::Stretch { width: 32, height: 32 }, ..Preprocess::default() };
    let model = ModelDescription { name: "PP-ShiTuV2_rec_x0.25".into(), network, preprocess };
    Recipe { epochs, batch_size: 16, warmup_epochs: 1.0, learning_rate: 0.05, ..Recipe::new(model, 10) }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_run_learns_and_leaves_what_paddlex_leaves() {
    let folder = temp_dir::TempDir::new().unwrap();
    let out = folder.path();
    let recipe = Recipe { save_interval: 2, ..recipe(6) };
    let mut steps = 0;
    let summary = train(&dataset(), &recipe, &RunOptions::new(out), &mut |event| {
        steps += usize::from(matches!(event, Event::Step(_)));
    })
    .unwrap();
    // 36 images in batches of 16
    assert_eq!(steps, 6 * 3);
    assert_eq!(summary.best.map(|(_, score)| score), Some(1.0), "easy pictures are told apart");

    for prefix in ["best_model", "latest", "epoch_2", "epoch_4", "epoch_6"] {
        for extension in ["pdparams", "pdopt", "pdstates", "info.json", "safetensors"] {
            assert!(out.join(prefix).join(format!("{prefix}.{extension}")).is_file(), "{prefix}.{extension}");
        }
    }
    for file in ["inference.json", "inference.pdiparams", "inference.yml"] {
        assert!(out.join("best_model/inference").join(file).is_file(), "{file}");
    }
    assert!(!out.join("epoch_1").exists());
    assert_eq!(
        std::fs::read(out.join("best_model/best_model/model.pdparams")).unwrap(),
        std::fs::read(out.join("best_model/best_model.pdparams")).unwrap()
    );

    let log = read(&out.join("train.log"));
    let line = log.lines().find(|line| line.contains("[Train][Epoch 1/6][Iter: 0/3]")).unwrap();
    // PaddleClas's line: the rate of the next step, averages, costs
    for part in [
        "ppcls INFO: [Train][Epoch 1/6][Iter: 0/3]lr(LinearWarmup): 0.01666667, CELoss: ",
        ", TripletAngularMarginLoss: ",
        ", loss: ",
        ", batch_cost: ",
        "s, reader_cost: ",
        ", ips: ",
        " samples/s, eta: 0:0",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    for part in [
        "[Train][Epoch 6/6][Avg]CELoss: ",
        "Build gallery done, all feat shape: [12, 32]",
        "[Eval][Epoch 6][Avg]recall1: ",
        "[Eval][Epoch 6][best metric: 1.0]",
        "Already save model in ",
    ] {
        assert!(log.contains(part), "{part}");
    }
    let names: Vec<String> =
        std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("vdlrecords.") && name.ends_with(".log")), "{names:?}");
    let results: serde_json::Value = serde_json::from_str(&read(&out.join("train_results.json"))).unwrap();
    assert_eq!(results["done_flag"], true);
    assert_eq!(results["models"]["last_1"]["pdparams"], "epoch_6/epoch_6.pdparams");
    assert_eq!(results["models"]["last_1"]["inference_config"], "epoch_6/inference/inference.yml");
    assert_eq!(results["models"]["last_4"], serde_json::json!({}));
    assert_eq!(results["models"]["best"]["score"], 1.0);
    assert_eq!(read(&out.join("train_curve.csv")).lines().count(), 7);
    assert!(read(&out.join("train_curve.svg")).starts_with("<svg"));
    assert!(read(&out.join("config.yaml")).contains("class_num: 10\n"));

    // the folder can be opened as a model, with its input size
    let model = Model::open(out).unwrap();
    assert_eq!(model.description, recipe.model);
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let feature = |class, seed| -> Vec<f32> {
        let image: RgbImage = decode(&picture(class, seed), &Default::default()).unwrap();
        extractor.embed(&image).unwrap()
    };
    let cosine = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (a, b, other) = (feature(1, 5000), feature(1, 6000), feature(4, 5000));
    assert!(cosine(&a, &b) > cosine(&a, &other), "{} {}", cosine(&a, &b), cosine(&a, &other));
}

/// The weights of a resumed run and of a run without a stop are equal, byte by byte.
#[test]
fn a_resumed_run_gives_the_same_weights() {
    let (first, second) = (temp_dir::TempDir::new().unwrap(), temp_dir::TempDir::new().unwrap());
    let recipe = recipe(3);
    train(&dataset(), &recipe, &RunOptions::new(first.path()), &mut |_| {}).unwrap();
    for resume in ["epoch_1/epoch_1.pdparams", "epoch_2"] {
        let resume = Some(first.path().join(resume));
        let options = RunOptions { resume, overwrite: true, threads: Some(3), ..RunOptions::new(second.path()) };
        train(&dataset(), &recipe, &options, &mut |_| {}).unwrap();
        for extension in ["pdparams", "pdopt", "pdstates"] {
            let read = |out: &Path| std::fs::read(out.join(format!("latest/latest.{extension}"))).unwrap();
            assert!(read(first.path()) == read(second.path()), "{:?}: {extension} differs", options.resume);
        }
    }
}

/// Two devices, here the CPU twice, share the steps. Their run can be resumed.
#[test]
fn devices_share_the_steps_of_a_run() {
    let (first, second) = (temp_dir::TempDir::new().unwrap(), temp_dir::TempDir::new().unwrap());
    let recipe = Recipe { batch_size: 8, ..recipe(3) };
    let two = |out: &Path| RunOptions { devices: vec![DeviceRequest::Cpu; 2], ..RunOptions::new(out) };
    let options = two(first.path());
    let run = Run::prepare(&dataset(), &recipe, &options).unwrap();
    // 36 images, 8 for each
    assert_eq!((run.begin().iterations_per_epoch, run.begin().device.as_str()), (3, "cpu + cpu"));
    let summary = run.start(&mut |_| {}).unwrap();
    assert!(summary.best.is_some_and(|(_, recall)| recall > 0.5), "{summary:?}");
    let resume = Some(first.path().join("epoch_1"));
    train(&dataset(), &recipe, &RunOptions { resume, ..two(second.path()) }, &mut |_| {}).unwrap();
    let weights = |out: &Path| std::fs::read(out.join("latest/latest.pdparams")).unwrap();
    assert!(weights(first.path()) == weights(second.path()));
    let refused = |devices| {
        let options = RunOptions { devices, overwrite: true, ..RunOptions::new(second.path()) };
        Run::prepare(&dataset(), &recipe, &options).err().unwrap().to_string()
    };
    assert!(refused(vec![]).contains("no device is named"));
    assert!(refused(vec![DeviceRequest::Cuda(1); 2]).contains("cuda:1 is named twice"));
    #[cfg(not(feature = "cuda"))]
    assert!(refused(vec![DeviceRequest::Cuda(0), DeviceRequest::Cuda(1)]).contains("cuda is not in this build"));
}

/// The CLIP models' recipe: their sampling, augmentation and angles.
#[test]
fn a_transformer_is_trained_too() {
    let folder = temp_dir::TempDir::new().unwrap();
    let out = folder.path();
    let sizes = VitConfig { input: [32, 32], patch: 8, width: 32, depth: 2, heads: 2, hidden: 64, ..VitConfig::base() };
    let network = Network::Vit(VitConfig { projection: 24, embedding: 16, ..sizes });
    let model = ModelDescription { name: "PP-ShiTuV2_rec_CLIP_vit_small".into(), network, ..recipe(1).model };
    let recipe = Recipe { epochs: 2, batch_size: 16, warmup_epochs: 1.0, ..Recipe::new(model.clone(), 60) };
    let mut last = Vec::new();
    let summary = train(&dataset(), &recipe, &RunOptions::new(out), &mut |event| {
        if let Event::Step(step) = event {
            last = step.losses;
        }
    })
    .unwrap();
    assert!(summary.best.is_some());
    assert_eq!(last.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["CELoss", "loss"]);
    assert!(read(&out.join("config.yaml")).contains("name: ArcMargin"));
    let latest = Model::open(out.join("latest/latest.safetensors")).unwrap();
    assert_eq!(latest.description, model);
    let exported = Model::open(out.join("latest/inference")).unwrap();
    for (name, tensor) in exported.tensors.iter() {
        assert_eq!(latest.tensors.get(name), Some(tensor), "{name}");
    }

    // labels are the head's columns here
    let options = RunOptions { overwrite: true, ..RunOptions::new(out) };
    let error = Run::prepare(&dataset(), &Recipe { classes: 50, ..recipe }, &options).err().unwrap();
    assert!(error.to_string().contains("at least 51"), "{error}");
}

#[test]
fn another_seed_gives_other_weights() {
    let folder = temp_dir::TempDir::new().unwrap();
    let weights = |seed| {
        let options = RunOptions { overwrite: true, ..RunOptions::new(folder.path()) };
        train(&dataset(), &Recipe { seed, ..recipe(1) }, &options, &mut |_| {}).unwrap();
        std::fs::read(folder.path().join("latest/latest.pdparams")).unwrap()
    };
    assert!(weights(1) != weights(2));
}

#[test]
fn what_would_fail_late_fails_early() {
    let folder = temp_dir::TempDir::new().unwrap();
    let out = folder.path().join("out");
    let refused = |recipe: Recipe| {
        let options = RunOptions::new(&out);
        Run::prepare(&dataset(), &recipe, &options).err().expect("is refused").to_string()
    };
    let base = recipe(2);
    assert!(refused(Recipe { classes: 5, ..base.clone() }).contains("has 6 classes"));
    assert!(refused(Recipe { batch_size: 28, ..base.clone() }).contains("at most 24"));
    assert!(refused(Recipe { batch_size: 10, ..base.clone() }).contains("must be a divisor of batch_size(10)"));
    assert!(refused(Recipe { batch_size: 4, ..base.clone() }).contains("one class"));
    assert!(refused(Recipe { epochs: 0, ..base.clone() }).contains("epochs is 0"));
    assert!(refused(Recipe { learning_rate: f64::NAN, ..base.clone() }).contains("learning rate"));
    let options = RunOptions { resume: Some(folder.path().into()), ..RunOptions::new(&out) };
    let error = Run::prepare(&dataset(), &base, &options).err().unwrap();
    assert!(error.to_string().contains("no checkpoint"), "{error}");
    assert!(!out.exists(), "nothing is written");

    let few = Memory::new("few", [("train.txt", b"a.jpg 1\n".to_vec()), ("a.jpg", Vec::new())]);
    let error = Run::prepare(&(Arc::new(few) as _), &base, &RunOptions::new(&out)).err().unwrap();
    assert!(error.to_string().contains("gallery.txt is missing"), "{error}");
}

/// A run that is stopped in an epoch or an evaluation resumes after the last whole epoch, with the same weights.
#[test]
fn a_run_that_is_stopped_loses_its_epoch_alone() {
    let (first, second) = (temp_dir::TempDir::new().unwrap(), temp_dir::TempDir::new().unwrap());
    let recipe = recipe(3);
    train(&dataset(), &recipe, &RunOptions::new(first.path()), &mut |_| {}).unwrap();
    for last in [0, 2] {
        let options = RunOptions { overwrite: true, ..RunOptions::new(second.path()) };
        let stop = options.stop.clone();
        let mut stopped = None;
        let error = train(&dataset(), &recipe, &options, &mut |event| match event {
            Event::Step(step) if (step.epoch, step.iteration) == (2, last) => stop.store(true, Ordering::Relaxed),
            Event::Stopped { epoch, kept } => stopped = Some((epoch, kept)),
            Event::Step(step) => assert!((step.epoch, step.iteration) < (2, last)),
            _ => {}
        })
        .unwrap_err();
        assert_eq!((error.kind(), stopped), (ErrorKind::Cancelled, Some((2, Some(1)))), "{error}");
        let what =
            if last == 0 { "interrupted in epoch 2, after 1 of 3 batches" } else { "evaluation was interrupted" };
        let log = read(&second.path().join("train.log"));
        assert!(error.to_string().contains(what) && log.trim_end().ends_with("`latest` has epoch 1"), "{error}");
        let options = RunOptions { resume: Some(second.path().into()), ..RunOptions::new(second.path()) };
        train(&dataset(), &recipe, &options, &mut |_| {}).unwrap();
        let weights = |out: &Path| std::fs::read(out.join("latest/latest.pdparams")).unwrap();
        assert!(weights(first.path()) == weights(second.path()), "{last}");
    }
    // the checkpoint of an earlier run does not count
    let options = RunOptions { overwrite: true, ..RunOptions::new(second.path()) };
    options.stop.store(true, Ordering::Relaxed);
    let mut stopped = None;
    let error = train(&dataset(), &recipe, &options, &mut |event| {
        if let Event::Stopped { epoch, kept } = event {
            stopped = Some((epoch, kept));
        }
    });
    assert!(error.is_err() && stopped == Some((1, None)), "{stopped:?}");
}

/// A run goes on from what a kill leaves at any step of the replacement of checkpoints, to the same weights.
#[test]
fn a_killed_run_goes_on_from_its_last_whole_checkpoint() {
    let (whole, killed) = (temp_dir::TempDir::new().unwrap(), temp_dir::TempDir::new().unwrap());
    let recipe = recipe(2);
    train(&dataset(), &recipe, &RunOptions::new(whole.path()), &mut |_| {}).unwrap();
    let weights = |out: &Path| std::fs::read(out.join("latest/latest.pdparams")).unwrap();
    let out = killed.path().join("run");
    let rename = |from: &str, to: &str| std::fs::rename(out.join(from), out.join(to)).unwrap();
    let states: [(&str, &dyn Fn()); 4] = [
        ("between two renames", &|| rename("latest", ".latest.old")),
        ("between two renames, with the new one beside it", &|| {
            rename("latest", ".latest.old");
            std::fs::create_dir(out.join(".latest.new")).unwrap();
            std::fs::write(out.join(".latest.new/latest.pdparams"), "half").unwrap();
        }),
        ("before the first `latest`", &|| std::fs::remove_dir_all(out.join("latest")).unwrap()),
        ("before the first `epoch_1`", &|| {
            std::fs::remove_dir_all(out.join("latest")).unwrap();
            std::fs::remove_dir_all(out.join("epoch_1")).unwrap();
        }),
    ];
    for (state, kill) in states {
        let options = RunOptions { overwrite: true, ..RunOptions::new(&out) };
        let stop = options.stop.clone();
        let stopped = train(&dataset(), &recipe, &options, &mut |event| {
            if matches!(event, Event::Step(step) if step.epoch == 2) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
        kill();
        let refused = train(&dataset(), &recipe, &RunOptions::new(&out), &mut |_| {}).unwrap_err();
        assert!(refused.to_string().contains("holds a run already"), "{state}: {refused}");
        let options = RunOptions { resume: Some(out.clone()), ..RunOptions::new(&out) };
        let run = Run::prepare(&dataset(), &recipe, &options).unwrap();
        assert_eq!(run.begin().epochs_done, 1, "{state}");
        run.start(&mut |_| {}).unwrap();
        assert!(weights(&out) == weights(whole.path()), "{state}");
        let hidden = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(hidden.filter(|name| name.as_encoded_bytes()[0] == b'.').count(), 0, "{state}");
    }
}

/// A folder with a run is refused, and nothing in it changes; overwritten, it has the files of the new run only.
#[test]
fn a_run_is_not_trained_over_by_accident() {
    let folder = temp_dir::TempDir::new().unwrap();
    let out = folder.path();
    train(&dataset(), &recipe(3), &RunOptions::new(out), &mut |_| {}).unwrap();
    let files = || {
        let mut files = files_below(out);
        files.sort();
        files
    };
    let before = files();
    let options = RunOptions::new(out);
    let error = Run::prepare(&dataset(), &recipe(1), &options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
    for part in ["holds a run already", "--resume", "--output", "--overwrite"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // another run that goes on into this folder would replace it, too
    let other = temp_dir::TempDir::new().unwrap();
    train(&dataset(), &recipe(1), &RunOptions::new(other.path()), &mut |_| {}).unwrap();
    let options = RunOptions { resume: Some(other.path().into()), ..RunOptions::new(out) };
    assert!(Run::prepare(&dataset(), &recipe(2), &options).err().unwrap().to_string().contains("holds a run already"));
    let options = RunOptions { resume: Some(out.into()), overwrite: true, ..RunOptions::new(out) };
    let error = Run::prepare(&dataset(), &recipe(4), &options).err().unwrap().to_string();
    assert!(error.contains("--overwrite would delete"), "{error}");
    assert_eq!(files(), before);

    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let options = RunOptions { overwrite: true, ..RunOptions::new(out) };
    train(&dataset(), &recipe(1), &options, &mut |_| {}).unwrap();
    let folders = ["best_model", "epoch_1", "latest"];
    let left = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut left: Vec<_> = left.map(|path| path.file_name().unwrap().to_os_string()).collect();
    left.sort();
    assert_eq!(left, folders, "old epochs are left beside new ones");
    assert_eq!(read(&out.join("notes.txt")), "mine");
    let records = files().into_iter().filter(|(name, _)| name.contains("vdlrecords")).count();
    assert_eq!(records, 1);
}

/// The files below a folder, with their contents.
fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![(path.display().to_string(), std::fs::read(&path).unwrap())],
        })
        .collect()
}

#[test]
fn a_run_that_diverges_ends_with_a_reason() {
    let folder = temp_dir::TempDir::new().unwrap();
    let recipe = Recipe { learning_rate: 1e30, warmup_epochs: 0.0, ..recipe(2) };
    let error = train(&dataset(), &recipe, &RunOptions::new(folder.path()), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("diverged"), "{error}");
}

#[test]
fn a_rehearsal_writes_nothing() {
    let folder = temp_dir::TempDir::new().unwrap();
    let (out, recipe) = (folder.path().join("out"), recipe(2));
    let options = RunOptions::new(&out);
    let run = Run::prepare(&dataset(), &recipe, &options).unwrap();
    assert_eq!(run.begin().images, [36, 12, 12]);
    let rehearsal = run.rehearse().unwrap();
    assert!(rehearsal.whole_seconds > 0.0 && rehearsal.losses.len() == 3);
    assert!(!out.exists());
}

/// A damaged image is replaced by another of its class, and the log names it.
#[test]
fn a_damaged_image_is_replaced_by_another_of_its_class() {
    let tree = dataset();
    let files = tree.entries().iter().enumerate().filter(|(_, entry)| entry.path != "images" && !entry.path.is_empty());
    let files = files.map(|(index, entry)| {
        let bytes = tree.read(index, 1 << 20).unwrap();
        (entry.path.clone(), if entry.path.ends_with("train_2_3.ppm") { bytes[..40].to_vec() } else { bytes })
    });
    let damaged: Arc<dyn FileTree> = Arc::new(Memory::new("pictures", files.collect::<Vec<_>>()));
    let folder = temp_dir::TempDir::new().unwrap();
    let mut notes = Vec::new();
    train(&damaged, &recipe(2), &RunOptions::new(folder.path()), &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    })
    .unwrap();
    assert!(notes.iter().any(|note| note.contains("1 images cannot be read")), "{notes:?}");
    assert!(read(&folder.path().join("train.log")).contains("images/train_2_3.ppm"));
}
