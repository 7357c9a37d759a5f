//! All golden models: names, shapes, order and every value.

use image_feature::model::Network;
use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::{Model, ModelLoader, Resize};

use super::formula;
use super::support::{golden, golden_bytes, pir, report};

#[test]
fn parameters_are_those_of_paddle() {
    let Some(tsv) = golden_bytes("PP-ShiTuV2_rec_params.tsv") else { return };
    let tsv = String::from_utf8(tsv).unwrap();
    let expected: Vec<(String, String)> = tsv
        .lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            (columns.next().unwrap().into(), columns.next().unwrap().into())
        })
        .collect();
    let parameters = LcNetV2Config::default().parameters(Form::Training, Some(10));
    let ours: Vec<_> = parameters.iter().map(|p| (p.name.clone(), format!("{:?}", p.shape))).collect();
    assert_eq!(ours, expected);
}

#[test]
fn pdparams_hold_the_formula() {
    let Some(path) = golden("PP-ShiTuV2_rec_random.pdparams") else { return };
    let model = ModelLoader::new().with_head().open(&path).unwrap();
    assert_eq!((model.form, model.classes), (Form::Training, Some(10)));
    assert_eq!(model.description.network, Network::LcNetV2(LcNetV2Config::default()));
    let expected = formula::training(&LcNetV2Config::default(), Some(10));
    assert_eq!(model.tensors.len(), 287);
    let names =
        |tensors: &image_feature::weights::Tensors| tensors.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&model.tensors), names(&expected));
    let wrong = expected.iter().filter(|(name, tensor)| model.tensors.get(name) != Some(tensor));
    report(wrong.map(|(name, _)| Some(format!("{name} does not hold the values of the formula"))));
}

#[test]
fn head_is_left_out_unless_asked_for() {
    let Some(path) = golden("PP-ShiTuV2_rec_random.pdparams") else { return };
    let model = Model::open(&path).unwrap();
    assert_eq!((model.classes, model.tensors.len()), (None, 286));
    let info = model.info();
    assert_eq!(info.classes, Some(10));
    assert_eq!((&info.skipped[0].name[..], &info.skipped[0].shape[..]), ("head.fc.weight", &[512, 10][..]));
    assert_eq!(info.parameters, 4_778_880);
}

#[test]
fn exported_model_holds_the_formula() {
    let Some(model) = pir() else { return };
    let Network::LcNetV2(config) = &model.description.network else { panic!("another network") };
    assert_eq!(*config, LcNetV2Config::default());
    assert_eq!((model.form, model.classes), (Form::Deploy, None));
    let blocks = config.blocks();
    report(config.parameters(Form::Deploy, None).iter().map(|parameter| {
        let name = &parameter.name;
        let tensor = model.tensors.get(name)?;
        let block = blocks.iter().find(|block| {
            !block.branches.is_empty()
                && name.strip_prefix(&block.path).is_some_and(|rest| rest.starts_with(".dw_conv."))
        });
        let Some(block) = block else {
            let same = *tensor == formula::tensor(name, &parameter.shape);
            return (!same).then(|| format!("{name} does not hold the values of the formula"));
        };
        let (weight, bias) = formula::fused(&block.path, block.in_channels, block.kernel, &block.branches);
        let expected = if name.ends_with(".bias") { bias } else { weight };
        let worst = tensor.values.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        (worst > 1e-5).then(|| format!("{name} is {worst} off the fusion of its branches"))
    }));
    assert_eq!(model.tensors.len(), 171);
}

#[test]
fn both_graph_formats_give_the_same_tensors() {
    let (Some(pir), Some(path)) = (pir(), golden("PP-ShiTuV2_rec_infer_pdmodel")) else { return };
    let program = Model::open(&path).unwrap();
    assert!(program.tensors == pir.tensors);
    assert_eq!(program.description, pir.description);
    assert_eq!(program.info().format, "Paddle inference model (inference.pdmodel)");
}

#[test]
fn info_tells_what_a_model_is() {
    let Some(model) = pir() else { return };
    let info = model.info();
    assert_eq!(info.name, "PP-ShiTuV2_rec");
    assert_eq!(info.format, "Paddle inference model (PIR, inference.json)");
    assert_eq!((info.form, info.dimension, info.input_size), ("deploy", 512, [224, 224]));
    assert_eq!((info.parameters, info.tensors.len()), (4_575_616, 171));
    assert_eq!(info.bytes, 18_307_022 + 150_873 + 452);
    assert_eq!(info.preprocess.resize, "stretch to 224x224");
    assert_eq!(info.preprocess.mean, [0.485, 0.456, 0.406]);
    assert_eq!((info.notes, info.skipped), (vec![], vec![]));
    assert_eq!(model.description.preprocess.resize, Resize::Stretch { width: 224, height: 224 });
    let json = serde_json::to_value(model.info()).unwrap();
    assert_eq!(json["tensors"][0]["name"], "backbone.stem.0.conv.weight");
}

#[test]
fn file_of_an_exported_model_opens_its_model() {
    let Some(pir) = pir() else { return };
    let Some(path) = golden("PP-ShiTuV2_rec_infer_pdmodel/inference.pdiparams") else { return };
    let model = Model::open(&path).unwrap();
    assert!(model.tensors == pir.tensors);
}
