//! `config.yaml`: the configuration of a run in PaddleClas's form. PaddleX's evaluation and export read it.

use serde_json::{Value, json};

use super::augment::{Augmentation, Crops};
use super::loss::{ArcMargin, TripletAngularMargin};
use super::recipe::{Objective, Recipe, Sampling};
use crate::model::Network;
use crate::model::efficientnet_lite::EfficientNetLiteConfig;
use crate::model::vit::VitConfig;
use crate::weights::dump_yaml;

/// The paths and the device of a run, as text.
pub(super) struct Places<'a> {
    pub dataset: &'a str,
    pub output: &'a str,
    pub resume: Option<&'a str>,
    pub pretrained: Option<&'a str>,
    pub device: &'a str,
}

/// The configuration as PaddleClas would write it.
pub(super) fn yaml(recipe: &Recipe, places: &Places) -> String {
    dump_yaml(&effective(recipe, places))
}

fn effective(recipe: &Recipe, places: &Places) -> Value {
    let [height, width] = recipe.model.input_size();
    let warmup: Value = match recipe.warmup_epochs.fract() == 0.0 {
        true => json!(recipe.warmup_epochs as u64),
        false => json!(recipe.warmup_epochs),
    };
    json!({
        "AMP": {
            "level": "O1", "scale_loss": 128.0, "use_amp": false, "use_dynamic_loss_scaling": true, "use_fp16_test": false,
            "use_promote": false,
        },
        "Arch": architecture(recipe),
        "DataLoader": data_loader(recipe, places),
        "Global": {
            "checkpoints": places.resume, "device": places.device, "epochs": recipe.epochs, "eval_during_train": true,
            "eval_interval": recipe.eval_interval, "eval_mode": "retrieval", "image_shape": [3, height, width],
            "output_dir": places.output, "pdx_model_name": recipe.model.name, "pretrained_model": places.pretrained,
            "print_batch_step": recipe.log_interval, "re_ranking": false, "retrieval_feature_from": "features",
            "save_inference_dir": "./inference", "save_interval": recipe.save_interval, "seed": recipe.seed,
            "uniform_output_enabled": true, "use_dali": false, "use_visualdl": true,
        },
        "Loss": { "Eval": [{ "CELoss": { "weight": 1.0 } }], "Train": losses(recipe.objective) },
        "Metric": { "Eval": [{ "Recallk": { "topk": [1, 5] } }, { "mAP": {} }] },
        "Optimizer": {
            "lr": { "learning_rate": recipe.learning_rate, "name": "Cosine", "warmup_epoch": warmup },
            "momentum": recipe.momentum, "name": "Momentum",
            "regularizer": { "coeff": recipe.weight_decay, "name": "L2" },
        },
        "profiler_options": null,
    })
}

