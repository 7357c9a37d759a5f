//! Activations of the network, stage by stage, beside Paddle's.

use image_feature::engine::{Plan, ValueId, cpu};

use crate::common::{golden, shared};
use crate::model;

/// Names in the golden file, and of our steps.
const STAGES: [(&str, &str); 25] = [
    ("conv1@stride103", "backbone.conv1"),
    ("blocks2@stride205", "backbone.blocks2.0.pw_conv"),
    ("blocks3@stride103", "backbone.blocks3.1.pw_conv"),
    ("blocks4@stride51", "backbone.blocks4.1.pw_conv"),
    ("blocks5@stride25", "backbone.blocks5.5.pw_conv"),
    ("blocks6.0.se.gate", "backbone.blocks6.0.se"),
    ("blocks6@stride13", "backbone.blocks6.1.pw_conv"),
    ("backbone.0@stride51", "backbone.blocks4.1.pw_conv"),
    ("backbone.2", "backbone.blocks6.1.pw_conv"),
    ("neck.conv_t.0@stride21", "neck.conv_t.convs.0"),
    ("neck.conv_t.1", "neck.conv_t.convs.1"),
    ("neck.conv_t.2", "neck.conv_t.convs.2"),
    ("neck.top_down_blocks.0", "neck.top_down_blocks.0.final_conv"),
    ("neck.top_down_blocks.1@stride21", "neck.top_down_blocks.1.final_conv"),
    ("neck.downsamples.0", "neck.downsamples.0.pwconv"),
    ("neck.downsamples.1", "neck.downsamples.1.pwconv"),
    ("neck.bottom_up_blocks.0", "neck.bottom_up_blocks.0.final_conv"),
    ("neck.bottom_up_blocks.1", "neck.bottom_up_blocks.1.final_conv"),
    ("neck.first_top_conv", "neck.first_top_conv.pwconv"),
    ("neck.0@stride21", "neck.top_down_blocks.1.final_conv"),
    ("neck.3", "neck.second_top_conv.pwconv"),
    ("head.level0.logits33", "head.head_cls0"),
    ("head.level1.logits33", "head.head_cls1"),
    ("head.level2.logits33", "head.head_cls2"),
    ("head.level3.logits33", "head.head_cls3"),
];

#[test]
fn activations_are_those_of_paddle() {
    let (Some(model), Some(expected)) = (model::golden(), golden("detector/PP-ShiTuV2_det_acts_chelsea.safetensors"))
    else {
        return;
    };
    let bytes = std::fs::read(shared("golden/detector/PP-ShiTuV2_det_acts_chelsea.safetensors").unwrap()).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pixels = file.tensor("input.resized_rgb_u8").unwrap().data().to_vec();
    let image = image_feature::RgbImage::new(640, 640, pixels).unwrap();
    let input = model.description.network_input(&image).unwrap();

    let plan = Plan::compile(&model.description, model.form, &model.tensors).unwrap();
    let value = |step: &str| ValueId(1 + plan.steps().iter().position(|made| made.name() == step).unwrap());
    let mut maps: Vec<ValueId> = STAGES.iter().map(|(_, step)| value(step)).collect();
    maps.sort();
    maps.dedup();
    let plan = plan.clone().with_maps(maps.clone()).unwrap();
    let shapes: Vec<_> = maps.iter().map(|&map| plan.shape(map)).collect();
    for set in cpu::instruction_sets() {
        let options = cpu::Options { threads: Some(2), instruction_set: Some(set) };
        let outputs = cpu::Executor::new(plan.clone(), options).unwrap().run(&input, 1).unwrap();
        let mut wrong = Vec::new();
        for (name, step) in STAGES {
            let place = maps.iter().position(|&map| map == value(step)).unwrap();
            let start = shapes[..place].iter().map(|shape| shape.len()).sum::<usize>();
            let map = &outputs[start..][..shapes[place].len()];
            let stride: usize = name.split_once("@stride").map_or(1, |(_, stride)| stride.parse().unwrap());
            let (pixels, channels) = (shapes[place].pixels(), shapes[place].channels);
            let mut worst = 0.0f32;
            for (index, &expected) in expected[name].iter().enumerate() {
                let (channel, pixel) = (index * stride / pixels, index * stride % pixels);
                worst = worst.max((map[pixel * channels + channel] - expected).abs());
            }
            println!("{set} {name}: {worst:e}");
            if worst.is_nan() || worst > 2e-4 {
                wrong.push(format!("{set}: {name} is {worst} off"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
