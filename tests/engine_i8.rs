//! The CPU engine in 8-bit whole numbers against itself in f32, on photos it was not calibrated on.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{shared, small_model};
use image_feature::engine::cpu::{Calibrator, Executor, Options, instruction_sets};
use image_feature::engine::{Operation, Plan, Weights};
use image_feature::model::Calibration;
use image_feature::{DecodeLimits, DeviceRequest, Dtype, ErrorKind, Extractor, ExtractorOptions, Model, decode};

/// Scales by layer.
type Layers = BTreeMap<String, Vec<f32>>;

/// Every `step`th photo below a folder.
fn photos(folder: &Path, step: usize) -> Vec<PathBuf> {
    let (mut folders, mut photos) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { photos.push(path) }
        }
    }
    photos.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    photos.sort();
    photos.into_iter().step_by(step).collect()
}

fn input(model: &Model, photo: &Path) -> Vec<f32> {
    let image = decode(&std::fs::read(photo).unwrap(), &DecodeLimits::default()).unwrap();
    model.description.network_input(&image).unwrap()
}

/// Pseudo-random images, each with a light and a hue of its own.
fn synthetic(len: usize, count: usize) -> Vec<Vec<f32>> {
    let image = |image: usize| {
        let value = move |at: usize| {
            let hash =
                (at as u32 ^ (image as u32) << 20).wrapping_mul(0x9E37_79B9).rotate_left(15).wrapping_mul(0x85EB_CA6B);
            (hash as f32 / u32::MAX as f32 - 0.5) * (1.0 + image as f32 / 2.0) + (at * 3 / len + image) as f32 % 3.0
                - 1.0
        };
        (0..len).map(value).collect()
    };
    (0..count).map(image).collect()
}

fn calibrate(plan: &Plan, inputs: &[Vec<f32>]) -> Calibration {
    let mut calibrator = Calibrator::new(plan).unwrap();
    inputs.iter().for_each(|input| calibrator.observe(input).unwrap());
    assert_eq!(calibrator.images(), inputs.len());
    calibrator.finish().unwrap()
}

