//! Re-parameterisation: parallel branches and their BatchNorms become one convolution (Ding et al., "RepVGG", 2021).
//!
//! It works on named tensors, in `f64`, so that Burn, the CPU engine and the export share one fusion.

use std::borrow::Cow;

use super::config::{BlockConfig, EPSILON, Form, LcNetV2Config};
use crate::Result;
use crate::model::norm::NormFactors;
use crate::tensors::{Tensor, Tensors};

/// The tensors of the training form in the deploy form: the branches of each re-parameterised block are summed into its
/// `dw_conv`.
///
/// As in PaddleClas's export, every other BatchNorm stays as it is. The classification head is left out.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) where a tensor is missing or has another shape than `config` says.
pub fn fuse(config: &LcNetV2Config, training: &Tensors) -> Result<Tensors> {
    let mut deploy = Tensors::new();
    let blocks = config.blocks();
    for parameter in config.parameters(Form::Deploy, None) {
        let fused = blocks.iter().find(|block| {
            !block.branches.is_empty()
                && parameter.name.strip_prefix(&block.path).is_some_and(|rest| rest.starts_with(".dw_conv."))
        });
        match fused {
            Some(block) if parameter.name.ends_with(".weight") => {
                let (weight, bias) = fuse_branches(block, training)?;
                deploy.insert(parameter.name, weight);
                deploy.insert(format!("{}.dw_conv.bias", block.path), bias);
            }
            Some(_) => {} // the bias came with the weight
            None => {
                let tensor = training.expect(&parameter.name, &parameter.shape)?.clone();
                deploy.insert(parameter.name, tensor);
            }
        }
    }
    Ok(deploy)
}

/// The tensors in the deploy form, which is the form that runs: [fused](fuse) where `form` is the training form, else
/// borrowed.
///
/// # Errors
/// As [`fuse`].
pub fn deploy_form<'a>(config: &LcNetV2Config, form: Form, tensors: &'a Tensors) -> Result<Cow<'a, Tensors>> {
    Ok(match form {
        Form::Deploy => Cow::Borrowed(tensors),
        Form::Training => Cow::Owned(fuse(config, tensors)?),
    })
}

/// The sum of the branches: weight and bias. Each BatchNorm is folded in, each kernel padded to the largest.
fn fuse_branches(block: &BlockConfig, tensors: &Tensors) -> Result<(Tensor, Tensor)> {
    let (channels, side) = (block.in_channels, block.kernel);
    let mut weight = vec![0.0f64; channels * side * side];
    let mut bias = vec![0.0f64; channels];
    for (index, &kernel) in block.branches.iter().enumerate() {
        let path = format!("{}.dw_conv_list.{index}", block.path);
        let branch = tensors.expect(&format!("{path}.conv.weight"), &[channels, 1, kernel, kernel])?;
        let norm = NormFactors::read(&format!("{path}.bn"), channels, EPSILON, tensors)?;
        let pad = (side - kernel) / 2;
        for channel in 0..channels {
            bias[channel] += norm.shift[channel];
            for y in 0..kernel {
                for x in 0..kernel {
                    let value = f64::from(branch.values[(channel * kernel + y) * kernel + x]);
                    weight[(channel * side + y + pad) * side + x + pad] += value * norm.factor[channel];
                }
            }
        }
    }
    let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    Ok((
        Tensor { shape: vec![channels, 1, side, side], values: narrow(weight) },
        Tensor { shape: vec![channels], values: narrow(bias) },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One channel, a 3x3 and a 1x1 branch: the 1x1 kernel is added in the middle.
    #[test]
    fn branches_are_summed_around_the_centre() {
        let block = BlockConfig {
            path: "b".into(),
            in_channels: 1,
            out_channels: 1,
            kernel: 3,
            stride: 1,
            branches: vec![3, 1],
            squeeze: false,
            split: false,
            shortcut: false,
        };
        let mut tensors = Tensors::new();
        let mut set = |name: &str, shape: &[usize], value: f32| {
            let values = vec![value; shape.iter().product()];
            tensors.insert(name, Tensor { shape: shape.to_vec(), values });
        };
        for (index, kernel, weight) in [(0, 3, 1.0), (1, 1, 10.0)] {
            set(&format!("b.dw_conv_list.{index}.conv.weight"), &[1, 1, kernel, kernel], weight);
            set(&format!("b.dw_conv_list.{index}.bn.weight"), &[1], 2.0);
            set(&format!("b.dw_conv_list.{index}.bn.bias"), &[1], 0.5);
            set(&format!("b.dw_conv_list.{index}.bn._mean"), &[1], 1.0);
            set(&format!("b.dw_conv_list.{index}.bn._variance"), &[1], 4.0 - EPSILON as f32);
        }
        let (weight, bias) = fuse_branches(&block, &tensors).unwrap();
        assert_eq!(weight.values, [1.0, 1.0, 1.0, 1.0, 11.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(bias.values, [-1.0]); // 2 * (0.5 - 1.0 * 2 / 2)
    }

    #[test]
    fn a_missing_branch_is_named() {
        let error = fuse(&LcNetV2Config::default(), &Tensors::new()).unwrap_err();
        assert!(error.is_model());
        assert!(error.to_string().contains("backbone.stem.0.conv.weight"), "{error}");
    }
}
