//! Fine-tuning of a small network on images made here, from pixels to a file.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{max_abs_diff, small_model, vit_model};
use image_feature::finetune::{FineTune, Samples, Tuned, Tuning};
use image_feature::model::vit::VitConfig;
use image_feature::{DeviceRequest, Dtype, ErrorKind, Extractor, Model, RgbImage};

const CLASSES: usize = 4;
const EACH: usize = 6;

/// Stripes: their direction and width are the class, colour and place are the image's own.
fn stripes(class: usize, number: usize) -> RgbImage {
    let (size, width) = (40, 2 + 3 * (class / 2));
    let noise = |at: usize| ((at + 31 * number) * 7919 % 97) as u8;
    let pixel = |at: usize| {
        let along = if class % 2 == 0 { at % size } else { at / size };
        let base = if (along + number) / width % 2 == 0 { 30 + 20 * (number % 5) as u8 } else { 150 };
        [base + noise(at) / 2, base + noise(at + 1) / 2, base + noise(at + 2) / 2]
    };
    RgbImage::new(size, size, (0..size * size).flat_map(pixel).collect()).unwrap()
}

fn all() -> impl Iterator<Item = (usize, RgbImage)> {
    (0..CLASSES * EACH).map(|at| (at / EACH, stripes(at / EACH, at % EACH)))
}

fn samples(extractor: &Extractor) -> Samples {
    let mut samples = Samples::new(extractor.pooled_len());
    for (class, image) in all() {
        samples.add(&format!("class {class}"), &extractor.pooled_views(&image, 3).unwrap()).unwrap();
    }
    samples
}

fn tune(model: &Model, tuning: Tuning) -> Tuned {
    let extractor = Extractor::open(model, DeviceRequest::Cpu).unwrap();
    FineTune::new(model, samples(&extractor), tuning).unwrap().run(|_| {}).unwrap()
}

fn models() -> [Model; 2] {
    [small_model(32), vit_model(&small_transformer())]
}

fn small_transformer() -> VitConfig {
    VitConfig {
        input: [32, 32],
        patch: 8,
        width: 40,
        depth: 2,
        heads: 5,
        hidden: 70,
        projection: 20,
        average_class_token: false,
        embedding: 12,
    }
}

/// Mean cosine of images of one class, less that of images of two.
fn apart(model: &Model) -> f32 {
    let extractor = Extractor::open(model, DeviceRequest::Cpu).unwrap();
    let features: Vec<(usize, Vec<f32>)> =
        all().map(|(class, image)| (class, extractor.embed(&image).unwrap())).collect();
    let mut sums = [(0.0, 0); 2];
    for (at, (class, a)) in features.iter().enumerate() {
        for (other, b) in &features[..at] {
            let (sum, count) = &mut sums[usize::from(class == other)];
            *sum += a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            *count += 1;
        }
    }
    let [other, same] = sums.map(|(sum, count)| sum / count as f32);
    same - other
}

#[test]
fn the_loss_falls_and_classes_come_apart() {
    for model in models() {
        let tuning = Tuning { folds: 3, ..Tuning::new(&model) };
        let Tuned { neck, losses, evaluation } = tune(&model, tuning);
        assert_eq!(losses.len(), tuning.epochs);
        assert!(losses[tuning.epochs - 1] < 0.8 * losses[0], "{losses:?}");
        let tuned = neck.put_into(&model, "tuned").unwrap();
        let (before, after) = (apart(&model), apart(&tuned));
        assert!(after > before + 0.2, "{}: {before} before, {after} after", model.description.name);
        let evaluation = evaluation.unwrap();
        assert_eq!(evaluation.queries.len(), CLASSES * EACH);
        let [before, after] = evaluation.recall_at_1().unwrap();
        assert!(after >= before, "recall@1 {before} before, {after} after");
    }
}

