//! Single steps of training: weights, statistics, velocities.

use burn::tensor::Device;
use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::vit::VitConfig;
use image_feature::model::{ModelDescription, Network};
use image_feature::train::{Augmentation, Batch, Learner, Recipe};
use image_feature::weights::Tensors;
use image_feature::{Preprocess, Resize};

use crate::common::{formula_tensor, max_abs_diff, pixels};

fn recipe(network: Network) -> Recipe {
    let [height, width] = network.input_size();
    let preprocess = Preprocess { resize: Resize::Stretch { width, height }, ..Preprocess::default() };
    let model = ModelDescription { name: "small".into(), network, preprocess };
    Recipe { batch_size: 8, augmentation: Augmentation::None, ..Recipe::new(model, 5) }
}

fn small() -> Recipe {
    recipe(Network::LcNetV2(LcNetV2Config { scale: 0.25, input: [32, 40], embedding: 16 }))
}

fn small_vit() -> Recipe {
    let sizes = VitConfig { input: [32, 32], patch: 8, width: 16, depth: 2, heads: 2, hidden: 32, ..VitConfig::base() };
    recipe(Network::Vit(VitConfig { projection: 12, embedding: 10, ..sizes }))
}

fn tensors(recipe: &Recipe) -> Tensors {
    let mut tensors = Tensors::new();
    let form = match recipe.model.network {
        Network::Vit(_) => Form::Deploy,
        _ => Form::Training,
    };
    for parameter in recipe.model.network.parameters(form, Some(recipe.classes)) {
        let tensor = formula_tensor(&parameter);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// Two classes of four images, one darker than the other.
fn batch(recipe: &Recipe) -> Batch {
    let [height, width] = recipe.model.input_size();
    let len = 3 * height * width;
    let images = pixels(8 * len).into_iter().enumerate();
    let images = images.map(|(at, value)| value * 0.5 + if at < 4 * len { 1.0 } else { -1.0 }).collect();
    Batch { images, labels: vec![0, 0, 0, 0, 3, 3, 3, 3] }
}

/// Each name has its own tensor. Burn visits parameters without their names, so the order must be right.
#[test]
fn weights_come_back_under_their_names() {
    for recipe in [small(), small_vit()] {
        let tensors = tensors(&recipe);
        let model = Learner::new(&recipe, &tensors, &Device::flex()).unwrap().model().unwrap();
        assert_eq!(model.classes, Some(5));
        assert_eq!(model.tensors.len(), tensors.len());
        for (name, tensor) in tensors.iter() {
            assert_eq!(model.tensors.get(name), Some(tensor), "{name}");
        }
    }
}

/// Repeated steps on one batch lower its loss, and change each parameter that learns.
#[test]
fn a_batch_is_learnt() {
    for (recipe, rate) in [(small(), 0.02), (small_vit(), 0.01)] {
        let before = tensors(&recipe);
        let mut learner = Learner::new(&recipe, &before, &Device::flex()).unwrap();
        let losses: Vec<f32> =
            (0..20).map(|step| learner.step(batch(&recipe), rate, step).unwrap().last().unwrap().1).collect();
        assert!(losses[19] < 0.7 * losses[0], "{losses:?}");
        let after = learner.model().unwrap().tensors;
        let velocities = learner.velocities().unwrap();
        for (name, tensor) in before.iter() {
            let spare = name.contains(".dw_conv.") && !name.contains("conv.bn") && !name.contains("dw_conv.conv");
            let fixed = spare || name == "neck.feat_bn.bias";
            let moved = after.get(name) != Some(tensor);
            assert_eq!(moved, !fixed, "{name}");
            let learns = !spare && !name.ends_with("._mean") && !name.ends_with("._variance");
            assert_eq!(velocities.get(name).is_some(), learns, "velocity of {name}");
        }
    }
}

/// The running variance is the biased variance of the batch, as in Paddle.
#[test]
fn running_statistics_are_biased() {
    let recipe = small();
    let before = tensors(&recipe);
    let mut learner = Learner::new(&recipe, &before, &Device::flex()).unwrap();
    let batch = batch(&recipe);
    learner.step(batch.clone(), 0.0, 0).unwrap();
    let after = learner.model().unwrap().tensors;

    // the first channel of the first convolution, computed directly
    let weight = &before.get("backbone.stem.0.conv.weight").unwrap().values[..27];
    let (height, width) = (32i64, 40i64);
    let mut outputs = Vec::new();
    for image in batch.images.chunks_exact(3 * 32 * 40) {
        for y in (0..height).step_by(2) {
            for x in (0..width).step_by(2) {
                let mut sum = 0.0f64;
                for (index, weight) in weight.iter().enumerate() {
                    let (channel, ky, kx) = (index as i64 / 9, index as i64 / 3 % 3, index as i64 % 3);
                    let (y, x) = (y + ky - 1, x + kx - 1);
                    if (0..height).contains(&y) && (0..width).contains(&x) {
                        sum += f64::from(*weight) * f64::from(image[((channel * height + y) * width + x) as usize]);
                    }
                }
                outputs.push(sum);
            }
        }
    }
    let mean = outputs.iter().sum::<f64>() / outputs.len() as f64;
    let variance = outputs.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / outputs.len() as f64;
    for (name, batch) in [("_mean", mean), ("_variance", variance)] {
        let name = format!("backbone.stem.0.bn.{name}");
        let value = |tensors: &Tensors| f64::from(tensors.get(&name).unwrap().values[0]);
        let expected = 0.9 * value(&before) + 0.1 * batch;
        assert!(
            (value(&after) - expected).abs() < 1e-6 * expected.abs().max(1.0),
            "{name}: {} {expected}",
            value(&after)
        );
    }
    // few values, so that the biased and the unbiased variance differ
    assert!(outputs.len() < 3000);
}

/// Two steps give the same weights as one step, saving and restoring the velocities, and one more step.
#[test]
fn velocities_can_be_kept() {
    for recipe in [small(), small_vit()] {
        let mut learner = Learner::new(&recipe, &tensors(&recipe), &Device::flex()).unwrap();
        learner.step(batch(&recipe), 0.02, 0).unwrap();
        let (kept, velocities) = (learner.model().unwrap(), learner.velocities().unwrap());
        learner.step(batch(&recipe), 0.02, 1).unwrap();

        let mut again = Learner::new(&recipe, &kept.tensors, &Device::flex()).unwrap();
        again.set_velocities(&velocities).unwrap();
        again.step(batch(&recipe), 0.02, 1).unwrap();
        let (expected, found) = (learner.model().unwrap().tensors, again.model().unwrap().tensors);
        for (name, tensor) in expected.iter() {
            assert_eq!(max_abs_diff(&tensor.values, &found.get(name).unwrap().values), 0.0, "{name}");
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let recipe = small();
    let mut learner = Learner::new(&recipe, &tensors(&recipe), &Device::flex()).unwrap();
    let mut refused = |change: fn(&mut Batch)| {
        let mut batch = batch(&recipe);
        change(&mut batch);
        learner.step(batch, 0.1, 0).unwrap_err().to_string()
    };
    assert!(refused(|batch| batch.labels[0] = 7).contains("label 7"));
    assert!(refused(|batch| batch.images.truncate(100)).contains("100 values"));
    assert!(refused(|batch| batch.labels[0] = 1).contains("same number of images"));
}
