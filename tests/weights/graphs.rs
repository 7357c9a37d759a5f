//! Graphs that are almost right: each difference is found and named. Also the other files of an exported model.

use image_feature::model::Network;
use image_feature::{ErrorKind, Model, Resize};
use serde_json::{Value, json};

use super::small::{self, Exported, attribute, ops};
use super::support::{expect_error, golden_bytes, report};

fn read(graph: &Value, params: &[u8]) -> image_feature::Result<Model> {
    Model::from_files(vec![
        ("inference.json".into(), graph.to_string().into_bytes()),
        ("inference.pdiparams".into(), params.to_vec()),
    ])
}

/// The index-th op of a kind.
fn nth<'g>(graph: &'g mut Value, kind: &str, index: usize) -> &'g mut Value {
    ops(graph).iter_mut().filter(|op| op["#"] == kind).nth(index).unwrap()
}

/// Removes an op; the ops after it use its operand instead.
fn bypass(graph: &mut Value, kind: &str, index: usize) {
    let op = nth(graph, kind, index).clone();
    let (from, to) = (op["O"][0]["%"].clone(), op["I"][0]["%"].clone());
    let list = ops(graph);
    list.retain(|other| *other != op);
    for other in list {
        for input in other.get_mut("I").and_then(Value::as_array_mut).into_iter().flatten() {
            if input["%"] == from {
                input["%"] = to.clone();
            }
        }
    }
}

#[test]
fn smaller_network_is_told_from_its_graph() {
    let Some(exported) = small::exported() else { return };
    let model = Model::from_files(exported.files()).unwrap();
    assert_eq!(model.description.network, Network::LcNetV2(small::config()));
    assert_eq!(model.description.name, "PP-ShiTuV2_rec_x0.02");
    assert!(model.tensors == small::deploy());
    assert!(model.info().notes[0].contains("no inference.yml"), "{:?}", model.info().notes);
}

#[test]
fn half_precision_weights_are_widened() {
    let Some(exported) = small::exported() else { return };
    // Rewrites each tensor of the stream as float16, in the order of the file.
    let full = Model::from_files(exported.files()).unwrap();
    let mut rest = &exported.params[..];
    let mut halves = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(rest[16]);
        let dims: Vec<usize> = dims(&rest[20..20 + length]);
        let count: usize = dims.iter().product();
        let data = &rest[20 + length..20 + length + 4 * count];
        let data = data.as_chunks().0.iter().flat_map(|&v| half::f16::from_f32(f32::from_le_bytes(v)).to_le_bytes());
        halves.extend(small::record(4, &dims, &data.collect::<Vec<_>>()));
        rest = &rest[20 + length + 4 * count..];
    }
    let model = read(&exported.graph, &halves).unwrap();
    for (name, tensor) in full.tensors.iter() {
        let rounded: Vec<f32> = tensor.values.iter().map(|&v| half::f16::from_f32(v).to_f32()).collect();
        assert_eq!(model.tensors.get(name).unwrap().values, rounded, "{name}");
    }
    assert_eq!(model.info().tensors[3].dtype, "float16");
}

fn dims(mut desc: &[u8]) -> Vec<usize> {
    let mut dims = Vec::new();
    while let [tag, rest @ ..] = desc {
        desc = rest;
        let value = prost::encoding::decode_varint(&mut desc).unwrap();
        if *tag == 0x10 {
            dims.push(value as usize);
        }
    }
    dims
}

