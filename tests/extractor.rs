//! Features from files against PaddleX's features: every step, with each kind of model file.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{golden, max_abs_diff, shared, small_model};
use image_feature::model::lcnet_v2::Form;
use image_feature::{DecodeLimits, DeviceRequest, Dtype, ErrorKind, Extractor, Model, RgbImage, decode};

fn gradient(width: usize, height: usize) -> RgbImage {
    let pixels = (0..width * height * 3).map(|index| (index * 7 % 256) as u8).collect();
    RgbImage::new(width, height, pixels).unwrap()
}

/// Each of the four formats, each photo, alone and in a batch, within 2e-5 of PaddleX.
#[test]
fn features_equal_paddlex_from_every_format() {
    let Some(expected) = golden("features/PP-ShiTuV2_rec_features.safetensors") else { return };
    let inputs = shared("golden/features/inputs").unwrap();
    let mut images = Vec::new();
    for entry in std::fs::read_dir(inputs).unwrap() {
        let path = entry.unwrap().path();
        let image = decode(&std::fs::read(&path).unwrap(), &DecodeLimits::default()).unwrap();
        images.push((path.file_name().unwrap().to_string_lossy().into_owned(), image));
    }
    assert_eq!(images.len(), 7);

    let open = |path: &str| Model::open(shared("golden/models").unwrap().join(path)).unwrap();
    let pir = open("PP-ShiTuV2_rec_infer_pir");
    let safetensors = Model::from_bytes("ours", &pir.to_safetensors(Dtype::F32).unwrap()).unwrap();
    let mut failures = Vec::new();
    for (format, model) in [
        ("inference.json", pir),
        ("inference.pdmodel", open("PP-ShiTuV2_rec_infer_pdmodel")),
        (".pdparams", open("PP-ShiTuV2_rec_random.pdparams")),
        ("safetensors", safetensors),
    ] {
        let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
        let batch: Vec<RgbImage> = images.iter().map(|(_, image)| image.clone()).collect();
        let together = extractor.embed_batch(&batch).unwrap();
        for ((name, image), batched) in images.iter().zip(together) {
            let expected = &expected[&format!("{name}/predict/feature")];
            for (how, feature) in [("alone", extractor.embed(image).unwrap()), ("in a batch", batched)] {
                let difference = max_abs_diff(&feature, expected);
                if difference.is_nan() || difference > 2e-5 {
                    failures.push(format!("{format}, {name}, {how}: differs by {difference}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Half-precision weights change a feature by little.
#[test]
fn f16_weights_keep_the_feature() {
    let Some(path) = shared("golden/models/PP-ShiTuV2_rec_infer_pir") else { return };
    let model = Model::open(&path).unwrap();
    let half = Model::from_bytes("half", &model.to_safetensors(Dtype::F16).unwrap()).unwrap();
    let image = gradient(64, 48);
    let feature = |model| Extractor::open(model, DeviceRequest::Cpu).unwrap().embed(&image).unwrap();
    let (full, half) = (feature(&model), feature(&half));
    let cosine: f32 = full.iter().zip(&half).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "{cosine}");
    assert_ne!(full, half);
}

/// `auto` always finds a device, and tells why it did not take others.
#[test]
fn auto_gives_a_device_and_reasons() {
    let extractor = Extractor::open(&small_model(64), DeviceRequest::Auto).unwrap();
    let info = extractor.info();
    assert_eq!((info.model.as_str(), info.dimension), ("small", 64));
    if info.device == "cpu" && cfg!(feature = "webgpu") {
        assert!(info.reasons.iter().any(|reason| reason.starts_with("webgpu: ")), "{:?}", info.reasons);
    }
    let feature = extractor.embed(&gradient(40, 30)).unwrap();
    let length: f32 = feature.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
}

/// Where wgpu finds an adapter, also a software one, it gives the CPU's feature.
#[test]
#[cfg(feature = "webgpu")]
fn webgpu_gives_the_feature_of_the_cpu() {
    let model = small_model(64);
    let gpu = match Extractor::open(&model, DeviceRequest::WebGpu) {
        Ok(extractor) => extractor,
        Err(error) if error.to_string().contains("no GPU could be opened") => return eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(gpu.info().device, "webgpu");
    let cpu = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let images = [gradient(40, 30), gradient(31, 77)];
    for (gpu, cpu) in gpu.embed_batch(&images).unwrap().iter().zip(cpu.embed_batch(&images).unwrap()) {
        assert!(max_abs_diff(gpu, &cpu) < 1e-4);
    }
}

/// The self-test accepts the right vector and refuses any other.
#[test]
fn a_device_that_computes_something_else_is_refused() {
    let model = small_model(64);
    let probe = pollster::block_on(Extractor::open(&model, DeviceRequest::Cpu).unwrap().probe_async()).unwrap();
    let load =
        |expected: &[f32]| pollster::block_on(Extractor::open_verified_async(&model, DeviceRequest::Cpu, expected));
    load(&probe).unwrap();

    let mut wrong = probe.clone();
    wrong[3] += 0.01;
    let mut unordered = probe.clone();
    unordered[3] = f32::NAN;
    for (case, expected) in [("one element off", wrong), ("NaN", unordered), ("too short", probe[..63].to_vec())] {
        let error = load(&expected).err().unwrap_or_else(|| panic!("{case}: must be refused"));
        assert_eq!(error.kind(), ErrorKind::Device, "{case}");
        assert!(error.to_string().contains("self-test"), "{case}: {error}");
    }
}

#[test]
fn a_device_that_is_not_compiled_in_is_named() {
    if cfg!(feature = "cuda") {
        return;
    }
    let error = Extractor::open(&small_model(64), DeviceRequest::Cuda(0)).err().unwrap();
    assert!(error.is_device() && error.to_string().contains("feature `cuda`"), "{error}");
}

#[test]
fn a_wrong_number_of_values_is_refused() {
    let extractor = Extractor::open(&small_model(64), DeviceRequest::Cpu).unwrap();
    let one = 3 * 32 * 32;
    for (values, count) in [(one, 0), (one, 2), (one - 1, 1), (0, 1), (one, usize::MAX)] {
        let error = extractor.run(vec![0.0; values], count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{values} values as {count} images");
    }
    assert!(extractor.embed_batch(&[]).unwrap().is_empty());
}

/// Weights that overflow give an error, not a vector of NaN.
#[test]
fn a_feature_without_length_is_an_error() {
    let model = small_model(64);
    let mut tensors = model.tensors.clone();
    for name in ["neck.feat_bn.weight", "neck.feat_bn.bias"] {
        let mut tensor = tensors.get(name).unwrap().clone();
        tensor.values.fill(0.0);
        tensors.insert(name, tensor);
    }
    let dead = Model::new(model.description.clone(), Form::Training, None, &tensors).unwrap();
    let error = Extractor::open(&dead, DeviceRequest::Cpu).unwrap().embed(&gradient(32, 32)).unwrap_err();
    assert!(error.is_model() && error.to_string().contains("length 0"), "{error}");
}
