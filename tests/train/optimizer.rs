//! The learning rate and the steps of the optimiser.

use burn::tensor::{Device, Tensor, TensorData};
use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::{Parameter, Role};
use image_feature::train::{Momentum, Rule, Schedule};
use serde_json::Value;

use crate::common::shared;

fn golden() -> Option<Value> {
    let numbers = std::fs::read(shared("golden/train/losses_lr.json")?).unwrap();
    Some(serde_json::from_slice(&numbers).unwrap())
}

/// The golden runs: name, warm-up epochs and L2 decay.
const RUNS: [(&str, f64, f64); 3] =
    [("lr_shituv2_20ep_warm5", 5.0, 1e-5), ("lr_warm_ge_epochs", 5.0, 1e-5), ("lr_warm0", 0.0, 0.1)];

fn schedule(run: &Value, warm_up: f64) -> Schedule {
    let whole = |name: &str| run[name].as_u64().unwrap() as usize;
    Schedule::new(0.01, whole("epochs"), warm_up, whole("steps_per_epoch"))
}

#[test]
fn learning_rates_equal_paddle() {
    let Some(golden) = golden() else { return };
    for (name, warm_up, _) in RUNS {
        let schedule = schedule(&golden[name], warm_up);
        let expected = golden[name]["lr_used_at_step"].as_array().unwrap();
        for (iteration, expected) in expected.iter().enumerate() {
            let mut rate = schedule.at(iteration);
            // Without a warm-up the golden script called Paddle's scheduler twice, so that the golden rate is one step ahead
            // of the rate that was used. `steps_equal_paddle` tests the rate itself.
            if schedule.warm_up() == 0 && iteration > 0 {
                rate *= rate / schedule.at(iteration - 1);
            }
            let difference = (rate - expected.as_f64().unwrap()).abs();
            assert!(difference < 1e-15, "{name}, iteration {iteration}: differs by {difference}");
        }
        // the log shows the rate after the last step, too
        assert!(schedule.at(expected.len()).is_finite());
    }
}

/// The loss is 0.5 |a|² + Σb + Σc. b has no decay; c has a learning rate of 1e-20 times the others'.
#[test]
fn steps_equal_paddle() {
    let Some(golden) = golden() else { return };
    let device = Device::flex();
    let tensor = |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    for (name, warm_up, decay) in RUNS {
        let optimizer = Momentum { momentum: 0.9, decay };
        let rules =
            [Rule { decays: true, rate: 1.0 }, Rule { decays: false, rate: 1.0 }, Rule { decays: true, rate: 1e-20 }];
        let mut values = [tensor(&[1.0, -2.0, 3.0]), tensor(&[1.0, 1.0]), tensor(&[1.0, 1.0])];
        let mut velocities = [None, None, None];
        let schedule = schedule(&golden[name], warm_up);
        let steps = golden[name]["params_after_first_steps"].as_array().unwrap();
        for (iteration, expected) in steps.iter().enumerate() {
            for (index, value) in values.iter_mut().enumerate() {
                let gradient = if index == 0 { value.clone() } else { value.ones_like() };
                let velocity = velocities[index].take();
                let (next, moved) =
                    optimizer.step(rules[index], value.clone(), gradient, velocity, schedule.at(iteration));
                (*value, velocities[index]) = (next, Some(moved));
                let ours: Vec<f32> = value.clone().into_data().try_to_vec().unwrap();
                for (ours, expected) in ours.iter().zip(expected[index].as_array().unwrap()) {
                    let difference = (f64::from(*ours) - expected.as_f64().unwrap()).abs();
                    assert!(difference < 3e-7, "{name}, step {iteration}, parameter {index}: {difference}");
                }
            }
        }
    }
}

#[test]
fn rules_are_those_of_paddleclas() {
    let rule = |name: &str| {
        let parameters: Vec<Parameter> = LcNetV2Config::default().parameters(Form::Training, Some(10));
        Rule::of(parameters.iter().find(|parameter| parameter.name == name).unwrap())
    };
    let plain = Some(Rule { decays: true, rate: 1.0 });
    let undecayed = Some(Rule { decays: false, rate: 1.0 });
    for (name, expected) in [
        ("backbone.stem.0.conv.weight", plain),
        ("backbone.stem.0.bn.weight", undecayed),
        ("backbone.stages.2.0.dw_conv_list.1.bn.bias", undecayed),
        ("backbone.stages.2.0.se.conv1.bias", plain),
        ("backbone.stages.2.0.dw_conv_list.1.bn._mean", None),
        ("backbone.last_conv.bias", plain),
        ("neck.feat_bn.weight", plain),
        ("neck.feat_bn.bias", Some(Rule { decays: true, rate: 1e-20 })),
        ("neck.feat_bn._variance", None),
        ("head.fc.weight", plain),
    ] {
        assert_eq!(rule(name), expected, "{name}");
    }
    let norm = Parameter { name: "backbone.blocks.0.norm1.bias".into(), shape: vec![4], role: Role::NormShift };
    assert_eq!(Rule::of(&norm), plain, "a LayerNorm decays");
}
