//! Files of a detector: Paddle's two formats, safetensors, and what does not fit.

use image_feature::detector::Detector;
use image_feature::model::Network;
use image_feature::model::lcnet_v2::Form;
use image_feature::model::picodet::PicoDetConfig;
use image_feature::{DeviceRequest, Dtype, Extractor, Model, Resize};

use crate::common::{shared, small_model};
use crate::model::{files, golden, params};

#[test]
fn parameters_are_those_of_paddle() {
    let Some(path) = shared("golden/models/PP-ShiTuV2_det_params.tsv") else { return };
    let tsv = std::fs::read_to_string(path).unwrap();
    let used = |line: &&str| !line.contains("scale_reg") && !line.contains("distribution_project");
    let row = |line: &str| {
        let mut columns = line.split('\t');
        (columns.next().unwrap().to_string(), columns.next().unwrap().to_string())
    };
    // without the title, if there is one
    let mut expected: Vec<_> = tsv.lines().filter(|line| line.contains('[')).filter(used).map(row).collect();
    let parameters = PicoDetConfig::default().parameters();
    let mut ours: Vec<_> = parameters.iter().map(|p| (p.name.clone(), format!("{:?}", p.shape))).collect();
    assert_eq!(ours.len(), 486);
    expected.sort();
    ours.sort();
    assert_eq!(ours, expected);
}

#[test]
fn both_graph_formats_give_the_same_model() {
    let (Some(pir), Some(files)) = (golden(), files("pdmodel")) else { return };
    let program = Model::from_files(files).unwrap();
    assert!(program.tensors == pir.tensors);
    assert_eq!(program.description, pir.description);
    assert_eq!(pir.description.name, "PP-ShiTuV2_det");
    assert_eq!(pir.description.network, Network::PicoDet(PicoDetConfig::default()));
    assert_eq!(pir.description.preprocess.resize, Resize::StretchCubic { width: 640, height: 640 });
}

#[test]
fn safetensors_hold_the_whole_model() {
    let Some(model) = golden() else { return };
    let again = Model::from_bytes("x", &model.to_safetensors(Dtype::F32).unwrap()).unwrap();
    assert!(again.tensors == model.tensors);
    assert_eq!(again.description, model.description);
    let half = model.to_safetensors(Dtype::F16).unwrap();
    assert_eq!(Model::from_bytes("x", &half).unwrap().description, model.description);
}

#[test]
fn a_changed_constant_is_refused() {
    let Some(bytes) = params() else { return };
    let mut files = files("pir").unwrap();
    // 4.0, one of the distances 0 to 7
    let distances: Vec<u8> = (0..8).flat_map(|bin| (bin as f32).to_le_bytes()).collect();
    let at = bytes.windows(32).position(|window| window == distances).unwrap();
    files[2].1[at + 16..at + 20].copy_from_slice(&4.5f32.to_le_bytes());
    let error = Model::from_files(files).unwrap_err();
    assert!(error.is_model(), "{error:?}");
    assert!(error.to_string().contains("the constant of distances holds 4.5 at index 4; expected 4"), "{error}");
}

#[test]
fn a_changed_graph_or_list_of_labels_is_refused() {
    let Some(whole) = files("pir") else { return };
    let changed = |file: usize, from: &str, to: &str| {
        let mut files = whole.clone();
        let text = String::from_utf8(files[file].1.clone()).unwrap();
        assert!(text.contains(from), "{from}");
        files[file].1 = text.replacen(from, to, 1).into_bytes();
        Model::from_files(files).unwrap_err().to_string()
    };
    for (file, from, to, message) in [
        (0, "1.hardsigmoid", "1.sigmoid", "op `sigmoid` stands at `backbone.blocks6.0.se.conv2`"),
        (0, "1.hardswish", "1.relu", "op `relu` stands at `backbone.conv1.conv`; expected `hardswish`"),
        (
            0,
            "1.nearest_interp",
            "1.bilinear_interp",
            "op `bilinear_interp` stands at `neck.top_down_blocks.0 (upsample)`",
        ),
        (1, "mainbody", "a\n- b", "`label_list` has 2 names; the graph has 1 classes"),
        (1, "interp: 2", "interp: 3", "`interp` is neither 1 (bilinear) nor 2 (bicubic)"),
        (1, "keep_ratio: false", "keep_ratio: true", "`keep_ratio` is true"),
        (1, "PP-ShiTuV2_det", "PP-ShiTuV2_rec", "the files do not belong together"),
    ] {
        let error = changed(file, from, to);
        assert!(error.contains(message), "{from} to {to}: {error}");
    }
}

#[test]
fn a_detector_and_a_feature_model_are_told_apart() {
    let features = small_model(8);
    let error = Detector::open(&features, None).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("give a detector such as PP-ShiTuV2_det"), "{error}");
    let Some(model) = golden() else { return };
    let error = Extractor::open(model, DeviceRequest::Auto).err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("give a feature model such as PP-ShiTuV2_rec"), "{error}");
    assert_eq!(model.form, Form::Deploy);
    let error = model.to_paddle().unwrap_err();
    assert!(error.is_unsupported(), "{error}");
}