fn data_loader(recipe: &Recipe, places: &Places) -> Value {
    let [height, width] = recipe.model.input_size();
    let is_vit = matches!(recipe.model.network, Network::Vit(_));
    let sampler = |shuffle: bool, batch_size: usize| {
        json!({
            "name": "DistributedBatchSampler", "batch_size": batch_size, "drop_last": false, "shuffle": shuffle,
        })
    };
    let loader = json!({ "num_workers": 0, "use_shared_memory": false });
    let dataset = |list: &str, transforms: Vec<Value>| {
        json!({
            "name": "ShiTuRecDataset", "image_root": places.dataset,
            "cls_label_path": format!("{}/{list}", places.dataset.trim_end_matches('/')), "transform_ops": transforms,
        })
    };
    let resize = json!({ "ResizeImage": {
        "backend": "cv2", "interpolation": if is_vit { "bicubic" } else { "bilinear" }, "return_numpy": false,
        "size": [width, height],
    }});
    let decode = json!({ "DecodeImage": { "channel_first": false, "to_rgb": true } });
    let normalize = &recipe.model.preprocess.normalize;
    let normalize = json!({ "NormalizeImage": {
        "mean": normalize.mean, "order": if is_vit { "" } else { "hwc" }, "scale": "1.0/255.0", "std": normalize.std,
    }});
    let eval = |list: &str| {
        json!({
            "dataset": dataset(list, vec![decode.clone(), resize.clone(), normalize.clone()]),
            "loader": loader, "sampler": sampler(false, if is_vit { 32 } else { 64 }),
        })
    };
    let mut transforms = vec![decode.clone()];
    transforms.extend(augmentation(recipe, &resize));
    transforms.push(normalize.clone());
    let mut train = dataset("train.txt", transforms);
    if let (Sampling::PerClass(_), Some(train)) = (recipe.sampling, train.as_object_mut()) {
        train.insert("relabel".into(), true.into());
    }
    let sampling = match recipe.sampling {
        Sampling::Shuffled => sampler(true, recipe.batch_size),
        Sampling::PerClass(each) => json!({
            "name": "PKSampler", "batch_size": recipe.batch_size, "drop_last": false, "sample_per_id": each, "shuffle": true,
        }),
    };
    json!({
        "Eval": { "Gallery": eval("gallery.txt"), "Query": eval("query.txt") },
        "Train": { "dataset": train, "loader": loader, "sampler": sampling },
    })
}

fn architecture(recipe: &Recipe) -> Value {
    let [backbone, neck, head] = match &recipe.model.network {
        Network::Vit(config) => transformer(recipe, config),
        Network::LcNetV2(config) => lcnet_v2(recipe, config.scale),
        Network::EfficientNetLite(config) => efficientnet_lite(recipe, config),
        Network::PicoDet(_) => unreachable!("a recipe refuses detectors"),
    };
    json!({
        "Backbone": backbone, "BackboneStopLayer": { "name": "flatten" }, "Head": head, "Neck": neck,
        "infer_add_softmax": false, "infer_output_key": "features", "name": "RecModel",
    })
}

/// Backbone, neck and head of a vision transformer.
fn transformer(recipe: &Recipe, config: &VitConfig) -> [Value; 3] {
    let size = if *config == VitConfig::large() { "large_patch14" } else { "base_patch16" };
    let angles = match recipe.objective {
        Objective::Angles(angles) => angles,
        Objective::Linear { .. } => ArcMargin::default(),
    };
    let dimension = recipe.model.dimension();
    [
        json!({ "name": format!("CLIP_vit_{size}_224"), "pretrained": false, "return_embed": true }),
        json!({ "class_num": dimension, "embedding_size": config.projection, "name": "FC" }),
        arc_margin(recipe, angles),
    ]
}

/// Backbone, neck and head of PP-ShiTuV2_rec.
fn lcnet_v2(recipe: &Recipe, scale: f64) -> [Value; 3] {
    let dimension = recipe.model.dimension();
    let mut backbone = json!({
        "class_expand": dimension, "name": "PPLCNetV2_base_ShiTu", "pretrained": false, "use_ssld": true,
    });
    if let Some(backbone) = backbone.as_object_mut().filter(|_| scale != 1.0) {
        backbone.insert("scale".into(), scale.into());
    }
    let constant = |value: f64| json!({ "name": "Constant", "value": value });
    let neck = json!({
        "bias_attr": { "initializer": constant(0.0), "learning_rate": 1e-20 }, "name": "BNNeck",
        "num_features": dimension, "weight_attr": { "initializer": constant(1.0) },
    });
    let head = match recipe.objective {
        Objective::Angles(angles) => arc_margin(recipe, angles),
        Objective::Linear { .. } => json!({
            "bias_attr": false, "class_num": recipe.classes, "embedding_size": dimension, "name": "FC",
            "weight_attr": { "initializer": { "name": "Normal", "std": 0.001 } },
        }),
    };
    [backbone, neck, head]
}

