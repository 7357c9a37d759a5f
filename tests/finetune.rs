//! Fine-tuning of a small network on generated images, from pixels to a file.
#![cfg(all(feature = "cpu", not(target_arch = "wasm32")))]

mod common;

use common::{max_abs_diff, small_model, small_transformer, vit_model};
#[cfg(feature = "default-model")]
use image_feature::finetune::Neck;
use image_feature::finetune::{FineTune, Samples, Tuned, Tuning};
use image_feature::{DeviceRequest, Dtype, ErrorKind, Extractor, Model, RgbImage};

const CLASSES: usize = 4;
const EACH: usize = 6;

/// Stripes: direction and width depend on the class, colour and position on the image.
fn stripes(class: usize, number: usize) -> RgbImage {
    let (size, width) = (40, 2 + 3 * (class / 2));
    let noise = |at: usize| ((at + 31 * number) * 7919 % 97) as u8;
    let pixel = |at: usize| {
        let along = if class.is_multiple_of(2) { at % size } else { at / size };
        let base = if ((along + number) / width).is_multiple_of(2) { 30 + 20 * (number % 5) as u8 } else { 150 };
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

/// The mean cosine of two images of one class, less that of two images of different classes.
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
    // features of LCNetV2 with random weights hardly differ: see the next test
    let model = vit_model(&small_transformer());
    let tuning = Tuning { folds: 3, ..Tuning::default() };
    let Tuned { neck, losses, evaluation, .. } = tune(&model, tuning);
    assert_eq!(losses.len(), tuning.epochs);
    assert!(losses[tuning.epochs - 1] < 0.5 * losses[0], "{losses:?}");
    let tuned = neck.put_into(&model, "tuned").unwrap();
    let (before, after) = (apart(&model), apart(&tuned));
    assert!(after > before + 0.15, "{}: {before} before, {after} after", model.description.name);
    let evaluation = evaluation.unwrap();
    assert_eq!(evaluation.queries.len(), CLASSES * EACH);
    let [before, after] = evaluation.recall_at_1().unwrap();
    assert!(after >= before, "recall@1 {before} before, {after} after");
}

/// Four discs, squares or bars, by the class, among four of any class; colours and positions depend on the image.
#[cfg(feature = "default-model")]
fn shapes(class: usize, number: usize) -> RgbImage {
    const WIDTH: usize = 160;
    const HEIGHT: usize = 120;
    let mut state = 1 + 1009 * number as u64 + 31 * class as u64;
    let mut drawn = |most: f64| {
        state = state * 48_271 % 2_147_483_647;
        most * state as f64 / 2_147_483_647.0
    };
    let light = [drawn(90.0), drawn(90.0), drawn(90.0)].map(|value| 160 + value as u8);
    let mut pixels = vec![light; WIDTH * HEIGHT];
    for shape in 0..8 {
        let class = if shape < 4 { class } else { drawn(3.0) as usize };
        let (left, top, size) = (5.0 + drawn(130.0), 5.0 + drawn(90.0), 10.0 + drawn(14.0));
        let dark = [drawn(150.0), drawn(150.0), drawn(150.0)].map(|value| value as u8);
        for (at, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = ((at % WIDTH) as f64 - left, (at / WIDTH) as f64 - top);
            let within = (0.0..size).contains(&x) && (0.0..size).contains(&y);
            let inside = match class {
                0 => (x - size / 2.0).hypot(y - size / 2.0) < size / 2.0,
                1 => within,
                _ => within && y % 8.0 < 2.0,
            };
            if inside {
                *pixel = dark;
            }
        }
    }
    RgbImage::new(WIDTH, HEIGHT, pixels.concat()).unwrap()
}

/// Fine-tuning on classes that are unlike those of the small bundled model's training improves mAP on unseen images.
#[test]
#[cfg(feature = "default-model")]
fn the_bundled_model_learns_other_classes() {
    let model = Model::tiny().unwrap();
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let labelled = |from: usize, to: usize, views: usize| -> Vec<(usize, Vec<f32>)> {
        let images = (0..3).flat_map(|class| (from..to).map(move |number| (class, shapes(class, number))));
        images.map(|(class, image)| (class, extractor.pooled_views(&image, views).unwrap())).collect()
    };
    let mut samples = Samples::new(extractor.pooled_len());
    let learnt = labelled(0, 6, 4);
    learnt.iter().for_each(|(class, pooled)| samples.add(&class.to_string(), pooled).unwrap());
    let tuned = FineTune::new(&model, samples, Tuning::default()).unwrap().run(|_| {}).unwrap();
    assert!(tuned.losses.last().unwrap() < &(0.3 * tuned.losses[0]), "{:?}", tuned.losses);

    let unseen = labelled(100, 130, 1);
    let measured = |neck: &Neck| {
        let first_view = |pooled: &Vec<f32>| neck.features(&pooled[..extractor.pooled_len()]);
        let gallery: Vec<(usize, Vec<f32>)> =
            learnt.iter().map(|(class, pooled)| (*class, first_view(pooled))).collect();
        let precisions = unseen.iter().map(|(class, pooled)| {
            let feature = first_view(pooled);
            let cosine = |known: &[f32]| feature.iter().zip(known).map(|(a, b)| a * b).sum::<f32>();
            let mut found: Vec<(f32, bool)> =
                gallery.iter().map(|(other, known)| (cosine(known), other == class)).collect();
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            let right = found.iter().enumerate().filter(|(_, (_, right))| *right).map(|(rank, _)| rank + 1);
            let precisions: Vec<f32> =
                right.zip(1..).map(|(rank, hits): (usize, usize)| hits as f32 / rank as f32).collect();
            precisions.iter().sum::<f32>() / precisions.len() as f32
        });
        precisions.sum::<f32>() / unseen.len() as f32
    };
    let (before, after) = (measured(&Neck::of(&model).unwrap()), measured(&tuned.neck));
    assert!(after > before + 0.08, "mAP {before} before, {after} after");
}

/// The saved model gives the same features as the tuned layers by themselves.
#[test]
fn the_file_has_the_features_that_were_learnt() {
    for model in [small_model(32), vit_model(&small_transformer())] {
        let neck = tune(&model, Tuning { epochs: 3, ..Tuning::default() }).neck;
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
    let tune = |seed| tune(&model, Tuning { epochs: 2, seed, ..Tuning::default() }).neck;
    assert_eq!(tune(1), tune(1));
    assert_ne!(tune(1), tune(2));
}

/// A class of one image is learnt from, but is never a query: no other image of its class could be found.
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
            let tuning = Tuning { epochs: 2, folds, ..Tuning::default() };
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
    let usual = Tuning::default();
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

/// A learning rate that is far too high gives an error, and not a model with NaN.
#[test]
fn a_loss_that_is_not_finite_any_more_ends_it() {
    let model = small_model(16);
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let tuning = Tuning { learning_rate: 10.0, momentum: 0.999, decay: 1e9, epochs: 200, ..Tuning::default() };
    let error = FineTune::new(&model, samples(&extractor), tuning).unwrap().run(|_| {}).unwrap_err();
    assert!(error.to_string().contains("lower learning rate"), "{error}");
}

/// Two sets may use the same labels for different things: an image of one set is never told apart from those of the other.
#[test]
fn sets_have_labels_of_their_own() {
    let model = vit_model(&small_transformer());
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let pooled: Vec<(usize, Vec<f32>)> =
        all().map(|(class, image)| (class, extractor.pooled_views(&image, 2).unwrap())).collect();
    let samples = |set_of: fn(usize) -> usize| {
        let mut samples = Samples::new(extractor.pooled_len());
        for set in 0..2 {
            samples.begin_set();
            for (class, pooled) in pooled.iter().filter(|(class, _)| set_of(*class) == set) {
                samples.add(&(class % 2).to_string(), pooled).unwrap();
            }
        }
        samples
    };
    let apart = samples(|class| class / 2);
    assert_eq!(apart.classes().len(), CLASSES);
    let tuning = Tuning { epochs: 30, ..Tuning::default() };
    let tuned = FineTune::new(&model, apart, tuning).unwrap().run(|_| {}).unwrap();
    assert!(tuned.losses[29] < 0.6 * tuned.losses[0], "{:?}", tuned.losses);

    // one set alone, and one that follows an empty one, are the same
    let one = samples(|_| 0);
    let second = samples(|_| 1);
    assert_eq!(one.classes(), second.classes());
    let [one, second] =
        [one, second].map(|samples| FineTune::new(&model, samples, tuning).unwrap().run(|_| {}).unwrap().neck);
    assert_eq!(one, second);
}

/// Where images of all classes look the same, learning cannot help, and the layers stay as they were.
#[test]
fn old_layers_are_kept_where_nothing_is_gained() {
    let model = vit_model(&small_transformer());
    let extractor = Extractor::open(&model, DeviceRequest::Cpu).unwrap();
    let mut samples = Samples::new(extractor.pooled_len());
    for number in 0..24 {
        let label = if number * 7 % 11 < 5 { "a" } else { "b" };
        samples.add(label, &extractor.pooled_views(&stripes(0, number), 1).unwrap()).unwrap();
    }
    let tuning = Tuning { epochs: 20, folds: 3, ..Tuning::default() };
    let tuned = FineTune::new(&model, samples, tuning).unwrap().run(|_| {}).unwrap();
    let evaluation = tuned.evaluation.unwrap();
    assert_eq!(tuned.kept_old, !evaluation.gained().unwrap());
    assert!(tuned.kept_old, "mAP {:?}", evaluation.mean_average_precision());
    assert_eq!(tuned.neck, image_feature::finetune::Neck::of(&model).unwrap());
}
