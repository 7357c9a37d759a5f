//! `finetune`: last layers, learnt from data sets.

use std::path::{Path, PathBuf};

use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
use image_feature::model::lcnet_v2::Form;
use image_feature::model::{ModelDescription, Network};
use image_feature::weights::Tensors;
use image_feature::{Dtype, Model, Preprocess, Resize};
use temp_dir::TempDir;

use super::common::formula_tensor;
use super::program::{Run, run, text};
use super::shop::shop;

/// A small network without last layers.
fn backbone(folder: &Path) -> PathBuf {
    let config =
        EfficientNetLiteConfig { width: 0.25, depth: 0.5, kept_blocks: None, input: [64, 64], embedding: None };
    let mut tensors = Tensors::new();
    for parameter in config.parameters(None) {
        let tensor = formula_tensor(&parameter);
        tensors.insert(parameter.name, tensor);
    }
    let network = Network::EfficientNetLite(config);
    let preprocess = Preprocess { resize: Resize::Stretch { width: 64, height: 64 }, ..Preprocess::default() };
    let description = ModelDescription { name: "backbone".into(), network, preprocess };
    let model = Model::new(description, Form::Deploy, None, &tensors).unwrap();
    let path = folder.join("backbone.safetensors");
    std::fs::write(&path, model.to_safetensors(Dtype::F32).unwrap()).unwrap();
    path
}

struct Case {
    folder: TempDir,
    model: PathBuf,
}

impl Case {
    /// Two data sets with the same labels.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        shop(&folder.path().join("a"));
        shop(&folder.path().join("b"));
        let model = backbone(folder.path());
        Case { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn finetune(&self, sets: &[&str], output: &str, more: &[&str]) -> Run {
        let paths: Vec<PathBuf> = [sets, &[output]].concat().iter().map(|name| self.path(name)).collect();
        let (output, sets) = paths.split_last().unwrap();
        let mut arguments = vec!["finetune"];
        arguments.extend(sets.iter().map(|path| text(path)));
        arguments.extend(["--model", text(&self.model), "--output", text(output), "--threads", "1"]);
        arguments.extend(["--views", "2"]);
        if !more.contains(&"--epochs") {
            arguments.extend(["--epochs", "3"]);
        }
        run(arguments.iter().chain(more))
    }
}

#[test]
fn a_network_without_last_layers_gets_some_that_learn() {
    let case = Case::new();
    let told = case.finetune(&["a", "b"], "tuned.safetensors", &["--embedding", "8", "--name", "mine"]);
    assert!(told.stderr.contains("32 images of 8 classes in 2 data sets"), "{}", told.stderr);
    told.good();
    let tuned = Model::open(case.path("tuned.safetensors")).unwrap();
    assert_eq!((tuned.description.name.as_str(), tuned.description.dimension()), ("mine", 8));

    // without epochs the layers are the whitened ones; learning has changed them, and nothing before them
    case.finetune(&["a", "b"], "start.safetensors", &["--embedding", "8", "--epochs", "0"]).good();
    let start = Model::open(case.path("start.safetensors")).unwrap();
    for (name, tensor) in start.tensors.iter() {
        let learns = name.starts_with("backbone.last_conv") || name == "neck.feat_bn.weight";
        assert_eq!(tuned.tensors.get(name).unwrap() == tensor, !learns, "{name}");
    }
}

#[test]
fn blocks_are_left_out_and_the_input_is_made_smaller() {
    let case = Case::new();
    let more = ["--embedding", "6", "--blocks", "3", "--size", "48"];
    case.finetune(&["a"], "short.safetensors", &more).good();
    let short = Model::open(case.path("short.safetensors")).unwrap();
    let whole = Model::open(&case.model).unwrap();
    assert_eq!((short.description.input_size(), short.description.dimension()), ([48, 48], 6));
    let Network::EfficientNetLite(config) = &short.description.network else { panic!("another network") };
    assert_eq!(config.blocks().len(), 3);
    // its last convolution is the one that expands the input of the fourth block
    let expected = whole.tensors.get("backbone.blocks.3.expand.conv.weight").unwrap();
    assert_eq!(short.tensors.get("backbone.head.conv.weight").unwrap(), expected);
}

/// The same seed gives the same file.
#[test]
fn runs_can_be_repeated() {
    let case = Case::new();
    let learn = |output: &str, seed: &str| {
        case.finetune(&["a", "b"], output, &["--embedding", "8", "--seed", seed]).good();
        std::fs::read(case.path(output)).unwrap()
    };
    let first = learn("1.safetensors", "1");
    assert!(first == learn("2.safetensors", "1"));
    assert!(first != learn("3.safetensors", "2"));
}

#[test]
fn an_image_that_cannot_be_read_is_told_and_left_out() {
    let case = Case::new();
    std::fs::write(case.path("a/images/0_0.png"), b"no image").unwrap();
    let told = case.finetune(&["a"], "tuned.safetensors", &["--embedding", "8"]);
    assert!(told.stderr.contains("left out: ") && told.stderr.contains("images/0_0.png"), "{}", told.stderr);
    assert!(told.stderr.contains("1 of 16 images cannot be read"), "{}", told.stderr);
    told.good();
}

#[test]
fn wrong_wishes_are_refused_and_nothing_is_written() {
    let case = Case::new();
    let refused = |more: &[&str], code: i32, part: &str| {
        case.finetune(&["a"], "no.safetensors", more).fails(code, &[part]);
        assert!(!case.path("no.safetensors").exists());
    };
    refused(&["--dtype", "i8"], 2, "model convert");
    refused(&["--blocks", "400"], 2, "keep 1 to");
    refused(&["--embedding", "2000"], 2, "at least as many images");
    refused(&["--embedding", "8", "--whiten", "7"], 2, "from 0 to 1");
    case.finetune(&["none"], "no.safetensors", &[]).fails(1, &["none"]);
    std::fs::write(case.path("taken.safetensors"), b"mine").unwrap();
    case.finetune(&["a"], "taken.safetensors", &[]).fails(2, &["taken.safetensors"]);
    assert_eq!(std::fs::read(case.path("taken.safetensors")).unwrap(), b"mine");
}