/// Neck and head are those of PPLCNetV2; PaddleClas has no such backbone.
fn efficientnet_lite(recipe: &Recipe, config: &EfficientNetLiteConfig) -> [Value; 3] {
    let [_, neck, head] = lcnet_v2(recipe, 1.0);
    let backbone = json!({
        "class_expand": recipe.model.dimension(), "depth": config.depth, "name": "EfficientNetLite", "pretrained": false,
        "width": config.width,
    });
    [backbone, neck, head]
}

fn arc_margin(recipe: &Recipe, ArcMargin { margin, scale }: ArcMargin) -> Value {
    json!({
        "class_num": recipe.classes, "embedding_size": recipe.model.dimension(), "margin": margin, "name": "ArcMargin",
        "scale": scale,
    })
}

fn augmentation(recipe: &Recipe, resize: &Value) -> Vec<Value> {
    let [height, width] = recipe.model.input_size();
    match recipe.augmentation {
        Augmentation::None => vec![resize.clone()],
        Augmentation::Products(products) => vec![
            resize.clone(),
            json!({ "RandFlipImage": { "flip_code": 1 } }),
            json!({ "Pad": { "backend": "cv2", "padding": products.padding } }),
            json!({ "RandCropImageV2": { "size": [width, height] } }),
            json!({ "RandomRotation": {
                "degrees": whole(products.degrees), "interpolation": "bilinear", "prob": products.rotation,
            }}),
            resize.clone(),
        ],
        Augmentation::Crops(crops) => {
            let first = crops.from.map(|side| {
                let mut first = resize.clone();
                first["ResizeImage"]["size"] = json!([side, side]);
                first
            });
            // PaddleClas's own default is not written
            let part = match crops.share {
                share if share == Crops::clip().share => json!({ "size": width }),
                share => json!({ "scale": share, "size": width }),
            };
            let chain = [
                json!({ "RandCropImage": part }),
                json!({ "RandFlipImage": { "flip_code": 1 } }),
                json!({ "TimmAutoAugment": {
                    "config_str": "rand-m7-mstd0.5-inc1", "img_size": width, "interpolation": "bicubic",
                    "prob": crops.auto,
                }}),
                json!({ "RandomRotation": {
                    "degrees": whole(crops.degrees), "interpolation": "bicubic", "prob": crops.rotation,
                }}),
            ];
            first.into_iter().chain(chain).collect()
        }
    }
}

fn whole(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn losses(objective: Objective) -> Value {
    match objective {
        Objective::Angles(_) => json!([{ "CELoss": { "weight": 1.0 } }]),
        Objective::Linear { smoothing, triplet } => {
            let TripletAngularMargin { margin, same, other, absolute_weight, weight } = triplet;
            json!([
                { "CELoss": { "epsilon": smoothing, "weight": 1.0 } },
                { "TripletAngularMarginLoss": {
                    "absolute_loss_weight": absolute_weight, "add_absolute": true, "an_value": other, "ap_value": same,
                    "feature_from": "features", "margin": margin, "normalize_feature": true, "reduction": "mean",
                    "weight": weight,
                }},
            ])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `golden/train/config.yaml` was written by PaddleClas for a run of PaddleX.
    #[test]
    fn a_run_is_described_as_paddleclas_does() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/train/config.yaml");
        if !golden.exists() {
            return eprintln!("skipped: {} is absent", golden.display());
        }
        let recipe = Recipe {
            epochs: 3,
            batch_size: 16,
            warmup_epochs: 1.0,
            seed: 1,
            ..Recipe::published("PP-ShiTuV2_rec", 8).unwrap()
        };
        let places = Places {
            dataset: "WORK/work/train_ds",
            output: "WORK/work/train_out",
            resume: None,
            pretrained: None,
            device: "cpu",
        };
        let (ours, expected) = (yaml(&recipe, &places), std::fs::read_to_string(golden).unwrap());
        let different = ours.lines().zip(expected.lines()).find(|(ours, expected)| ours != expected);
        assert_eq!(different, None);
        assert_eq!(ours.len(), expected.len());
    }
}