#[test]
fn wrong_structure_is_found_though_every_shape_is_right() {
    let Some(Exported { graph, params }) = small::exported() else { return };
    type Change = fn(&mut Value);
    let family = "inference.json: not a network of the PP-ShiTuV2_rec family";
    let cases: [(&str, Change, &[&str]); 24] = [
        (
            "stride",
            |g| *attribute(nth(g, "1.conv2d", 0), "strides") = ints(&[1, 1]),
            &[family, "`backbone.stem.0.conv` has `strides` [1, 1]; expected [2, 2]"],
        ),
        (
            "padding",
            |g| *attribute(nth(g, "1.depthwise_conv2d", 5), "paddings") = ints(&[1, 1]),
            &["`backbone.stages.2.0.dw_conv` has `paddings` [1, 1]; expected [2, 2]"],
        ),
        ("dilation", |g| *attribute(nth(g, "1.conv2d", 3), "dilations") = ints(&[2, 2]), &["`dilations` [2, 2]"]),
        (
            "groups",
            |g| *attribute(nth(g, "1.depthwise_conv2d", 0), "groups") = json!(1),
            &["`backbone.stem.1.dw_conv.conv` has `groups` 1; expected 8"],
        ),
        (
            "padding algorithm",
            |g| *attribute(nth(g, "1.conv2d", 0), "padding_algorithm") = json!("SAME"),
            &["`padding_algorithm` \"SAME\""],
        ),
        ("layout", |g| *attribute(nth(g, "1.conv2d", 0), "data_format") = json!("NHWC"), &["`data_format` \"NHWC\""]),
        (
            "dropout's share",
            |g| *attribute(nth(g, "1.full", 0), "value") = json!(0.5),
            &["`backbone.dropout` has `dropout_prob` 0.5; expected 0.2"],
        ),
        (
            "dropout's mode",
            |g| *attribute(nth(g, "1.dropout", 0), "mode") = json!("upscale_in_train"),
            &["`dropout_implementation` \"upscale_in_train\""],
        ),
        ("dropout in training", |g| *attribute(nth(g, "1.dropout", 0), "is_test") = json!(false), &["`is_test` false"]),
        (
            "no dropout",
            |g| bypass(g, "1.dropout", 0),
            &["op `flatten` stands at `backbone.dropout`; expected `dropout`"],
        ),
        (
            "epsilon",
            |g| *attribute(nth(g, "1.batch_norm_", 25), "epsilon") = json!(0.001),
            &["`neck.feat_bn` has `epsilon` 0.001; expected 0.00001"],
        ),
        (
            "batch statistics",
            |g| {
                *attribute(nth(g, "1.batch_norm_", 2), "is_test") = json!(false);
                *attribute(nth(g, "1.batch_norm_", 2), "use_global_stats") = json!(false);
            },
            &["does not use its stored mean"],
        ),
        ("no ReLU", |g| bypass(g, "1.relu", 4), &["expected `relu`"]),
        (
            "another activation",
            |g| nth(g, "1.relu", 0)["#"] = json!("1.hardswish"),
            &["op `hardswish` stands at `backbone.stem.0`; expected `relu`"],
        ),
        (
            "hard sigmoid",
            |g| nth(g, "1.sigmoid", 3)["#"] = json!("1.hardsigmoid"),
            &["op `hardsigmoid` stands at `backbone.stages.2.3.se.conv2`"],
        ),
        (
            "max pool",
            |g| *attribute(nth(g, "1.pool2d", 6), "pooling_type") = json!("max"),
            &["`backbone.avg_pool` has `pooling_type` \"max\""],
        ),
        (
            "window pool",
            |g| *attribute(nth(g, "1.pool2d", 0), "adaptive") = json!(false),
            &["does not average the whole image"],
        ),
        (
            "no shortcut",
            |g| bypass(g, "1.add", 20),
            &["op `pool2d` stands at `backbone.stages.3.1 (shortcut)`; expected `elementwise_add`"],
        ),
        (
            "shortcut of another block",
            |g| {
                let other = nth(g, "1.relu", 0)["O"][0]["%"].clone();
                nth(g, "1.add", 20)["I"][1]["%"] = other;
            },
            &["op `elementwise_add` at `backbone.stages.3.1 (shortcut)` does not compute with"],
        ),
        (
            "skipped block",
            |g| {
                let other = nth(g, "1.relu", 2)["O"][0]["%"].clone();
                nth(g, "1.depthwise_conv2d", 2)["I"][0]["%"] = other;
            },
            &["op `depthwise_conv2d` at `backbone.stages.0.1.dw_conv.conv` does not compute with"],
        ),
        (
            "statistics exchanged",
            |g| {
                // mean and variance have the same shape, so only the double use is found
                let mean = nth(g, "1.batch_norm_", 0)["I"][1]["%"].clone();
                nth(g, "1.batch_norm_", 0)["I"][2]["%"] = mean;
            },
            &["is used twice, again at `backbone.stem.0.bn._variance`"],
        ),
        (
            "returned too early",
            |g| {
                let early = nth(g, "1.flatten", 0)["O"][0]["%"].clone();
                nth(g, "1.fetch", 0)["I"][0]["%"] = early;
            },
            &["does not return the output of `neck.feat_bn`"],
        ),
        (
            "something behind",
            |g| {
                let mut op = nth(g, "1.relu", 0).clone();
                op["O"][0]["%"] = json!(9999);
                let end = ops(g).len() - 1;
                ops(g).insert(end, op);
            },
            &["goes on with op `relu`"],
        ),
        (
            "ends early",
            |g| {
                let end = ops(g).len() - 4;
                ops(g).truncate(end)
            },
            &["the graph ends where `backbone.flatten` should follow"],
        ),
    ];
    report(cases.into_iter().map(|(case, change, parts)| {
        let mut graph = graph.clone();
        change(&mut graph);
        expect_error(case, read(&graph, params), ErrorKind::Model, parts)
    }));
}