fn executor(plan: &Plan, instruction_set: Option<&'static str>, threads: usize) -> Executor {
    Executor::new(plan.clone(), Options { threads: Some(threads), instruction_set }).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Minimum and mean of the cosines of features that belong together.
fn agreement(a: &[Vec<f32>], b: &[Vec<f32>]) -> (f64, f64) {
    let cosines: Vec<f64> = a.iter().zip(b).map(|(a, b)| cosine(a, b)).collect();
    (cosines.iter().copied().fold(f64::INFINITY, f64::min), cosines.iter().sum::<f64>() / cosines.len() as f64)
}

/// The golden model's weights are pseudo-random, not trained: features of any two photos have a cosine near 0.999, most
/// of a feature being what all of them share. So the plain cosine, which is what users of a trained model will look at,
/// says little here; without the mean feature the test is the sharper one.
#[test]
fn features_of_other_photos_stay_close_to_f32() {
    let Some(data) = shared("data/grocery/images") else { return };
    let model = Model::open(shared("golden/models/PP-ShiTuV2_rec_infer_pir").unwrap()).unwrap();
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let inputs = |folder: &str, step| -> Vec<Vec<f32>> {
        photos(&data.join(folder), step).iter().map(|photo| input(&model, photo)).collect()
    };
    let calibration = calibrate(&plan, &inputs("train", 50));
    let photos = inputs("test", 50);
    let features = |plan: &Plan| -> Vec<Vec<f32>> {
        let executor = executor(plan, None, 1);
        photos.iter().map(|photo| executor.run(photo, 1).unwrap()).collect()
    };
    let expected = features(&plan);
    let mean: Vec<f32> = (0..expected[0].len())
        .map(|at| expected.iter().map(|feature| feature[at]).sum::<f32>() / expected.len() as f32)
        .collect();
    let centred = |features: &[Vec<f32>]| -> Vec<Vec<f32>> {
        features.iter().map(|feature| feature.iter().zip(&mean).map(|(value, mean)| value - mean).collect()).collect()
    };
    let others = agreement(&expected[1..], &expected[..expected.len() - 1]);

    let mut calibrated = model.clone();
    calibrated.calibration = Some(calibration.clone());
    let file = calibrated.to_safetensors(Dtype::I8).unwrap();
    let read = Model::from_bytes("i8.safetensors", &file).unwrap();
    for (what, plan) in [
        ("in memory", plan.clone().quantize(&calibration).unwrap()),
        ("from its file", Plan::of_model(&read, None).unwrap()),
    ] {
        let features = features(&plan);
        let (least, average) = agreement(&features, &expected);
        let (least_centred, average_centred) = agreement(&centred(&features), &centred(&expected));
        println!(
            "{what}: cosine with f32 at least {least:.5}, mean {average:.5} (of different photos: {:.5}, {:.5}); \
             less the mean feature {least_centred:.4}, {average_centred:.4}; {} photos",
            others.0,
            others.1,
            photos.len()
        );
        assert!(least >= 0.995, "{what}: {least}");
        assert!(average > others.1 && average_centred > CENTRED, "{what}: {average}, {average_centred}");
    }
    println!(
        "file: {} bytes, {:.3} of f32",
        file.len(),
        file.len() as f64 / model.to_safetensors(Dtype::F32).unwrap().len() as f64
    );
}

/// The measured cosines, with some margin for other photos.
const CENTRED: f64 = 0.9;

/// Instruction sets round floats differently between the exact products, which now and then tips a byte.
#[test]
fn instruction_sets_threads_and_batches_agree() {
    let model = small_model(24);
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let images = synthetic(3 * 32 * 32, 7);
    let plan = plan.clone().quantize(&calibrate(&plan, &images)).unwrap();
    let joined = images.concat();
    let scalar = executor(&plan, Some("scalar"), 1).run(&joined, images.len()).unwrap();
    let size = scalar.iter().fold(0.0f32, |size, value| size.max(value.abs()));
    for set in instruction_sets() {
        let one = executor(&plan, Some(set), 1);
        let together = one.run(&joined, images.len()).unwrap();
        for (a, b) in together.iter().zip(&scalar) {
            assert!((a - b).abs() <= 0.02 * size, "{set}: {a} is not {b}");
        }
        let alone: Vec<f32> = images.iter().flat_map(|image| one.run(image, 1).unwrap()).collect();
        assert_eq!(alone, together, "{set}: a batch changes the result");
        assert_eq!(executor(&plan, Some(set), 3).run(&joined, images.len()).unwrap(), together, "{set}: threads do");
    }
}

#[test]
fn a_file_gives_the_same_whole_numbers() {
    let model = small_model(24);
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let calibration = calibrate(&plan, &synthetic(3 * 32 * 32, 5));
    let mut calibrated = model;
    calibrated.calibration = Some(calibration.clone());
    let read = Model::from_bytes("i8.safetensors", &calibrated.to_safetensors(Dtype::I8).unwrap()).unwrap();
    assert_eq!(read.calibration.as_ref(), Some(&calibration));
    let (from_memory, from_file) =
        (plan.quantize(&calibration).unwrap(), Plan::of_model(&read, Some(Dtype::I8)).unwrap());
    let mut layers = 0;
    for (a, b) in from_memory.steps().iter().zip(from_file.steps()) {
        let (Operation::Pointwise { weights: a, .. }, Operation::Pointwise { weights: b, .. }) =
            (a.operation(), b.operation())
        else {
            continue;
        };
        if let (Weights::I8(a), Weights::I8(b)) = (a, b) {
            assert!(a.values == b.values && a.input_scales == b.input_scales);
            assert!(
                a.scales.iter().zip(&b.scales).all(|(a, b)| (a - b).abs() <= 1e-5 * a),
                "{:?} {:?}",
                a.scales,
                b.scales
            );
            layers += 1;
        }
    }
    assert_eq!(layers, calibration.iter().count());
    // the same file can be computed in f32
    let floats = Plan::of_model(&read, Some(Dtype::F32)).unwrap();
    assert!(floats.steps().iter().all(|step| step.quantized_input().is_none()));
}

#[test]
fn a_quantized_plan_prints_what_it_is() {
    let model = small_model(24);
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let quantized = plan.clone().quantize(&calibrate(&plan, &synthetic(3 * 32 * 32, 2))).unwrap();
    let table = quantized.to_string();
    for part in ["1x1 i8 + relu", "gate + 1x1 i8 + relu", "1x1 i8 + relu + residual", "depthwise 5x5"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    // the last layer has one pixel
    let last = quantized.steps().last().unwrap();
    assert_eq!((last.to_string().as_str(), last.quantized_input()), ("1x1", None));
    let bytes = |plan: &Plan| plan.steps().iter().map(|step| step.parameter_bytes()).sum::<usize>();
    assert!(bytes(&quantized) < bytes(&plan));
    assert_eq!(quantized.macs(), plan.macs());
}

#[test]
fn what_cannot_be_done_says_so() {
    let model = small_model(24);
    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let images = synthetic(3 * 32 * 32, 2);
    let calibration = calibrate(&plan, &images);

    let error = Plan::of_model(&model, Some(Dtype::I8)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("model convert") && error.to_string().contains("--calibrate"), "{error}");
    assert!(Plan::of_model(&model, None).unwrap() == plan);

    let edited = |edit: &dyn Fn(&mut Layers)| {
        let mut layers = calibration.iter().map(|(name, scales)| (name.to_string(), scales.to_vec())).collect();
        edit(&mut layers);
        plan.clone().quantize(&Calibration::new(layers).unwrap()).unwrap_err()
    };
    let first = calibration.iter().next().unwrap().0.to_string();
    for (error, part) in [
        (edited(&|layers| drop(layers.remove(&first))), first.as_str()),
        (edited(&|layers| drop(layers.insert("another.layer".into(), vec![1.0]))), "another.layer"),
        (edited(&|layers| layers.get_mut(&first).unwrap().push(1.0)), first.as_str()),
    ] {
        assert!(error.is_model() && error.to_string().contains(part), "{error}");
    }

    let mut calibrator = Calibrator::new(&plan).unwrap();
    assert_eq!(calibrator.observe(&images[0][1..]).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(calibrator.finish().unwrap_err().kind(), ErrorKind::Usage);
    let mut calibrator = Calibrator::new(&plan).unwrap();
    // one pixel only: sums of infinities of both signs are NaN, which a ReLU turns into 0
    let mut infinite = images[0].clone();
    infinite[16 * 32 + 16] = f32::INFINITY;
    let error = calibrator.observe(&infinite).unwrap_err();
    assert!(error.is_model() && error.to_string().contains("backbone."), "{error}");
}

/// An extractor computes in the type that the file is made for, unless the caller chooses one, and reports it.
#[test]
fn extractors_follow_the_file_or_the_caller() {
    let plain = small_model(16);
    let plan = Plan::compile(&plain.description, plain.form, &plain.tensors).unwrap();
    let calibration = calibrate(&plan, &synthetic(3 * 32 * 32, 8));
    let mut model = plain.clone();
    model.calibration = Some(calibration);
    let open = |model: &Model, dtype| {
        Extractor::open(model, ExtractorOptions { dtype, threads: Some(1), ..DeviceRequest::Cpu.into() })
    };
    for (dtype, expected) in
        [(None, "i8"), (Some(Dtype::I8), "i8"), (Some(Dtype::F32), "f32"), (Some(Dtype::F16), "f32")]
    {
        assert_eq!(open(&model, dtype).unwrap().info().dtype, expected, "{dtype:?}");
    }
    assert_eq!(open(&plain, None).unwrap().info().dtype, "f32");
    let error = open(&plain, Some(Dtype::I8)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("--calibrate"), "{error}");
}

/// A GPU always computes in f32, and is compared with a CPU that computes in f32, too.
#[test]
#[cfg(feature = "webgpu")]
fn webgpu_takes_a_calibrated_model() {
    let plain = small_model(64);
    let plan = Plan::compile(&plain.description, plain.form, &plain.tensors).unwrap();
    let mut model = plain.clone();
    model.calibration = Some(calibrate(&plan, &synthetic(3 * 32 * 32, 8)));
    match Extractor::open(&model, DeviceRequest::WebGpu) {
        Ok(extractor) => assert_eq!((extractor.info().device, extractor.info().dtype), ("webgpu", "f32")),
        Err(error) if error.to_string().contains("no GPU could be opened") => eprintln!("skipped: {error}"),
        Err(error) => panic!("{error}"),
    }
}
