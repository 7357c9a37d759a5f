//! The golden weights: splitmix64 of the FNV-1a hash of the tensor's name and the index, scaled to a range by its kind.

use image_feature::model::lcnet_v2::{Form, LcNetV2Config};
use image_feature::model::vit::VitConfig;
use image_feature::weights::{Tensor, Tensors};

/// The value of each element of a tensor.
pub fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let base = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let (low, high) = bounds(name, shape);
    let value = |index: u64| {
        let mut z = base.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 40) as f64 / f64::from(1 << 24);
        (low + (high - low) * unit) as f32
    };
    Tensor { shape: shape.to_vec(), values: (0..shape.iter().product::<usize>() as u64).map(value).collect() }
}

fn bounds(name: &str, shape: &[usize]) -> (f64, f64) {
    let symmetric = |a: f64| (-a, a);
    if name.ends_with("._variance") {
        (0.5, 1.8)
    } else if name.ends_with("._mean") {
        symmetric(0.5)
    } else if ["bn", "norm1", "norm2", ".norm", "ln_pre"].iter().any(|norm| name.ends_with(&format!("{norm}.weight"))) {
        (0.7, 1.3)
    } else if name.ends_with(".bias") {
        symmetric(0.17)
    } else if ["backbone.pos_embed", "backbone.cls_token"].contains(&name) {
        symmetric(0.05)
    } else {
        match *shape {
            [_, input, height, width] => symmetric((6.0 / (input * height * width) as f64).sqrt()),
            [input, _] => symmetric((3.0 / input as f64).sqrt()),
            _ => panic!("no range is known for {name} {shape:?}"),
        }
    }
}

/// All tensors of a network in the training form.
pub fn training(config: &LcNetV2Config, classes: Option<usize>) -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in config.parameters(Form::Training, classes) {
        let tensor = tensor(&parameter.name, &parameter.shape);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// All tensors of a vision transformer.
pub fn vit(config: &VitConfig, classes: Option<usize>) -> Tensors {
    let mut tensors = Tensors::new();
    for parameter in config.parameters(classes) {
        let tensor = tensor(&parameter.name, &parameter.shape);
        tensors.insert(parameter.name, tensor);
    }
    tensors
}

/// The fused depthwise convolution of a re-parameterised block, from its branches, computed plainly in `f64`.
pub fn fused(path: &str, channels: usize, side: usize, branches: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let mut weight = vec![0.0; channels * side * side];
    let mut bias = vec![0.0; channels];
    for (index, &kernel) in branches.iter().enumerate() {
        let of = |name: &str, shape: &[usize]| tensor(&format!("{path}.dw_conv_list.{index}.{name}"), shape).values;
        let [scale, shift, mean, variance] =
            ["bn.weight", "bn.bias", "bn._mean", "bn._variance"].map(|name| of(name, &[channels]));
        let kernels = of("conv.weight", &[channels, 1, kernel, kernel]);
        let pad = (side - kernel) / 2;
        for channel in 0..channels {
            let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + 1e-5).sqrt();
            bias[channel] += f64::from(shift[channel]) - f64::from(mean[channel]) * factor;
            for row in 0..kernel {
                for column in 0..kernel {
                    let value = f64::from(kernels[(channel * kernel + row) * kernel + column]);
                    weight[(channel * side + row + pad) * side + column + pad] += value * factor;
                }
            }
        }
    }
    (weight, bias)
}