fn ints(values: &[i32]) -> Value {
    values.iter().map(|value| json!({ "#": "0.a_i32", "D": value })).collect()
}

#[test]
fn wrong_parameters_and_weights_are_named() {
    let Some(Exported { graph, params }) = small::exported() else { return };
    let changed = |change: fn(&mut Value)| {
        let mut graph = graph.clone();
        change(&mut graph);
        graph
    };
    let shape = changed(|g| nth(g, "p", 0)["O"]["TT"]["D"][1] = json!([9]));
    let negative = changed(|g| nth(g, "p", 0)["O"]["TT"]["D"][1] = json!([-1]));
    let unused = changed(|g| {
        let mut parameter = nth(g, "p", 0).clone();
        parameter["O"]["%"] = json!(9999);
        parameter["A"][3] = json!("extra");
        ops(g).push(parameter);
    });
    let twice = changed(|g| nth(g, "p", 0)["A"][3] = g_name(1));
    let input = changed(|g| nth(g, "1.data", 0)["O"][0]["TT"]["D"][1] = json!([-1, 1, 224, 224]));
    let magic = changed(|g| g["base_code"]["magic"] = json!("pickle"));
    let two_blocks = changed(|g| {
        let block = g["program"]["regions"][0]["blocks"][0].clone();
        g["program"]["regions"][0]["blocks"].as_array_mut().unwrap().push(block);
    });
    // The first tensor in the file is `batch_norm1d_0.b_0…`, of shape [8]: 28 bytes of header.
    let patched = |at: usize, with: &[u8]| {
        let mut params = params.clone();
        params[at..at + with.len()].copy_from_slice(with);
        params
    };
    const FIRST: &str = "tensor 1 of 171 (`batch_norm1d_0.b_0_deepcopy_283`)";
    type Case<'a> = (&'a str, &'a Value, Vec<u8>, ErrorKind, &'a [&'a str]);
    let cases: Vec<Case> = vec![
        (
            "shape",
            &shape,
            params.clone(),
            ErrorKind::Model,
            &["`batch_norm1d_0.w_2_deepcopy_285` at `neck.feat_bn._variance` has shape [9]; expected [8]"],
        ),
        (
            "negative shape",
            &negative,
            params.clone(),
            ErrorKind::Model,
            &["`batch_norm1d_0.w_2_deepcopy_285` is declared with shape [-1]"],
        ),
        ("unused", &unused, params.clone(), ErrorKind::Model, &["parameter `extra`", "is not used"]),
        (
            "one name twice",
            &twice,
            params.clone(),
            ErrorKind::Model,
            &["two parameters are named `batch_norm1d_0.w_1_deepcopy_284`"],
        ),
        ("gray input", &input, params.clone(), ErrorKind::Model, &["the input has shape [-1, 1, 224, 224]"]),
        ("magic", &magic, params.clone(), ErrorKind::Model, &["`pickle`; expected `pir`"]),
        ("two blocks", &two_blocks, params.clone(), ErrorKind::Unsupported, &["more than one block"]),
        (
            "no weights",
            graph,
            vec![],
            ErrorKind::Model,
            &["inference.pdiparams", "the file ends before tensor 1 of 171"],
        ),
        (
            "truncated",
            graph,
            params[..params.len() - 1].to_vec(),
            ErrorKind::Model,
            &["tensor 171 of 171", "truncated"],
        ),
        ("too long", graph, [&params[..], b"x"].concat(), ErrorKind::Model, &["1 bytes follow the last"]),
        ("version", graph, patched(0, &[1]), ErrorKind::Unsupported, &[FIRST, "version 1"]),
        ("tables", graph, patched(4, &[0xff; 8]), ErrorKind::Model, &[FIRST, "truncated"]),
        (
            "long description",
            graph,
            patched(16, &[0xff, 0xff, 0xff, 0x7f]),
            ErrorKind::Model,
            &[FIRST, "2147483647 bytes"],
        ),
        ("negative description", graph, patched(16, &[0xff; 4]), ErrorKind::Model, &[FIRST, "-1 bytes"]),
        (
            "integers",
            graph,
            patched(21, &[2]),
            ErrorKind::Model,
            &["inference.pdiparams: tensor `neck.feat_bn.bias` holds int32 values"],
        ),
        ("unknown type", graph, patched(21, &[99]), ErrorKind::Model, &[FIRST, "element type 99"]),
        ("other shape", graph, patched(23, &[9]), ErrorKind::Model, &[FIRST, "has shape [9]; the graph declares [8]"]),
        (
            "not a number",
            graph,
            patched(24, &f32::NAN.to_le_bytes()),
            ErrorKind::Model,
            &["`neck.feat_bn.bias` holds NaN at index 0"],
        ),
    ];
    report(
        cases
            .into_iter()
            .map(|(case, graph, params, kind, parts)| expect_error(case, read(graph, &params), kind, parts)),
    );
}

/// The name of the index-th parameter of the golden graph.
fn g_name(index: usize) -> Value {
    let mut graph: Value =
        serde_json::from_slice(&golden_bytes("PP-ShiTuV2_rec_infer_pir/inference.json").unwrap()).unwrap();
    nth(&mut graph, "p", index)["A"][3].clone()
}

const YML: &str = "
Global:
  model_name: PP-ShiTuV2_rec
Hpi:
  backend_config: {}
PreProcess:
  transform_ops:
  - ResizeImage: {backend: cv2, interpolation: bilinear, return_numpy: false, size: [224, 192]}
  - NormalizeImage: {channel_num: 3, mean: [0.5, 0.4, 0.3], order: hwc, scale: 0.00392156862745098, std: [0.2, 0.3, 0.4]}
  - ToCHWImage: null
PostProcess:
  NormalizeFeatures: null
";

fn read_with_yml(exported: &Exported, yml: &str) -> image_feature::Result<Model> {
    let mut files = exported.files();
    files.push(("inference.yml".into(), yml.as_bytes().to_vec()));
    Model::from_files(files)
}

#[test]
fn settings_are_honoured() {
    let Some(exported) = small::exported() else { return };
    let model = read_with_yml(exported, YML).unwrap();
    let preprocess = &model.description.preprocess;
    assert_eq!(preprocess.resize, Resize::Stretch { width: 224, height: 192 });
    assert_eq!(model.description.input_size(), [192, 224]);
    assert_eq!((preprocess.normalize.mean, preprocess.normalize.std), ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]));
    assert_eq!(model.info().notes.len(), 1, "the graph was exported for another size: {:?}", model.info().notes);

    let with = |from: &str, to: &str| read_with_yml(exported, &YML.replace(from, to)).unwrap();
    let square = with("size: [224, 192]", "size: 160");
    assert_eq!(square.description.preprocess.resize, Resize::Stretch { width: 160, height: 160 });
    let short = with("size: [224, 192]", "resize_short: 256");
    assert_eq!(short.description.preprocess.resize, Resize::ShortSide(256));
    assert_eq!(short.description.input_size(), [256, 256]);
    for scale in ["1.0/255.0", "\"1.0/255.0\"", "1 / 255", "0.00392156862745098"] {
        let model = with("0.00392156862745098", scale);
        assert_eq!(model.description.preprocess.normalize.scale, 1.0 / 255.0, "{scale}");
    }
    // PyYAML writes a list that occurs twice as an anchor and an alias
    let alias = with("mean: [0.5, 0.4, 0.3]", "mean: &id001 [0.5, 0.5, 0.5]").description.preprocess.normalize.mean;
    assert_eq!(alias, [0.5; 3]);
    assert!(with("  NormalizeFeatures: null", "").info().notes.iter().any(|note| note.contains("normalised")));
}