/// The file is a model like any other, whose features are those that the last layers give by themselves.
#[test]
fn the_file_has_the_features_that_were_learnt() {
    for model in models() {
        let neck = tune(&model, Tuning { epochs: 3, ..Tuning::new(&model) }).neck;
        let tuned = neck.put_into(&model, "mine").unwrap();
        let bytes = tuned.to_safetensors(Dtype::F32).unwrap();
        let read = Model::from_bytes("mine.safetensors", &bytes).unwrap();
        assert_eq!(read.description.name, "mine");
        let before = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
        let after = Extractor::open(&read, DeviceRequest::Cpu).unwrap();
        for number in 0..3 {
            let image = stripes(number, number);
            let expected = neck.features(&before.pooled_views(&image, 1).unwrap());
            let feature = after.embed(&image).unwrap();
            assert!(max_abs_diff(&feature, &expected) < 2e-5);
            assert!(max_abs_diff(&feature, &before.embed(&image).unwrap()) > 1e-3, "something was learnt");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_others() {
    let model = small_model(16);
    let tune = |seed| tune(&model, Tuning { epochs: 2, seed, ..Tuning::new(&model) }).neck;
    assert_eq!(tune(1), tune(1));
    assert_ne!(tune(1), tune(2));
}

/// One image of a class is enough to learn from, and is never left out: nothing would be left to find it by.
#[test]
fn classes_of_one_image_are_learnt_from_and_not_searched_for() {
    let model = small_model(16);
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    for (first, second, searched) in [(1, 1, None), (1, 4, Some(4)), (2, 2, Some(4))] {
        for folds in [2, 3, 10] {
            let mut samples = Samples::new(extractor.pooled_len());
            for (class, number) in (0..first).map(|number| (0, number)).chain((0..second).map(|number| (1, number))) {
                let pooled = extractor.pooled_views(&stripes(class, number), 1).unwrap();
                samples.add(&class.to_string(), &pooled).unwrap();
            }
            let tuning = Tuning { epochs: 2, folds, ..Tuning::new(&model) };
            let tuned = FineTune::new(&model, samples, tuning).unwrap().run(|_| {}).unwrap();
            let queries = tuned.evaluation.map(|evaluation| evaluation.queries.len());
            assert_eq!(queries, searched, "{first} and {second} images in {folds} parts");
        }
    }
}

#[test]
fn what_cannot_be_learnt_from_is_said() {
    let model = small_model(16);
    let refused = |tuning: Tuning, labels: &[&str]| {
        let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
        let mut samples = Samples::new(extractor.pooled_len());
        let pooled = vec![0.5; extractor.pooled_len()];
        labels.iter().for_each(|label| samples.add(label, &pooled).unwrap());
        let error = FineTune::new(&model, samples, tuning).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    };
    let usual = Tuning::new(&model);
    assert!(refused(usual, &[]).contains("two or more; here 0 images are of none"));
    assert!(refused(usual, &["tea", "tea"]).contains("one, \"tea\""));
    for (tuning, what) in [
        (Tuning { epochs: 0, ..usual }, "epochs must be a whole number from 1 to 10000, got 0"),
        (Tuning { learning_rate: f64::NAN, ..usual }, "learning rate must be above 0 and at most 10, got NaN"),
        (Tuning { momentum: 1.0, ..usual }, "momentum must be at least 0 and below 1, got 1"),
        (Tuning { folds: 1, ..usual }, "0, or from 2 to 10, got 1"),
    ] {
        let said = refused(tuning, &["tea", "coffee"]);
        assert!(said.contains(what), "{said}");
    }
    let mut samples = Samples::new(4);
    for (pooled, what) in [(vec![1.0; 6], "6 values"), (vec![], "0 values"), (vec![f32::NAN; 4], "not finite")] {
        let error = samples.add("tea", &pooled).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// A rate that is far too high gives an error, and no model of numbers that are none.
#[test]
fn a_loss_that_is_not_finite_any_more_ends_it() {
    let model = small_model(16);
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let tuning = Tuning { learning_rate: 10.0, momentum: 0.999, decay: 1e9, epochs: 200, ..Tuning::new(&model) };
    let error = FineTune::new(&model, samples(&extractor), tuning).unwrap().run(|_| {}).unwrap_err();
    assert!(error.to_string().contains("lower learning rate"), "{error}");
}