#[test]
fn settings_we_cannot_honour_are_named() {
    let Some(exported) = small::exported() else { return };
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ('a'..'i').zip('b'..='i') {
        bomb +=
            &format!("{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}]\n");
    }
    let replaced = |from: &str, to: &str| {
        assert!(YML.contains(from), "{from}");
        YML.replace(from, to)
    };
    let cases: Vec<(&str, String, ErrorKind, &[&str])> = vec![
        (
            "CLIP's name",
            replaced("PP-ShiTuV2_rec\n", "PP-ShiTuV2_rec_CLIP_vit_base\n"),
            ErrorKind::Model,
            &["inference.yml: `Global.model_name` is `PP-ShiTuV2_rec_CLIP_vit_base`"],
        ),
        ("another name", replaced("PP-ShiTuV2_rec\n", "ResNet50\n"), ErrorKind::Model, &["`ResNet50`"]),
        ("no name", replaced("model_name", "name"), ErrorKind::Model, &["`Global.model_name` is missing"]),
        (
            "no transforms",
            replaced("transform_ops", "ops"),
            ErrorKind::Model,
            &["`PreProcess.transform_ops` is missing"],
        ),
        (
            "crop",
            replaced("- ToCHWImage: null", "- CropImage: {size: 224}\n  - ToCHWImage: null"),
            ErrorKind::Unsupported,
            &["CropImage is not supported"],
        ),
        (
            "unknown",
            replaced("ToCHWImage", "Shear"),
            ErrorKind::Unsupported,
            &["transform `Shear` is not known", "ToCHWImage are known"],
        ),
        ("no resize", replaced("size: [224, 192]", "backend: cv2"), ErrorKind::Model, &["inference.yml"]),
        (
            "both sizes",
            replaced("size: [224, 192]", "size: 224, resize_short: 256"),
            ErrorKind::Model,
            &["ResizeImage: expected either"],
        ),
        ("three sides", replaced("[224, 192]", "[224, 192, 3]"), ErrorKind::Model, &["ResizeImage: `size` has 3"]),
        ("zero side", replaced("[224, 192]", "[0, 192]"), ErrorKind::Unsupported, &["0 pixels"]),
        ("huge side", replaced("[224, 192]", "[100000, 192]"), ErrorKind::Unsupported, &["100000 pixels"]),
        ("negative side", replaced("[224, 192]", "-5"), ErrorKind::Model, &["`-5` is not a number of pixels"]),
        ("no CHW", replaced("  - ToCHWImage: null\n", ""), ErrorKind::Model, &["ToCHWImage is missing"]),
        ("order", replaced("hwc", "chw"), ErrorKind::Unsupported, &["`order` is `chw`"]),
        ("channels", replaced("channel_num: 3", "channel_num: 1"), ErrorKind::Unsupported, &["`channel_num` is `1`"]),
        ("two means", replaced("[0.5, 0.4, 0.3]", "[0.5, 0.4]"), ErrorKind::Model, &["NormalizeImage: `mean`"]),
        ("zero std", replaced("[0.2, 0.3, 0.4]", "[0.2, 0.0, 0.4]"), ErrorKind::Model, &["std"]),
        ("division by zero", replaced("0.00392156862745098", "1.0/0"), ErrorKind::Model, &["scale"]),
        ("scale", replaced("0.00392156862745098", "big"), ErrorKind::Model, &["`scale` is `\"big\"`"]),
        (
            "twice",
            replaced("  - ToCHW", "  - ResizeImage: {size: 224}\n  - ToCHW"),
            ErrorKind::Unsupported,
            &["too late"],
        ),
        ("post-processing", replaced("NormalizeFeatures", "Topk"), ErrorKind::Unsupported, &["PostProcess: `Topk`"]),
        ("not YAML", "{[".into(), ErrorKind::Model, &["not the YAML"]),
        ("a list", "- a\n- b\n".into(), ErrorKind::Model, &["`Global.model_name` is missing"]),
        ("binary", "\0\u{1}\u{2}".into(), ErrorKind::Model, &["inference.yml"]),
        ("aliases", bomb, ErrorKind::Model, &["not the YAML"]),
        ("nesting", "[".repeat(10_000), ErrorKind::Model, &["not the YAML"]),
        ("large", " ".repeat(100_000), ErrorKind::Limit, &["100000 bytes"]),
    ];
    report(
        cases
            .into_iter()
            .map(|(case, yml, kind, parts)| expect_error(case, read_with_yml(exported, &yml), kind, parts)),
    );
}
